"""Put the target together: from the cache what did not change, from a throwaway database the rest."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.sql.ddl import CheckFirst

from handrail.catalog import Catalog, Kind, Name
from handrail.catalog.objects import FORMAT as CATALOG_FORMAT
from handrail.connection import ServerMessage
from handrail.target.build import UNDEFINED, Ground
from handrail.target.names import stored
from handrail.target.refusals import refuse_unnamed_indexes, refused_models
from handrail.target.store import Objects, Store
from handrail.target.units import NotPlainError, Unit, created_types, ddl, digest_of, units_of
from handrail.target.used import used

if TYPE_CHECKING:
    from sqlalchemy import Connection, MetaData

    from handrail.cache import Cache
    from handrail.scratch import ScratchServer

FORMAT = "1"  # to be raised when something else is kept for the same models
# What a table's catalog says depends on these beside its DDL. The current schema is where an unqualified table goes.
SURROUNDINGS = """
SELECT json_build_object('default_schema', coalesce(current_schema(), 'public'), 'server', json_build_array(
    version(), current_user, current_setting('search_path'), (SELECT json_build_array(encoding, datcollate, datctype)
    FROM pg_database WHERE datname = current_database())))::text
"""
# Kinds of objects that are never left over from a history whose tables were dropped.
OF_TABLES = (Kind.TABLE, Kind.COLUMN, Kind.CONSTRAINT, Kind.INDEX, Kind.TRIGGER, Kind.RULE, Kind.POLICY)


def target_catalog(
    server: ScratchServer, metadata: MetaData, history: Catalog, history_database: str, cache: Cache
) -> Catalog:
    """Return the catalog that the models' own DDL produces on this server, DDL events included.

    It has what the models create, with what the history has for them to use: schemas, extensions, and the types and
    sequences of their columns. Nobody may be connected to the history database in the meantime.

    Args:
        server: Where the history is, too: both are then written down by the same PostgreSQL.
        metadata: All models.
        history: What the revisions create.
        history_database: The name of the database that holds it.
        cache: Where the results of earlier commands are, and this one's are put.

    Raises:
        ModelError: PostgreSQL or SQLAlchemy refuses the DDL; the message says which and what to do.
        DatabaseUnavailableError: The history would have to be copied and stays in use.
    """
    surroundings = json.loads(server.scalar(SURROUNDINGS, database=history_database))
    refuse_unnamed_indexes(metadata)
    with refused_models():
        default_schema = surroundings["default_schema"]
        try:
            units = units_of(metadata, default_schema)
            own = frozenset(name for name in units if name.kind is not Kind.TABLE)
        except (NotPlainError, SQLAlchemyError):
            # Only create_all as a whole tells what comes of these, or what is wrong.
            units, own = {}, created_types(metadata, default_schema)
        schemas = {stored(table.schema or default_schema) for table in metadata.tables.values()}
        schemas |= {name.schema for name in own}
        ground = Ground(server, history, history_database, own)
        if units:
            base = digest_of(
                FORMAT, str(CATALOG_FORMAT), version("handrail"), version("sqlalchemy"), json.dumps(surroundings)
            )
            objects = Composition(ground, metadata, schemas, units, cache, base).objects()
        else:
            objects = _whole(ground, metadata, schemas)
    return _completed(objects, history, schemas)


def _whole(ground: Ground, metadata: MetaData, schemas: Collection[str]) -> Objects:
    """Create everything, and return what the models made: on a copied history the rest is not theirs."""
    create = partial(create_all, metadata)
    try:
        return dict(ground.build(schemas, create).objects)
    except DBAPIError as error:
        if ServerMessage.of(error).sqlstate not in UNDEFINED:
            raise
    built = replace(ground, copied=True).build(schemas, create)
    there = ground.history.objects
    return {
        name: attributes
        for name, attributes in built.objects.items()
        if name.kind in OF_TABLES or name in ground.own or attributes.get("owned_by") or there.get(name) != attributes
    }


def create_all(metadata: MetaData, connection: Connection) -> None:
    """Let SQLAlchemy create everything. It asks only for sequences, which columns may share, whether they are there."""
    metadata.create_all(connection, checkfirst=CheckFirst.SEQUENCES)


def _completed(objects: Objects, history: Catalog, schemas: Collection[str]) -> Catalog:
    """Return the catalog with what the models do not make, and use; schemas and extensions as the history has them."""
    # A schema's owner is no matter of models, and of our own making there is nothing else to it.
    found: Objects = {Name(Kind.SCHEMA, "", "", schema): {} for schema in schemas}
    found |= {name: attributes for name, attributes in objects.items() if name.kind is not Kind.SCHEMA}
    found = used(found, history) | found | dict(history.of_kind(Kind.SCHEMA, Kind.EXTENSION))
    return Catalog(history.version, dict(sorted(found.items())))


@dataclass(frozen=True)
class Composition:
    """One run over models that can be taken apart.

    Attributes:
        base: Digest of what decides about every unit.
    """

    ground: Ground
    metadata: MetaData
    schemas: Collection[str]
    units: Mapping[Name, Unit]
    cache: Cache
    base: str

    def objects(self) -> Objects:
        """Return what the models make, and keep it for the next time."""
        stores = {copied: Store.open(self.cache, self._store_key(copied=copied)) for copied in (False, True)}
        keys = self._keys()
        parts = {name: stores[False].get(key) or stores[True].get(key) for name, key in keys.items()}
        missing = [name for name, part in parts.items() if part is None]
        if missing:
            built, copied = self._build(missing)
            parts |= built
            stores[copied].put({keys[name]: part for name, part in built.items()})
        for store in stores.values():
            store.save(keys.values())
        return {name: attributes for part in parts.values() for name, attributes in (part or {}).items()}

    def _store_key(self, *, copied: bool) -> str:
        """Return where parts are kept: what was built among the history's functions and types depends on these."""
        kinds = set(Kind) - {*OF_TABLES, Kind.SCHEMA, Kind.DEFAULT_PRIVILEGES} if copied else {Kind.EXTENSION}
        there = [[*name, attributes] for name, attributes in self.ground.history.of_kind(*kinds)]
        return f"target-{digest_of(self.base, str(copied), json.dumps(there, sort_keys=True))[:32]}"

    def _keys(self) -> dict[Name, str]:
        """Return the digest of each unit with all that it needs."""
        keys: dict[Name, str] = {}
        for name, unit in self.units.items():
            keys[name] = digest_of(str(name), unit.digest, *(keys[need] for need in unit.needs))
        return keys

    def _build(self, names: Collection[Name]) -> tuple[dict[Name, Objects], bool]:
        """Create some units, or all when it is most of them; return what each became, and whether on a copy."""
        small = len(names) * 2 < len(self.units)
        create = partial(self._create, names) if small else partial(create_all, self.metadata)
        for copied in (False, True):
            ground = replace(self.ground, copied=copied)
            try:
                return _parts(ground.build(self.schemas, create), names), copied
            except DBAPIError as error:
                undefined = ServerMessage.of(error).sqlstate in UNDEFINED
                if undefined and not copied:
                    continue
                if not small:
                    raise
        # Why it failed, and whether it does, is only certain with everything in its place.
        return self._build(self.units.keys())

    def _create(self, names: Collection[Name], connection: Connection) -> None:
        for element in ddl(self._with_needed(names), complete=names):
            connection.execute(element)

    def _with_needed(self, names: Iterable[Name]) -> list[Unit]:
        """Return units with those that they need and refer to, in an order in which they can be created."""
        waiting = [*names, *(reference for name in names for reference in self.units[name].references)]
        wanted = set(waiting)
        while waiting:
            needed = set(self.units[waiting.pop()].needs) - wanted
            wanted |= needed
            waiting += needed
        return [unit for name, unit in self.units.items() if name in wanted]


def _parts(built: Catalog, names: Collection[Name]) -> dict[Name, Objects]:
    """Return the objects that belong to each unit."""
    parts: dict[Name, Objects] = {name: {} for name in names}
    for name, attributes in built.objects.items():
        owned_by = attributes.get("owned_by")
        unit = name.owner if name.table else name
        if owned_by:
            unit = Name(Kind.TABLE, owned_by[0], "", owned_by[1])
        if unit in parts:
            parts[unit][name] = attributes
    return parts
