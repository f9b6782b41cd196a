"""Undo what somebody did by hand: as SQL to read, with what is lost by it, and run only when that is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from handrail.catalog.difference import Difference
from handrail.catalog.objects import Catalog, Kind
from handrail.catalog.read import AS_IT_IS
from handrail.catalog.words import in_words
from handrail.connection import ServerMessage, with_connection
from handrail.drift.units import groups, units
from handrail.drops import at_stake
from handrail.errors import MigrationError
from handrail.type_changes import rewrites
from handrail.upgrade.drift import Drift, drift
from handrail.upgrade.journal import Done, Journal
from handrail.upgrade.session import considerate, refuse_read_only
from handrail.upgrade.turn import turn

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from handrail.drift.find import Place

WAIT_SECONDS = 60.0  # for somebody else who is migrating


@dataclass(frozen=True)
class Revert:
    """What undoes an edit.

    Attributes:
        statements: The SQL, in its order.
        losses: What is lost by it, and what cannot be brought back, in words.
    """

    statements: Sequence[str]
    losses: Sequence[str]

    def __str__(self) -> str:
        """Return it as a script, whose comments tell what it costs."""
        comments = [f"-- {loss}" for loss in self.losses]
        return "\n".join([*comments, "BEGIN;", *(f"{statement};" for statement in self.statements), "COMMIT;"])


def revert(place: Place, found: Drift) -> Revert:
    """Return what undoes all that was found. Reads only."""
    undone = [difference.reversed() for difference in found.differences]
    done = [statement for unit in units(undone, found.live, found.expected) for statement in unit.statements]
    return Revert(done, list(losses(place, undone)))


def losses(place: Place, undone: Sequence[Difference]) -> Iterator[str]:
    """Yield what is lost, with how much that is."""
    leading = [group[0] for group in groups(undone)]
    gone = [d.name for d in leading if d.after is None and d.name.kind in (Kind.TABLE, Kind.COLUMN)]
    amounts = at_stake(gone, place.url) if gone else {}
    for name in gone:
        yield f"DROPS {name}: {amounts[name].partition(' in the development')[0]}"
    for difference in leading:
        before, after = difference.before or {}, difference.after or {}
        if difference.name.kind is Kind.COLUMN and before and "type" in difference.changes:
            write = " and writes the whole table anew" if rewrites(before["type"], after["type"]) else ""
            yield f"GIVES {difference.name} the type {after['type']} again{write}; it fails where a value does not fit"
        if difference.name.kind is Kind.ENUM and "values" in difference.changes:
            yield f"TAKES VALUES from {difference.name}; it fails where one is in use"
        if difference.before is None and difference.name.kind in (Kind.TABLE, Kind.COLUMN):
            yield f"{difference.name} comes back empty: what it held went when it was dropped"


def apply(place: Place, wanted: Revert) -> Drift:
    """Run the statements in one transaction, and record in the journal that the database is as it was.

    Returns:
        What is left, and no statement brings back: the order of columns.

    Raises:
        MigrationError: A statement was refused, or the database is not as it was afterwards.
    """

    def work(connection: Connection) -> Drift:
        with connection.begin():
            refuse_read_only(connection)
        keeper = connection.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            turned = turn(connection, keeper, place.version_table, WAIT_SECONDS)
            with considerate(connection), turned, connection.begin():
                return undo(connection, place, wanted)
        finally:
            keeper.close()

    return with_connection(place.url, work, application="handrail drift")


def undo(connection: Connection, place: Place, wanted: Revert) -> Drift:
    """Run the statements in the transaction that is open."""
    journal = Journal(place.schema, place.project.version)
    journal.look(connection)
    for statement in wanted.statements:
        try:
            connection.exec_driver_sql(statement, execution_options=AS_IT_IS)
        except Exception as error:
            said = ServerMessage.of(error)
            raise MigrationError(
                f"nothing was changed: PostgreSQL refused to undo the edit: {said.text}. Statement: {statement}. Mend "
                'what is in the way and run the same command again, or keep the edit: handrail drift --adopt -m "…"'
            ) from error
    left = drift(connection, journal, place.project.version_table, place.project.tolerated)
    if left is None:
        return Drift(Catalog(0, {}), Catalog(0, {}), [])
    if not left.for_good:
        raise MigrationError(
            "nothing was changed: after these statements the database would still differ: "
            + "; ".join(in_words(left.differences))
        )
    # What is tolerated is no part of what the migrations left behind.
    catalog = left.expected if not left.differences else left.resigned()
    catalog = replace(catalog, fingerprints=left.trusted)
    journal.note(connection, Done(" ".join(left.revisions), "revert", None, left.revisions, catalog=catalog))
    return left
