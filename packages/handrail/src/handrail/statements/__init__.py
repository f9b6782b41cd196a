"""Statements: the SQL that a revision or a file would run, each with its line, found without a database."""

from handrail.statements.revision import Rendered, Trouble, render
from handrail.statements.sql_file import read_sql
from handrail.statements.statement import Statement

__all__ = ["Rendered", "Statement", "Trouble", "read_sql", "render"]
