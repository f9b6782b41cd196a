"""A table or column whose source was only not imported is never proposed for dropping, however well it hides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent

import pytest

from handrail.catalog.objects import Kind, Name
from handrail.config import load_project
from handrail.discovery import import_models
from handrail.errors import DiscoveryError
from handrail.forgotten import refuse_forgotten_models
from small_project import ORDERS, SmallProject

GUESTS = """\
from sqlalchemy.orm import Mapped, mapped_column

from shop.base import Base


class Guest(Base):
    __tablename__ = "guests"

    id: Mapped[int] = mapped_column(primary_key=True)
"""
IMPORTS, CLASS = GUESTS[: GUESTS.index("class")], GUESTS[GUESTS.index("class") :]
COLUMN = "    id: Mapped[int] = mapped_column(primary_key=True)\n"
OTHER_BASE = """\
from sqlalchemy import Column, Integer, MetaData, String, Table
from sqlalchemy.orm import DeclarativeBase, Mapped, declarative_base, declared_attr, mapped_column, registry

"""


@pytest.fixture
def shop(new_project: Callable[..., SmallProject], empty_database: str) -> SmallProject:
    """A project whose revisions create a table that a model in `shop/guests.py` maps."""
    project = new_project().use(empty_database)
    project.write("shop/models.py", ORDERS)
    project.write("shop/guests.py", GUESTS)
    project.succeeds("revision", "--autogenerate", "-m", "all")
    return project


def test_revision_and_check_name_the_file_and_write_nothing(shop: SmallProject) -> None:
    (shop.root / "shop/guests.py").rename(shop.root / "shop/guests_test.py")

    for command in (["revision", "--autogenerate", "-m", "next"], ["check"]):
        message = shop.refuses(*command)
        assert 'the table "guests" would be dropped, but shop/guests_test.py:7 still maps it' in message
        assert "the file looks like a test" in message
    assert len(shop.revisions()) == 1


def test_a_class_that_is_really_gone_is_dropped(shop: SmallProject) -> None:
    """A virtual environment is not searched for it, nor are the revisions, which name the table, too."""
    (shop.root / "shop/guests.py").unlink()
    shop.write(".venv/lib/python3.11/site-packages/other/models.py", GUESTS)
    shop.write("build/lib/shop/guests.py", GUESTS)

    shop.succeeds("revision", "--autogenerate", "-m", "no guests")

    assert 'op.drop_table("guests"' in shop.revisions()[-1]


def test_a_column_that_only_type_checkers_see_is_not_dropped(shop: SmallProject) -> None:
    shop.write(
        "shop/models.py",
        ORDERS.replace("    name: Mapped", "    if TYPE_CHECKING:\n        name: Mapped").replace(
            "from sqlalchemy import", "from typing import TYPE_CHECKING\n\nfrom sqlalchemy import", 1
        ),
    )

    message = shop.refuses("revision", "--autogenerate", "-m", "next")

    assert 'the column "name" of "customers" would be dropped, but shop/models.py:14 still maps it' in message
    assert len(shop.revisions()) == 1


# What follows needs no database: the source is read, and what Python has imported is looked at.


@dataclass
class Sources:
    """A project of source files, some of which are imported."""

    root: Path

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text), encoding="utf-8")

    def refusal(self, *dropped: Name) -> str | None:
        """Return the message with which dropping is refused after all models were imported; None when it is not."""
        project = load_project(self.root)
        import_models(project)
        try:
            refuse_forgotten_models(project, dropped or [Name(Kind.TABLE, "shop", "", "guests")])
        except DiscoveryError as error:
            return str(error)
        return None


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    """An empty project in the package `shop`."""
    found = Sources(tmp_path)
    found.write("pyproject.toml", '[tool.handrail]\nmetadata = "shop.base:Base"\nexclude = ["shop.left_out"]\n')
    found.write("shop/__init__.py", "")
    found.write(
        "shop/base.py",
        "from sqlalchemy import MetaData\nfrom sqlalchemy.orm import DeclarativeBase\n\n\n"
        'class Base(DeclarativeBase):\n    metadata = MetaData(schema="shop")\n',
    )
    return found


PLACES = {
    "a file that looks like a test": ("shop/ab_test.py", GUESTS, "looks like a test"),
    "a folder of tests": ("shop/tests/models.py", GUESTS, '"tests" is searched'),
    "a script": ("shop/scripts/models.py", GUESTS, '"scripts" is searched'),
    "a file that can be run": ("shop/guests.py", "#!/usr/bin/env python\n" + GUESTS, "begins with #!"),
    "an excluded file": ("shop/left_out.py", GUESTS, 'exclude = ["shop.left_out"]'),
    "an excluded folder without __init__": ("shop/left_out/deep/models.py", GUESTS, 'exclude = ["shop.left_out"]'),
    "a folder that is no package": ("shop/old-models/models.py", GUESTS, '"old-models" is no name'),
    "another package": ("other/models.py", GUESTS, "outside of the package shop"),
    "type checking": (
        "shop/guests.py",
        "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n" + indent(GUESTS, "    "),
        "under `if TYPE_CHECKING:`",
    ),
    "a failing import": (
        "shop/guests.py",
        "try:\n    import does_not_exist\n\n" + indent(GUESTS, "    ") + "except ImportError:\n    pass\n",
        "in a `try:`",
    ),
    "an else": ("shop/guests.py", "if True:\n    pass\nelse:\n" + indent(GUESTS, "    "), "`else:`"),
    "a function": ("shop/guests.py", "def make():\n" + indent(GUESTS, "    "), "inside the function make()"),
    "a base of its own": (
        "shop/guests.py",
        OTHER_BASE + "class Base(DeclarativeBase): ...\n\n\n" + CLASS,
        "another MetaData",
    ),
    "an aliased base": (
        "shop/guests.py",
        OTHER_BASE + "Base2 = declarative_base()\n" + CLASS.replace("Base", "Base2"),
        "another MetaData",
    ),
    "a base from a factory": (
        "shop/guests.py",
        OTHER_BASE
        + "def make_base():\n    return registry().generate_base()\n\n\nModel = make_base()\n"
        + CLASS.replace("Base", "Model"),
        "another MetaData",
    ),
    "no base": ("shop/guests.py", IMPORTS + CLASS.replace("(Base)", ""), "none of its bases"),
    "a core table": (
        "shop/guests.py",
        OTHER_BASE + "guests = Table('guests', MetaData(), Column('id', Integer))\n",
        "another MetaData",
    ),
    "an imperative mapping": (
        "shop/guests.py",
        OTHER_BASE + "class Guest: ...\n\n\nmapper = registry()\n"
        "guests = Table('guests', mapper.metadata, Column('id', Integer, primary_key=True))\n"
        "mapper.map_imperatively(Guest, guests)\n",
        "another MetaData",
    ),
    "an imported twice base": (
        "shop/guests.py",
        "import sys\nsys.path.insert(0, __file__.rpartition('/shop/')[0].rpartition('/')[0])\n"
        "import importlib\nBase = importlib.import_module(__file__.split('/')[-3] + '.shop.base').Base\n"
        + GUESTS.replace("from shop.base import Base\n", ""),
        "is imported twice",
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_the_place_is_named_with_the_reason(sources: Sources, place: str) -> None:
    path, text, reason = PLACES[place]
    sources.write(path, text)

    message = sources.refusal() or "nothing"

    line = next(n for n, said in enumerate(text.splitlines(), 1) if "tablename" in said or "Table('guests'" in said)
    assert f'the table "guests" would be dropped, but {path}:{line} still maps it' in message
    assert reason in message


# Ways to say a table's name, in a file that is left out.
SPELLINGS = {
    "an annotated name": '__tablename__: str = "guests"',
    "an f-string": '__tablename__ = f"{PREFIX}sts"',
    "a sum": '__tablename__ = "gue" + "sts"',
    "a constant": "__tablename__ = GUESTS",
    "a constant of another file": "__tablename__ = names.FOREIGN_GUESTS",
    "a member of an enum": "__tablename__ = names.Tables.visitors.value",
    "a declared_attr": "@declared_attr\n    def __tablename__(cls):\n        return cls.__name__.lower() + 's'",
    "a declared_attr of a lambda": "__tablename__ = declared_attr(lambda cls: f'{cls.__name__.lower()}s')",
    "a declared_attr with a variable": (
        "@declared_attr.directive\n    def __tablename__(cls) -> str:\n        name = cls.__name__\n"
        "        return name.lower() + 's'"
    ),
    "a name made by a function": "@declared_attr\n    def __tablename__(cls):\n        return plural(cls.__name__)",
    "a list of options": '__table_args__ = (Index("a", "id"), {"schema": "shop"})\n    __tablename__ = "guests"',
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("where", ["itself", "mixin", "abstract base"])
def test_a_name_is_understood_however_it_is_said(sources: Sources, spelling: str, where: str) -> None:
    statement = SPELLINGS[spelling]
    own = where == "itself"
    sources.write("shop/names.py", 'FOREIGN_GUESTS = "guests"\nclass Tables: visitors = "guests"\n')
    sources.write(
        "shop/mixins.py" if not own else "shop/nothing.py",
        f"from x import *\nPREFIX = 'gue'\nGUESTS = 'guests'\nclass Mixin:\n    {statement}\n" if not own else "",
    )
    sources.write("pyproject.toml", '[tool.handrail]\nmetadata = "shop.base:Base"\nexclude = ["shop.mixins"]\n')
    head = "from shop.mixins import Mixin as M\n" if where == "mixin" else ""
    middle = "class Abstract(Mixin): __abstract__ = True\n" if where == "abstract base" else ""
    bases = {"itself": "Base", "mixin": "M, Base", "abstract base": "Abstract"}[where]
    sources.write(
        "shop/tests/models.py",
        f"{head}PREFIX = 'gue'\nGUESTS = 'guests'\n{middle}class Guest({bases}):\n"
        + (f"    {statement}\n" if own else "")
        + COLUMN,
    )

    message = sources.refusal() or "nothing"

    assert "shop/tests/models.py:" in message


DECLARATIONS = {
    "SQLModel's name": ("guest", "class Guest(SQLModel, table=True):\n    id: int | None = Field(primary_key=True)\n"),
    "a library's convention": ("guest_book", "class GuestBook(db.Model):\n    id = db.Column(db.Integer)\n"),
    "a library's plural": ("companies", "class Company(Model):\n" + COLUMN),
    "a constant": ("guests", "NAME = 'guests'\nt = Table(NAME, metadata, Column('id', Integer))\n"),
    "an aliased Table": ("guests", "from sqlalchemy import Table as T\nt = T('guests', metadata)\n"),
    "a qualified Table": ("guests", "import sqlalchemy as sa\nt = sa.Table('guests', sa.MetaData())\n"),
    "keywords": ("guests", "t = Table(name='guests', metadata=m)\n"),
    "several lines": ("guests", "t = Table(\n    'guests',\n    metadata,\n)\n"),
    "a quoted name": ("Guests", "t = Table(quoted_name('Guests', True), metadata)\n"),
    "a table in a class": ("guests", "class Guest(Base):\n    __table__ = Table('guests', Base.metadata)\n"),
    "a class made by type()": ("guests", "Guest = type('Guest', (Base,), {'__tablename__': 'guests', 'id': c()})\n"),
    "a decorated function": ("guests", "@cached\nasync def make():\n    return Table('guests', metadata)\n"),
    "a file in Latin-1": ("guests", "# -*- coding: latin-1 -*-\nt = Table('guests', metadata)\n"),
}


@pytest.mark.parametrize("declaration", DECLARATIONS)
def test_a_declaration_is_found_whatever_it_looks_like(sources: Sources, declaration: str) -> None:
    table, text = DECLARATIONS[declaration]
    sources.write("shop/tests/models.py", text)

    assert "shop/tests/models.py:" in (sources.refusal(Name(Kind.TABLE, "shop", "", table)) or "nothing")


INNOCENT = {
    "a comment": '# __tablename__ = "guests"\nTable = 1\n',
    "a docstring": '"""Table("guests", metadata) and __tablename__ = "guests" """\n',
    "SQL": 'TABLE = 1\nSQL = "CREATE TABLE guests (id int)"  # Table\n',
    "another table": '__tablename__ = "guests_of_honour"\nclass A(Base):\n    __tablename__ = "guests_of_honour"\n',
    "another schema": "class Guest(Base):\n    __tablename__ = 'guests'\n    __table_args__ = {'schema': 'crm'}\n",
    "a table of another schema": "t = Table('guests', metadata, schema='crm')\n",
    "a table on the terminal": 'from rich.table import Table\nTable("guests", "since")\nTable("guests")\n',
    "a table that is only read": "Table('guests', MetaData(), autoload_with=engine)\n",
    "a schema of pydantic": "class Guests(BaseModel):\n    Mapped: int\n",
    "a name that says nothing": "class Guest(Base):\n    __tablename__ = f'{a}{b}s'\n",
    "a revision elsewhere": 'revision = "1"\ndown_revision = None\nt = sa.Table("guests", sa.MetaData())\n',
    "no Python": "Table('guests', metadata) because\n",
    "zeros": "Table('guests', metadata)\0\n",
    "constants in a circle": "A = B + ''\nB = A + ''\nclass Guest(Base):\n    __tablename__ = A\n",
    "a class that inherits from itself": "class Guest(Guest):\n    x = Column()\n    __tablename__ = 'other'\n",
}


@pytest.mark.parametrize("what", INNOCENT)
def test_what_only_reads_like_it_does_not_stop_a_drop(sources: Sources, what: str) -> None:
    sources.write("shop/tests/models.py", INNOCENT[what])

    assert sources.refusal() is None


def test_a_model_that_has_moved_to_another_schema_is_not_forgotten(sources: Sources) -> None:
    """The source cannot tell: the schema is the base's. What Python has imported can."""
    sources.write("shop/guests.py", GUESTS)

    assert sources.refusal(Name(Kind.TABLE, "elsewhere", "", "guests")) is None


