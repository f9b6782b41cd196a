"""`handrail explain`: what each rule is about, at the terminal."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from handrail.cli.explain import explain, groups, known
from handrail.errors import ConfigurationError
from handrail.hint import FIELD, hint, rule_names


def said(*arguments: str) -> str:
    done = CliRunner().invoke(explain, arguments)
    assert done.exit_code == 0, done.output
    return done.output


def test_every_rule_is_listed_once() -> None:
    assert sorted(rule for rules in groups().values() for rule in rules) == sorted(rule_names())

    lines = said().splitlines()

    for rule in rule_names():
        assert [line for line in lines if line.split() and line.split()[0] == rule] == [
            f"  {rule:<28} {hint(rule).title}"
        ]


@pytest.mark.parametrize("rule", sorted(rule_names()))
def test_a_page_reads_well(rule: str) -> None:
    page, output = hint(rule), said(rule)

    assert output.startswith(f"{rule}: {page.title}\n\nWhat happens\n  ")
    assert not FIELD.findall(output)
    assert all(f"    {line}\n" in output for code in (page.bad, *page.good) for line in code.splitlines() if line)


def test_the_page_as_it_is_written() -> None:
    assert said("set-not-null", "--source") == hint("set-not-null").text


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("set-notnull", "there is no rule 'set-notnull'. Did you mean set-not-null?"),
        ("partition", "Did you mean detach-partition or attach-partition-scan?"),
        ("xyzzy", "there is no rule 'xyzzy'. All of them: handrail explain"),
    ],
)
def test_an_unknown_rule(asked: str, answer: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        known(asked)

    assert answer in str(raised.value)


def test_the_spelling_of_functions_will_do() -> None:
    assert known("Set_Not_Null") == "set-not-null"
