"""CREATE statements of tables, columns, constraints and indexes."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from handrail.catalog.ddl import columns
from handrail.catalog.ddl.partitions import attach, is_attached, parent_column
from handrail.catalog.ddl.spelling import comment, foreign_options, identifier, options, place, qualified, table_of
from handrail.catalog.objects import Attributes, Catalog, Kind, Name


def table(catalog: Catalog, name: Name, attributes: Attributes, apart: Collection[Name] = ()) -> list[str]:
    """Return a table with its columns and those constraints that come with it, and all that is set on these.

    Args:
        catalog: Where it is.
        name: Its name.
        attributes: Its attributes.
        apart: Columns whose defaults, and constraints that, are created later.
    """
    statements = [_create(catalog, name, attributes, apart)]
    for column, its in catalog.parts(name, Kind.COLUMN).items():
        statements += columns.settings(catalog, Name(Kind.COLUMN, name.schema, name.name, column), its)
    for constraint_, its in catalog.parts(name, Kind.CONSTRAINT).items():
        full = Name(Kind.CONSTRAINT, name.schema, name.name, constraint_)
        if its.get("inherited"):
            statements += _constraint_comment(full, its)
        elif comes_with_its_table(catalog, full) and full not in apart:
            statements += _set_on_constraint(catalog, full, its)
    statements += _set_on_table(name, attributes)
    if is_attached(catalog, name):
        for index_, its in catalog.parts(name, Kind.INDEX).items():
            if its.get("inherited"):
                statements.append(_create_index(Name(Kind.INDEX, name.schema, name.name, index_), its))
        statements.append(attach(name, attributes))
    what = "FOREIGN TABLE" if attributes["type"] == "foreign" else "TABLE"
    return [*statements, *comment(f"{what} {place(name)}", attributes.get("comment"))]


def comes_with_its_table(catalog: Catalog, name: Name) -> bool:
    """Whether the statement that creates the table creates this column or constraint of it, too.

    Not with it come foreign keys, which need the other table, CHECK constraints that are not validated, which
    CREATE TABLE would take for valid ones, and indexes.
    """
    attributes = catalog.objects[name]
    if name.kind is not Kind.CONSTRAINT:
        return name.kind is Kind.COLUMN
    valid = attributes.get("validated", True) or attributes.get("enforced") is False
    return attributes["type"] != "foreign key" and valid


def column(catalog: Catalog, name: Name, attributes: Attributes) -> list[str]:
    """Return a column that is added to its table; one that comes from a parent has only settings."""
    added = f"ALTER TABLE {table_of(name)} ADD COLUMN {columns.definition(name.name, attributes)}"
    return [*([] if attributes.get("inherited") else [added]), *columns.settings(catalog, name, attributes)]


def constraint(catalog: Catalog, name: Name, attributes: Attributes) -> list[str]:
    """Return a constraint that is added to its table; nothing for one that comes from a parent."""
    if attributes.get("inherited"):
        return _constraint_comment(name, attributes)
    not_valid = not attributes.get("validated", True) and attributes.get("enforced", True)
    added = f"ALTER TABLE {table_of(name)} ADD {_constraint_definition(name.name, attributes)}"
    return [added + (" NOT VALID" if not_valid else ""), *_set_on_constraint(catalog, name, attributes)]


def index(catalog: Catalog, name: Name, attributes: Attributes) -> list[str]:
    """Return an index with what is set on it; nothing but its comment for one that comes from a parent."""
    commented = comment(f"INDEX {place(name)}", attributes.get("comment"))
    if attributes.get("inherited"):
        return commented
    statements = [_create_index(name, attributes)]
    for number, key in enumerate(attributes.get("keys") or (), 1):
        if key.get("statistics") is not None:
            statements.append(f"ALTER INDEX {place(name)} ALTER COLUMN {number} SET STATISTICS {key['statistics']}")
    if attributes.get("tablespace"):
        statements.append(f"ALTER INDEX {place(name)} SET TABLESPACE {identifier(attributes['tablespace'])}")
    return [*statements, *_uses_of_index(catalog, name, attributes), *commented]


def _create_index(name: Name, attributes: Attributes) -> str:
    """Return the server's own text, without the ONLY of partitioned tables: it would leave the index invalid."""
    text: str = attributes["definition"]
    start = f"INDEX {identifier(name.name)} ON "
    return text.replace(f"{start}ONLY ", start, 1) if attributes.get("valid", True) else text


