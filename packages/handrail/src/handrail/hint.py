"""The page of a rule, from which come its message, `handrail explain`, the documentation and the tests."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from handrail.errors import ConfigurationError
from handrail.quoting import identifier

SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
CODE = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
VALUE = re.compile(r"(?<![:\w\\]):(?=\w+(?![:\w]))")
FIELD = re.compile(r"\{(\w+)\}")
# Or a name that is put together, with a dot between schema and name: it is quoted as a whole where SQL needs that.
PLACE = re.compile(r"\{sql:((?:[^{}]|\{\w+\})+)\}|\{(\w+)\}")
# Names that are Python already; all others stand within strings.
FRAGMENTS = {"columns", "referred", "schema", "schemas", "options"}
PAGES = files("handrail") / "hints"


@dataclass(frozen=True)
class Hint:
    """A rule's page.

    Attributes:
        rule: The rule's name, which is the file's.
        title: What it is about, in one sentence.
        what: What happens, with `{table}` and the like for the names.
        why: Why that matters.
        advice: What to do, in words.
        instead: The code to write instead, with names to fill in; empty where there is none.
        bad: The body of a revision's `upgrade()` in which the rule finds something.
        good: One that does the same without; several are several revisions, one after the other.
        text: The whole page.
    """

    rule: str
    title: str
    what: str
    why: str
    advice: str
    instead: str
    bad: str
    good: tuple[str, ...]
    text: str

    def fill(self, template: str, names: Mapping[str, str]) -> str:
        """Return a text of the page with a finding's names; what has none stays as it is."""
        return PLACE.sub(lambda found: _filled(found[1], names) if found[1] else _filled(found[0], names), template)

    @property
    def fields(self) -> set[str]:
        """The names that its texts are filled with."""
        return set(FIELD.findall(self.what + self.advice + self.instead))

    def instructions(self, names: Mapping[str, str]) -> str:
        """Return what to do: the advice, and below it the code."""
        in_code = {name: value if name in FRAGMENTS else quotable(value) for name, value in names.items()}

        def spelled(found: re.Match[str]) -> str:
            if not found[1]:
                return _filled(found[0], in_code)
            parts = (_filled(part, names) for part in found[1].split("."))
            return quotable(".".join(identifier(part) for part in parts if part))

        texts = self.fill(self.advice, names), PLACE.sub(spelled, self.instead)
        return "\n".join(text for text in texts if text)


@cache
def rule_names() -> frozenset[str]:
    """Return the names of all rules."""
    return frozenset(page.name.removesuffix(".md") for page in PAGES.iterdir() if page.name.endswith(".md"))


@cache
def hint(rule: str) -> Hint:
    """Read a rule's page.

    Raises:
        ConfigurationError: There is no such rule.
    """
    if rule not in rule_names():
        raise ConfigurationError(f"there is no rule {rule!r}; there are {', '.join(sorted(rule_names()))}.")
    text = (PAGES / f"{rule}.md").read_text(encoding="utf-8")
    head, *rest = SECTION.split(text)
    sections = dict(zip(rest[::2], rest[1::2], strict=True))
    advice = CODE.sub("", sections.get("Instead", ""))
    return Hint(
        rule=rule,
        title=head.partition("\n")[2].strip(),
        what=_paragraph(sections["What happens"]),
        why=_paragraph(sections["Why it matters"]),
        advice=_paragraph(advice),
        instead="\n\n".join(_code(sections.get("Instead", ""))),
        bad="\n".join(_code(sections.get("Bad", ""))),
        good=tuple(_code(sections.get("Good", ""))),
        text=text,
    )


def quotable(sql: str) -> str:
    """Return SQL as it stands between double quotes for `text()`, which takes a colon for a value to be given."""
    escaped = VALUE.sub(r"\\:", sql).replace("\\", "\\\\").replace('"', '\\"')
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in escaped)


def _filled(template: str, names: Mapping[str, str]) -> str:
    return FIELD.sub(lambda found: names.get(found[1], found[0]), template)


def _paragraph(text: str) -> str:
    return " ".join(text.split())


def _code(section: str) -> Iterator[str]:
    return (textwrap.dedent(found[1]).rstrip() for found in CODE.finditer(section))
