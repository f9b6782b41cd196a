"""Functions, triggers, rules, policies and DO blocks."""

from __future__ import annotations

import re

from postgast import pg_query_pb2 as pb

from handrail.effects import Effect, LockMode, Relation
from handrail.predict.state import State, volatility
from handrail.predict.syntax import Node, names, nodes, relation

# Statements in a DO block that stand there as they are, and not in a string.
INSIDE = re.compile(
    r"(?:^|;|\bbegin\b|\bthen\b|\belse\b|\bloop\b)\s*"
    r"(?:((?:alter|create|drop|update|delete|insert|truncate|lock|comment|grant|revoke|reindex|refresh)\b[^;]*)"
    r"|execute\s+'((?:[^']|'')*)'\s*)(?=;)",
    re.IGNORECASE | re.DOTALL,
)
DYNAMIC = re.compile(r"\bexecute\b(?!\s+(?:function|procedure|on)\b)(?:\s+'(?=(?:[^']|'')*'\s*;))?", re.IGNORECASE)
COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)


def body_of(node: Node) -> str:
    """Return the code of a DO block."""
    return next((names([e.def_elem.arg])[0] for e in node.args if e.def_elem.defname == "as"), "")


def visible(body: str) -> list[str]:
    """Return the statements that stand in a PL/pgSQL body as they are, or as one whole string that is executed."""
    return [match[1] or match[2].replace("''", "'") for match in INSIDE.finditer(COMMENTS.sub("", body))]


def dynamic(body: str) -> list[str]:
    """Return the pieces of a body that execute text."""
    clean = COMMENTS.sub("", body)
    whole = {match.start(2) for match in INSIDE.finditer(clean) if match[2] is not None}
    return [
        " ".join(clean[m.start() : m.start() + 60].split()) for m in DYNAMIC.finditer(clean) if m.end() not in whole
    ]


def create_function(node: Node, state: State, _effect: Effect) -> Relation:
    parts = names(node.funcname)
    declared = {e.def_elem.defname: names([e.def_elem.arg]) for e in node.options}
    state.functions[parts[-1]] = next(iter(declared.get("volatility", [])), volatility(""))
    return Relation(parts[-2] if len(parts) > 1 else "", parts[-1])


def create_trigger(node: Node, state: State, effect: Effect) -> Relation:
    table = relation(node.relation, state)
    if not state.is_new(table):
        effect.lock(table, LockMode.SHARE_ROW_EXCLUSIVE)
    state.change(table).triggers[node.trigname] = names(node.funcname)[-1]
    return table


def create_rule(node: Node, state: State, effect: Effect) -> Relation:
    table = relation(node.relation, state)
    if not state.is_new(table):
        effect.lock(table, LockMode.ACCESS_EXCLUSIVE)
    return table


def create_policy(node: Node, state: State, effect: Effect) -> Relation:
    table = relation(node.table, state)
    if not state.is_new(table):
        effect.lock(table, LockMode.ACCESS_EXCLUSIVE)
    if isinstance(node, pb.CreatePolicyStmt):
        state.change(table).policies += 1
    return table


def call(node: Node, _state: State, effect: Effect) -> None:
    """CALL: what a procedure does is not seen."""
    called = ".".join(names(next(nodes(node, pb.FuncCall)).funcname))
    effect.unknown.append(f"what the procedure {called} does is not seen")


def execute(node: Node, _state: State, effect: Effect) -> None:
    effect.unknown.append(f"what the prepared statement {node.name} does is not seen")


HANDLERS = {
    "create_function_stmt": create_function,
    "create_trig_stmt": create_trigger,
    "rule_stmt": create_rule,
    "create_policy_stmt": create_policy,
    "alter_policy_stmt": create_policy,
    "call_stmt": call,
    "execute_stmt": execute,
}
