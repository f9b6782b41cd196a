"""What a revision says about a column, `existing_type=`, is believed where nothing better is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from review.projects import reviewed, rules

CHANGES = {
    "sa.String(50) -> sa.String(100)": set(),
    "sa.String(50) -> sa.Text()": set(),
    "sa.VARCHAR() -> sa.Text()": set(),
    "sa.Numeric(10, 2) -> sa.Numeric(12, 2)": set(),
    "sa.Integer() -> sa.BigInteger()": {"type-rewrite"},
    "sa.String(100) -> sa.String(50)": {"type-rewrite", "narrows-type"},
    "sa.Text() -> sa.String(50)": {"type-rewrite", "narrows-type"},
    "sa.BigInteger() -> sa.Integer()": {"type-rewrite", "narrows-type"},
    "sa.DateTime() -> sa.DateTime(timezone=True)": {"type-rewrite"},
    "sa.DateTime() -> sa.Time()": {"type-rewrite", "narrows-type"},
    "sa.String() -> sa.Integer()": {"type-rewrite", "narrows-type", "missing-cast"},
    "postgresql.JSON() -> postgresql.JSONB()": {"type-rewrite"},
    "nobody.AutoString(length=20) -> sa.String(30)": set(),
    "nobody.AutoString() -> sa.Text()": set(),
    "nobody.Anything() -> sa.Text()": set(),
    "nobody.Anything() -> sa.BigInteger()": {"type-rewrite"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_type_of_an_unknown_table(tmp_path: Path, change: str) -> None:
    before, _, after = change.partition(" -> ")
    body = f'op.alter_column("orders", "amount", existing_type={before}, type_={after}, existing_nullable=False)'

    assert rules(reviewed(tmp_path, body, outside="import nobody").findings) == CHANGES[change]


def test_in_a_batch(tmp_path: Path) -> None:
    body = """
    with op.batch_alter_table("orders", schema="shop") as batch:
        batch.alter_column("note", existing_type=sa.VARCHAR(20), type_=sa.String(40), existing_nullable=True)
        batch.alter_column("amount", existing_type=sa.INTEGER(), type_=sa.BigInteger())
    """
    found = reviewed(tmp_path, body)

    assert [(finding.rule, finding.object) for finding in found.findings if finding.counts] == [
        ("type-rewrite", "shop.orders.amount")
    ]


def test_earlier_revisions_know_better(tmp_path: Path) -> None:
    first = 'op.create_table("orders", sa.Column("amount", sa.Integer()))'
    second = 'op.alter_column("orders", "amount", existing_type=sa.BigInteger(), type_=sa.BigInteger())'

    assert rules(reviewed(tmp_path, first, second).findings) == {"type-rewrite"}


def test_what_nobody_says_may_rewrite(tmp_path: Path) -> None:
    body = 'op.execute("ALTER TABLE orders ALTER COLUMN amount TYPE bigint")'
    (finding,) = (finding for finding in reviewed(tmp_path, body).findings if finding.counts)

    assert (finding.rule, finding.severity) == ("type-rewrite", "warning")
