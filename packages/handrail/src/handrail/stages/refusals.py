"""Changes for which there is no safe form to write: each with what happens, and what to do instead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from handrail.catalog.difference import Difference
from handrail.catalog.objects import Kind, Name
from handrail.errors import HandrailError
from handrail.type_changes import rewrites


def refuse(found: Sequence[tuple[str, str]]) -> None:
    """Refuse to write anything, with all reasons in one message.

    Args:
        found: For each change the rule that stands against it, and the text that tells why.

    Raises:
        HandrailError: There is at least one.
    """
    if not found:
        return
    rules = sorted({rule for rule, _ in found})
    texts = "\n".join(f"  {text}" for _, text in found)
    raise HandrailError(
        f"nothing was written, because there is no way to do this without stopping the service:\n{texts}\n"
        "  If the table is small enough for that, say so in pyproject.toml, and the plain form is written:  "
        "[tool.handrail.plain]  " + "  ".join(f'{rule} = "<your reason>"' for rule in rules)
    )


def missing_default(name: Name) -> tuple[str, str]:
    """Refuse a new NOT NULL column without a value for the rows that are there."""
    return "not-null-without-default", (
        f'the new column "{name.name}" of "{name.table}" is NOT NULL and has no default in the database, so adding it '
        "fails as soon as there is a row, and the running code, which does not know it, could insert none. Either give "
        'it a server_default (a default in Python is not enough): mapped_column(server_default="…"). Or make it '
        "nullable, migrate, fill it, and make it NOT NULL later. Or put it into a table of its own."
    )


def rewritten_column(name: Name, what: str) -> tuple[str, str]:
    """Refuse a new column for which PostgreSQL writes the whole table anew."""
    return rewriting(
        f'the new column "{name.name}" of "{name.table}" is {what}, for which PostgreSQL writes the whole table anew '
        "while nobody can read it. Add a plain nullable column, let the service (or a trigger) fill it for new rows, "
        "fill the old ones in batches, and make it what you want afterwards; or put it into a table of its own."
    )


def rewritten_type(difference: Difference) -> tuple[str, str]:
    """Refuse a change of type that rewrites the table, with the recipe that does not."""
    name, (before, after) = difference.name, difference.changes["type"]
    new = f"{name.name}_new"
    fill = f'UPDATE … SET "{new}" = "{name.name}" WHERE "{new}" IS NULL AND …'  # noqa: S608 - for people to read
    return rewriting(
        f'changing "{name.name}" of "{name.table}" from {before} to {after} writes the whole table anew while nobody '
        "can read it, and what does not fit makes it fail. Expand and contract: "
        f'(1) add "{new}" with the new type, nullable, and let the service write both; '
        f"(2) fill it for the old rows, in batches: {fill}; "
        f'(3) let the service read "{new}"; (4) drop "{name.name}" a release later.'
    )


def rewritten_enum(name: Name, before: Sequence[str], after: Sequence[str]) -> tuple[str, str]:
    """Refuse to take values out of an enum, or to sort them anew."""
    gone = [value for value in before if value not in after]
    what = f"taking {', '.join(map(repr, gone))} out of" if gone else "sorting the values of"
    return "enum-rebuild", (
        f'{what} the enum "{name.name}" needs a new type and writes every table that uses it anew; it fails where a '
        "row still has such a value. Leave the old values in the type and stop using them, or use a text column with "
        "a CHECK."
    )


def rewriting(text: str) -> tuple[str, str]:
    """Refuse what writes a table anew."""
    return "table-rewrite", text


def altered_table(difference: Difference) -> Iterator[tuple[str, str]]:
    """Refuse what cannot be changed of a table that is there."""
    name, changes = difference.name, difference.changes
    if {"partition_by", "inherits", "type"} & set(changes):
        yield rewriting(
            f'"{name.name}" cannot be turned into a partitioned or inheriting table, or back. Create a table with '
            "another name, copy the rows in batches, and exchange the names."
        )
    if "unlogged" in changes:
        yield rewriting(
            f'making "{name.name}" logged or unlogged writes it anew while nobody can read it (and what is unlogged '
            "is empty after a crash)."
        )


def altered_column(difference: Difference) -> Iterator[tuple[str, str]]:
    """Refuse what writes the table anew when a column changes."""
    name, changes = difference.name, difference.changes
    if "type" in changes and rewrites(*changes["type"]):
        yield rewritten_type(difference)
    elif "collation" in changes:
        yield rewriting(
            f'another collation of "{name.name}" of "{name.table}" builds each of its indexes anew while nobody can '
            "read the table."
        )
    _, computed = changes.get("generated", (None, None))
    if computed is not None and computed.get("stored"):
        yield rewritten_column(name, "computed and stored with another expression")


def altered_enum(difference: Difference) -> Iterator[tuple[str, str]]:
    """Refuse what an enum cannot do in place."""
    before, after = difference.changes.get("values", ((), ()))
    if difference.name.kind is Kind.ENUM and not only_adds(before, after):
        yield rewritten_enum(difference.name, before, after)


def only_adds(before: Sequence[str], after: Sequence[str]) -> bool:
    """Whether all old values are still there, in their order."""
    return [value for value in after if value in set(before)] == list(before)