def test_a_column_of_a_base_that_only_type_checkers_see_is_not_dropped(sources: Sources) -> None:
    sources.write("shop/mixins.py", IMPORTS + "class Audit:\n    note: Mapped[str] = mapped_column()\n")
    sources.write(
        "shop/guests.py",
        "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from shop.mixins import Audit\nelse:\n"
        "    class Audit: ...\n\n" + IMPORTS + CLASS.replace("(Base)", "(Audit, Base)"),
    )

    message = sources.refusal(Name(Kind.COLUMN, "shop", "guests", "note")) or "nothing"

    assert 'the column "note" of "guests" would be dropped, but shop/mixins.py:7 still maps it' in message


@pytest.mark.parametrize(
    "attribute",
    [
        'note: Mapped[str] = mapped_column("remark")',
        'note: "str"',
        "note = None",
        "# note: Mapped[str] = mapped_column()",
        "if TYPE_CHECKING:\n        note: str",
    ],
)
def test_a_column_that_is_really_gone_is_dropped(sources: Sources, attribute: str) -> None:
    """Also when an attribute of its name is there for something else."""
    head = "from typing import TYPE_CHECKING\n"
    sources.write("shop/guests.py", head + GUESTS + f"    __allow_unmapped__ = True\n    {attribute}\n")

    assert sources.refusal(Name(Kind.COLUMN, "shop", "guests", "note")) is None
