"""A value that is not known, because it is of a package that is not installed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import literal_column
from sqlalchemy.types import String, UserDefinedType

# Names of well-known types whose SQL is not the name itself.
SPELLED = {"autostring": "varchar", "guid": "uuid", "chartype": "varchar", "tsvectortype": "tsvector"}
# In the name of what asks on which database a revision runs.
DATABASES = re.compile("postgres|mysql|mariadb|sqlite|oracle|mssql", re.IGNORECASE)
# Attributes that are always a text, and never empty.
NAMES = {"__tablename__", "value", "name"}
OFTEN = 100  # how often such values count as true, so that a loop that waits for one comes to an end


class _Answering:
    truths = 0
    called: Callable[[str], None] | None = None


@contextmanager
def answering(*, truth: bool, called: Callable[[str], None] | None) -> Iterator[None]:
    """Let values count as true or false for a while, and tell who is called."""
    before = _Answering.truths, _Answering.called
    _Answering.truths, _Answering.called = OFTEN if truth else 0, called
    try:
        yield
    finally:
        _Answering.truths, _Answering.called = before


def absent(path: str) -> Any:
    """Return what stands for a name of a package that is not installed."""
    name = path.rpartition(".")[2]
    if name == "Session":
        from sqlalchemy.orm import Session  # which few revisions need, and takes long to import

        return Session
    if name.endswith(("Error", "Exception")):
        return type(name, (Exception,), {})
    return Absent(path)


class Absent(str):
    """Can be called, read, walked over, derived from and put into a text, and says nothing.

    It is a text, because names of tables and columns are what revisions most often take from elsewhere; the same value
    is always the same text.
    """

    path: str

    def __new__(cls, path: str) -> Absent:
        said = "_".join(re.findall(r"[a-z0-9]+", ".".join(path.split(".")[-2:]).lower()))
        value = super().__new__(cls, said or "absent")
        value.path = path
        return value

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if self.is_class:
            length = named.get("length", next(iter(arguments), None))
            return AbsentType(self.path.removesuffix("()").rpartition(".")[2], length)
        if _Answering.called is not None:
            _Answering.called(self.path)
        return Absent(f"{self.path}()")

    @property
    def is_class(self) -> bool:
        """Whether it is written like one; what a function returned may be one as well, as of the type of a column."""
        last = self.path.rpartition(".")[2]
        return last.endswith("()") or last == "impl" or last[:1].isupper()

    def __clause_element__(self) -> Any:
        return literal_column(str(self))

    # Of a text these are methods as well; of what a revision takes from elsewhere they are attributes of its own.
    @property
    def count(self) -> Any:
        return absent(f"{self.path}.count")

    @property
    def index(self) -> Any:
        return absent(f"{self.path}.index")

    @property
    def join(self) -> Any:
        return absent(f"{self.path}.join")

    @property
    def title(self) -> Any:
        return absent(f"{self.path}.title")

    def replace(self, *old_and_new: Any, **parts: Any) -> Any:
        return self if parts else str.replace(self, *old_and_new)  # a time is replaced by its parts

    def __getattr__(self, name: str) -> Any:
        if name == "_sqla_type" and self.is_class:
            return True  # a class is most often the type of a column
        if name in NAMES:
            return str(Absent(f"{self.path}.{name}"))
        if name.startswith("_"):
            raise AttributeError(name)
        return absent(f"{self.path}.{name}")

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        first = all(isinstance(base, Absent) for base in bases) and bases[0] is self
        return (AbsentBase,) if first else ()

    def __instancecheck__(self, _: object) -> bool:
        return False

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        # `if is_mysql(op.get_bind())` has one answer.
        database = DATABASES.search(self.path.rpartition(".")[2])
        if database is not None:
            return database[0].lower() == "postgres"
        _Answering.truths -= 1
        return _Answering.truths >= 0

    def __getitem__(self, key: Any) -> Any:
        return absent(f"{self.path}.item")

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing to leave."""

    def __int__(self) -> int:
        return 0

    def __float__(self) -> float:
        return 0.0

    def __index__(self) -> int:
        return 0

    def __add__(self, other: Any) -> Any:
        return str.__add__(self, other) if isinstance(other, str) else self

    def __sub__(self, _: Any) -> Any:
        return self

    def __invert__(self) -> Any:
        return self

    __rsub__ = __mul__ = __rmul__ = __truediv__ = __floordiv__ = __mod__ = __or__ = __and__ = __sub__

    def __radd__(self, other: Any) -> Any:
        return str.__add__(other, str(self)) if isinstance(other, str) else self

    def __lt__(self, _: object) -> bool:
        return False

    __gt__ = __le__ = __ge__ = __lt__


class AbsentError(Exception):
    """A statement is sent that is made of what is not here."""

    def __init__(self, statement: Absent) -> None:
        super().__init__(f"{statement.path} is of a package that is not installed here")


class AbsentBase:
    """What a class derives from that derives from nothing that is known."""


class AbsentType(UserDefinedType[Any]):
    """An object of a class that is not here; most often a column's type, so it is one."""

    cache_ok = True

    def __init__(self, name: str = "", length: Any = None) -> None:
        self.name = name.lower()
        self.length = length if isinstance(length, int) else None

    def __call__(self, *_: Any, **__: Any) -> AbsentType:
        return self

    def get_col_spec(self, **_: Any) -> str:
        name = SPELLED.get(self.name, f'"{self.name}"')
        return f"{name}({self.length})" if self.length and name == "varchar" else name

    def literal_processor(self, dialect: Any) -> Any:
        return String().literal_processor(dialect)  # type: ignore[no-untyped-call]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return absent(f"{type(self).__name__}.{name}")
