"""A revision's source: compiled so that it can be run without a database, with what is to be known about it."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType

TROUBLE = "__handrail_trouble__"  # the function that is told what fails
# Functions that only say something to whoever watches, or end what others have done.
TELLING = {
    *("debug", "info", "warning", "warn", "error", "exception", "critical", "log", "echo", "secho", "print"),
    *("commit", "rollback", "close", "flush", "update", "append", "add"),
}


@dataclass(frozen=True)
class Source:
    """What was read.

    Attributes:
        code: Of its module; what fails in its function is told, and the rest is run nevertheless.
        calls: Functions that are called for what they do and not for their value, by their lines.
        packages: What it imports.
        texts: Texts in it, each of which may name something in the database.
    """

    code: CodeType
    calls: dict[int, str] = field(default_factory=dict)
    packages: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)


def read_source(source: str, path: Path, function: str) -> Source:
    """Read a revision, and compile it for one of its functions.

    Raises:
        SyntaxError: It is no Python.
    """
    tree = ast.parse(source, str(path))
    calls: dict[int, str] = {}
    packages: set[str] = set()
    texts: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str) and node.value.isidentifier():
                texts.add(node.value)
        elif isinstance(node, ast.Import):
            packages |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            packages.add(node.module.partition(".")[0])
    for node in (node for outer in tree.body if isinstance(outer, ast.FunctionDef) for node in ast.walk(outer)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            name = _name(node.value.func)
            if name not in TELLING:
                calls |= dict.fromkeys(range(node.lineno, (node.end_lineno or node.lineno) + 1), name)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            node.body = [_guarded(statement) for statement in node.body]
    # What this file has from __future__ would be theirs as well.
    code = compile(tree, str(path), "exec", dont_inherit=True)
    return Source(code, calls, packages, texts)


def _name(function: ast.expr) -> str:
    """Return the last name of what is called."""
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _guarded(statement: ast.stmt) -> ast.stmt:
    if isinstance(statement, ast.With | ast.For | ast.If):
        statement.body = [_guarded(inner) for inner in statement.body]
    if isinstance(statement, ast.For | ast.If):
        statement.orelse = [_guarded(inner) for inner in statement.orelse]
    # Imports and definitions of names are as they are: without them nothing after them would make sense.
    call = ast.Expr(ast.Call(ast.Name(TROUBLE, ast.Load()), [ast.Name("__error", ast.Load())], []))
    handler = ast.ExceptHandler(ast.Name("Exception", ast.Load()), "__error", [call])
    guard = ast.copy_location(ast.Try([statement], [handler], [], []), statement)
    for node in ast.walk(handler):
        ast.copy_location(node, statement)
    return guard
