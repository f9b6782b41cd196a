"""Where the version table is, read from the text of the models' base without importing it."""

from __future__ import annotations

import ast
from collections import Counter
from typing import TYPE_CHECKING

from handrail.quoting import quoted

if TYPE_CHECKING:
    from pathlib import Path

    from handrail.config import Project

UNKNOWN = None
# Bases that bring no metadata of their own.
PLAIN_BASES = {"DeclarativeBase", "DeclarativeBaseNoMeta", "MappedAsDataclass", "AsyncAttrs"}


def schema_of_version_table(project: Project) -> str | None:
    """Return the schema; empty when none is declared, and None where only importing the module can tell."""
    if project.version_table_schema:
        return project.version_table_schema
    name, _, attribute = project.metadata.partition(":")
    path = module_file(project.root, name)
    if path is None:
        return UNKNOWN
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return UNKNOWN
    return declared(tree, attribute.removesuffix(".metadata"))


def name_in_sql(schema: str, table: str) -> str:
    """Return the version table's name, also without a schema; the locks are named after it."""
    return f"{quoted(schema)}.{quoted(table)}" if schema else quoted(table)


def module_file(root: Path, name: str) -> Path | None:
    """Return the file of a module of the project; None when there is none, or more than one."""
    stem = name.replace(".", "/")
    places = [folder / f"{stem}{end}" for folder in (root, root / "src") for end in (".py", "/__init__.py")]
    found = [place for place in places if place.is_file()]
    return found[0] if len(found) == 1 else None


def declared(tree: ast.Module, name: str) -> str | None:
    """Return the schema of the MetaData that a base class or variable of this name has."""
    stored = Counter(node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not is_read(node))
    if any(isinstance(node, ast.Attribute) and node.attr == "schema" and not is_read(node) for node in ast.walk(tree)):
        return UNKNOWN
    values = {target: value for target, value in assignments(tree.body) if stored[target] == 1 or target == "metadata"}
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    value: ast.expr | None = values.get(name)
    if len(classes) == 1:
        value = dict(assignments(classes[0].body)).get("metadata")
        if value is None:
            bases = {getattr(base, "id", None) for base in classes[0].bases}
            return "" if bases <= PLAIN_BASES and bases else UNKNOWN
    if isinstance(value, ast.Name):
        value = values.get(value.id)
    return schema_argument(value, values)


def is_read(node: ast.Name | ast.Attribute) -> bool:
    """Whether a name is only read where it stands."""
    return isinstance(node.ctx, ast.Load)


def assignments(body: list[ast.stmt]) -> list[tuple[str, ast.expr]]:
    """Return the plain assignments of a block."""
    found: list[tuple[str, ast.expr]] = []
    for node in body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            found += [(target.id, node.value) for target in targets if isinstance(target, ast.Name)]
    return found


def schema_argument(call: ast.expr | None, values: dict[str, ast.expr]) -> str | None:
    """Return what a call of MetaData says about the schema."""
    if not isinstance(call, ast.Call) or call.args or any(keyword.arg is None for keyword in call.keywords):
        return UNKNOWN
    if (getattr(call.func, "id", None) or getattr(call.func, "attr", None)) != "MetaData":
        return UNKNOWN
    value = next((keyword.value for keyword in call.keywords if keyword.arg == "schema"), ast.Constant(None))
    if isinstance(value, ast.Name):
        value = values.get(value.id, value)
    if not isinstance(value, ast.Constant) or not isinstance(value.value, str | None):
        return UNKNOWN
    return value.value or ""
