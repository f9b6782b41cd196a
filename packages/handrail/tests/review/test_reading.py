"""Revisions are read although what they import is not here, what they ask is not known and what they do has no end."""

from __future__ import annotations

from pathlib import Path

import pytest

from handrail.statements import revision
from review.projects import reviewed, rules, write_revisions


def test_column_types_of_a_package_that_is_not_installed(tmp_path: Path) -> None:
    outside = "import sqlmodel_of_nobody\nfrom nobody.columns import EncryptedField, cipher"
    body = """
    op.create_table(
        "users",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("email", sqlmodel_of_nobody.sql.sqltypes.AutoString(length=20), nullable=False),
        sa.Column("secret", EncryptedField, nullable=True),
        sa.Column("token", cipher.column(sa.String)),
    )
    op.drop_column("orders", "note")
    """
    found = reviewed(tmp_path, body, outside=outside)

    assert rules(found.findings) == {"drops-column"}


def test_names_taken_from_models_that_are_not_here_are_always_the_same(tmp_path: Path) -> None:
    outside = "from nobody.models import Issue"
    body = """
    op.create_table(Issue.__tablename__, sa.Column("id", sa.Integer(), primary_key=True))
    op.create_index(f"ix_{Issue.__tablename__}_id", Issue.__tablename__, ["id"])
    """
    found = reviewed(tmp_path, body, outside=outside)

    assert found.statements == 2
    assert not rules(found.findings)


def test_values_that_are_not_here_can_be_used_like_any(tmp_path: Path) -> None:
    outside = """
    from nobody import settings, transaction, Status
    from nobody.models import Base, Mixin

    class Order(Mixin, Base):
        pass
    """
    body = """
    with transaction():
        if settings.SIZE > 10 or len(settings.NAMES) or settings.TABLES["a"] - 1 < 0:
            pass
        for status in Status:
            op.execute(f"UPDATE orders SET status = '{status.value}' WHERE id = {int(status)}")
        total = 0
        total += settings.COUNT
        op.drop_table("orders")
    """
    found = reviewed(tmp_path, body, outside=outside)

    assert rules(found.findings) == {"drops-table"}


def test_imports_within_the_function(tmp_path: Path) -> None:
    body = """
    from nobody.times import now
    op.execute(sa.text("UPDATE orders SET changed = :now WHERE id = 1").bindparams(now=str(now())))
    op.drop_table("orders")
    """
    assert rules(reviewed(tmp_path, body).findings) == {"drops-table"}


def test_a_helper_that_is_not_here_is_told(tmp_path: Path) -> None:
    outside = "from nobody.migrations import add_column_everywhere, get_default, logger"
    body = """
    logger.info("begins")
    add_column_everywhere("note")
    op.add_column("orders", sa.Column("kind", sa.Text(), server_default=get_default()))
    """
    found = reviewed(tmp_path, body, outside=outside)

    assert [(finding.rule, finding.line) for finding in found.findings] == [("unseen", 15)]
    assert "add_column_everywhere()" in found.findings[0].what
    assert not found.judged


def test_a_helper_of_the_project_is_run_though_the_project_cannot_be_imported(tmp_path: Path) -> None:
    package = tmp_path / "shop/migrations"
    package.mkdir(parents=True)
    (tmp_path / "shop/__init__.py").write_text("import nobody_has_this\n1 / 0\n", encoding="utf-8")
    (package / "helpers.py").write_text(
        "from alembic import op\nfrom shop.config import schema\n\n"
        "def remove(*tables):\n    for table in tables:\n        op.drop_table(table)\n",
        encoding="utf-8",
    )
    found = reviewed(package, 'remove("orders", "carts")', outside="from shop.migrations.helpers import remove")

    assert [finding.object for finding in found.findings if finding.rule == "drops-table"] == [
        "public.orders",
        "public.carts",
    ]
    assert found.judged


