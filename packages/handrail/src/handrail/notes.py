"""The allow note: a line in a revision that lets one finding pass, with the reason why.

    # handrail: allow <rule> <object> — <reason>

And the mark, with which `revision --autogenerate` tells that a revision destroys something:

    # handrail: drops-column shop.orders.note
"""

from __future__ import annotations

import difflib
import io
import re
import tokenize
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from handrail.hint import rule_names

# What autogenerate marks, and what happens.
MARKED = {
    "drops-table": "drops the table {object} with all its rows",
    "drops-column": "drops the column {object} with all its values",
    "narrows-type": "gives {object} a type that some of its values may not fit",
}
PREFIX = re.compile(r"#\s*handrail\s*:\s*(?P<rest>.*)")
NOTE = re.compile(r"allow\s+(?P<rule>\S+)\s+(?P<object>.+?)\s*(?:—|--| - )\s*(?P<reason>\S.*)")
WITHOUT_REASON = re.compile(r"allow\s+(?P<rule>\S+)\s+(?P<object>.+?)\s*(?:—|--|-)?\s*")
MARK = re.compile(r"(?P<rule>drops-table|drops-column|narrows-type)\s+(?P<object>.+)")


@dataclass(frozen=True)
class AllowNote:
    """A finding that may pass.

    Attributes:
        rule: Which rule.
        object: On what.
        reason: Why.
        line: Where the note stands in its file.
    """

    rule: str
    object: str
    reason: str
    line: int


@dataclass(frozen=True)
class Mark:
    """Something that a revision destroys."""

    rule: str
    object: str
    line: int

    @property
    def note(self) -> str:
        """The note that allows it, but for the reason."""
        return f"# handrail: allow {self.rule} {self.object} — <why nobody needs it any more>"


@dataclass(frozen=True)
class NoteProblem:
    """A note that is none.

    Attributes:
        what: What is wrong, and what to write.
        line: Where it stands.
    """

    what: str
    line: int


Line = AllowNote | Mark | NoteProblem


def lines(source: str) -> list[Line]:
    """Return the notes and marks of a revision's source, in their order; nothing inside of strings is one."""
    found: list[Line] = []
    if "handrail" not in source:
        return found
    for number, comment in _comments(source):
        said = PREFIX.match(comment)
        if said:
            found.append(_line(said["rest"].strip(), number, found))
    return found


def _line(text: str, number: int, before: Sequence[Line]) -> Line:
    mark = MARK.fullmatch(text)
    if mark:
        return Mark(mark["rule"], mark["object"].strip(), number)
    note = NOTE.fullmatch(text)
    if note is None:
        incomplete = WITHOUT_REASON.fullmatch(text)
        if incomplete and incomplete["rule"] in rule_names():
            wanted = f"# handrail: allow {incomplete['rule']} {incomplete['object']} — <reason>"
            return NoteProblem(f"the note gives no reason; write: {wanted}", number)
        return NoteProblem("this is no note; it must be: # handrail: allow <rule> <object> — <reason>", number)
    if note["reason"].startswith("<"):
        return NoteProblem("the reason is still the placeholder; write the real one in its place", number)
    if note["rule"] not in rule_names():
        similar = difflib.get_close_matches(note["rule"], sorted(rule_names()), 3, 0.4)
        meant = f"; perhaps {' or '.join(similar)}" if similar else ""
        return NoteProblem(f"there is no rule {note['rule']}{meant}. All of them: handrail explain", number)
    same = (earlier for earlier in before if isinstance(earlier, AllowNote))
    if any((earlier.rule, earlier.object) == (note["rule"], note["object"]) for earlier in same):
        return NoteProblem(f"{note['rule']} {note['object']} is allowed twice; take one of the notes out", number)
    return AllowNote(note["rule"], note["object"], note["reason"], number)


def unallowed(source: str) -> list[Mark]:
    """Return what a revision destroys without a note that allows it."""
    found = lines(source)
    allowed = {(line.rule, bare(line.object)) for line in found if isinstance(line, AllowNote)}
    return [line for line in found if isinstance(line, Mark) and (line.rule, bare(line.object)) not in allowed]


def problems(source: str, known: Collection[tuple[str, str]] = ()) -> list[NoteProblem]:
    """Return the notes that are none, and those that allow what the revision does not do.

    Args:
        source: Of the revision.
        known: Rule and object of what it does, as far as that was found, beside what is marked.
    """
    found = lines(source)
    there = {(line.rule, bare(line.object)) for line in found if isinstance(line, Mark)} | set(known)
    idle = [
        NoteProblem(
            f"the revision has no {line.rule} {line.object} that this could allow; correct it or take it out", line.line
        )
        for line in found
        if isinstance(line, AllowNote) and (line.rule, bare(line.object)) not in there
    ]
    return [line for line in found if isinstance(line, NoteProblem)] + idle


def bare(name: str) -> str:
    """Return an object's name without the default schema, which a note may leave out."""
    return name.removeprefix("public.")


def _comments(source: str) -> Iterator[tuple[int, str]]:
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string
    except (tokenize.TokenError, SyntaxError):
        return  # whoever runs the file will say so
