"""Catalog objects as SQL: the statements that make one, the one that drops it, and the whole schema as a script.

Every name is qualified, so the statements do the same under any `search_path`. Owners, privileges and the versions of
extensions are left out: they belong to a server rather than to a schema.
"""

from __future__ import annotations

from handrail.catalog.ddl.order import script
from handrail.catalog.ddl.statements import create_statements, drop_statement
from handrail.catalog.ddl.tables import comes_with_its_table

__all__ = ["comes_with_its_table", "create_statements", "drop_statement", "script"]
