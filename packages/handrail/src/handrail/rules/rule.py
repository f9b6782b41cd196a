"""What a rule is, and what it looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import postgast
from postgast import pg_query_pb2 as pb

from handrail.effects import Effect, LockMode, Relation
from handrail.findings import Severity
from handrail.hint import quotable
from handrail.predict.parts import Part
from handrail.predict.state import State
from handrail.predict.syntax import Node
from handrail.quoting import identifier
from handrail.sizes import Sizes


@dataclass(frozen=True)
class Step:
    """One part of a statement, with all that its judge needs.

    Attributes:
        part: What it is and does.
        sizes: Of the tables.
        held: Locks that earlier statements of the same transaction still hold.
        in_transaction: Whether it runs in a transaction with others.
        committed: Whether it commits what the revision has changed before, which is then done without its version.
        later: The parts that follow in the same revision.
        after: The state after it.
    """

    part: Part
    sizes: Sizes
    held: Mapping[Relation, LockMode] = field(default_factory=dict)
    in_transaction: bool = True
    committed: bool = False
    later: tuple[Part, ...] = ()
    after: State = field(default_factory=State, repr=False)

    @property
    def kind(self) -> str:
        return self.part.kind

    @property
    def effect(self) -> Effect:
        return self.part.effect

    @property
    def table(self) -> Relation:
        return self.part.table or Relation("", "")

    def scanned(self) -> Iterator[tuple[Relation, LockMode]]:
        """Yield the tables that are read in full while somebody waits, unless that takes no time."""
        for table in sorted(self.effect.scans | self.effect.rewrites):
            mode = self.effect.locks.get(table)
            if mode is not None and mode.blocks_writes and self.sizes.matters(table):
                yield table, mode


@dataclass(frozen=True)
class Hit:
    """What a rule has found.

    Attributes:
        object: On what, as notes spell it.
        names: What is filled into the texts of the rule's page: `table`, `column`, ….
        severity: Where it is not the rule's own.
    """

    object: str
    names: Mapping[str, str] = field(default_factory=dict)
    severity: Severity | None = None


Judge = Callable[[Step], Iterator[Hit]]


@dataclass(frozen=True)
class Rule:
    """One rule; its texts are in `hints/<name>.md`."""

    name: str
    severity: Severity
    judge: Judge


RULES: dict[str, Rule] = {}


def rule(severity: Severity) -> Callable[[Judge], Judge]:
    """Register a rule under its function's name: `set_not_null` is `set-not-null`."""

    def register(judge: Judge) -> Judge:
        name = judge.__name__.replace("_", "-")
        RULES[name] = Rule(name, severity, judge)
        return judge

    return register


def about(table: Relation, column: str = "", **names: str) -> dict[str, str]:
    """Return the names that texts are filled with; in SQL they are quoted where they have to be."""
    spelled_out = {
        "sql_table": in_sql(table),
        "schema_name": table.schema,
        "sql_column": ", ".join(identifier(name) for name in column.split(", ")),
    }
    return {
        "table": table.name,
        "schema": in_schema(table),
        "full": str(table),
        "column": column,
        **spelled_out,
        **names,
    }


def in_sql(table: Relation) -> str:
    """Return a qualified name as SQL has it."""
    return ".".join(identifier(name) for name in table if name)


def in_schema(table: Relation, argument: str = "schema") -> str:
    """Return what an operation is told about the schema of a table; nothing in the default one."""
    return "" if table.schema in ("", "public") else f', {argument}="{table.schema}"'


def in_text(expression: Node) -> str:
    """Return an expression as Alembic's operations take it."""
    sql = spelled(expression)
    return f'sa.text("{quotable(sql if expression.WhichOneof("node") == "func_call" else f"({sql})")}")'


def spelled(expression: Node) -> str:
    """Return an expression as SQL."""
    tree = pb.ParseResult()
    tree.stmts.add().stmt.select_stmt.target_list.add().res_target.val.CopyFrom(expression)
    return str(postgast.deparse(tree)).removeprefix("SELECT ")
