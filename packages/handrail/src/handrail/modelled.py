"""What of two catalogs the models manage: only that is compared, and everything else is left alone.

Models say all there is to say about their tables. About functions, triggers, policies, grants and the like they say
something only when they make some, so those of the revisions that no model mentions are nobody's mistake.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase

from handrail.catalog.ddl.spelling import qualified
from handrail.catalog.objects import Attributes, Catalog, Kind, Name

# SQLAlchemy's tables cannot say these, so a history that does keeps its word unless the models' own DDL says otherwise.
UNSAID: Mapping[Kind, frozenset[str]] = {
    Kind.TABLE: frozenset({"row_security", "force_row_security", "replica_identity", "toast_options", "tablespace"}),
    Kind.COLUMN: frozenset(
        {"storage", "compression", "statistics", "options", "not_null_validated", "not_null_no_inherit"}
    ),
    Kind.CONSTRAINT: frozenset({"comment", "clustered", "tablespace", "options"}),
    Kind.INDEX: frozenset({"comment", "clustered", "tablespace"}),
    Kind.MATERIALIZED_VIEW: frozenset({"column_settings", "access_method", "tablespace"}),
    Kind.ENUM: frozenset({"comment"}),
    Kind.DOMAIN: frozenset({"comment"}),
    Kind.SEQUENCE: frozenset({"comment"}),
}
PARTS = (Kind.COLUMN, Kind.CONSTRAINT, Kind.INDEX)


def modelled(
    history: Catalog, target: Catalog, *, foreign: Collection[Name] = (), ignored: Collection[str] = ()
) -> tuple[Catalog, Catalog]:
    """Return both catalogs so that they differ only in what the models manage.

    What they do not manage is as the history has it on both sides, because it may depend on what changes.

    Args:
        history: What the revisions create.
        target: What the models' own DDL creates.
        foreign: Tables of handrail and Alembic themselves.
        ignored: Patterns of tables that the project wants left alone: `audit.*`, `shop.legacy_*`.
    """
    alone = {name for name in (*history.objects, *target.objects) if is_ignored(name, ignored)} | set(foreign)
    history, target = _own(history.without(*alone)), _own(target.without(*alone))
    tables = {name for name, _ in target.of_kind(Kind.TABLE)}
    going = {n for n, a in history.of_kind(Kind.TABLE) if n not in tables and not is_partition(a, tables)}
    types = _types_of_columns(history, tables | going)

    def stays(name: Name, attributes: Attributes) -> bool:
        """Whether something that no model mentions is left alone."""
        match name.kind:
            case Kind.TABLE:
                return name not in going
            case Kind.COLUMN | Kind.CONSTRAINT | Kind.INDEX:
                return name.owner not in going and name.owner not in tables
            case Kind.ENUM | Kind.DOMAIN:
                return qualified(name.schema, name.name) not in types
            case Kind.SEQUENCE:
                owner = attributes.get("owned_by")
                return owner is None or Name(Kind.TABLE, owner[0], "", owner[1]) not in tables | going
        return not name.table or name.owner not in going

    before = history.objects
    after = {name: _with_the_unsaid(name, attributes, before.get(name)) for name, attributes in target.objects.items()}
    for schema, _ in target.of_kind(Kind.SCHEMA):
        if schema not in before and not _needs_a_statement(schema, target):
            del after[schema]
    after |= {n: a for n, a in before.items() if n not in after and stays(n, a)}
    # PostgreSQL's own default is in every database, and in no model.
    after |= {n: a for n, a in before.items() if n.kind in (Kind.SCHEMA, Kind.EXTENSION)}
    return history, Catalog(target.version, dict(sorted(after.items())))


def _own(catalog: Catalog) -> Catalog:
    """Return a catalog without what comes and goes with a parent table's, and without grants."""
    kept = {
        name: attributes
        for name, attributes in catalog.objects.items()
        if not attributes.get("inherited") and name.kind is not Kind.DEFAULT_PRIVILEGES
    }
    return Catalog(catalog.version, kept)


def is_ignored(name: Name, patterns: Collection[str]) -> bool:
    """Whether it is a table that the project's settings tell us to leave alone."""
    return name.kind is Kind.TABLE and any(fnmatchcase(f"{name.schema}.{name.name}", pattern) for pattern in patterns)


def is_partition(attributes: Attributes, tables: Collection[Name]) -> bool:
    """Whether it is a partition of one of these tables: made by a job or a revision, as the data needs them."""
    parent = attributes.get("partition_of")
    return parent is not None and Name(Kind.TABLE, parent[0], "", parent[1]) in tables


def _types_of_columns(catalog: Catalog, tables: Collection[Name]) -> set[str]:
    """Return the types that columns of these tables have, as PostgreSQL writes them, arrays without brackets."""
    return {
        str(attributes["type"]).removesuffix("[]")
        for name, attributes in catalog.of_kind(Kind.COLUMN)
        if name.owner in tables
    }


def _with_the_unsaid(name: Name, attributes: Attributes, before: Attributes | None) -> Attributes:
    """Return the target's attributes, and those of the history about which the target says nothing."""
    if before is None:
        return attributes
    kept = {key: before[key] for key in UNSAID.get(name.kind, ()) if key in before and key not in attributes}
    return {**attributes, **kept} if kept else attributes


def _needs_a_statement(schema: Name, target: Catalog) -> bool:
    """Whether something else than a table is the first thing in a new schema; a table brings its schema along."""
    return any(name.schema == schema.name and name.kind not in (Kind.TABLE, *PARTS) for name in target.objects)
