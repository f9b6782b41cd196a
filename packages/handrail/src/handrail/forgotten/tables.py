"""Which classes and tables the source files declare, and where each of them stands."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from handrail.forgotten.source import Source, assigned, sources
from handrail.forgotten.texts import Part, Scope, convention, could_be, parts, returned

if TYPE_CHECKING:
    from handrail.catalog.objects import Name
    from handrail.config import Project

COLUMNS = {"mapped_column", "Column", "MappedColumn"}


@dataclass(frozen=True)
class Declared:
    """A class or a table in a source file.

    Attributes:
        path: The file.
        line: Where it names its table.
        name: By what it is found in its module: `Guest`, `Outer.Guest`, `guests`; empty where by nothing.
        branch: The condition under which it stands, in words; empty for none.
        tables: What its table may be called.
        schema: The schema that it states.
        classes: The class and those of its bases that the project's source has, each with its file.
    """

    path: Path
    line: int
    name: str
    branch: str
    tables: tuple[tuple[Part, ...], ...]
    schema: str | None
    classes: tuple[tuple[Path, ast.ClassDef], ...] = ()

    def maps(self, table: Name) -> bool:
        """Whether it maps this table, as far as the source tells."""
        return self.schema in (None, table.schema) and any(could_be(table.name, said) for said in self.tables)


def declarations(project: Project) -> list[Declared]:
    """Return all classes and tables of the project's source, also of files that are never imported."""
    files = list(sources(project, (b'= "', b"= '")))
    places = [place for source in files for place in _Places.of(source)]
    classes = {place.node.name: place for place in places if isinstance(place.node, ast.ClassDef)}
    others = {name: value for source in files for name, value in source.constants.items()}
    return [declared for place in places if (declared := _declared(place, classes, others))]


@dataclass(frozen=True)
class Place:
    """A class, a call or a dict in a file, which may declare a table."""

    source: Source
    node: ast.ClassDef | ast.Call | ast.Dict
    name: str
    branch: str


