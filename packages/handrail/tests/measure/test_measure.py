"""Measuring several statements: one after the other, by a revision, refused ones, with either driver."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from handrail.connection import parse_url, with_connection
from handrail.effects import Break, Broken, LockMode, Loss, Lost, Relation
from handrail.measure import Measured, measure, watched
from handrail.place import Place
from handrail.scratch import ScratchServer

T = Relation("public", "t")


@pytest.fixture(params=["asyncpg", "psycopg"])
def on_copy(
    request: pytest.FixtureRequest, handrail_scratch: ScratchServer, copy: str
) -> Callable[[Callable[[Connection], list[Measured]]], list[Measured]]:
    """Run something on a copy of the truth table's database, once with each driver."""
    url = parse_url(handrail_scratch.url_of(copy)).set(drivername=f"postgresql+{request.param}")
    return lambda work: with_connection(url, work, application="handrail test")


def test_what_was_created_in_the_same_transaction_is_nobodys_yet(on_copy) -> None:  # type: ignore[no-untyped-def]
    """No locks, scans, rewrites or losses; after the next COMMIT it is like any other table."""

    def work(connection: Connection) -> list[Measured]:
        with watched(connection) as measured:
            for statement in ("CREATE TABLE z AS SELECT id FROM t2", "CREATE INDEX ON z (id)", "DELETE FROM z"):
                connection.exec_driver_sql(statement)
            connection.commit()
            connection.exec_driver_sql("ALTER TABLE z ALTER id TYPE bigint")
            connection.exec_driver_sql("DROP TABLE z")
        return measured

    first, index, delete, retyped, dropped = (measured.effect for measured in on_copy(work))

    z = Relation("public", "z")
    assert first.created == {z}
    assert first.scans == {Relation("public", "t2")}
    assert index.created == {Relation("public", "z_id_idx")}
    assert [index.locks, index.scans, delete.locks, delete.losses] == [{}, set(), {}, []]
    assert retyped.locks[z] is LockMode.ACCESS_EXCLUSIVE
    assert z in retyped.rewrites
    assert dropped.losses == []


def test_what_is_held_from_earlier_statements(on_copy) -> None:  # type: ignore[no-untyped-def]
    """A lock belongs to the statement that took it, and is held to the end."""
    first, second = on_copy(lambda connection: measure(connection, ["ALTER TABLE t ADD y int", "UPDATE t SET y = 1"]))

    assert first.effect.locks[T] is LockMode.ACCESS_EXCLUSIVE
    assert T not in second.effect.locks
    assert second.held[T] is LockMode.ACCESS_EXCLUSIVE
    assert second.effect.scans == {T}
    assert second.effect.losses == []


def test_values_that_are_somewhere_else_now_are_lost(on_copy) -> None:  # type: ignore[no-untyped-def]
    """The same values in other rows are other values."""
    statements = [
        "UPDATE t SET x = 1001 - x",
        "UPDATE t SET note = 'x' WHERE id = 1",
        "UPDATE t SET id = id + 5000",
        "ALTER TABLE t RENAME x TO y",
        "UPDATE t SET y = y WHERE y > 0",
    ]

    moved, one, rekeyed, renamed, same = (
        measured.effect for measured in on_copy(lambda connection: measure(connection, statements))
    )

    assert moved.losses == [Loss(Lost.VALUES, T, "x")]
    assert one.losses == [Loss(Lost.VALUES, T, "note")]
    assert rekeyed.losses == [Loss(Lost.VALUES, T, "id")]
    assert rekeyed.unknown == ["the other values of public.t were not compared: its primary key has changed"]
    assert renamed.breaks == [Break(Broken.RENAMED, T, "x")]
    assert renamed.losses == same.losses == []


def test_a_refused_statement(on_copy) -> None:  # type: ignore[no-untyped-def]
    """It is told as such, and what comes after a rollback to a savepoint is measured again."""

    def work(connection: Connection) -> list[Measured]:
        with watched(connection) as measured:
            savepoint = connection.begin_nested()
            connection.exec_driver_sql("UPDATE t SET note = ''")
            with pytest.raises(DBAPIError):
                connection.exec_driver_sql("ALTER TABLE t ALTER note TYPE int USING note::int")
            savepoint.rollback()
            connection.exec_driver_sql("UPDATE t SET note = note")
        return measured

    _, refused, after = on_copy(work)

    assert refused.effect.unknown == ["PostgreSQL refused it"]
    assert after.effect.losses == []


def test_parameters_and_lines(on_copy, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Statements of a revision are told with its lines, also when a helper of its own runs them."""
    revision = tmp_path / "revision.py"
    revision.write_text(
        "def helper(connection, text):\n"
        "    connection.execute(text('UPDATE t SET x = :x WHERE id = :id'), {'x': 1, 'id': 5})\n"
        "def upgrade(connection, text):\n"
        "    helper(connection, text)\n"
        "    connection.execute(text('SELECT 1'))\n",
        encoding="utf-8",
    )
    names: dict[str, Callable[..., None]] = {}
    exec(compile(revision.read_text(encoding="utf-8"), revision, "exec"), names)

    def work(connection: Connection) -> list[Measured]:
        with watched(connection, folders=[tmp_path]) as measured:
            names["upgrade"](connection, text)
            connection.execute(text("SELECT 2"))
        return measured

    update, select, outside = on_copy(work)

    assert [measured.place for measured in (update, select, outside)] == [
        Place(revision.resolve(), 2),
        Place(revision.resolve(), 5),
        None,
    ]
    assert update.effect.losses == [Loss(Lost.VALUES, T, "x")]
