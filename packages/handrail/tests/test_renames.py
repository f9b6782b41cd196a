"""A thing that only got another name keeps its data, and nobody guesses which things those are."""

from __future__ import annotations

import os
import pty
import select
import sys
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, text

from handrail.catalog import Catalog, Kind, Name, read_catalog
from handrail.connection import parse_url, with_connection
from handrail.errors import HandrailError
from handrail.renames import (
    Answer,
    Rename,
    aligned,
    explicit,
    in_order,
    renamed_catalog,
    renamed_columns,
    renamed_definitions,
    renamed_tables,
    renamed_values,
    resolve,
)
from small_project import ORDERS, SmallProject

SHOP = """
    CREATE TYPE s.status AS ENUM ('new', 'open', 'done');
    CREATE TABLE s.orders (id serial PRIMARY KEY, total numeric NOT NULL CHECK (total > 0), note text, state s.status);
    CREATE INDEX by_note ON s.orders (note) WHERE total > 1;
    CREATE TABLE s.lines (id integer PRIMARY KEY, order_id integer REFERENCES s.orders);
"""
Both = Callable[..., tuple[Catalog, Catalog]]


@pytest.fixture
def both(empty_database: str) -> Both:
    """Return a function that returns the catalogs of two scripts."""

    def read(script: str) -> Catalog:
        def work(connection: Connection) -> Catalog:
            for statement in ("CREATE SCHEMA s", *script.split(";")):
                if statement.strip():
                    connection.execute(text(statement))
            found = read_catalog(connection, schemas=["s"])
            connection.rollback()
            return found

        return with_connection(parse_url(empty_database), work, application="test")

    def catalogs(*changes: tuple[str, str], script: str = SHOP) -> tuple[Catalog, Catalog]:
        after = script
        for old, new in changes:
            assert old in after
            after = after.replace(old, new)
        return read(script), read(after)

    return catalogs


def column(name: str, table: str = "orders") -> Name:
    return Name(Kind.COLUMN, "s", table, name)


def table(name: str) -> Name:
    return Name(Kind.TABLE, "s", "", name)


def test_what_may_have_been_renamed_is_found(both: Both) -> None:
    assert renamed_tables(*both(("s.orders", "s.purchases"))) == [Rename(table("orders"), "purchases")]
    assert renamed_columns(*both(("total", "amount"))) == [Rename(column("total"), "amount")]
    assert renamed_values(*both(("'open'", "'opened'"))) == [
        Rename(Name(Kind.ENUM, "s", "", "status"), "opened", "open")
    ]


def test_several_columns_at_once_are_paired_by_place_and_name(both: Both) -> None:
    found = renamed_columns(*both(("total", "total_amount"), ("note", "remark"), ("order_id", "purchase_id")))

    assert sorted(found) == [
        Rename(column("order_id", "lines"), "purchase_id"),
        Rename(column("note"), "remark"),
        Rename(column("total"), "total_amount"),
    ]


def test_different_things_are_no_candidates(both: Both) -> None:
    assert renamed_tables(*both(("s.lines (id integer PRIMARY KEY, order_id", "s.other (a text, b"))) == []
    assert (
        renamed_columns(*both(("note", "counted"), ("counted text", "counted bytea"), ("(counted)", "(total)"))) == []
    )
    assert renamed_values(*both((", 'open'", ""))) == []


def test_indexes_constraints_types_and_sequences_are_renamed_without_asking(both: Both) -> None:
    before, after = both(
        ("by_note", "ix_note"), ("s.status", "s.state"), ("NOT NULL CHECK", 'NOT NULL CONSTRAINT "Ok" CHECK')
    )

    types = [r for r in renamed_definitions(before, after) if r.name.kind is Kind.ENUM]

    assert types == [Rename(Name(Kind.ENUM, "s", "", "status"), "state")]
    before, after = both(("by_note", "ix_note"), ("NOT NULL CHECK", 'NOT NULL CONSTRAINT "Ok" CHECK'))
    assert renamed_definitions(before, after) == [
        Rename(Name(Kind.CONSTRAINT, "s", "orders", "orders_total_check"), "Ok"),
        Rename(Name(Kind.INDEX, "s", "orders", "by_note"), "ix_note"),
    ]


