"""The seam to PostgreSQL's own grammar: nothing outside of this package knows how a syntax tree is built."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from postgast import pg_query_pb2 as pb
from postgast import walk

from handrail.effects import Relation
from handrail.predict.state import DEFAULT_SCHEMA, State

Node: TypeAlias = Any  # a protobuf message

SPELLED = {
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "bool": "boolean",
    "varchar": "character varying",
    "bpchar": "character",
    "varbit": "bit varying",
    "decimal": "numeric",
}
ZONED = {
    "timestamp": ("timestamp", "without"),
    "timestamptz": ("timestamp", "with"),
    "time": ("time", "without"),
    "timetz": ("time", "with"),
}
SERIALS = {
    "serial": "integer",
    "serial4": "integer",
    "bigserial": "bigint",
    "serial8": "bigint",
    "smallserial": "smallint",
    "serial2": "smallint",
}
BUILT_IN = {
    *("text", "uuid", "json", "jsonb", "bytea", "date", "interval", "numeric", "inet", "cidr", "macaddr", "macaddr8"),
    *("xml", "money", "bit", "name", "oid", "point", "line", "lseg", "box", "path", "polygon", "circle", "tsvector"),
    *("tsquery", "int4range", "int8range", "numrange", "tsrange", "tstzrange", "daterange", "pg_lsn", "char"),
}


def relation(range_var: Node, state: State) -> Relation:
    """Return the table that a statement names."""
    return resolved(range_var.schemaname, range_var.relname, state)


def resolved(schema: str, name: str, state: State) -> Relation:
    """Return a relation's full name; without a schema it is the default one, or the only one where there is such."""
    if schema:
        return Relation(schema, name)
    default = Relation(DEFAULT_SCHEMA, name)
    if default in state.tables or default in state.indexes:
        return default
    named = [known for known in (*state.tables, *state.indexes) if known.name == name]
    return named[0] if len(named) == 1 else default


def names(nodes: Any) -> list[str]:
    """Return the parts of a dotted name, or the names in a list."""
    return [node.string.sval for node in nodes if node.WhichOneof("node") == "string"]


def listed(node: Node, state: State) -> Relation:
    """Return the relation of a list of name parts, as DROP and COMMENT have it."""
    parts = names(node.list.items) if node.WhichOneof("node") == "list" else names([node])
    return resolved(parts[-2] if len(parts) > 1 else "", parts[-1] if parts else "", state)


def type_name(node: Node, state: State) -> str:
    """Return a type as `format_type` spells it; serial types as what they are."""
    parts = names(node.names)
    if not parts:
        return "unknown"
    base = parts[-1]
    modifiers = [str(mod.a_const.ival.ival) for mod in node.typmods if mod.WhichOneof("node") == "a_const"]
    size = f"({','.join(modifiers)})" if modifiers and base != "interval" else ""
    array = "[]" * len(node.array_bounds)
    if base in SERIALS and parts[0] != "pg_catalog":
        return SERIALS[base] + array
    if base in ZONED:
        word, zone = ZONED[base]
        return f"{word}{size} {zone} time zone{array}"
    if base == "bpchar" and not modifiers:
        return "bpchar" + array
    if base in SPELLED or base in BUILT_IN or parts[0] == "pg_catalog":
        # character(1) and bit(1) carry their length although nobody wrote it.
        return SPELLED.get(base, base) + size + array
    return f"{user_type(parts, state)}{size}{array}"


def user_type(parts: list[str], state: State) -> Relation:
    """Return the full name of a type of the project's."""
    if len(parts) > 1:
        return Relation(parts[-2], parts[-1])
    named = [known for known in (*state.enums, *state.domains) if known.name == parts[-1]]
    return named[0] if len(named) == 1 else Relation(DEFAULT_SCHEMA, parts[-1])


def is_serial(node: Node) -> bool:
    parts = names(node.names)
    return len(parts) == 1 and parts[0] in SERIALS


def nodes(tree: Node, kind: type[Any]) -> Iterator[Any]:
    """Yield all nodes of a kind within a tree."""
    return (node for _, node in walk(tree) if isinstance(node, kind))


def texts(tree: Node) -> Iterator[str]:
    """Yield the string constants within a tree."""
    return (constant.sval.sval for constant in nodes(tree, pb.A_Const) if constant.HasField("sval"))


def column_names(tree: Node) -> set[str]:
    """Return the columns that an expression speaks of."""
    return {found[-1] for ref in nodes(tree, pb.ColumnRef) if (found := names(ref.fields))}


def options(node_list: Any) -> dict[str, str]:
    """Return the options of a statement, `name = value`, in lower case."""
    found = {}
    for node in node_list:
        if node.WhichOneof("node") == "def_elem":
            element = node.def_elem
            said = [*texts(element.arg), *names([element.arg]), *names(element.arg.type_name.names)]
            found[element.defname.lower()] = next(iter(said), "").lower()
    return found
