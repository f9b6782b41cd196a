"""Types: what changing a column's type does, and enums and domains."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import postgast
from postgast import pg_query_pb2 as pb

from handrail.casts import is_assignable, is_conversion
from handrail.casts import using as needed_cast
from handrail.effects import Break, Broken, Demand, Effect, LockMode, Loss, Lost, Relation, Wanted
from handrail.predict.state import DEFAULT_SCHEMA, Column, State
from handrail.predict.syntax import Node, column_names, names, nodes, resolved, type_name, user_type
from handrail.statements.statement import Existing
from handrail.type_changes import narrows, rewrites

CITEXT = "public.citext"
MOMENTS = {"timestamp without time zone", "timestamp with time zone"}
# Nearly always from a text with a limit, which only touches the catalog.
UNLIMITED = {"text", "character varying"}
EXTENSIONS = {CITEXT, *(f"public.{name}" for name in ("hstore", "ltree", "vector", "halfvec", "geometry", "geography"))}


def change_type(column: str, definition: Node, table: Relation, state: State, effect: Effect) -> None:
    """Note what ALTER COLUMN … TYPE does."""
    after = type_name(definition.type_name, state)
    known = state.table(table).column(column)
    before = known.type if known is not None and is_known(known.type, state) and is_known(after, state) else ""
    converts = definition.HasField("raw_default") and not _is_own_cast(definition.raw_default, column)
    if before == after and not converts and not definition.HasField("coll_clause"):
        return
    indexes = {name for name, index in state.indexes_of(table) if column in index.columns or not index.plain}
    if not before and (after not in UNLIMITED or definition.HasField("raw_default")):
        # What it was is not known, so that neither a rewrite nor a loss can be ruled out.
        effect.unknown.append(f"what type {table}.{column} has now is not known")
    if converts or (before not in ("", after) and _rewrites(before, after, state)):
        effect.scans.add(table)
        effect.rewrites.add(table)
        effect.rewrites |= {name for name, _ in state.indexes_of(table)}
    elif definition.HasField("coll_clause") or CITEXT in (before, after):
        effect.rewrites |= indexes
        effect.scans |= {table} if indexes else set()
    _check_again(column, table, state, effect)
    lossy = converts and not _is_moment_of_its_zone(definition.raw_default, before, after)
    if before and (lossy or narrows(before, after)) and before != after:
        effect.losses.append(Loss(Lost.VALUES, table, column))
        effect.demands.append(Demand(Wanted.CASTABLE, table, (column,)))
    effect.breaks.append(Break(Broken.RETYPED, table, column))
    if known is not None:
        state.change_column(table, column, type=after)


def _check_again(column: str, table: Relation, state: State, effect: Effect) -> None:
    """Constraints on a column that gets another type are made anew: checks are evaluated, keys on both sides."""
    for constraint in state.table(table).constraints.values():
        if column not in constraint.columns:
            continue
        if constraint.kind == "check":
            effect.scans |= {table} if constraint.valid else set()
        elif constraint.references and not state.is_new(constraint.references):
            effect.lock(constraint.references, LockMode.ACCESS_EXCLUSIVE)
            effect.scans.add(constraint.references)
    own = state.table(table).constraints.values()
    key = next((constraint.columns for constraint in own if constraint.kind == "primary key"), ())
    for other, _, constraint in state.referring(table):
        if column in (constraint.referred or key) and not state.is_new(other):
            effect.lock(other, LockMode.ACCESS_EXCLUSIVE)
            effect.scans.add(other)


def _rewrites(before: str, after: str, state: State) -> bool:
    """Whether the values of a column are written anew; those of a domain are, unless it stays the domain."""
    if CITEXT in (before, after) and {before, after} <= {CITEXT, "text", "character varying"}:
        return False
    if any(str(domain) == before for domain in state.domains):
        return True
    return rewrites(before, _beneath(after, state))


def assume(existing: Existing, state: State) -> None:
    """Believe what a revision says about a column, where nothing better is known."""
    table = resolved(existing.schema, existing.table, state)
    known = state.table(table).column(existing.column)
    if state.complete or (known is not None and is_known(known.type, state)):
        return
    try:
        select = postgast.parse(f"SELECT NULL::{existing.type}").stmts[0].stmt.select_stmt if existing.type else None
    except postgast.PgQueryError:
        select = None
    spelled = type_name(select.target_list[0].res_target.val.type_cast.type_name, state) if select else ""
    if known is None:
        state.change(table).assumed[existing.column] = Column(spelled, existing.not_null)
    elif spelled:
        state.change_column(table, existing.column, type=spelled)


def is_known(type_: str, state: State) -> bool:
    """Whether it is clear what a type is; one with a schema is somebody's, and may be anything."""
    base = type_.partition("(")[0].removesuffix("[]")
    own = {str(known) for known in (*state.enums, *state.domains)}
    return bool(type_) and ("." not in base or state.complete or base in own or base in EXTENSIONS)


