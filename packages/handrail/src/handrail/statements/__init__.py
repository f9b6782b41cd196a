"""Statements: the SQL that a revision or a file would run, each with its line, found without a database.

What runs revisions for that is in `revision`, which needs Alembic; a SQL file does not.
"""

from handrail.statements.sql_file import read_sql
from handrail.statements.statement import Statement

__all__ = ["Statement", "read_sql"]
