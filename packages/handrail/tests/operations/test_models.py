"""Models of every type and construct come out as a revision that creates them, in the words of the models."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection, MetaData
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

from handrail.catalog import Catalog, read_catalog
from operations.custom_types import Money, Point, State, Status, Unwritable
from operations.round_trip import migrate

STATE = "postgresql.ENUM('new', 'paid', name='state', create_type=False, schema='shop')"
RANGES = ["INT4RANGE", "INT8RANGE", "NUMRANGE", "DATERANGE", "TSRANGE", "TSTZRANGE"]

# A model's type, and how the revision writes it; where that is left out: as the model does.
TYPES: list[tuple[TypeEngine[Any], str | None]] = [
    (sa.BigInteger(), None),
    (sa.Integer(), None),
    (sa.SmallInteger(), None),
    (sa.Numeric(10, 2), "sa.Numeric(precision=10, scale=2)"),
    (sa.Numeric(10), "sa.Numeric(precision=10)"),
    (sa.Numeric(), None),
    (sa.DECIMAL(10, 2), "sa.DECIMAL(precision=10, scale=2)"),
    (sa.Float(), None),
    (sa.Float(24), "sa.Float(precision=24)"),
    (sa.REAL(), None),
    (sa.Double(), None),
    (sa.Boolean(), None),
    (sa.Boolean(create_constraint=True, name="yes_or_no"), "sa.Boolean()"),
    (sa.String(), None),
    (sa.String(20), "sa.String(length=20)"),
    (sa.String(20, collation="C"), "sa.String(length=20, collation='C')"),
    (sa.Unicode(20), "sa.Unicode(length=20)"),
    (sa.Text(), None),
    (sa.Text(collation="C"), "sa.Text(collation='C')"),
    (sa.UnicodeText(), None),
    (sa.CHAR(3), "sa.CHAR(length=3)"),
    (sa.LargeBinary(), None),
    (sa.PickleType(), "sa.PickleType()"),
    (sa.Date(), None),
    (sa.DateTime(), None),
    (sa.DateTime(timezone=True), "sa.DateTime(timezone=True)"),
    (postgresql.TIMESTAMP(timezone=True, precision=3), "postgresql.TIMESTAMP(timezone=True, precision=3)"),
    (sa.Time(), None),
    (postgresql.TIME(timezone=True, precision=0), "postgresql.TIME(timezone=True, precision=0)"),
    (sa.Interval(), None),
    (postgresql.INTERVAL(fields="DAY TO SECOND", precision=3), None),
    (postgresql.INTERVAL(precision=3), None),
    (sa.Uuid(), None),
    (postgresql.UUID(as_uuid=False), "sa.UUID(as_uuid=False)"),
    (sa.JSON(), "sa.JSON()"),
    (postgresql.JSON(), None),
    (postgresql.JSONB(), "postgresql.JSONB(astext_type=sa.Text())"),
    (sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), None),
    (sa.ARRAY(sa.Integer()), "sa.ARRAY(sa.Integer())"),
    (postgresql.ARRAY(sa.String(20)), "postgresql.ARRAY(sa.String(length=20))"),
    (postgresql.ARRAY(sa.Text(), dimensions=2), "postgresql.ARRAY(sa.Text(), dimensions=2)"),
    (postgresql.ARRAY(postgresql.ENUM("a", name="letter", schema="shop")), None),
    (postgresql.BIT(8), "postgresql.BIT(length=8)"),
    (postgresql.BIT(8, varying=True), "postgresql.BIT(length=8, varying=True)"),
    (postgresql.BIT(varying=True), "postgresql.BIT(varying=True)"),
    (postgresql.INET(), None),
    (postgresql.CIDR(), None),
    (postgresql.MACADDR(), None),
    (postgresql.MACADDR8(), None),
    (postgresql.MONEY(), None),
    (postgresql.OID(), None),
    (postgresql.REGCLASS(), None),
    (postgresql.TSVECTOR(), None),
    (postgresql.TSQUERY(), None),
    *((getattr(postgresql, name)(), None) for name in RANGES),
    *((getattr(postgresql, name.replace("RANGE", "MULTIRANGE"))(), None) for name in RANGES),
    (sa.Enum(Status, name="state", schema="shop"), STATE),
    (sa.Enum("a", "b", native_enum=False, length=5), "sa.String(length=5)"),
    (sa.Enum("a", "b", native_enum=False, create_constraint=True, name="a_or_b"), "sa.String(length=1)"),
    (postgresql.DOMAIN("mail", sa.Text(), check=sa.text("VALUE ~ ':x%'"), schema="shop"), None),
    (postgresql.DOMAIN("plain", sa.Integer(), schema="shop", not_null=True, default=sa.text("0")), None),
    (Money(), "operations.custom_types.Money(precision=12, scale=2)"),
    (State(), STATE),
    (Point("y"), "operations.custom_types.Point(note='y')"),
]


def catalog_after(connection: Connection, statements: str) -> Catalog:
    with connection.begin() as transaction:
        connection.exec_driver_sql(statements)
        catalog = read_catalog(connection)
        transaction.rollback()
    return catalog


def there_and_back(connection: Connection, models: MetaData, default_schema: str | None = None) -> str:
    """Return the revision that creates the models' tables, after it was run and undone."""
    before = catalog_after(connection, "CREATE SCHEMA shop")
    with connection.begin() as transaction:
        connection.exec_driver_sql("CREATE SCHEMA shop")
        models.create_all(connection)
        after = read_catalog(connection)
        transaction.rollback()
    with connection.begin() as transaction:
        connection.exec_driver_sql("CREATE SCHEMA shop")
        body, left = migrate(connection, before, after, models, default_schema)
        assert left == []
        assert migrate(connection, after, before, models, default_schema)[1] == []
        transaction.rollback()
    return body