def test_names_that_postgresql_made_up_are_left_alone(both: Both) -> None:
    before, after = both(("NOT NULL CHECK", 'NOT NULL CONSTRAINT "Ok" CHECK'), ("by_note", "ix_note"))
    stated = {Name(Kind.INDEX, "s", "orders", "ix_note")}

    assert [r.new for r in renamed_definitions(before, aligned(before, after, stated))] == ["ix_note"]


def test_postgresql_writes_new_names_into_every_definition(both: Both, empty_database: str) -> None:
    renames = [Rename(table("orders"), "purchases"), Rename(column("total", "purchases"), "Amount: 100%")]

    def work(connection: Connection) -> None:
        connection.execute(text("CREATE SCHEMA s"))
        for statement in SHOP.split(";")[:-1]:
            connection.execute(text(statement))
        connection.commit()
        before = read_catalog(connection)
        connection.rollback()
        after = renamed_catalog(connection, renames)
        assert read_catalog(connection).hash == before.hash
        where = after.objects[Name(Kind.INDEX, "s", "purchases", "by_note")]["where"]
        assert '"Amount: 100%"' in where
        assert (
            after.objects[Name(Kind.CONSTRAINT, "s", "lines", "lines_order_id_fkey")]["references"]["table"]
            == "purchases"
        )

    with_connection(parse_url(empty_database), work, application="test")


@pytest.mark.parametrize(
    "pairs",
    [
        [("total", "note"), ("note", "total")],
        [("total", "note"), ("note", "remark")],
        [("id", "total"), ("total", "note"), ("note", "id")],
        [("note", 'a"b.c:d')],
    ],
)
def test_chains_and_swaps_find_their_names_free_in_both_directions(
    both: Both, empty_database: str, pairs: list[tuple[str, str]]
) -> None:
    kinds = {name: attributes["type"] for name, attributes in both()[0].parts(table("orders"), Kind.COLUMN).items()}
    renames = [Rename(column(old), new) for old, new in pairs]
    ordered = in_order(renames)
    undone = [rename.reversed() for rename in reversed(ordered)]

    def work(connection: Connection) -> None:
        connection.execute(text("CREATE SCHEMA s"))
        for statement in SHOP.split(";")[:-1]:
            connection.execute(text(statement))
        connection.commit()
        there = renamed_catalog(connection, renames).parts(table("orders"), Kind.COLUMN)
        renamed = {dict(pairs).get(name, name): type_ for name, type_ in kinds.items()}
        assert {name: attributes["type"] for name, attributes in there.items()} == renamed
        back = _run(connection, [*ordered, *undone]).parts(table("orders"), Kind.COLUMN)
        assert {name: attributes["type"] for name, attributes in back.items()} == kinds

    with_connection(parse_url(empty_database), work, application="test")


def _run(connection: Connection, renames: list[Rename]) -> Catalog:
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext

    operations = Operations(MigrationContext.configure(connection))
    for rename in renames:
        operations.invoke(rename.operation())
    return read_catalog(connection)


def test_values_of_an_enum_swap_too() -> None:
    enum = Name(Kind.ENUM, "s", "", "status")

    assert in_order([Rename(enum, "b", "a"), Rename(enum, "a", "b")]) == [
        Rename(enum, "a_renamed", "b"),
        Rename(enum, "b", "a"),
        Rename(enum, "a", "a_renamed"),
    ]


def test_an_answer_names_what_no_guess_would_find(both: Both) -> None:
    """Another type altogether, and a chain over a name that stays."""
    sides = both(("note text", "counted bytea"), ("(note)", "(counted)"))
    assert explicit([], [Answer.of("orders.note:counted")], *sides) == [Rename(column("note"), "counted")]

    sides = both(("note", "remark"), ("total", "note"))
    answers = [Answer.of("orders.total:note"), Answer.of("orders.note:remark")]
    assert set(explicit([], answers, *sides)) == {Rename(column("total"), "note"), Rename(column("note"), "remark")}
    assert explicit([], answers[:1], *sides) == []


@pytest.mark.parametrize("said", ["", ":", ":new", "old", "a.b.c", "a:b:c", "a:b.c", 'a"b:c'])
def test_an_answer_that_cannot_be_read_is_refused(said: str) -> None:
    with pytest.raises(HandrailError, match=r"must be old:new"):
        Answer.of(said)


