"""Stages as Alembic's revision files: the operations of each, and the chain that they make."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

from alembic.autogenerate.render import render_op, renderers
from alembic.operations import Operations
from alembic.operations.ops import (
    CreateIndexOp,
    DowngradeOps,
    DropIndexOp,
    MigrateOperation,
    MigrationScript,
    UpgradeOps,
)
from alembic.util import rev_id

from handrail.catalog.difference import Difference
from handrail.catalog.objects import Catalog, Kind, Name
from handrail.connection import literal
from handrail.operations import operations
from handrail.operations.identifiers import ident, qualified, table_of
from handrail.operations.statement import Statement
from handrail.renames import in_order
from handrail.stages.plan import shortened
from handrail.stages.stage import Stage, Swap

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext
    from sqlalchemy import MetaData

LINE_LENGTH = 88  # the shortest that formatters ask for
BLOCKS = 1000  # of 8 kB, that one transaction of a backfill goes through


class AutocommitBlock(MigrateOperation):
    """Operations outside a transaction, each committed by itself.

    Attributes:
        operations: What stands in the block.
    """

    def __init__(self, operations: Sequence[MigrateOperation]) -> None:
        self.operations = tuple(operations)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return ("autocommit_block", *(operation.to_diff_tuple() for operation in self.operations))


@renderers.dispatch_for(AutocommitBlock)
def render_autocommit_block(context: AutogenContext, block: AutocommitBlock) -> list[str]:
    """Write the block as everybody writes it; the empty line makes Mako's printer end it."""
    lines = [line for operation in block.operations for line in render_op(context, operation)]
    return [f"with {context.opts['alembic_module_prefix']}get_context().autocommit_block():", *lines, ""]


@Operations.implementation_for(AutocommitBlock)
def run_autocommit_block(context: Operations, block: AutocommitBlock) -> None:
    """Run the block, as its text in a revision would."""
    with context.get_context().autocommit_block():
        for operation in block.operations:
            context.invoke(operation)


def steps(stage: Stage, models: MetaData | None, default_schema: str | None) -> tuple[list[MigrateOperation], ...]:
    """Return what a stage does, and what undoes it."""
    if stage.renames:
        ordered = in_order(stage.renames)
        undone = [rename.reversed() for rename in reversed(ordered)]
        return tuple([rename.operation(default_schema) for rename in renames] for renames in (ordered, undone))
    there, back = stage.differences, [difference.reversed() for difference in stage.differences]
    if stage.swaps:
        back_out = [step for swap in stage.swaps for step in swap_out(stage, swap, default_schema)]
        return [swap_in(stage, swap) for swap in stage.swaps], back_out
    if stage.backfill:
        return [backfill(name) for name in stage.backfill], []
    sides = (there, stage.before, stage.after), (back, stage.after, stage.before)
    if stage.concurrent:
        return tuple(
            [AutocommitBlock(concurrently(difference, old, new, default_schema))]
            for differences, old, new in sides
            for difference in differences
        )
    return tuple(operations(differences, old, new, models, default_schema) for differences, old, new in sides)


def concurrently(
    difference: Difference, before: Catalog, after: Catalog, default_schema: str | None
) -> list[MigrateOperation]:
    """Build, drop or replace one index while others write; to be run again after a failure, wherever it was."""
    name = difference.name
    if difference.after is None:
        return [dropped(name, default_schema)]
    if difference.before is None:
        # A failed build leaves an INVALID index behind, which nothing would ever mend.
        return [dropped(name, default_schema), created(difference, before, after, default_schema)]
    temporary = name._replace(name=shortened(f"{name.name}_new"))
    attributes = difference.after
    create = created(Difference(name, None, attributes), before, after, default_schema, index_name=temporary.name)
    rename = f"ALTER INDEX {qualified(name.schema, temporary.name)} RENAME TO {ident(name.name)}"
    return [dropped(temporary, default_schema), create, dropped(name, default_schema), Statement(rename)]


def dropped(name: Name, default_schema: str | None) -> DropIndexOp:
    schema = None if name.schema == default_schema else name.schema
    return DropIndexOp(name.name, name.table, schema=schema, if_exists=True, postgresql_concurrently=True)


def created(
    difference: Difference, before: Catalog, after: Catalog, default_schema: str | None, index_name: str | None = None
) -> MigrateOperation:
    """Return the operation that creates an index, with CONCURRENTLY in it."""
    (operation, *_) = operations([difference], before, after, None, default_schema)
    if isinstance(operation, CreateIndexOp):
        operation.kw["postgresql_concurrently"] = True
        operation.index_name = index_name or operation.index_name
    return operation


