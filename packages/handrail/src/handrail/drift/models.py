"""Which edit of the models goes with an edit of the database."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import render_op
from alembic.runtime.migration import MigrationContext

from handrail.catalog.difference import NOT_MODELLED, Difference
from handrail.catalog.objects import Catalog, Kind
from handrail.drift.statements import partly
from handrail.drift.units import groups
from handrail.errors import MigrationError
from handrail.modelled import UNSAID
from handrail.operations import operations

MODELLED = (Kind.TABLE, Kind.COLUMN, Kind.CONSTRAINT, Kind.INDEX, Kind.ENUM)
COLUMN = re.compile(r"^op\.add_column\('[^']*', sa\.Column\('(?P<name>[^']*)', (?P<rest>.*)\)(?:, schema='[^']*')?\)$")


def advice(found: Sequence[Difference], before: Catalog, after: Catalog) -> list[str]:
    """Return a line for each edit of a model; none where models have no words for what was changed."""
    lines: list[str] = []
    for group in groups(found):
        main = group[0]
        if main.name.kind in MODELLED and said_by_models(main):
            where = f"{main.name.schema}.{main.name.table or main.name.name}"
            lines += [f"model of {where}:  {line}" for line in said(group, before, after)]
    return lines


def said_by_models(difference: Difference) -> bool:
    """Whether a model says something about what was changed."""
    sides = [side for side in (difference.before, difference.after) if side is not None]
    if all(side.get("inherited") or side.get("partition_of") for side in sides):
        return False
    unsaid = UNSAID.get(difference.name.kind, frozenset()) | NOT_MODELLED
    return not difference.changes or bool(difference.changes.keys() - unsaid - {"definition"})


def said(group: Sequence[Difference], before: Catalog, after: Catalog) -> Iterator[str]:
    """Yield what to write, in the words of Alembic's operations."""
    main = group[0]
    if main.after is None:
        yield f"take out {main.name.kind} {main.name.name}"
        return
    migration = MigrationContext.configure(dialect_name="postgresql")
    options = {"alembic_module_prefix": "op.", "sqlalchemy_module_prefix": "sa.", "user_module_prefix": None}
    context = AutogenContext(migration, opts=options, autogenerate=False)
    try:
        found = operations([*group], before, partly(group, before, after))
    except MigrationError as error:
        yield str(error)
        return
    for operation in found:
        for text in render_op(context, operation):
            line = " ".join(text.split())
            column = COLUMN.match(line)
            yield f"{column['name']} = mapped_column({column['rest']})" if column else f"say what this does: {line}"
