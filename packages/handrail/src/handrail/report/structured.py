"""For machines: JSON with every field of a finding."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from handrail.review import Reviewed


def as_json(reviews: Sequence[Reviewed]) -> str:
    """Return a list of files, each with its findings; nothing in it is shortened."""
    return json.dumps([asdict(review) | {"judged": review.judged} for review in reviews], indent=2, ensure_ascii=False)