def lacks_cast(definition: Node, column: Column, state: State) -> str:
    """Return what PostgreSQL refuses to convert by itself when a column's type changes: its values or its default."""
    before, after = column.type, type_name(definition.type_name, state)
    if before == after or not (is_known(before, state) and is_known(after, state)):
        return ""
    if not is_conversion(before, after) or needed_cast("", before, after) is None or is_assignable(before, after):
        return ""
    if definition.HasField("raw_default"):
        # USING is about values only.
        return "default for column" if column.default else ""
    return "column"


def _beneath(type_: str, state: State) -> str:
    """Return the type that a domain is made of, or the type itself."""
    return next((base for domain, base in state.domains.items() if str(domain) == type_), type_)


def _is_own_cast(expression: Node, column: str) -> bool:
    """Whether a USING clause is nothing but the column's own cast, which PostgreSQL would do anyway."""
    while expression.WhichOneof("node") == "type_cast":
        expression = expression.type_cast.arg
    return expression.WhichOneof("node") == "column_ref" and column_names(expression) == {column}


def _is_moment_of_its_zone(expression: Node, before: str, after: str) -> bool:
    """Whether a USING clause says in which zone times without one were: `created_at AT TIME ZONE 'UTC'`."""
    called = {names(call.funcname)[-1] for call in nodes(expression, pb.FuncCall)}
    return called == {"timezone"} and {before, after} == MOMENTS


def using_type(type_: Relation, state: State) -> Iterator[tuple[Relation, str]]:
    """Yield the columns of a type of the project's."""
    for table, known in state.tables.items():
        for name, column in (known.columns or {}).items():
            if column.type.removesuffix("[]") == str(type_):
                yield table, name


def create_enum(node: Node, state: State, _effect: Effect) -> None:
    enum = _own(node.type_name, state)
    state.enums[enum] = names(node.vals)
    state.created_types.add(enum)


def alter_enum(node: Node, state: State, effect: Effect) -> None:
    enum = _own(node.type_name, state)
    values = state.enums.get(enum, [])
    if node.old_val:
        effect.breaks.append(Break(Broken.RENAMED, enum, node.old_val))
        state.enums[enum] = [node.new_val if value == node.old_val else value for value in values]
    elif node.new_val not in values:
        state.enums[enum] = [*values, node.new_val]
        if enum not in state.created_types:
            state.fresh_values[node.new_val] = enum


def create_domain(node: Node, state: State, _effect: Effect) -> None:
    domain = _own(node.domainname, state)
    state.domains[domain] = type_name(node.type_name, state)
    if any(wrapped.constraint.contype in (pb.CONSTR_CHECK, pb.CONSTR_NOTNULL) for wrapped in node.constraints):
        state.constrained.add(domain)


def alter_domain(node: Node, state: State, effect: Effect) -> Relation:
    """ALTER DOMAIN: a constraint is checked in every column of the domain, while writes to their tables wait."""
    domain = user_type(names(node.type_name), state)
    kinds = {"C": Wanted.CHECKED, "O": Wanted.NOT_NULL, "V": Wanted.CHECKED}
    constraint: Any = getattr(node, "def").constraint if node.HasField("def") else None
    if node.subtype not in kinds or (constraint is not None and constraint.skip_validation):
        return domain
    state.constrained.add(domain)
    for table, column in using_type(domain, state):
        if not state.is_new(table):
            effect.lock(table, LockMode.SHARE)
            effect.scans.add(table)
            effect.demands.append(Demand(kinds[node.subtype], table, (column,)))
    if domain not in state.domains:
        effect.unknown.append(f"which columns are of the domain {domain} is not known")
    return domain


def composite(_node: Node, _state: State, _effect: Effect) -> None:
    """CREATE TYPE … AS (…): nobody uses it yet."""


def used_fresh_values(tree: Node, state: State) -> set[str]:
    """Return values that were added to an enum in this transaction and stand in a statement that uses them."""
    found: set[str] = set()
    for constant in nodes(tree, pb.A_Const):
        if constant.HasField("sval") and constant.sval.sval in state.fresh_values:
            found.add(constant.sval.sval)
    return found


def _own(name_parts: Any, state: State) -> Relation:
    parts = names(name_parts)
    if len(parts) == 1 and Relation(DEFAULT_SCHEMA, parts[0]) not in state.enums:
        return user_type(parts, state)
    return Relation(parts[-2] if len(parts) > 1 else DEFAULT_SCHEMA, parts[-1])


HANDLERS = {
    "create_enum_stmt": create_enum,
    "alter_enum_stmt": alter_enum,
    "create_domain_stmt": create_domain,
    "alter_domain_stmt": alter_domain,
    "composite_type_stmt": composite,
}
