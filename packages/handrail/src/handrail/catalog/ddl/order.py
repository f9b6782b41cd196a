"""The whole schema as one script: in an order that can be executed, and that moves as little as possible.

Objects stand by kind and name; one that needs another waits for it. What it needs is read from its own statements, in
which the server has qualified every name.
"""

from __future__ import annotations

import heapq
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

from handrail.catalog.ddl.columns import set_default
from handrail.catalog.ddl.statements import create_statements
from handrail.catalog.ddl.tables import comes_with_its_table, table
from handrail.catalog.objects import Catalog, Kind, Name

Needs = Mapping[Name, set[Name]]

KINDS = list(Kind)
# A table's indexes and statistics follow it. Its foreign keys do not: they need the other table.
RANKS = {kind: KINDS.index(Kind.TABLE if kind in (Kind.INDEX, Kind.STATISTICS) else kind) for kind in Kind}
LAST = len(KINDS)

# A body that is a string is not looked at before it is run; what BEGIN ATOMIC names has to be there.
BODY = re.compile(r"\nAS \$function.*", re.DOTALL)
CONSTANT = re.compile(r"""("(?:[^"]|"")*")|E?'(?:[^']|'')*'(::reg)?""")
QUALIFIED = re.compile(r"""("(?:[^"]|"")+"|[a-z_][\w$]*)\.("(?:[^"]|"")+"|[a-z_][\w$]*)""")


def script(catalog: Catalog) -> str:
    """Return the statements that create everything in an empty database, as one text that is always the same."""
    statements = {name: create_statements(catalog, name) for name in catalog.objects if stands_alone(catalog, name)}
    needs = _needs(catalog, statements)
    for name, apart in _circles(catalog, needs).items():
        statements[name] = table(catalog, name, catalog.objects[name], apart)
        for part in apart:
            its = catalog.objects[part]
            statements[part] = (
                [set_default(part, its)] if part.kind is Kind.COLUMN else create_statements(catalog, part)
            )
    paragraphs = [statements[name] for name in _in_order(catalog, _needs(catalog, statements))]
    if any(catalog.of_kind(Kind.FUNCTION)):
        paragraphs.insert(0, ["SET check_function_bodies = false"])
    return "\n".join("".join(f"{statement};\n" for statement in paragraph) for paragraph in paragraphs if paragraph)


def stands_alone(catalog: Catalog, name: Name) -> bool:
    """Whether an object has a place of its own in the script, rather than within its table."""
    return not name.table or name.kind not in (Kind.COLUMN, Kind.CONSTRAINT) or not comes_with_its_table(catalog, name)


def _needs(catalog: Catalog, statements: Mapping[Name, list[str]]) -> dict[Name, set[Name]]:
    """Return, for each object that has statements, the others that these mention."""
    known = defaultdict(set)
    for name in statements:
        if not name.table:
            known[name.schema, name.name.partition("(")[0] if name.kind is Kind.FUNCTION else name.name].add(name)
        if name.kind is Kind.RANGE:
            known[name.schema, catalog.objects[name]["multirange"]].add(name)
    return {
        name: {needed for pair in _mentioned(texts) for needed in known.get(pair, ())} - {name}
        for name, texts in statements.items()
    }


def _mentioned(statements: list[str]) -> Iterator[tuple[str, str]]:
    """Yield what looks like a qualified name, in code and in constants like `'shop.ticket'::regclass`."""
    for statement in statements:
        text = CONSTANT.sub(
            lambda found: found[0].replace("'", " ") if found[1] or found[2] else "", BODY.sub("", statement)
        )
        for pair in QUALIFIED.findall(text):
            schema, name = (part[1:-1].replace('""', '"') if part.startswith('"') else part for part in pair)
            yield schema, name


def _circles(catalog: Catalog, needs: Needs) -> dict[Name, list[Name]]:
    """Return defaults and checks that need what itself needs their table: a function on its rows, for instance."""
    found: dict[Name, list[Name]] = {}
    for name, _ in catalog.of_kind(Kind.TABLE):
        circular = {needed for needed in needs[name] if needed.kind is Kind.FUNCTION and _reaches(needs, needed, name)}
        if circular:
            parts = _needs(catalog, {function: [] for function in circular} | _statements_of_parts(catalog, name))
            found[name] = sorted(part for part, needed in parts.items() if needed & circular)
    return found


def _statements_of_parts(catalog: Catalog, name: Name) -> dict[Name, list[str]]:
    """Return the statements of those defaults and checks of a table that may as well come later."""
    texts = {}
    for part in (Kind.COLUMN, Kind.CONSTRAINT):
        for its_name, its in catalog.parts(name, part).items():
            if not its.get("inherited") and (its.get("default") if part is Kind.COLUMN else its["type"] == "check"):
                full = Name(part, name.schema, name.name, its_name)
                texts[full] = create_statements(catalog, full)
    return texts


def _reaches(needs: Needs, start: Name, goal: Name) -> bool:
    seen, waiting = set(), [start]
    while waiting:
        name = waiting.pop()
        if name == goal:
            return True
        if name not in seen:
            seen.add(name)
            waiting += needs[name]
    return False


def _in_order(catalog: Catalog, needs: Needs) -> Iterator[Name]:
    """Yield the objects, always the first one that lacks nothing; where there is a circle, just the first one."""
    missing = {name: set(needed) for name, needed in needs.items()}
    needed_by = defaultdict(list)
    for name, needed in needs.items():
        for other in needed:
            needed_by[other].append(name)
    ready = [(_place(catalog, name), name) for name, needed in needs.items() if not needed]
    heapq.heapify(ready)
    while missing:
        name = heapq.heappop(ready)[1] if ready else min(missing, key=lambda left: _place(catalog, left))
        if missing.pop(name, None) is None:
            continue
        yield name
        for other in needed_by[name]:
            if other in missing:
                missing[other].discard(name)
                if not missing[other]:
                    heapq.heappush(ready, (_place(catalog, other), other))


def _place(catalog: Catalog, name: Name) -> tuple[int, str, str, int, str]:
    """Return what objects are sorted by; of those that come from a parent only the comments are left, for the end."""
    attributes = catalog.objects[name]
    rank, table_ = RANKS[name.kind], name.table
    if attributes.get("inherited"):
        rank = LAST
    elif name.kind is Kind.COLUMN or (name.kind is Kind.CONSTRAINT and attributes["type"] != "foreign key"):
        rank = RANKS[Kind.TABLE]
    elif name.kind is Kind.SEQUENCE and attributes.get("owned_by"):
        rank, table_ = RANKS[Kind.TABLE], attributes["owned_by"][1]
    elif name.kind is Kind.STATISTICS:
        table_ = attributes["table"][1]
    return rank, name.schema, table_ or name.name, KINDS.index(name.kind), name.name
