"""Random models: Hypothesis draws a description, from which a MetaData is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Date,
    DateTime,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    desc,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import INET, INTERVAL, JSONB, TSTZRANGE

SCHEMA = "my-shop"
CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
TABLES = ("users", "orders", "Line items", "tags")
VALUES = ("new", "open", "it's", "closed", "Ünïcode")

# The first letter of a column's name decides what it holds, so that its values can be cast from one model to the other.
TYPES: dict[str, list[Callable[[], Any]]] = {
    "n": [SmallInteger, Integer, BigInteger, lambda: Numeric(10, 2), lambda: Numeric(12, 2), Numeric],
    "t": [Text, lambda: String(20), lambda: String(50), String, lambda: Text(collation="C")],
    "d": [lambda: DateTime(timezone=True), DateTime, Date],
    "b": [Boolean],
    "j": [JSONB],
    "u": [Uuid],
    "a": [lambda: ARRAY(Text), lambda: ARRAY(String(5))],
    "i": [INET],
    "s": [INTERVAL],
    "r": [TSTZRANGE],
}
DEFAULTS: dict[str, list[Any]] = {
    "n": ["0", text("1"), text("(2 + 3)")],
    "t": ["", "it's 50% :x", text("upper('a')")],
    "d": [text("now()"), "2020-01-01"],
    "b": [text("true"), "f"],
    "j": ["{}", text("'[1]'::jsonb")],
    "u": [text("gen_random_uuid()")],
    "a": ["{}"],
    "i": ["127.0.0.1"],
    "s": ["1 day"],
    "r": ["empty"],
}
COLUMNS = ("n1", "n 2", "t1", "T2", "d1", "b1", "j1", "u1", "a1", "i1", "s1", "r1", "e1", "e2")


def enums(draw: Any, metadata: MetaData) -> dict[str, Enum]:
    """Draw enum types; columns `e1` and `e2` have them."""
    names = st.lists(st.sampled_from(VALUES), min_size=1, max_size=4, unique=True)
    return {name: Enum(*draw(names), name=f"kind {name}", metadata=metadata, schema=SCHEMA) for name in ("e1", "e2")}


@st.composite
def metadatas(draw: st.DrawFn) -> MetaData:
    """Draw a MetaData of up to four tables in one schema, with or without a naming convention."""
    metadata = MetaData(schema=SCHEMA, naming_convention=draw(st.sampled_from([None, CONVENTION])))
    kinds = enums(draw, metadata)
    names = draw(st.lists(st.sampled_from(TABLES), min_size=1, max_size=4, unique=True))
    for name in names:
        table(draw, metadata, name, kinds)
    for name in names:
        foreign_key(draw, metadata, name, names)
    return metadata


def table(draw: Any, metadata: MetaData, name: str, kinds: dict[str, Enum]) -> None:
    names = draw(st.lists(st.sampled_from(COLUMNS), max_size=6, unique=True))
    key = draw(st.sampled_from(["serial", "identity", "plain"]))
    identity = (
        [Identity(always=draw(st.booleans()), start=draw(st.sampled_from([1, 100])))] if key == "identity" else []
    )
    columns = [Column("id", Integer, *identity, primary_key=True, autoincrement=False if key == "plain" else "auto")]
    columns += [column(draw, column_name, kinds) for column_name in names]
    numbers = [column_name for column_name in names if column_name[0] == "n"]
    if numbers and draw(st.booleans()):
        factor = draw(st.sampled_from([2, 3]))
        columns.append(Column("computed", Numeric, Computed(f'"{numbers[0]}" * {factor}', persisted=True)))
    made = Table(name, metadata, *columns, comment=draw(comments), **options(draw))
    constraints(draw, made, names)
    indexes(draw, made, names)


comments = st.sampled_from([None, None, "it's a comment", "100% :sure"])


def options(draw: Any) -> dict[str, Any]:
    return {"postgresql_with": {"fillfactor": 70}} if draw(st.integers(0, 9)) == 0 else {}


def column(draw: Any, name: str, kinds: dict[str, Enum]) -> Column[Any]:
    family = name[0].lower()
    if family == "e":
        kind = kinds[name]
        default = draw(st.sampled_from([None, kind.enums[0]]))
        return Column(name, kind, nullable=draw(st.booleans()), server_default=default)
    type_ = draw(st.sampled_from(TYPES[family]))()
    default = draw(st.sampled_from([None, *DEFAULTS[family]]))
    return Column(name, type_, nullable=draw(st.booleans()), server_default=default, comment=draw(comments))


def constraints(draw: Any, made: Table, names: list[str]) -> None:
    for name in names:
        if name[0] == "n" and draw(st.booleans()):
            limit = draw(st.sampled_from([0, 10]))
            made.append_constraint(CheckConstraint(made.c[name] > limit, name="positive"))
            break
    unique = [name for name in names if name[0] in "tn"]
    if unique and draw(st.booleans()):
        deferrable = draw(st.sampled_from([None, True]))
        made.append_constraint(
            UniqueConstraint(*unique[:2], deferrable=deferrable, name=draw(st.sampled_from([None, f"u {made.name}"])))
        )


def indexes(draw: Any, made: Table, names: list[str]) -> None:
    if not names:
        return
    convention = made.metadata.naming_convention is CONVENTION
    chosen = draw(st.sampled_from(names))
    kind = draw(st.sampled_from(["none", "plain", "expression", "partial", "gin", "descending"]))
    if kind == "plain":
        Index(None if convention else f"ix {made.name}", made.c[chosen], unique=draw(st.booleans()))
    elif kind == "partial":
        Index(f"partial {made.name}", made.c.id, postgresql_where=made.c[chosen].is_not(None))
    elif kind == "descending":
        Index(f"descending {made.name}", desc(made.c[chosen]), made.c.id, postgresql_include=["id"])
    elif kind == "expression" and chosen[0].lower() == "t":
        Index(f"expression {made.name}", func.lower(made.c[chosen]), postgresql_ops={"lower": "text_pattern_ops"})
    elif kind == "gin" and chosen[0] in "ja":
        Index(f"gin {made.name}", made.c[chosen], postgresql_using="gin")


def foreign_key(draw: Any, metadata: MetaData, name: str, names: list[str]) -> None:
    """Draw a reference to any table, itself and later ones included, so that circles occur."""
    if not draw(st.booleans()):
        return
    target = draw(st.sampled_from(names))
    made = metadata.tables[f"{SCHEMA}.{name}"]
    made.append_column(Column("parent_id", Integer, index=draw(st.booleans())))
    on_delete = draw(st.sampled_from([None, "CASCADE", "SET NULL"]))
    made.append_constraint(
        ForeignKeyConstraint(
            ["parent_id"],
            [metadata.tables[f"{SCHEMA}.{target}"].c.id],
            ondelete=on_delete,
            deferrable=draw(st.sampled_from([None, True])),
            # A circle can only be closed by name.
            name=f"parent of {name}",
            use_alter=True,
        )
    )


__all__ = ["SCHEMA", "ForeignKey", "metadatas"]
