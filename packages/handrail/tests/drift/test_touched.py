"""What a pending revision uses: told from its statements, else from the texts in its code."""

from __future__ import annotations

import pytest

from handrail.actions import actions
from handrail.catalog import Kind, Name
from handrail.catalog.difference import Difference
from handrail.findings import Finding, Severity
from handrail.predict import State
from handrail.predict.placed import place, relations
from handrail.review import Reviewed
from handrail.sizes import Sizes
from handrail.statements import read_sql
from handrail.upgrade.touched import Pending, touches

SOURCE = '''
"""Something about orders."""
# orders
def upgrade():
    """orders"""
    op.execute({text!r})
'''
ORDERS = Name(Kind.TABLE, "shop", "", "orders")
TOTAL = Name(Kind.COLUMN, "shop", "orders", "total")
FRESH = Name(Kind.FUNCTION, "shop", "", "fresh(integer)")


def edited(name: Name) -> Difference:
    return Difference(name, {"comment": "a"}, {"comment": "b"})


def pending(sql: str, *rules: str, source: str = SOURCE) -> Pending:
    """Return a revision that was seen to run some statements, with some findings."""
    findings = [Finding(rule, Severity.WARNING, "statement", "r1.py", 1, "") for rule in rules]
    placed = place(read_sql(sql), State())
    done = list(actions(placed, Sizes()))
    reviewed = Reviewed("r1.py", findings=findings, actions=done, uses=sorted(map(str, relations(placed))))
    return Pending(source.format(text="from the helper"), reviewed)


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE shop.orders ADD COLUMN note text",
        "CREATE INDEX ON shop.orders (total)",
        "CREATE TABLE shop.orders (id integer)",
        "UPDATE shop.orders SET total = 0 WHERE id = 1",
        "CREATE TABLE shop.more AS SELECT * FROM shop.orders",
        "INSERT INTO shop.more SELECT id FROM shop.orders",
        "ALTER TABLE shop.more ADD FOREIGN KEY (id) REFERENCES shop.orders",
        "DO $$ BEGIN DELETE FROM shop.orders; END $$",
        "DROP TABLE shop.orders",
        "COMMENT ON TABLE shop.orders IS 'x'",
        "GRANT SELECT ON shop.orders TO PUBLIC",
        "ALTER TABLE orders ADD COLUMN note text",
    ],
)
def test_a_statement_uses_the_tables_that_it_has_to_do_with(sql: str) -> None:
    """And with a table all that belongs to it."""
    assert touches(pending(sql), edited(ORDERS))
    assert touches(pending(sql), edited(TOTAL))
    assert not touches(pending(sql), edited(FRESH))


@pytest.mark.parametrize(
    "sql", ["ALTER TABLE shop.more ADD COLUMN orders text", "SELECT 'orders'", "ALTER TABLE other.orders ADD x text"]
)
def test_a_name_alone_is_no_use(sql: str) -> None:
    """Of a column, in a text, of another schema's table; in comments and docstrings of the code."""
    assert not touches(pending(sql), edited(ORDERS))


def test_what_is_no_relation_is_found_by_its_name_in_the_statements() -> None:
    assert touches(pending("DROP FUNCTION shop.fresh"), edited(FRESH))
    assert not touches(pending("DROP FUNCTION shop.refresh"), edited(FRESH))


def test_where_not_all_is_known_the_texts_in_the_code_count() -> None:
    """Nobody has looked, something was not seen, or it depends on the database; comments still do not count."""
    code = SOURCE.format(text="UPDATE shop.orders SET total = 0")
    for unsure in (Pending(code), pending("SELECT 1", "unseen", source=code)):
        assert touches(unsure, edited(ORDERS))
        assert touches(Pending(code + "\nop.get_bind()", unsure.reviewed), edited(ORDERS))
    for silent in (Pending(SOURCE.format(text="")), pending("SELECT 1", "unseen")):
        assert not touches(silent, edited(ORDERS))
    assert touches(Pending("this is no Python: orders"), edited(ORDERS))
