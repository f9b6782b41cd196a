"""The one clock. Tests put another function in its place: `monkeypatch.setattr("app.clock.now", …)`."""

from datetime import UTC, datetime


def now() -> datetime:
    return datetime.now(UTC)