def test_names_with_dots_colons_and_quotes_go_through_the_shell_and_back() -> None:
    from handrail.renames.answers import option

    rename = Rename(Name(Kind.COLUMN, "s", "My.Orders", 'it\'s:a "note"'), "b.c:d")
    import shlex

    [argument] = shlex.split(option(rename, really=True))
    answer = Answer.of(argument.removeprefix("rename="))

    assert answer.means(rename)
    assert answer.new == rename.new


def test_without_a_terminal_both_commands_are_shown_and_both_work(both: Both) -> None:
    before, after = both(("total", "amount"))
    candidates = renamed_columns(before, after)

    with pytest.raises(HandrailError) as refused:
        resolve(candidates, [], None)

    commands = [line.strip() for line in str(refused.value).splitlines() if "alembic" in line]
    assert commands == [
        'alembic -x rename=orders.total:amount revision --autogenerate -m "…"',
        'alembic -x rename=orders.total: revision --autogenerate -m "…"',
    ]
    assert resolve(candidates, [Answer.of("orders.total:amount")], None) == candidates
    assert resolve(candidates, [Answer.of("orders.total:")], None) == []


# With the command itself.


@pytest.fixture
def shop(new_project: Callable[..., SmallProject], empty_database: str) -> SmallProject:
    """A project with data, whose column `name` has just been renamed in its model."""
    project = new_project().use(empty_database)
    project.write("shop/models.py", ORDERS)
    project.succeeds("revision", "--autogenerate", "-m", "all")
    project.succeeds("upgrade", "head")
    project.write("shop/models.py", ORDERS.replace("name: Mapped", "title: Mapped"))
    return project


def on_terminal(project: SmallProject, answer: bytes, *arguments: str) -> str:
    """Run `alembic …` on a terminal, type an answer when it asks, and return all that stands there."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(project.root)
        environment = project.base_environment() | project.environment
        os.execve(sys.executable, [sys.executable, "-m", "alembic", *arguments], environment)
    seen = b""
    typed = False
    while True:
        # Ctrl-C in the moment between the question and the wait for its answer is only noticed with the next key.
        if typed and answer == b"\x03" and not select.select([terminal], [], [], 1)[0]:
            os.write(terminal, answer)
        try:
            chunk = os.read(terminal, 4096)
        except OSError:  # Linux's end of a terminal
            break
        if not chunk:
            break
        seen += chunk
        if not typed and b"[y/N]" in seen:
            os.write(terminal, answer)
            typed = True
    os.waitpid(child, 0)
    os.close(terminal)
    return " ".join(seen.decode().split())


@pytest.mark.parametrize(
    ("answer", "written"),
    [(b"y\n", "new_column_name='title'"), (b"\n", "op.drop_column("), (b"\x03", ""), (b"\x04", "")],
)
def test_on_a_terminal_the_question_is_asked(shop: SmallProject, answer: bytes, written: str) -> None:
    """Yes renames, the default drops, and whoever interrupts it has nothing written."""
    said = on_terminal(shop, answer, "revision", "--autogenerate", "-m", "next")

    assert 'The column "name" of "customers" went, and "title" came' in said
    assert "Traceback" not in said
    new = "".join(shop.revisions()[1:]).replace('"', "'").replace("\n", "")
    assert bool(new) == bool(written)
    assert written in new


def test_a_rename_from_the_command_line_keeps_the_data_and_leaves_nothing_to_do(shop: SmallProject) -> None:
    """A table together with its column, by the names they had."""
    model = ORDERS.replace("name: Mapped", "title: Mapped").replace('"customers"', '"buyers"')
    shop.write("shop/models.py", model)
    refused = shop.refuses("revision", "--autogenerate", "-m", "next")
    assert "-x rename=customers:buyers" in refused
    assert len(shop.revisions()) == 1
    wrong = shop.refuses(
        "-x", "rename=customers.nome:title", "-x", "rename=customers:buyers", "revision", "--autogenerate", "-m", "n"
    )
    assert "nothing was written" in wrong

    shop.succeeds(
        "-x", "rename=customers:buyers", "-x", "rename=customers.name:title", "revision", "--autogenerate", "-m", "next"
    )

    assert "drop_" not in "".join(shop.revisions()[1:]).partition("def downgrade")[0]
    shop.succeeds("upgrade", "head")
    shop.succeeds("check")
    shop.succeeds("downgrade", "base")
