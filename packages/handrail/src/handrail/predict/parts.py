"""The parts of a statement that do something by themselves, each with its effect."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import postgast

from handrail.effects import Effect, Relation
from handrail.predict import alter_table, code, creating, dropping, renaming, rows, types, upkeep
from handrail.predict.state import State
from handrail.predict.syntax import Node

LONGEST = 63
LONG = re.compile(r"\w{20}")  # what is not even that long needs no closer look
# Comments and texts are passed over.
NAMES = re.compile(
    r"""--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|(?P<tag>\$\w*\$).*?(?P=tag)|"(?P<quoted>[^"]+)"|(?P<bare>[^\W\d][\w$]*)""",
    re.DOTALL,
)

Handler = Callable[[Node, State, Effect], Relation | None]

HANDLERS: dict[str, Handler] = {
    **creating.HANDLERS,
    **dropping.HANDLERS,
    **renaming.HANDLERS,
    **rows.HANDLERS,
    **types.HANDLERS,
    **upkeep.HANDLERS,
    **code.HANDLERS,
}
# What touches no relation that anybody waits for, or settings only.
HARMLESS = {
    *("variable_set_stmt", "variable_show_stmt", "transaction_stmt", "constraints_set_stmt", "explain_stmt"),
    *("alter_default_privileges_stmt", "grant_role_stmt", "create_role_stmt", "alter_role_stmt", "alter_role_set_stmt"),
    *("notify_stmt", "listen_stmt", "unlisten_stmt", "discard_stmt", "create_cast_stmt", "define_stmt"),
    *("alter_function_stmt", "create_extension_stmt", "alter_extension_stmt", "check_point_stmt"),
    *("create_range_stmt", "create_op_class_stmt", "create_op_family_stmt", "create_event_trig_stmt", "drop_role_stmt"),
    *("create_publication_stmt", "alter_publication_stmt", "create_fdw_stmt", "create_foreign_server_stmt"),
    *("create_user_mapping_stmt", "alter_tsconfiguration_stmt", "alter_tsdictionary_stmt", "createdb_stmt"),
    *("create_plang_stmt", "create_am_stmt", "alter_event_trig_stmt", "alter_database_set_stmt", "load_stmt"),
    *("alter_database_stmt", "alter_operator_stmt", "alter_collation_stmt", "deallocate_stmt", "prepare_stmt"),
    *("alter_subscription_stmt", "create_subscription_stmt", "drop_subscription_stmt", "alter_object_depends_stmt"),
    *("alter_fdw_stmt", "alter_foreign_server_stmt", "import_foreign_schema_stmt", "reassign_owned_stmt"),
    *("sec_label_stmt", "close_portal_stmt", "fetch_stmt", "declare_cursor_stmt", "alter_extension_contents_stmt"),
    *("create_transform_stmt", "create_conversion_stmt", "alter_op_family_stmt", "alter_system_stmt"),
    *("drop_user_mapping_stmt", "alter_user_mapping_stmt", "create_table_space_stmt", "drop_table_space_stmt"),
}


@dataclass(frozen=True)
class Part:
    """One statement, or one command of an ALTER TABLE.

    Attributes:
        kind: Of the node: `index_stmt`, or `AT_AddColumn`.
        node: Its syntax.
        table: The relation that it is about; None where there is no single one.
        effect: What it does.
        before: The state that it is applied to.
        too_long: Names in it that PostgreSQL cuts off; its syntax has them cut already.
    """

    kind: str
    node: Node
    table: Relation | None
    effect: Effect = field(default_factory=Effect)
    before: State = field(default_factory=State, repr=False)
    too_long: tuple[str, ...] = ()


def predict(sql: str, state: State) -> list[Part]:
    """Return what statements do, one after the other, and let the state be as it is after them.

    Raises:
        postgast.PgQueryError: It is no SQL of PostgreSQL's.
    """
    parts: list[Part] = []
    for raw in postgast.parse(sql).stmts:
        parts += predict_node(raw.stmt, state)
    if parts and (too_long := too_long_names(sql)):
        parts[0] = replace(parts[0], too_long=too_long)
    return parts


def too_long_names(sql: str) -> tuple[str, ...]:
    """Return the identifiers of more than 63 bytes; https://www.postgresql.org/docs/18/limits.html."""
    if LONG.search(sql) is None:
        return ()
    found = (match["quoted"] or match["bare"] or "" for match in NAMES.finditer(sql))
    return tuple(dict.fromkeys(name for name in found if len(name.encode()) > LONGEST))


def predict_node(wrapped: Node, state: State) -> Iterator[Part]:
    """Yield the parts of one statement."""
    kind = wrapped.WhichOneof("node")
    node = getattr(wrapped, kind)
    if kind == "alter_table_stmt":
        for command in node.cmds:
            before, effect = state.copy(), Effect()
            table = alter_table.alter(node, command.alter_table_cmd, state, effect)
            name = alter_table.name_of(command.alter_table_cmd)
            yield Part(name, command.alter_table_cmd, table, effect, before)
        return
    if kind == "do_stmt":
        yield from _block(node, state)
        return
    before, effect = state.copy(), Effect()
    handler = HANDLERS.get(kind)
    about: Relation | None = None
    if handler is not None:
        about = handler(node, state, effect)
    elif kind not in HARMLESS:
        effect.unknown.append(f"what {kind.removesuffix('_stmt').replace('_', ' ')} does is not known")
    yield Part(kind, node, about, effect, before)


def _block(node: Node, state: State) -> Iterator[Part]:
    """Yield the statements that can be seen in a DO block; of what it puts together itself only that it is there."""
    body = code.body_of(node)
    effect = Effect()
    for sql in code.visible(body):
        try:
            yield from predict(sql, state)
        except postgast.PgQueryError:
            effect.unknown.append(f"a statement in the DO block cannot be read: {' '.join(sql.split())[:80]}")
    for text in code.dynamic(body):
        effect.unknown.append(f"the DO block puts a statement together at run time: {text}")
    yield Part("do_stmt", node, None, effect, state.copy())
