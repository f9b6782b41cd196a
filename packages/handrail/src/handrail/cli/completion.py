"""`handrail completion`: tab completion for bash, zsh and fish."""

from __future__ import annotations

import os
from pathlib import Path

import click

LINES = {
    "bash": 'eval "$(_HANDRAIL_COMPLETE=bash_source handrail)"   # in ~/.bashrc',
    "zsh": 'eval "$(_HANDRAIL_COMPLETE=zsh_source handrail)"   # in ~/.zshrc',
    "fish": "_HANDRAIL_COMPLETE=fish_source handrail | source   # in ~/.config/fish/completions/handrail.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(list(LINES)), required=False)
def completion(shell: str | None) -> None:
    """Print the line that switches on tab completion for your shell (default: the one you are using)."""
    name = shell or Path(os.environ.get("SHELL", "bash")).name
    click.echo(LINES.get(name, LINES["bash"]))