def swap_in(stage: Stage, swap: Swap) -> Statement:
    """Turn the index that was built for it into the constraint."""
    attributes = stage.after.objects[swap.constraint]
    name, table = ident(swap.constraint.name), table_of(swap.constraint)
    words = {"immediate": " DEFERRABLE", "deferred": " DEFERRABLE INITIALLY DEFERRED"}
    deferrable = words.get(attributes.get("deferrable") or "", "")
    kind = attributes["type"].upper() + " USING INDEX " + ident(swap.index)
    drop = f"DROP CONSTRAINT {name}, " if swap.replaced else ""
    return Statement(f"ALTER TABLE {table} {drop}ADD CONSTRAINT {name} {kind}{deferrable}")


def swap_out(stage: Stage, swap: Swap, default_schema: str | None) -> list[MigrateOperation]:
    """Take the constraint away; its index goes with it, so another one for the next time is built before."""
    name, table = ident(swap.constraint.name), table_of(swap.constraint)
    index = swap.constraint._replace(kind=Kind.INDEX, name=swap.index)
    built = index if swap.replaced else index._replace(name=shortened(f"{swap.index}_new"))
    difference = Difference(index, None, stage.before.objects[index])
    create = created(difference, stage.after, stage.before, default_schema, index_name=built.name)
    before = stage.before.objects.get(swap.constraint)
    again = f", ADD CONSTRAINT {name} {before['definition']}" if before else ""
    rename = Statement(f"ALTER INDEX {qualified(built.schema, built.name)} RENAME TO {ident(swap.index)}")
    return [
        AutocommitBlock([dropped(built, default_schema), create]),
        Statement(f"ALTER TABLE {table} DROP CONSTRAINT {name}{again}"),
        *([] if swap.replaced else [rename]),
    ]


def backfill(column: Name) -> MigrateOperation:
    """Give the rows that are there the column's default, in batches of blocks."""
    table, name = table_of(column), ident(column.name)
    sql = f"""\
DO $$
DECLARE
    block bigint := 0;
    blocks bigint := pg_relation_size({literal(table)}) / current_setting('block_size')::integer;
BEGIN
    WHILE block <= blocks LOOP
        UPDATE {table} SET {name} = DEFAULT
        WHERE {name} IS NULL
            AND ctid >= format('(%s,0)', block)::tid AND ctid < format('(%s,0)', block + {BLOCKS})::tid;
        COMMIT;
        block := block + {BLOCKS};
    END LOOP;
END $$"""  # noqa: S608 - quoted identifiers
    return Statement(sql, outside_transaction=True)


def chain(
    directive: MigrationScript, stages: Sequence[Stage], models: MetaData | None, default_schema: str | None
) -> list[MigrationScript]:
    """Return a script for each stage, the first of them in place of Alembic's own."""
    scripts: list[MigrationScript] = []
    for stage in stages:
        upgrade, downgrade = steps(stage, models, default_schema)
        scripts.append(following(directive, scripts[-1] if scripts else None, stage, upgrade, downgrade))
    return scripts


def following(
    directive: MigrationScript,
    previous: MigrationScript | None,
    stage: Stage,
    upgrade: list[MigrateOperation],
    downgrade: list[MigrateOperation],
) -> MigrationScript:
    """Return the next script of a chain; only the first takes its place from the command line."""
    first = previous is None
    return MigrationScript(
        rev_id=directive.rev_id if first else rev_id(),
        message=message(directive.message, stage),
        upgrade_ops=UpgradeOps(upgrade, upgrade_token=directive.upgrade_ops_list[-1].upgrade_token),
        downgrade_ops=DowngradeOps(downgrade, downgrade_token=directive.downgrade_ops_list[-1].downgrade_token),
        imports=set(directive.imports),
        head=directive.head if previous is None else previous.rev_id,
        splice=directive.splice if first else None,
        branch_label=directive.branch_label if first else None,
        version_path=directive.version_path,
        depends_on=directive.depends_on if first else None,
    )


def message(said: str | None, stage: Stage) -> str | None:
    """Return the first line of the file, which becomes its name, and below it the explanation."""
    title = ": ".join(part for part in (said, stage.title) if part)
    text = "\n\n".join(part for part in (title, fill(stage.explanation, LINE_LENGTH)) if part)
    return text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"') or None


__all__ = ["AutocommitBlock", "chain", "steps"]
