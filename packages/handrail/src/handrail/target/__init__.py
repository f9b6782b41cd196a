"""The target: the catalog that the models' own DDL produces, which is what a new revision has to lead to."""

from __future__ import annotations

from handrail.target.compose import target_catalog
from handrail.target.names import stated_names, stored, table_name

__all__ = ["stated_names", "stored", "table_name", "target_catalog"]
