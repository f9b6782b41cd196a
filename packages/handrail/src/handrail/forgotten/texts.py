"""What an expression in the source says, as far as it can be known without running it: a pattern of a table's name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from handrail.forgotten.source import assigned

METHODS = {"lower", "upper", "strip", "casefold", "capitalize", "title"}
DEPTH = 20  # constants made of constants


@dataclass(frozen=True)
class Part:
    """A piece of a text: the piece itself, or a regular expression for what is not known exactly."""

    text: str
    exact: bool = True


UNKNOWN = Part(".+", exact=False)


@dataclass(frozen=True)
class Scope:
    """What names stand for.

    Attributes:
        constants: Of this file.
        others: Of the other files.
        class_name: What `cls.__name__` is.
    """

    constants: Mapping[str, ast.expr]
    others: Mapping[str, ast.expr] = field(default_factory=dict)
    class_name: str | None = None
    depth: int = 0

    def deeper(self, **known: ast.expr) -> Scope:
        """Return the same a step further down, with more names."""
        return Scope({**self.constants, **known}, self.others, self.class_name, self.depth + 1)


def parts(node: ast.expr | None, scope: Scope) -> list[Part]:
    """Return what an expression says, piece by piece."""
    if scope.depth > DEPTH:
        return [UNKNOWN]
    match node:
        case ast.Constant(value=str(text)):
            return [Part(text)]
        case ast.JoinedStr(values=values):
            return [part for value in values for part in parts(value, scope)]
        case ast.FormattedValue(value=value):
            return parts(value, scope)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return parts(left, scope) + parts(right, scope)
        case ast.Attribute(attr="__name__" | "__qualname__") if scope.class_name:
            return [Part(scope.class_name)]
        case ast.Attribute(attr="value", value=value):
            return parts(value, scope)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            constant = scope.constants.get(name) or scope.others.get(name)
            return parts(constant, scope.deeper()) if constant is not None else [UNKNOWN]
        case ast.Call(func=ast.Attribute(attr=method, value=value), args=[]) if method in METHODS:
            return [Part(getattr(p.text, method)()) if p.exact else p for p in parts(value, scope)]
        case ast.Call(args=[ast.Lambda(body=body), *_]):
            return parts(body, scope)
        case ast.Call(func=ast.Name(id="quoted_name") | ast.Attribute(attr="quoted_name"), args=[value, *_]):
            return parts(value, scope)
        case ast.Call() if scope.class_name and _uses_class_name(node, scope):
            return [Part(convention(scope.class_name), exact=False)]
    return [UNKNOWN]


def returned(function: ast.FunctionDef, scope: Scope) -> Iterator[list[Part]]:
    """Yield what a function may return."""
    known: dict[str, ast.expr] = {}
    for node in ast.walk(function):
        known |= dict(assigned(node))
        if isinstance(node, ast.Return) and node.value is not None:
            yield parts(node.value, scope.deeper(**known))


def could_be(text: str, said: Sequence[Part]) -> bool:
    """Whether an expression may mean this text: at least half of which it must say itself."""
    pattern = "".join(re.escape(part.text) if part.exact else part.text for part in said)
    guessed = any(not part.exact and part is not UNKNOWN for part in said)
    exact = sum(len(part.text) for part in said if part.exact)
    return (guessed or 2 * exact >= len(text)) and re.fullmatch(pattern, text) is not None


def convention(class_name: str) -> str:
    """Return a pattern of the names that a class's table usually has: `GuestBook` → `guest_books`."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", class_name) or [class_name]
    stem = "_?".join(re.escape(word.lower()) for word in words)
    plural = f"(?:{stem[:-1]}ies|{stem}s?)" if stem.endswith("y") else f"{stem}(?:e?s)?"
    return f"(?i:{plural})"


def _uses_class_name(node: ast.AST, scope: Scope) -> bool:
    def in_question(inner: ast.AST) -> bool:
        if isinstance(inner, ast.Name) and inner.id in scope.constants and scope.depth < DEPTH:
            return _uses_class_name(scope.constants[inner.id], scope.deeper())
        return isinstance(inner, ast.Attribute) and inner.attr in ("__name__", "__qualname__")

    return any(in_question(inner) for inner in ast.walk(node))
