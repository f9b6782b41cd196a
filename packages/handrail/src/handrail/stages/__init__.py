"""Cut a difference into stages: revisions of which none stops a service, each a difference of two catalogs itself."""

from __future__ import annotations

from handrail.stages.plan import stages
from handrail.stages.stage import Stage, Swap

__all__ = ["Stage", "Swap", "stages"]