@pytest.mark.parametrize(
    ("type_", "written"), TYPES, ids=lambda value: str(value) if isinstance(value, str) else repr(value)
)
def test_a_column_of_each_type(connection: Connection, type_: TypeEngine[Any], written: str | None) -> None:
    models = MetaData(schema="shop")
    sa.Table("t", models, sa.Column("id", sa.Integer(), primary_key=True), sa.Column("value", type_))

    body = there_and_back(connection, models)

    assert "op.create_table" in body
    if written is not None:
        assert f"sa.Column('value', {written}, " in body


@pytest.mark.parametrize("type_", [Unwritable()])
def test_a_type_that_cannot_be_written_down_becomes_sql(connection: Connection, type_: TypeEngine[Any]) -> None:
    models = MetaData(schema="shop")
    sa.Table("t", models, sa.Column("id", sa.Integer(), primary_key=True), sa.Column("value", type_))

    body = there_and_back(connection, models)

    assert "CREATE TABLE shop.t (" in body
    assert "value point" in body


def test_models_without_a_schema_stay_without_one(connection: Connection) -> None:
    models = MetaData()
    parent = sa.Table("parents", models, sa.Column("id", sa.BigInteger(), primary_key=True))
    sa.Table(
        "children",
        models,
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True, start=5), primary_key=True),
        sa.Column("parent_id", sa.ForeignKey(parent.c.id, ondelete="CASCADE"), index=True),
        sa.Column("state", sa.Enum(Status, name="state"), server_default="new", comment="it's"),
        sa.Column("double", sa.BigInteger(), sa.Computed("parent_id * 2", persisted=True)),
        sa.UniqueConstraint("parent_id", "state", name="uq"),
        sa.CheckConstraint("parent_id > 0", name="positive"),
        comment="some",
    )

    body = there_and_back(connection, models, "public")

    assert "schema=" not in body
    assert re.sub(r"\s+", " ", body) == re.sub(
        r"\s+",
        " ",
        """# ### commands auto generated by Alembic - please adjust! ###
        op.execute("CREATE TYPE public.state AS ENUM ('new', 'paid')")
        op.create_table('parents',
        sa.Column('id', sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('parents_pkey'))
        )
        op.create_table('children',
        sa.Column('id', sa.BigInteger(), sa.Identity(always=True, start=5), nullable=False),
        sa.Column('parent_id', sa.BigInteger(), nullable=True),
        sa.Column('state', postgresql.ENUM('new', 'paid', name='state', create_type=False),
            server_default='new', nullable=True, comment="it's"),
        sa.Column('double', sa.BigInteger(), sa.Computed('parent_id * 2', persisted=True), nullable=True),
        sa.CheckConstraint('parent_id > 0', name=op.f('positive')),
        sa.ForeignKeyConstraint(['parent_id'], ['parents.id'], name=op.f('children_parent_id_fkey'),
            ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('id', name=op.f('children_pkey')),
        sa.UniqueConstraint('parent_id', 'state', name=op.f('uq')),
        comment='some'
        )
        op.create_index(op.f('ix_children_parent_id'), 'children', ['parent_id'], unique=False)
        # ### end Alembic commands ###""",
    )


@pytest.mark.parametrize("schema", ["public", "shop"])
def test_types_of_extensions(connection: Connection, schema: str) -> None:
    """SQLAlchemy writes their names alone, so they are in its words only where everybody finds them."""
    there = f"CREATE SCHEMA shop; CREATE EXTENSION citext SCHEMA {schema}; CREATE EXTENSION hstore SCHEMA {schema};"
    table = "CREATE TABLE shop.t (id integer, a {0}.citext DEFAULT 'x', b {0}.hstore DEFAULT '', c {0}.citext[])"
    before = catalog_after(connection, there)
    after = catalog_after(connection, there + table.format(schema))
    with connection.begin() as transaction:
        connection.exec_driver_sql(there)
        body, left = migrate(connection, before, after)
        assert left == []
        assert migrate(connection, after, before)[1] == []
        transaction.rollback()

    assert ("postgresql.CITEXT()" in body) is (schema == "public")
