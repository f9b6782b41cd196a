"""What docs/deploy.md says about metrics and traces is true: its variables are enough."""

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import process
import pytest

from app.config import ROOT

PAGE = (ROOT / "docs/deploy.md").read_text(encoding="utf-8").partition("## Metrics and traces")[2].partition("\n## ")[0]
COLLECTOR, PROMETHEUS = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
VARIABLES = dict(re.findall(r"\b([A-Z]+(?:_[A-Z]+)+)=([^\s`]+)", PAGE))


@asynccontextmanager
async def collector() -> AsyncIterator[tuple[str, dict[str, bytes]]]:
    """Yield an address that takes whatever is posted, and the bytes that came to each path."""
    received: dict[str, bytes] = defaultdict(bytes)

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := (await reader.readline()).decode():
            headers = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(headers.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            received[head.removeprefix("POST ").partition(" ")[0]] += await reader.readexactly(length)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", received


@pytest.mark.parametrize(
    ("endpoint", "paths"),
    [(COLLECTOR, {"/v1/traces", "/v1/metrics"}), (PROMETHEUS, {"/api/v1/otlp/v1/metrics"})],
)
async def test_a_request_is_measured_and_traced(database: str, endpoint: str, paths: set[str]) -> None:
    """Both under the name of the service and by route; no logs are sent, which may hold what people have typed."""
    async with collector() as (address, received):
        variables = {name: value for name, value in VARIABLES.items() if not name.endswith("ENDPOINT")}
        variables[endpoint] = re.sub(r"//[^/]+", f"//{address}", VARIABLES[endpoint])
        async with process.running(database, **variables) as service:
            assert b" 422 " in await service.ask("/users/me", method="PATCH", body="{")

    assert received.keys() == paths
    for path, body in received.items():
        assert variables["OTEL_SERVICE_NAME"].encode() in body
        assert (b"PATCH /users/me" if "traces" in path else b"http.server.request.duration") in body
        assert b"/users/me" in body
