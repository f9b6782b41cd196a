"""The README's commands are typed in order into a fresh copy, and answer what it says they answer."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from small_project import REPOSITORY

if TYPE_CHECKING:
    from starter_copy import Service, Starter

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")

# Typed elsewhere, with the reason why not here.
NOT_TYPED = {
    "make test": "is what runs this test",
    "git clone <this repository> my-service && cd my-service": "the copy is the clone",
    "source .venv/bin/activate": "the commands run in the activated environment",
    "handrail db reset": "asks a person; its own tests answer",
}


@dataclass
class Command:
    """A line after `$`, and the lines below it that show its output; `…` there stands for anything."""

    line: str
    output: str = ""

    def pattern(self) -> re.Pattern[str]:
        """Return what the output must contain; how lines are broken does not matter."""
        words = " ".join(self.output.split())
        return re.compile(
            ".*?".join(re.escape(part.strip()) for part in words.split("…")).replace(r"\ ", r"\s+"), re.DOTALL
        )


def commands(text: str) -> list[Command]:
    """Return the commands of all console blocks, in order."""
    found: list[Command] = []
    for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(Command(" ".join(shlex.split(line[2:], comments=True, posix=False))))
            else:
                found[-1].output += line + "\n"
    return found


def test_the_commands_do_what_the_readme_says(starter: Starter) -> None:
    """From the first error that it shows to the last command."""
    before, runs, after = split_at_last(commands(README), "make run")
    for command in before:
        check(starter, command, None)
    with starter.serving("handrail dev") as service:
        for command in after:
            check(starter, command, service)
    shown = runs.output.replace("http://127.0.0.1:8000", service.address)
    assert Command("", shown).pattern().search(service.output), service.output


def split_at_last(all_commands: list[Command], line: str) -> tuple[list[Command], Command, list[Command]]:
    """Return what comes before the last occurrence of a command, that command, and what comes after it."""
    position = max(index for index, command in enumerate(all_commands) if command.line == line)
    before = [command for command in all_commands[:position] if command.line != line]
    return before, all_commands[position], all_commands[position + 1 :]


def check(starter: Starter, command: Command, service: Service | None) -> None:
    """Type one command and compare its output."""
    if command.line in NOT_TYPED:
        return
    line = command.line.replace("localhost:8000", service.address) if service else command.line
    done = starter.shell(line)
    output = done.stdout + done.stderr
    assert (done.returncode == 0) == ("FAILED" not in command.output), f"$ {line}\n{output}"
    assert command.pattern().search(output), f"$ {line}\nREADME: {command.output}\nreally: {output}"


def test_every_command_that_is_not_typed_is_still_there() -> None:
    """So that the list above does not outlive the README."""
    lines = {command.line for command in commands(README)}

    assert set(NOT_TYPED) <= lines


def test_the_first_commands_come_early() -> None:
    """Within the first screen, and the whole within 200 lines."""
    lines = README.splitlines()

    assert lines.index("$ make run     # PostgreSQL, migrations and the service: http://127.0.0.1:8000/docs") < 15
    assert len(lines) < 200
