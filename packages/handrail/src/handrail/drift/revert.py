"""Undo what somebody did by hand: as SQL to read, with what is lost by it, and run only when that is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from handrail.catalog.objects import Catalog, Name
from handrail.catalog.read import AS_IT_IS
from handrail.catalog.words import in_words
from handrail.connection import ServerMessage, with_connection
from handrail.drift.units import groups, units
from handrail.drops import RULE, at_stake, spelled
from handrail.errors import MigrationError
from handrail.findings import Finding, Severity
from handrail.judge import judge
from handrail.predict import State
from handrail.predict.placed import place as placed_in
from handrail.sizes import Sizes
from handrail.statements import Statement
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
        findings: What a review of these statements finds on this database.
        amounts: Of what is dropped, by the name that findings give it: how many rows or values there are.
        empty: What comes back without what it held.
    """

    statements: Sequence[str]
    findings: Sequence[Finding] = ()
    amounts: Mapping[str, str] = field(default_factory=dict)
    empty: Sequence[Name] = ()

    def __str__(self) -> str:
        """Return it as a script, whose comments tell what it costs."""
        comments = [*self._found(), *(f"{name} comes back empty: what it held went with it" for name in self.empty)]
        statements = [f"{statement};" for statement in self.statements]
        return "\n".join([*(f"-- {comment}" for comment in comments), "BEGIN;", *statements, "COMMIT;"])

    def _found(self) -> Iterator[str]:
        for finding in self.findings:
            amount = self.amounts.get(finding.object)
            yield f"{finding.severity} {finding.rule}: {finding.what}{f' There: {amount}.' if amount else ''}"


def revert(place: Place, found: Drift) -> Revert:
    """Return what undoes all that was found, reviewed like any revision. Reads only."""
    undone = [difference.reversed() for difference in found.differences]
    done = [statement for unit in units(undone, found.live, found.expected) for statement in unit.statements]
    leading = [group[0] for group in groups(undone)]
    gone = [each.name for each in leading if each.after is None and each.name.kind in RULE]
    came = [each.name for each in leading if each.before is None and each.name.kind in RULE]
    amounts = at_stake(gone, place.url) if gone else {}
    said = {spelled(name): amount.partition(" in the development")[0] for name, amount in amounts.items()}
    return Revert(done, review(place, found.live, done), said, came)


def review(place: Place, live: Catalog, statements: Sequence[str]) -> list[Finding]:
    """Judge statements as those of a revision are judged, by what they do to this database."""
    sizes = with_connection(place.url, Sizes.of, application="handrail drift")
    state = State.of(live)
    placed = placed_in([Statement(statement, line) for line, statement in enumerate(statements, 1)], state)
    return [found for found in judge(placed, state, sizes, "revert") if found.severity is not Severity.NOTE]


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
            turned = turn(connection, keeper, place.version_table, WAIT_SECONDS, again="")
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
