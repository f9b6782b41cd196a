"""Rows that are made up: they keep every rule of their table, or it is said why there are none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Connection

from handrail.catalog import Kind, Name
from handrail.connection import parse_url, with_connection
from handrail.rehearsal.rows import Filling, fill

pytestmark = pytest.mark.one_driver

ROWS = 200


@pytest.fixture
def filled(url: str) -> Callable[..., tuple[Filling, Callable[[str], object]]]:
    """Create tables, fill them, and return what was told, and a function that asks the database."""
    place = parse_url(url)

    def work(*statements: str) -> tuple[Filling, Callable[[str], object]]:
        def create_and_fill(connection: Connection) -> Filling:
            for statement in statements:
                connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
            connection.commit()
            return fill(connection, ROWS)

        def ask(question: str) -> object:
            return with_connection(
                place, lambda connection: connection.exec_driver_sql(question).scalar_one(), application="handrail test"
            )

        return with_connection(place, create_and_fill, application="handrail test"), ask

    return work


def table(name: str) -> Name:
    return Name(Kind.TABLE, "public", "", name)


TYPES = [
    *("smallint", "integer", "bigint", "numeric", "numeric(3,2)", "numeric(2,2)", "real", "double precision", "money"),
    *("boolean", "date", "timestamp", "timestamptz", "timestamp(3)", "time", "timetz", "interval", "uuid", "oid"),
    *("text", "varchar", "varchar(200)", "varchar(3)", "char", "char(8)", '"char"', "name", "bytea", "json", "jsonb"),
    *("inet", "cidr", "macaddr", "macaddr8", "tsvector", "tsquery", "bit(4)", "varbit(40)", "pg_lsn", "jsonpath"),
    *("int4range", "int8range", "numrange", "daterange", "tsrange", "tstzrange", "int4multirange", "tstzmultirange"),
    *("point", "line", "lseg", "box", "path", "polygon", "circle", "int[]", "text[]", "varchar(9)[]", "mood", "mood[]"),
    *("address", "short", "positive", "span"),
]


def test_types(filled: Callable[..., tuple[Filling, Callable[[str], object]]]) -> None:
    """Every type that PostgreSQL brings, and the kinds that somebody can create."""
    columns = ", ".join(f"c{number} {type_} NOT NULL" for number, type_ in enumerate(TYPES))
    filling, _ = filled(
        "CREATE TYPE mood AS ENUM ('it''s', 'ok')",
        "CREATE TYPE address AS (street text, number int)",
        "CREATE DOMAIN short AS varchar(5)",
        "CREATE DOMAIN positive AS numeric(8, 2) CHECK (VALUE > 0)",
        "CREATE TYPE span AS RANGE (subtype = float8)",
        f"CREATE TABLE t ({columns})",
    )

    assert filling.problems == {}
    assert filling.rows == {table("t"): ROWS}


@pytest.mark.parametrize(
    "check",
    [
        "status text CHECK (status IN ('new', 'paid', 'sent'))",
        "status varchar(9) DEFAULT 'draft' NOT NULL CHECK (status ~ '^dr')",
        "mail text CHECK (mail ~ '^[^@ ]+@[^@ ]+$')",
        "slug text CHECK (slug ~ '^[a-z0-9-]+$')",
        "code text CHECK (char_length(code) = 7)",
        "country char(2) CHECK (country = upper(country) AND country ~ '^[A-Z]+$')",
        "percent int NOT NULL CHECK (percent BETWEEN 0 AND 100)",
        "debt numeric CHECK (debt < 0)",
        "starts date NOT NULL, ends date NOT NULL, CHECK (ends > starts)",
        "starts timestamptz, ends timestamptz, CHECK (starts >= now() - interval '2 days'), CHECK (ends > starts)",
        "a int, b int, c int, CHECK (num_nonnulls(a, b, c) = 1)",
        "a int, b text, CHECK ((a IS NULL) <> (b IS NULL))",
        "kind text NOT NULL, size int, CHECK (kind IN ('shoe', 'book')), CHECK (kind <> 'shoe' OR size < 50)",
        "settings jsonb CHECK (jsonb_typeof(settings) = 'array')",
        "agreed boolean CHECK (agreed)",
    ],
)
def test_checks(filled: Callable[..., tuple[Filling, Callable[[str], object]]], check: str) -> None:
    """The server says which values pass."""
    filling, _ = filled(f"CREATE TABLE t (id serial PRIMARY KEY, {check})")

    assert filling.problems == {}
    assert filling.rows == {table("t"): ROWS}


def test_keys(filled: Callable[..., tuple[Filling, Callable[[str], object]]]) -> None:
    """Serial and identity columns go on behind our numbers; what is unique is unique."""
    filling, ask = filled(
        "CREATE TABLE a (id serial PRIMARY KEY, name varchar(4) NOT NULL UNIQUE)",
        "CREATE TABLE b (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int, b text, UNIQUE (a, b))",
        "CREATE TABLE c (id int PRIMARY KEY, during tstzrange NOT NULL, EXCLUDE USING gist (during WITH &&))",
        "CREATE TABLE d (id int UNIQUE DEFERRABLE, double int GENERATED ALWAYS AS (id * 2) STORED)",
        "CREATE TABLE few (yes boolean PRIMARY KEY)",
        "CREATE TABLE nothing ()",
    )

    assert filling.rows == {
        table(name): 2 if name == "few" else ROWS for name in ("a", "b", "c", "d", "few", "nothing")
    }
    assert list(filling.problems) == [table("few")]
    assert filling.problems[table("few")] == [
        "it has only 2 rows: others would not be unique, or have nothing to refer to"
    ]
    assert ask("SELECT nextval('a_id_seq')") == ROWS + 1


def test_foreign_keys(filled: Callable[..., tuple[Filling, Callable[[str], object]]]) -> None:
    """To others, to oneself, in circles, of several columns that overlap, and one to one."""
    filling, ask = filled(
        "CREATE TABLE tenants (id uuid PRIMARY KEY)",
        "CREATE TABLE users (tenant uuid NOT NULL REFERENCES tenants, id int, boss int, PRIMARY KEY (tenant, id), "
        "FOREIGN KEY (tenant, boss) REFERENCES users)",
        "CREATE TABLE orders (id serial PRIMARY KEY, tenant uuid NOT NULL REFERENCES tenants, buyer int NOT NULL, "
        "FOREIGN KEY (tenant, buyer) REFERENCES users)",
        "CREATE TABLE profiles (id int PRIMARY KEY REFERENCES orders)",
        "CREATE TABLE nodes (id int PRIMARY KEY, parent int NOT NULL REFERENCES nodes)",
        "CREATE TABLE hens (id int PRIMARY KEY, egg int NOT NULL)",
        "CREATE TABLE eggs (id int PRIMARY KEY, hen int NOT NULL REFERENCES hens DEFERRABLE)",
        "ALTER TABLE hens ADD FOREIGN KEY (egg) REFERENCES eggs DEFERRABLE",
        "CREATE TABLE teams (id int PRIMARY KEY, lead int)",
        "CREATE TABLE members (id int PRIMARY KEY, team int NOT NULL REFERENCES teams)",
        "ALTER TABLE teams ADD FOREIGN KEY (lead) REFERENCES members",
        "CREATE TABLE tagged (a int REFERENCES orders, b int REFERENCES orders, PRIMARY KEY (a, b))",
        "CREATE TABLE either (id serial, a int REFERENCES teams, b int REFERENCES orders, CHECK (num_nulls(a, b) = 1))",
    )

    assert filling.problems == {}
    assert set(filling.rows.values()) == {ROWS}
    assert ask("SELECT count(*) FROM teams WHERE lead IS NULL") == 0
    assert ask("SELECT count(*) FROM users WHERE boss IS NULL") == 0


def test_partitions(filled: Callable[..., tuple[Filling, Callable[[str], object]]]) -> None:
    """By range, by list, by hash, and of partitions."""
    filling, ask = filled(
        "CREATE TABLE r (id int, at timestamptz NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)",
        "CREATE TABLE r1 PARTITION OF r FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')",
        "CREATE TABLE r2 PARTITION OF r FOR VALUES FROM ('2026-02-01') TO (MAXVALUE)",
        "CREATE TABLE rd PARTITION OF r DEFAULT",
        "CREATE TABLE l (id int, kind text) PARTITION BY LIST (kind)",
        "CREATE TABLE l1 PARTITION OF l FOR VALUES IN ('a', 'b') PARTITION BY RANGE (id)",
        "CREATE TABLE l11 PARTITION OF l1 FOR VALUES FROM (1) TO (1000)",
        "CREATE TABLE h (id int PRIMARY KEY) PARTITION BY HASH (id)",
        "CREATE TABLE h0 PARTITION OF h FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
        "CREATE TABLE h1 PARTITION OF h FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
    )

    assert filling.problems == {}
    assert filling.rows == {table(name): ROWS for name in ("r1", "r2", "l11", "h")}
    assert ask("SELECT count(*) FROM rd") == 0


def test_what_cannot_be_filled_is_said(filled: Callable[..., tuple[Filling, Callable[[str], object]]]) -> None:
    """With the reason; the other tables are filled, also those that refer to it where they need not."""
    filling, _ = filled(
        "CREATE TABLE impossible (id int PRIMARY KEY, x int NOT NULL CHECK (x > 5 AND x < 5))",
        "CREATE TABLE strange (id int, x regclass)",
        "CREATE TABLE child (id int, impossible int REFERENCES impossible)",
        "CREATE TABLE orphan (id int, impossible int NOT NULL REFERENCES impossible)",
        "CREATE TABLE guarded (id int)",
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END'",
        "CREATE TRIGGER guard BEFORE INSERT ON guarded FOR EACH ROW EXECUTE FUNCTION no()",
    )

    assert filling.rows == {table("strange"): ROWS, table("child"): ROWS, table("orphan"): 0, table("guarded"): ROWS}
    said = {name.name: " ".join(texts) for name, texts in filling.problems.items()}
    assert set(said) == {"impossible", "strange", "orphan"}
    assert "no values were found that pass ((x > 5) AND (x < 5))" in said["impossible"]
    assert "violates check constraint" in said["impossible"]
    assert said["strange"] == "x is empty: no values are known for regclass"
    assert "only 0 rows" in said["orphan"]


def test_rows_that_are_there(filled: Callable[..., tuple[Filling, Callable[[str], object]]]) -> None:
    """They stay; a table that has enough is left alone, another one gets more."""
    filling, ask = filled(
        "CREATE TABLE enough (id int)",
        f"INSERT INTO enough SELECT generate_series(1, {ROWS})",
        "CREATE TABLE seeded (id int PRIMARY KEY, name text)",
        "INSERT INTO seeded VALUES (1, 'first'), (-1, 'second')",
    )

    assert filling.rows == {table("seeded"): ROWS - 1}
    assert filling.problems == {}
    assert ask("SELECT count(*) FROM seeded WHERE name IN ('first', 'second')") == 2
