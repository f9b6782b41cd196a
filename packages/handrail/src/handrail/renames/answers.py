"""What the developer says about possible renames: with `-x rename=old:new`, or when asked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from shlex import quote
from typing import TYPE_CHECKING

from handrail.catalog.objects import Catalog, Kind
from handrail.errors import HandrailError
from handrail.renames.rename import Rename

if TYPE_CHECKING:
    from collections.abc import Callable

PART = r'"(?:[^"]|"")*"|[^".:]*'
SPLIT = re.compile(rf"({PART})(?:\.|$)")


@dataclass(frozen=True)
class Answer:
    """One `-x rename=…`.

    Attributes:
        said: The text as it was written.
        old: What was there, as parts: `schema.table`, `table.column`, `enum.value`, each with the schema or without.
        new: The new name; None where it is no rename at all (`old:`).
    """

    said: str
    old: tuple[str, ...]
    new: str | None

    @classmethod
    def of(cls, said: str) -> Answer:
        """Read an answer; names with dots or colons are put into double quotes.

        Raises:
            HandrailError: It is not `old:new`.
        """
        found = re.fullmatch(rf"((?:{PART})(?:\.(?:{PART}))*):({PART})", said)
        if found is None or not found[1]:
            raise HandrailError(
                f"-x rename={said} cannot be read. It must be old:new, for instance -x rename=orders.total:amount for "
                "a column, rename=orders:purchases for a table, rename=status.open:opened for a value of an enum, or "
                "rename=orders.total: for one that is really dropped. Names with dots or colons need double quotes."
            )
        parts = [_plain(part) for part in re.findall(rf"(?:^|\.)({PART})", found[1])]
        return cls(said, tuple(parts), _plain(found[2]) or None)

    def means(self, rename: Rename) -> bool:
        """Whether it is about this object."""
        name = rename.name
        full = tuple(part for part in (name.schema, name.table, name.name, rename.value) if part)
        return full[-len(self.old) :] == self.old


def _plain(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part


def resolve(
    candidates: Sequence[Rename],
    answers: Sequence[Answer],
    ask: Callable[[str], bool] | None,
    command: str = 'alembic {}revision --autogenerate -m "…"',
) -> list[Rename]:
    """Return those candidates that are renames.

    Args:
        candidates: What looks like one.
        answers: From the command line.
        ask: Asks a person a question; None where there is nobody.
        command: The command to print, with a place for more options.

    Raises:
        HandrailError: Nobody says what a candidate is; both commands stand in the message.
    """
    chosen: list[Rename] = []
    unclear: list[Rename] = []
    for rename in candidates:
        answer = next((answer for answer in answers if answer.means(rename)), None)
        if answer is None and ask is not None:
            if ask(question(rename)):
                chosen.append(rename)
        elif answer is None:
            unclear.append(rename)
        elif answer.new is not None:
            chosen.append(Rename(rename.name, answer.new, rename.value))
    if unclear:
        yes, no = ("".join(f"-x {option(rename, really)} " for rename in unclear) for really in (True, False))
        given = "".join(f"-x {quote(f'rename={answer.said}')} " for answer in answers)
        raise HandrailError(
            "nothing was written, because it is unclear what happens to your data: "
            f"{'; '.join(map(statement, unclear))}. If it is a rename, and the data stays:\n"
            f"    {command.format(given + yes)}\n"
            f"  If the old one is to be dropped with its data:\n    {command.format(given + no)}"
        )
    return chosen


def explicit(candidates: Sequence[Rename], answers: Sequence[Answer], before: Catalog, after: Catalog) -> list[Rename]:
    """Return what the answers name, likely or not, and of the candidates what does not contradict that."""
    named = _named(answers, before, after)
    old = {(rename.name, rename.value) for rename in named}
    new = {(rename.name._replace(name=""), rename.new) for rename in named}
    return named + [
        r for r in candidates if (r.name, r.value) not in old and (r.name._replace(name=""), r.new) not in new
    ]


def _named(answers: Sequence[Answer], before: Catalog, after: Catalog) -> list[Rename]:
    """Return the renames that the answers name: of what goes to what comes, and over names that stay (`a:b`, `b:c`)."""
    told = [
        Rename(rename.name, answer.new, rename.value)
        for rename in everything(before)
        for answer in answers
        if answer.new is not None and answer.means(rename)
    ]
    while True:
        freed = {(rename.name, rename.value) for rename in told}
        filled = {(undone.name, undone.value) for undone in (rename.reversed() for rename in told)}
        kept = [
            rename
            for rename in told
            if _there(after, undone := rename.reversed())
            and (not _there(before, undone) or (undone.name, undone.value) in freed)
            and (not _there(after, rename) or (rename.name, rename.value) in filled)
        ]
        if kept == told:
            return told
        told = kept


def _there(catalog: Catalog, rename: Rename) -> bool:
    """Whether a catalog has what is renamed."""
    attributes = catalog.objects.get(rename.name)
    return attributes is not None and (rename.value is None or rename.value in attributes["values"])


def carried(answers: Sequence[Answer], tables: Sequence[Rename]) -> list[Answer]:
    """Return the answers about columns with the new names of their tables, by which they are known from then on."""
    new = {rename.name.name: rename.new for rename in tables}
    return [
        replace(answer, old=(*answer.old[:-2], new[answer.old[-2]], answer.old[-1]))
        if len(answer.old) > 1 and answer.old[-2] in new
        else answer
        for answer in answers
    ]


Sides = tuple[Catalog, Catalog]


def refuse_unknown(answers: Sequence[Answer], first: Sides, last: Sides, chosen: Sequence[Rename]) -> None:
    """Refuse answers about something that does not go, or to a name that does not come.

    Args:
        answers: With the names that tables have in the end.
        first: Both sides before any rename.
        last: Both sides after all renames.
        chosen: The renames.

    Raises:
        HandrailError: There is such an answer; the message lists what there is.
    """
    gone = going(*first) + going(*last)
    for answer in answers:
        dropped = answer.new is None and any(answer.means(rename) for rename in gone)
        if dropped or any(answer.means(rename) for rename in chosen):
            continue
        there = sorted({f"{_spelled(rename)}:{_spelled_part(rename.new)}" for rename in possible(*first)})
        raise HandrailError(
            f"nothing was written: -x rename={answer.said} matches nothing that went and came in the models. "
            + (f"Possible would be: {', '.join(there[:20])}." if there else "Nothing went and came there.")
        )


def everything(catalog: Catalog) -> list[Rename]:
    """Return all tables, columns and values of enums, each as a rename to nothing."""
    found = [Rename(name, "") for name, _ in catalog.of_kind(Kind.TABLE, Kind.COLUMN)]
    return found + [
        Rename(name, "", value) for name, attributes in catalog.of_kind(Kind.ENUM) for value in attributes["values"]
    ]


def going(before: Catalog, after: Catalog) -> list[Rename]:
    """Return what is there before and not after."""
    return [rename for rename in everything(before) if not _there(after, rename)]


def possible(before: Catalog, after: Catalog) -> list[Rename]:
    """Return every pair of what went and what came that could be renamed at all, likely or not."""
    found: list[Rename] = []
    for kind in (Kind.TABLE, Kind.COLUMN):
        gone = [name for name, _ in before.of_kind(kind) if name not in after.objects]
        came = [name for name, _ in after.of_kind(kind) if name not in before.objects]
        found += [Rename(a, b.name) for a in gone for b in came if (a.schema, a.table) == (b.schema, b.table)]
    for name, attributes in before.of_kind(Kind.ENUM):
        old, new = attributes["values"], after.objects.get(name, {}).get("values", [])
        found += [Rename(name, b, a) for a in old if a not in new for b in new if b not in old]
    return found


def statement(rename: Rename) -> str:
    """Return what looks like a rename, in words."""
    if rename.value is not None:
        return f'the value {rename.value!r} of the enum "{rename.name.name}" went, and {rename.new!r} came in its place'
    where = f' of "{rename.name.table}"' if rename.name.table else ""
    return f'the {rename.name.kind} "{rename.name.name}"{where} went, and "{rename.new}" came, which looks like it'


def question(rename: Rename) -> str:
    """Return the question of a rename."""
    lost = "its rows" if rename.name.kind is Kind.TABLE else "its values"
    return f"{statement(rename)[0].upper()}{statement(rename)[1:]}. Was it renamed? (No: it is dropped with {lost})"


def option(rename: Rename, really: bool) -> str:
    """Return the argument of `-x` that says what it is, for a shell."""
    text = f"rename={_spelled(rename)}:{_spelled_part(rename.new) if really else ''}"
    return quote(text)


def _spelled(rename: Rename) -> str:
    parts = [rename.name.table, rename.name.name, rename.value]
    return ".".join(_spelled_part(part) for part in parts if part)


def _spelled_part(part: str) -> str:
    return part if re.fullmatch(r"[^\".:]+", part) else '"' + part.replace('"', '""') + '"'
