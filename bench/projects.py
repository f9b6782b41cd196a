"""Two projects with the same models: one as Alembic's async template and its tutorials make it, one with handrail."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path

from bench.measure import BenchError, Command, run

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = "shop"
MODULES = 10  # files over which the models are spread

BASE = f'''
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    metadata = MetaData(schema="{SCHEMA}")
'''

MODEL_IMPORTS = """
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import DateTime, ForeignKey, Identity, Numeric, String, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from shop.base import Base
"""

# Eight columns, a primary key, a foreign key and three more indexes, one of them unique.
MODEL = """

class Table{number}(Base):
    __tablename__ = "table_{number}"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("{schema}.table_{parent}.id"), index=True)
    email: Mapped[str] = mapped_column(String(254), index=True, unique=True)
    name: Mapped[str] = mapped_column(String(100), index=True)
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2), server_default=text("0"))
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    data: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{{}}'::jsonb"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
"""

# `current`, `history`, `heads` and `upgrade` at head read the file, and never ask what is in it.
REVISION = '''"""initial"""

revision: str = "0001"
down_revision: str | None = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
'''

CREATING_REVISION = """
from pathlib import Path

from alembic import op

revision: str = "0001"
down_revision: str | None = None


def upgrade() -> None:
    for statement in Path(__file__).parents[1].joinpath("tables.sql").read_text(encoding="utf-8").split(";;"):
        op.execute(statement)


def downgrade() -> None:
    pass
"""

# Prints the DDL of all models.
PRINT_DDL = """
from shop.models import Base
from sqlalchemy import create_mock_engine

statements = []
engine = create_mock_engine(
    "postgresql+asyncpg://", lambda element, *_, **__: statements.append(str(element.compile(dialect=engine.dialect)))
)
Base.metadata.create_all(engine, checkfirst=False)
print(";;".join(statements))
"""

PYPROJECT = """
[tool.handrail]
metadata = "shop.base:Base"
"""


@dataclass(frozen=True)
class AlembicProject:
    """A folder in which `alembic …` works, with the variables that it needs."""

    folder: Path
    variables: dict[str, str]

    def alembic(self, arguments: Sequence[str]) -> Command:
        return self.python(["-m", "alembic", *arguments])

    def handrail(self, arguments: Sequence[str]) -> Command:
        return Command([str(Path(sys.executable).with_name("handrail")), *arguments], self.folder, self.variables)

    def python(self, arguments: Sequence[str]) -> Command:
        return Command([sys.executable, *arguments], self.folder, self.variables)


def stock_project(folder: Path, tables: int, database_url: str, *options: str) -> AlembicProject:
    """Let `alembic init -t async` make a project, and edit it as every tutorial says: models, URL, schema.

    Args:
        folder: Will be created.
        tables: How many models it gets.
        database_url: `postgresql://…`, as libpq takes it.
        options: More arguments for `context.configure`.
    """
    write_models(folder, tables)
    project = AlembicProject(folder, {})
    run(project.alembic(["init", "-t", "async", "alembic"]))
    driver_url = database_url.replace("postgresql://", "postgresql+asyncpg://", 1).replace("%", "%%")
    edit(folder / "alembic.ini", "driver://user:pass@localhost/dbname", driver_url)
    edit(
        folder / "alembic/env.py",
        "target_metadata = None",
        "from shop.models import Base\n\ntarget_metadata = Base.metadata",
    )
    edit(
        folder / "alembic/env.py",
        "connection=connection, target_metadata=target_metadata",
        "connection=connection, target_metadata=target_metadata, include_schemas=True, "
        + ", ".join([f'version_table_schema="{SCHEMA}"', *options]),
    )
    write(folder / "alembic/versions/0001_initial.py", REVISION)
    return project


def handrail_project(folder: Path, tables: int, database_url: str, scratch_url: str = "") -> AlembicProject:
    """Make the same project with this repository's `alembic.ini` and `alembic/`, in which nothing is edited."""
    write_models(folder, tables)
    write(folder / "pyproject.toml", PYPROJECT)
    write(folder / "alembic/versions/0001_initial.py", REVISION)
    for name in ("alembic.ini", "alembic/env.py", "alembic/script.py.mako"):
        shutil.copy(ROOT / name, folder / name)
    return AlembicProject(folder, {"DATABASE_URL": database_url, "HANDRAIL_SCRATCH_URL": scratch_url})


def write_tables_revision(project: AlembicProject) -> None:
    """Let the first revision create the tables of all models, whatever becomes of these later."""
    _, statements = run(project.python(["-c", PRINT_DDL]))
    write(project.folder / "alembic/tables.sql", statements)
    write(project.folder / "alembic/versions/0001_initial.py", CREATING_REVISION)


def write_chain(project: AlembicProject, length: int) -> None:
    """Put revisions that do nothing on top of the first, until there are as many."""
    for number in range(2, length + 1):
        revision = REVISION.replace('"0001"', f'"{number:04}"').replace("str | None = None", f'str = "{number - 1:04}"')
        write(project.folder / f"alembic/versions/{number:04}_nothing.py", revision)


@contextmanager
def add_column(project: AlembicProject, name: str) -> Iterator[None]:
    """Give one model one more column, for the time being."""
    path = project.folder / f"shop/models/part{MODULES // 2}.py"
    original = path.read_text(encoding="utf-8")
    column = f"    {name}: Mapped[str | None] = mapped_column(String(20))\n"
    try:
        write_module(path, original.replace("    name:", f"{column}    name:", 1))
        yield
    finally:
        write_module(path, original)


def write_module(path: Path, content: str) -> None:
    """Write a module anew: Python would take its compiled file for current if size and second were the same."""
    write(path, content)
    Path(cache_from_source(str(path))).unlink(missing_ok=True)


def write_models(folder: Path, tables: int) -> None:
    """Write the package `shop`, whose `shop.models` imports every model, as one must for the stock `env.py`."""
    write(folder / "shop/__init__.py", "")
    write(folder / "shop/base.py", BASE)
    names = [f"part{part}" for part in range(MODULES)]
    for part, name in enumerate(names):
        write(folder / f"shop/models/{name}.py", MODEL_IMPORTS + "".join(models(part, tables)))
    imports = [f"from shop.models import {name} as {name}" for name in names]
    write(folder / "shop/models/__init__.py", "\n".join(["from shop.base import Base as Base", *imports, ""]))


def models(part: int, tables: int) -> Iterator[str]:
    """Return the source of every tenth model; each has a foreign key to the model before it."""
    for number in range(part, tables, MODULES):
        yield MODEL.format(number=number, parent=max(number - 1, 0), schema=SCHEMA)


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def edit(path: Path, old: str, new: str) -> None:
    """Replace text that is in a file exactly once.

    Raises:
        BenchError: It is not, because this version of Alembic has another template.
    """
    content = path.read_text(encoding="utf-8")
    if content.count(old) != 1:
        raise BenchError(f"Alembic's async template has changed: {path.name} does not hold {old!r} once.")
    path.write_text(content.replace(old, new), encoding="utf-8")
