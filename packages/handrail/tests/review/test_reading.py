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


def test_a_helper_that_is_imported_from_its_package(tmp_path: Path) -> None:
    package = tmp_path / "shop/migrations"
    (package / "tools").mkdir(parents=True)
    (tmp_path / "shop/__init__.py").write_text("import nobody_has_this\n1 / 0\n", encoding="utf-8")
    (package / "helpers.py").write_text(
        "from alembic import op\n\ndef remove(table):\n    op.drop_table(table)\n", encoding="utf-8"
    )
    (package / "tools/__init__.py").write_text("from shop.migrations import helpers\n", encoding="utf-8")
    outside = "from shop.migrations import helpers, tools\nfrom shop.migrations.models import Issue"
    body = 'helpers.remove("orders")\ntools.helpers.remove("carts")\nop.drop_table(Issue.__tablename__)'
    found = reviewed(package, body, outside=outside)

    assert [finding.object for finding in found.findings if finding.rule == "drops-table"] == [
        "public.orders",
        "public.carts",
        "public.issue_tablename",
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


READ = {
    "models that are described with annotations": (
        """
        from typing import Annotated
        from sqlalchemy import orm

        key = Annotated[int, orm.mapped_column(primary_key=True)]

        class Base(orm.DeclarativeBase):
            pass

        class Order(Base):
            __tablename__ = "orders"
            id: orm.Mapped[key]
            note: orm.Mapped[str]
        """,
        "with orm.Session(op.get_bind()) as session:\n    session.execute(sa.update(Order).values(note=''))",
        {"updates-all-rows"},
    ),
    "a part of SQLAlchemy that others have imported": (
        "",
        "session = sa.orm.Session(bind=op.get_bind())\nsession.execute(text('DELETE FROM orders'))",
        {"deletes-all-rows"},
    ),
    "an enum and a text of constants that are not here": (
        "from nobody import constants, types",
        """
        kind = sa.Enum(constants.Kind.NEW, constants.Kind.OLD, name="kind")
        kind.create(op.get_bind())
        op.add_column("orders", sa.Column("kind", kind))
        op.add_column("orders", sa.Column("code", sa.String(constants.CODE_LENGTH)))
        op.add_column("orders", sa.Column("state", types.State(), server_default=constants.State.NEW))
        op.create_table("bills", sa.Column("id", types.Number.impl), sa.Column("at", constants.now().replace(day=1)))
        op.drop_table("carts")
        """,
        {"drops-table"},
    ),
    "a count of nothing": (
        "",
        """
        before = op.get_bind().scalar(text("SELECT count(*) FROM orders WHERE note IS NULL"))
        least, there = op.get_bind().execute(text("SELECT min(id), EXISTS (SELECT FROM orders)")).one()
        if not there and before < 1 and least is None:
            op.drop_column("orders", "note")
        """,
        {"drops-column"},
    ),
    "a driver's placeholders": (
        "",
        """
        op.get_bind().execute("UPDATE orders SET note = coalesce(code, %s), share = '5 %%'", ("",))
        op.get_bind().exec_driver_sql("DELETE FROM carts WHERE id <> id %% 5 OR note = %(note)s", {"note": ""})
        op.get_bind().exec_driver_sql("UPDATE carts SET note = to_char(at, '%s')")
        """,
        {"updates-all-rows", "deletes-many-rows"},
    ),
    "a table that is dropped if it is there": (
        "",
        """
        op.create_table("orders", sa.Column("id", sa.Integer()))
        op.get_bind().commit()
        sa.Table("orders", sa.MetaData()).drop(op.get_bind(), checkfirst=True)
        sa.Table("carts", sa.MetaData()).drop(op.get_bind(), checkfirst=True)
        """,
        {"drops-table"},
    ),
    "a function that waits": (
        "async def empty(connection):\n    await connection.execute(text('DELETE FROM orders'))",
        "op.run_async(empty)",
        {"deletes-all-rows"},
    ),
    "a question for the database whose answer is not here": (
        "from nobody.database import is_mysql, is_postgresql, settings",
        """
        if is_mysql(op.get_bind()) or settings.USE_SQLITE:
            op.drop_table("orders")
        elif is_postgresql(op.get_bind()):
            op.drop_column("orders", "note")
        """,
        {"drops-column"},
    ),
    "a branch for another database that leaves a name without a value": (
        "",
        """
        if op.get_bind().dialect.name == "mysql":
            name = "PRIMARY"
        else:
            raise NotImplementedError
        op.drop_constraint(name, "orders")
        """,
        set(),
    ),
}


@pytest.mark.parametrize("what", READ)
def test_it_is_read(tmp_path: Path, what: str) -> None:
    outside, body, expected = READ[what]

    assert rules(reviewed(tmp_path, body, outside=outside).findings) == expected


def test_the_line_of_what_is_sent_by_a_function_that_waits(tmp_path: Path) -> None:
    outside, body, _ = READ["a function that waits"]
    (finding,) = reviewed(tmp_path, body, outside=outside).findings
    lines = Path(finding.file).read_text(encoding="utf-8").splitlines()

    assert "DELETE FROM orders" in lines[finding.line - 1]


def test_a_statement_made_of_what_is_not_here_is_told(tmp_path: Path) -> None:
    body = "op.get_bind().execute(tables.orders.delete())"
    (finding,) = reviewed(tmp_path, body, outside="from nobody import tables").findings

    assert "nobody.tables.orders.delete() is of a package that is not installed here" in finding.what


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
