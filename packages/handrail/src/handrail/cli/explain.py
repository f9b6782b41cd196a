"""`handrail explain`: the pages of the rules, for the terminal."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from handrail.errors import ConfigurationError

if TYPE_CHECKING:
    from handrail.hint import Hint

WIDTH = 100
# By the module of a rule.
GROUPS = {
    "losing": "Data is lost",
    "blocking": "Requests stand still",
    "breaking": "Code that is still running breaks",
    "failing": "It fails",
    "silent": "Nobody is told, or nobody can see",
}
# What is found by whoever reads a revision, not by a rule that looks at its statements.
FOUND_BY_READING = {"bind-parameter": "failing", "note": "silent"}
# What is only there sometimes, and what has a plainer name.
LEFT_OUT = ("size", "hint", "schema", "schemas", "options")
PLAIN = {
    "full": "<table>",
    "sql_value": "'<value>'",
    "schema_name": "<schema>",
    "other_full": "<other>",
    "columns": '"<column>"',
    "referred": '"<column>"',
}


@click.command()
@click.argument("rule", required=False)
@click.option("--source", is_flag=True, help="Print the page as it is written, in Markdown.")
def explain(rule: str | None, source: bool) -> None:
    """Show what a rule finds, why it matters and what to write instead, with an example of both.

    Without RULE, list all rules. A finding of `handrail review` names its rule:

    \b
    handrail explain
    handrail explain set-not-null
    """  # noqa: D301 - click looks for that character
    from handrail.hint import hint

    if rule is None:
        for line in overview():
            click.echo(line)
        return
    page = hint(known(rule))
    if source:
        click.echo(page.text, nl=False)
        return
    for line in in_words(page):
        click.echo(line)


def known(rule: str) -> str:
    """Return a rule's name.

    Raises:
        ConfigurationError: There is no such rule.
    """
    from handrail.hint import rule_names

    name = rule.lower().replace("_", "-")
    if name in rule_names():
        return name
    similar = difflib.get_close_matches(name, sorted(rule_names()), 3, 0.5)
    similar = similar or sorted(other for other in rule_names() if set(name.split("-")) & set(other.split("-")))[:5]
    meant = f" Did you mean {' or '.join(similar)}?" if similar else ""
    raise ConfigurationError(f"there is no rule {rule!r}.{meant} All of them: handrail explain")


def groups() -> dict[str, list[str]]:
    """Return the names of the rules by what they are about."""
    from handrail.rules import RULES

    modules = {name: rule.judge.__module__.rpartition(".")[2] for name, rule in RULES.items()} | FOUND_BY_READING
    return {title: sorted(name for name in modules if modules[name] == group) for group, title in GROUPS.items()}


def overview() -> Iterator[str]:
    """Yield the lines of the list of all rules."""
    from handrail.hint import hint

    for title, rules in groups().items():
        yield click.style(title, bold=True)
        yield from (f"  {rule:<28} {hint(rule).title}" for rule in rules)
        yield ""
    yield "Each in full: handrail explain RULE"


def in_words(page: Hint) -> Iterator[str]:
    """Yield the lines of a page; names that only a finding has stand in angle brackets."""
    names = {field: PLAIN.get(field, f"<{field.removeprefix('sql_')}>") for field in page.fields} | dict.fromkeys(
        LEFT_OUT, ""
    )
    yield f"{click.style(page.rule, bold=True)}: {page.title}"
    for heading, text in (
        ("What happens", page.fill(page.what, names)),
        ("Why it matters", page.why),
        ("Instead", page.fill(page.advice, names)),
    ):
        yield ""
        yield click.style(heading, bold=True)
        yield from textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
    if page.instead:
        yield ""
        yield from _code(page.fill(page.instead, names))
    yield ""
    yield click.style("Found in", bold=True)
    yield from _code(page.bad)
    yield ""
    yield click.style("Not in", bold=True)
    for number, code in enumerate(page.good):
        if number:
            yield click.style("  # and in the next revision:", dim=True)
        yield from _code(code)


def _code(text: str) -> Iterator[str]:
    return (f"    {line}" if line else "" for line in text.splitlines())
