"""Write a revision that does what somebody did by hand: nothing where it was done, and the same everywhere else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alembic.autogenerate.api import AutogenContext, RevisionContext
from alembic.operations.ops import DowngradeOps, MigrateOperation, UpgradeOps
from alembic.runtime.migration import MigrationContext

from handrail.catalog.objects import Kind
from handrail.connection import literal
from handrail.drift.already import already
from handrail.drift.units import Unit, units
from handrail.drops import RULE, Remark, spelled
from handrail.operations.statement import Statement
from handrail.upgrade.drift import ADOPTS
from handrail.writing import prepare_writing

if TYPE_CHECKING:
    from handrail.catalog import Catalog
    from handrail.catalog.difference import Difference
    from handrail.drift.find import Place
    from handrail.upgrade.drift import Drift

ROLE = re.compile(r'(?:OWNER TO|TO|FROM|FOR ROLE) ("(?:[^"]|"")+"|[a-z_][\w$]*)')
BLOCK = """\
DO $adopt$
DECLARE
    path text := current_setting('search_path');
BEGIN
    PERFORM set_config('search_path', '', true);
    IF {condition} THEN
{statements}
    END IF;
    PERFORM set_config('search_path', path, true);
END
$adopt$"""


def adopt(place: Place, found: Drift, message: str) -> Path:
    """Write the revision, on top of the newest one, and return its file.

    Raises:
        MigrationError: There are several heads, or a difference that PostgreSQL has no statement for.
    """
    arguments = {
        "message": message, "head": "head", "splice": False, "branch_label": None, "version_path": None,
        "rev_id": None, "depends_on": None, "autogenerate": False, "sql": False,
    }  # fmt: skip
    context = RevisionContext(place.config, place.directory, arguments)
    script = context.generated_revisions[0]
    there, back = found.differences, [difference.reversed() for difference in found.differences]
    upgrade = [*remarks(found.differences, message), *operations(there, found.expected, found.live)]
    script.upgrade_ops_list[-1] = UpgradeOps(upgrade)
    script.downgrade_ops_list[-1] = DowngradeOps(list(operations(back, found.live, found.expected)))
    script._needs_render = True  # noqa: SLF001 - what Alembic sets after env.py has run
    migration = MigrationContext.configure(dialect_name="postgresql")
    options = {"alembic_module_prefix": "op.", "sqlalchemy_module_prefix": "sa.", "user_module_prefix": None}
    context._last_autogen_context = AutogenContext(migration, opts=options, autogenerate=False)  # noqa: SLF001
    prepare_writing(place.project, place.config, place.directory, context)
    (written,) = context.generate_scripts()
    assert written is not None
    return Path(written.path)


def remarks(found: Sequence[Difference], message: str) -> Iterator[MigrateOperation]:
    """Yield the comments: what is adopted, and that what it destroys elsewhere is meant."""
    lines = [f"{ADOPTS} {difference.name}" for difference in found]
    tables = {difference.name for difference in found if difference.after is None}
    for difference in found:
        name = difference.name
        if name.kind in RULE and difference.after is None and name.owner not in tables:
            mark = f"{RULE[name.kind]} {spelled(name)}"
            lines += [f"handrail: {mark}", f"handrail: allow {mark} — dropped by hand already: {message}"]
    yield Remark(lines)


def operations(found: Sequence[Difference], before: Catalog, after: Catalog) -> Iterator[MigrateOperation]:
    """Yield the operations of a revision: each asks first whether it is done already."""
    for unit in units(found, before, after):
        main = unit.main
        if main.name.kind is Kind.INDEX and (main.before is None) != (main.after is None) and may_be_concurrent(unit):
            yield Statement(concurrently(unit.statements[0]), outside_transaction=True)
            for statement in unit.statements[1:]:
                yield Statement(statement)
            continue
        structure = [statement for statement in unit.statements if not about_roles(statement)]
        condition = already(main)
        if unit.renaming is None and condition and structure:
            yield Statement(guarded(f"NOT ({condition})", structure))
        elif unit.renaming is not None:
            yield Statement(guarded(f"NOT ({already(main)})", structure))
        else:
            yield from (Statement(repeatable(statement)) for statement in structure)
        for statement in unit.statements:
            if about_roles(statement):
                yield Statement(for_known_roles(statement))


def may_be_concurrent(unit: Unit) -> bool:
    """Whether the first statement builds or drops an index that PostgreSQL can build while others write."""
    return (
        re.match(r"(CREATE (UNIQUE )?INDEX|DROP INDEX) ", unit.statements[0]) is not None
        and "ON ONLY" not in (unit.statements[0])
    )


def concurrently(statement: str) -> str:
    """Return the statement in the form that stops nobody, and that may be repeated."""
    if statement.startswith("DROP"):
        return statement.replace("DROP INDEX ", "DROP INDEX CONCURRENTLY IF EXISTS ", 1)
    return statement.replace("INDEX ", "INDEX CONCURRENTLY IF NOT EXISTS ", 1)


def repeatable(statement: str) -> str:
    """Return a statement that may be run twice, where PostgreSQL has words for that."""
    return re.sub(r"^(ALTER TYPE \S+ ADD VALUE) (?!IF)", r"\1 IF NOT EXISTS ", statement)


def about_roles(statement: str) -> bool:
    """Whether it speaks of roles, which other servers may not have."""
    return re.match(r"(ALTER DEFAULT PRIVILEGES|GRANT|REVOKE) ", statement) is not None or " OWNER TO " in statement


def for_known_roles(statement: str) -> str:
    """Return the statement for servers that have the roles in it."""
    roles = [role.strip('"').replace('""', '"') for role in ROLE.findall(statement) if role != "PUBLIC"]
    if not roles:
        return statement
    names = ", ".join(map(literal, sorted(set(roles))))
    return guarded(
        f"(SELECT count(*) FROM pg_roles WHERE rolname IN ({names})) = {len(set(roles))}",  # noqa: S608 - for a file
        [statement],
    )


def guarded(condition: str, statements: Sequence[str]) -> str:
    """Return statements that are only run under a condition."""
    inside = "\n".join(f"{performed(statement)};" for statement in statements)
    return BLOCK.format(condition=condition, statements=inside)


def performed(statement: str) -> str:
    """Return a statement as PL/pgSQL has it, which wants to know where a result goes."""
    return re.sub(r"^SELECT ", "PERFORM ", statement)
