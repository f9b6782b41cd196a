"""The service that everybody starts with stays small enough to read; what they make of it is their own."""

from __future__ import annotations

import ast
import io
import tokenize

from small_project import REPOSITORY

NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}

EXPLAINED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def code_lines(source: str) -> set[int]:
    """Return the numbers of the lines that are neither blank nor hold only a comment or a docstring."""
    held = [token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type not in NO_CODE]
    lines = {line for token in held for line in range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, EXPLAINED) and ast.get_docstring(node):
            docstring = node.body[0]
            lines -= set(range(docstring.lineno, (docstring.end_lineno or docstring.lineno) + 1))
    return lines


def test_lines_of_code_are_counted_without_what_explains_them() -> None:
    source = '"""What it is."""\n\n# why\nx = """\na\n"""\n\n\ndef f():\n    """What it does."""\n    return x  # why\n'

    assert code_lines(source) == {4, 5, 6, 9, 11}


def test_the_service_has_less_than_2000_lines_of_code() -> None:
    """What does not fit is a feature too many, or is said twice."""
    sizes = {file: len(code_lines(file.read_text(encoding="utf-8"))) for file in (REPOSITORY / "app").rglob("*.py")}

    assert sum(sizes.values()) < 2000, sizes