def _create(catalog: Catalog, name: Name, attributes: Attributes, apart: Collection[Name]) -> str:
    kind = "FOREIGN TABLE" if attributes["type"] == "foreign" else "TABLE"
    unlogged = "UNLOGGED " if attributes.get("unlogged") else ""
    lines = [*_column_lines(catalog, name, attributes, apart), *_constraint_lines(catalog, name, apart)]
    body = " (\n    " + ",\n    ".join(lines) + "\n)" if lines else ""
    if attributes.get("partition_of") and not is_attached(catalog, name):
        body = f" PARTITION OF {qualified(*attributes['partition_of'])}{body} {attributes['bound']}"
    elif attributes.get("of_type"):
        body = f" OF {attributes['of_type']}{body}"
    else:
        body = body or " ()"
    return f"CREATE {unlogged}{kind} {place(name)}" + " ".join([body, *_clauses(attributes)])


def _column_lines(catalog: Catalog, name: Name, attributes: Attributes, apart: Collection[Name]) -> Iterator[str]:
    attached = is_attached(catalog, name)
    for column_, its in catalog.parts(name, Kind.COLUMN).items():
        with_default = Name(Kind.COLUMN, name.schema, name.name, column_) not in apart
        if attributes.get("of_type"):
            said = " ".join(columns.value(its, with_default=with_default))
            if said:
                yield f"{identifier(column_)} WITH OPTIONS {said}"
        elif attached and parent_column(catalog, attributes, column_).get("identity"):
            # Since PostgreSQL 17 a partition gets its identity from the parent, and may not bring one of its own.
            yield columns.definition(column_, {**its, "identity": None}, with_default=with_default)
        elif attached or not its.get("inherited"):
            yield columns.definition(column_, its, with_default=with_default)


def _constraint_lines(catalog: Catalog, name: Name, apart: Collection[Name]) -> Iterator[str]:
    attached = is_attached(catalog, name)
    found = catalog.parts(name, Kind.CONSTRAINT)
    for constraint_, its in sorted(found.items(), key=lambda item: (item[1]["type"] != "primary key", item[0])):
        full = Name(Kind.CONSTRAINT, name.schema, name.name, constraint_)
        if comes_with_its_table(catalog, full) and full not in apart and (attached or not its.get("inherited")):
            yield _constraint_definition(constraint_, its)


def _constraint_definition(name: str, attributes: Attributes) -> str:
    return f"CONSTRAINT {identifier(name)} {attributes['definition']}"


def _clauses(attributes: Attributes) -> Iterator[str]:
    """Yield what follows the parentheses of CREATE TABLE, in the order of the grammar."""
    if attributes.get("inherits"):
        yield f"INHERITS ({', '.join(qualified(*parent) for parent in attributes['inherits'])})"
    if attributes.get("partition_by"):
        yield f"PARTITION BY {attributes['partition_by']}"
    if attributes.get("server"):
        yield f"SERVER {identifier(attributes['server'])}"
    if attributes.get("foreign_options"):
        yield foreign_options(attributes["foreign_options"])
    if attributes.get("access_method"):
        yield f"USING {identifier(attributes['access_method'])}"
    stored = options(attributes.get("options")) + options(attributes.get("toast_options"), prefix="toast.")
    if stored:
        yield f"WITH ({', '.join(stored)})"
    if attributes.get("tablespace"):
        yield f"TABLESPACE {identifier(attributes['tablespace'])}"


def _set_on_table(name: Name, attributes: Attributes) -> Iterator[str]:
    alter = f"ALTER TABLE {place(name)}"
    if attributes.get("row_security"):
        yield f"{alter} ENABLE ROW LEVEL SECURITY"
    if attributes.get("force_row_security"):
        yield f"{alter} FORCE ROW LEVEL SECURITY"
    # PostgreSQL notes NOTHING for foreign tables, and lets nobody say so.
    if attributes.get("replica_identity") in ("full", "nothing") and attributes["type"] != "foreign":
        yield f"{alter} REPLICA IDENTITY {attributes['replica_identity'].upper()}"


def _set_on_constraint(catalog: Catalog, name: Name, attributes: Attributes) -> Iterator[str]:
    index_name = qualified(name.schema, name.name)
    if attributes.get("options"):
        yield f"ALTER INDEX {index_name} SET ({', '.join(options(attributes['options']))})"
    if attributes.get("tablespace"):
        yield f"ALTER INDEX {index_name} SET TABLESPACE {identifier(attributes['tablespace'])}"
    yield from _uses_of_index(catalog, name, attributes)
    yield from _constraint_comment(name, attributes)


def _uses_of_index(catalog: Catalog, name: Name, attributes: Attributes) -> Iterator[str]:
    if attributes.get("clustered"):
        yield f"ALTER TABLE {table_of(name)} CLUSTER ON {identifier(name.name)}"
    if catalog.objects.get(name.owner, {}).get("replica_identity") == {"index": name.name}:
        yield f"ALTER TABLE {table_of(name)} REPLICA IDENTITY USING INDEX {identifier(name.name)}"


def _constraint_comment(name: Name, attributes: Attributes) -> list[str]:
    return comment(f"CONSTRAINT {identifier(name.name)} ON {table_of(name)}", attributes.get("comment"))