class _Places(ast.NodeVisitor):
    """Collects what may declare a table, with the branches that it stands in."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.names: list[str] = []
        self.branches: list[str] = []
        self.found: list[Place] = []
        self.target = ""

    @classmethod
    def of(cls, source: Source) -> list[Place]:
        finder = cls(source)
        finder.visit(source.tree)
        return finder.found

    def add(self, node: ast.ClassDef | ast.Call | ast.Dict, name: str) -> None:
        path = ".".join([*self.names, name]) if name else ""
        self.found.append(Place(self.source, node, path, self.branches[-1] if self.branches else ""))

    def inside(self, branch: str, nodes: Sequence[ast.AST]) -> None:
        self.branches.append(branch)
        for node in nodes:
            self.visit(node)
        self.branches.pop()

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.add(node, node.name)
        self.names.append(node.name)
        self.generic_visit(node)
        self.names.pop()

    def visit_If(self, node: ast.If) -> None:
        condition = " ".join(ast.unparse(node.test).split())[:60]
        self.visit(node.test)
        self.inside(f"under `if {condition}:`", node.body)
        self.inside(f"under the `else:` of `if {condition}:`", node.orelse)

    def visit_Try(self, node: ast.Try) -> None:
        self.inside("in a `try:` that did not get that far", [*node.body, *node.orelse])
        self.inside("in an `except:` that was not needed", node.handlers)
        self.inside("in a `finally:`", node.finalbody)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.inside(f"inside the function {node.name}()", [*node.decorator_list, *node.body])

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - ast's name

    def visit_Assign(self, node: ast.Assign | ast.AnnAssign) -> None:
        self.target = next((name for name, _ in assigned(node)), "")
        self.generic_visit(node)
        self.target = ""

    visit_AnnAssign = visit_Assign  # noqa: N815 - ast's name

    def visit_Call(self, node: ast.Call) -> None:
        if _called(node, self.source) == "Table":
            self.add(node, self.target)
        self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> None:
        self.add(node, self.target)
        self.generic_visit(node)


def _declared(place: Place, classes: dict[str, Place], others: dict[str, ast.expr]) -> Declared | None:
    source, node = place.source, place.node
    scope = Scope(source.constants, others, node.name if isinstance(node, ast.ClassDef) else None)
    if isinstance(node, ast.ClassDef):
        line, said = _of_class(place, node, scope, classes)
        schema = _stated_schema(node, scope)
    else:
        named = _table_argument(node) if isinstance(node, ast.Call) else _value(node, "__tablename__")
        line, said = node.lineno, [parts(named, scope)] if named is not None else []
        schema = _schema(node, scope)
    if not said:
        return None
    lineage = tuple(
        (one.source.path, one.node) for one in (place, *bases(place, classes)) if isinstance(one.node, ast.ClassDef)
    )
    return Declared(source.path, line, place.name, place.branch, tuple(map(tuple, said)), schema, lineage)


def _of_class(
    place: Place, node: ast.ClassDef, scope: Scope, classes: dict[str, Place]
) -> tuple[int, list[list[Part]]]:
    """Return where a class names its table, and what it says there: itself, by a base, or by a convention."""
    line, said = _own_names(node, scope)
    if said:
        return line, said
    if _keyword(node.keywords, "table"):  # SQLModel
        return node.lineno, [[Part(node.name.lower())]]
    if not has_columns(node):
        return node.lineno, []
    for base in bases(place, classes):
        inherited = Scope(base.source.constants, scope.others, node.name)
        _, said = _own_names(base.node, inherited) if isinstance(base.node, ast.ClassDef) else (0, [])
        if said:
            return node.lineno, said
    # A library's base may make the name; one of the project's own would have been found.
    return node.lineno, [[Part(convention(node.name), exact=False)]]


def bases(place: Place, classes: dict[str, Place]) -> Iterator[Place]:
    """Yield the classes of the project from which this one inherits, the nearest first."""
    seen, waiting = {id(place.node)}, [place]
    while waiting:
        current = waiting.pop(0)
        for base in getattr(current.node, "bases", ()):
            name = base.id if isinstance(base, ast.Name) else base.attr if isinstance(base, ast.Attribute) else ""
            found = classes.get(current.source.aliases.get(name, name))
            if found and id(found.node) not in seen:
                seen.add(id(found.node))
                waiting.append(found)
                yield found


def _own_names(node: ast.ClassDef, scope: Scope) -> tuple[int, list[list[Part]]]:
    for statement in statements(node):
        for name, value in assigned(statement):
            if name == "__tablename__":
                return statement.lineno, [parts(value, scope)]
            if name == "__table__" and isinstance(value, ast.Call):
                return statement.lineno, []  # the call is found by itself
        if isinstance(statement, ast.FunctionDef) and statement.name == "__tablename__":
            return statement.lineno, list(returned(statement, scope))
    return node.lineno, []


def statements(node: ast.AST) -> Iterator[ast.stmt]:
    """Yield the statements of a class or branch, also those in branches inside of it."""
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, ast.stmt):
            yield inner
        if isinstance(inner, ast.If | ast.Try | ast.ExceptHandler | ast.With):
            yield from statements(inner)


def has_columns(node: ast.ClassDef) -> bool:
    """Whether a class has an attribute that is a column."""
    return any(_is_column(statement) for statement in statements(node))


def _is_column(statement: ast.stmt) -> bool:
    value = getattr(statement, "value", None)
    return isinstance(value, ast.Call) and _last(value.func) in COLUMNS


def _called(node: ast.Call, source: Source) -> str:
    name = _last(node.func)
    return source.aliases.get(name, name)


def _last(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def _table_argument(node: ast.Call) -> ast.expr | None:
    """Return the name in `Table(name, metadata, …)`; None for tables of other libraries, and for those only read."""
    metadata = node.args[1] if len(node.args) > 1 else _keyword(node.keywords, "metadata")
    if metadata is None or isinstance(metadata, ast.Constant) or _keyword(node.keywords, "autoload_with"):
        return None
    return node.args[0] if node.args else _keyword(node.keywords, "name")


def _stated_schema(node: ast.ClassDef, scope: Scope) -> str | None:
    for statement in statements(node):
        for name, value in assigned(statement):
            if name == "__table_args__":
                options = value.elts[-1] if isinstance(value, ast.Tuple) and value.elts else value
                return _schema(options, scope)
    return None


def _schema(node: ast.expr, scope: Scope) -> str | None:
    value: ast.expr | None = None
    if isinstance(node, ast.Call):
        value = _keyword(node.keywords, "schema")
    elif isinstance(node, ast.Dict):
        value = _value(node, "schema")
    said = parts(value, scope) if value is not None else []
    return said[0].text if len(said) == 1 and said[0].exact else None


def _keyword(keywords: Sequence[ast.keyword], name: str) -> ast.expr | None:
    return next((keyword.value for keyword in keywords if keyword.arg == name), None)


def _value(node: ast.Dict, name: str) -> ast.expr | None:
    pairs = zip(node.keys, node.values, strict=True)
    return next((value for key, value in pairs if isinstance(key, ast.Constant) and key.value == name), None)