def test_a_package_that_cannot_be_imported_is_not_in_the_way_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "breaks_on_import.py").write_text("raise KeyError('SECRET')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    outside = """
    import sqlalchemy.ext.automap
    import xml.sax
    from breaks_on_import import settings
    """
    body = """
    assert isinstance(sqlalchemy.ext.automap.automap_base(), type) and xml.sax.handler
    op.drop_table(f"{settings.prefix}_orders")
    """
    found = reviewed(tmp_path, body, outside=outside)

    assert rules(found.findings) == {"drops-table"}


BATCHES = """
connection = op.get_bind()
offset = 0
while True:
    rows = connection.execute(text(f"SELECT id FROM orders ORDER BY id LIMIT 500 OFFSET {offset}")).fetchall()
    if not rows:
        break
    for row in rows:
        connection.execute(text("UPDATE orders SET total = 1 WHERE id = :id"), {"id": row[0]})
    offset += 500
op.drop_column("orders", "note")
"""


def test_batches_come_to_an_end(tmp_path: Path) -> None:
    found = reviewed(tmp_path, BATCHES)

    assert rules(found.findings) == {"drops-column"}


def test_a_loop_without_end_is_left_and_the_rest_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revision, "SECONDS", 0.2)
    found = reviewed(tmp_path, 'while True:\n    pass\nop.drop_table("orders")')

    assert rules(found.findings) == {"unseen", "drops-table"}


def test_pauses_between_batches_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revision, "SECONDS", 0.5)
    outside = "import time\nfrom time import sleep"
    body = 'time.sleep(60)\nsleep(60)\nassert time.monotonic()\nop.drop_table("orders")'

    assert rules(reviewed(tmp_path, body, outside=outside).findings) == {"drops-table"}


def test_what_a_revision_refuses_itself_is_no_trouble(tmp_path: Path) -> None:
    body = """
    found = op.get_bind().execute(text("SELECT count(*) FROM orders WHERE note IS NULL")).scalar()
    if found:
        raise RuntimeError("clean up first")
    op.drop_column("orders", "note")
    """
    assert rules(reviewed(tmp_path, body).findings) == {"drops-column"}


def test_what_follows_from_an_error_is_not_told_again(tmp_path: Path) -> None:
    body = """
    tables = {}["missing"]
    for table in tables:
        op.drop_table(table)
    print(tables)
    """
    found = reviewed(tmp_path, body)

    assert [finding.what.partition("KeyError")[1] for finding in found.findings] == ["KeyError"]


def test_texts_that_are_executed_as_before_sqlalchemy_2(tmp_path: Path) -> None:
    body = """
    connection = op.get_bind()
    for row in connection.execute("SELECT id, kind FROM orders"):
        connection.execute("DELETE FROM carts")
    """
    assert rules(reviewed(tmp_path, body).findings) == {"deletes-all-rows"}


def test_a_name_that_sqlalchemy_would_refuse_is_found_by_its_rule(tmp_path: Path) -> None:
    name = "ix_" + "a" * 70
    found = reviewed(tmp_path, f'op.create_index("{name}", "orders", ["id"])')

    assert rules(found.findings) == {"identifier-too-long", "index-not-concurrent"}


def test_tables_that_are_reflected(tmp_path: Path) -> None:
    first = """
    op.create_table("users", sa.Column("id", sa.Integer(), primary_key=True))
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("user_id", sa.Integer(), sa.ForeignKey("users.id"), nullable=False),
        sa.Column("total", sa.Integer()),
    )
    """
    second = """
    orders = sa.Table("orders", sa.MetaData(), autoload_with=op.get_bind())
    op.execute(orders.update().values(total=orders.c.user_id))
    """
    assert rules(reviewed(tmp_path, first, second).findings) == {"updates-all-rows"}


def test_a_revision_that_is_no_python(tmp_path: Path) -> None:
    (path,) = write_revisions(tmp_path, "def (")
    assert path.exists()
    assert rules(reviewed(tmp_path, "def (").findings) == {"unseen"}
