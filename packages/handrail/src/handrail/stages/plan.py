"""The way from one schema to another, cut into revisions that never stop a service."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from handrail.catalog.ddl.spelling import MAX_NAME_BYTES
from handrail.catalog.difference import Difference
from handrail.catalog.objects import Attributes, Catalog, Kind, Name
from handrail.operations.identifiers import ident
from handrail.stages import refusals
from handrail.stages.expressions import is_volatile
from handrail.stages.stage import Changes, Road, Stage, Swap
from handrail.type_changes import narrows

PARTIAL_VALIDATION = 180000  # since then foreign keys of partitioned tables can be NOT VALID, too


def stages(before: Catalog, after: Catalog, found: Sequence[Difference], plain: Mapping[str, str]) -> list[Stage]:
    """Return the stages, in order; a single one without a title where everything is harmless.

    Args:
        before: What the revisions create.
        after: What the models say.
        found: The differences between them.
        plain: Rules that the project has switched off, each with its reason.

    Raises:
        MigrationError: Something cannot be done without stopping the service; nothing may be written.
    """
    plan = Plan(before, after, plain, found)
    for difference in found:
        plan.sort(difference)
    refusals.refuse(plan.refused)
    return plan.stages()


@dataclass
class Plan:
    """Which change belongs into which kind of revision."""

    before: Catalog
    after: Catalog
    plain: Mapping[str, str]
    found: Sequence[Difference]
    refused: list[tuple[str, str]] = field(default_factory=list)
    enums: Changes = field(default_factory=dict)
    main: Changes = field(default_factory=dict)
    defaults: Changes = field(default_factory=dict)
    backfill: dict[Name, str] = field(default_factory=dict)
    valid: Changes = field(default_factory=dict)
    not_null: Changes = field(default_factory=dict)
    indexes: list[Changes] = field(default_factory=list)
    swaps: list[tuple[Changes, Changes, Swap]] = field(default_factory=list)
    late: Changes = field(default_factory=dict)
    late_valid: Changes = field(default_factory=dict)
    drops: Changes = field(default_factory=dict)
    lost: list[Name] = field(default_factory=list)
    lost_at_once: list[Name] = field(default_factory=list)

    def sort(self, difference: Difference) -> None:
        """Put a difference where it belongs."""
        name = difference.name
        if name.table and self.is_new(name.owner):
            self.sort_new_part(difference)
        elif difference.after is None and (name.kind is Kind.TABLE or name.owner in self.dropped_tables):
            self.drops[name] = None
            if name.kind is Kind.TABLE:
                self.lost.append(name)
        else:
            match name.kind:
                case Kind.COLUMN:
                    self.sort_column(difference)
                case Kind.CONSTRAINT:
                    self.sort_constraint(difference)
                case Kind.INDEX:
                    self.sort_index(difference)
                case Kind.ENUM if difference.before and difference.after:
                    self.sort_enum(difference)
                case Kind.ENUM | Kind.DOMAIN | Kind.SEQUENCE if difference.after is None:
                    self.drops[name] = None  # what used it goes first
                case Kind.TABLE if difference.before:
                    self.take(list(refusals.altered_table(difference)))
                    self.main[name] = difference.after
                case _:
                    self.main[name] = difference.after

    def is_new(self, table: Name) -> bool:
        return table not in self.before.objects and table in self.after.objects

    @cached_property
    def dropped_tables(self) -> Collection[Name]:
        return {name for name, _ in self.before.of_kind(Kind.TABLE) if name not in self.after.objects}

    def take(self, found: Sequence[tuple[str, str]]) -> None:
        """Remember what is refused, unless the project wants it plain."""
        self.refused += [refusal for refusal in found if refusal[0] not in self.plain]

    def sort_new_part(self, difference: Difference) -> None:
        """A part of a new table: simple, unless it refers to something that only comes later."""
        if self.waits_for_a_key(difference.after):
            self.late[difference.name] = difference.after
        else:
            self.main[difference.name] = difference.after

    # Columns

    def sort_column(self, difference: Difference) -> None:
        name, before, after = difference.name, difference.before, difference.after
        if after is None:
            self.drops[name] = None
            self.lost.append(name)
        elif before is None:
            self.sort_new_column(name, after)
        else:
            self.sort_altered_column(difference, before, after)

    def sort_new_column(self, name: Name, after: Attributes) -> None:
        default, generated = after.get("default"), after.get("generated")
        if after.get("identity") or (generated and generated.get("stored")) or "nextval(" in (default or ""):
            kind = "computed and stored" if generated else "numbered by the database"
            self.take([refusals.rewritten_column(name, kind)])
            self.main[name] = after
        elif default is None and generated is None and after["not_null"]:
            self.take([refusals.missing_default(name)])
            self.main[name] = after
        elif default is not None and is_volatile(default) and "volatile-default" not in self.plain:
            bare = {key: value for key, value in after.items() if key != "default"} | {"not_null": False}
            self.main[name] = bare
            self.defaults[name] = {**after, "not_null": False}
            self.backfill[name] = default
            if after["not_null"]:
                self.require_values(name, after)
        else:
            self.main[name] = after

    def sort_altered_column(self, difference: Difference, before: Attributes, after: Attributes) -> None:
        name, changes = difference.name, difference.changes
        self.take(list(refusals.altered_column(difference)))
        if "type" in changes and narrows(*changes["type"]):
            self.lost.append(name)
            self.drops[name] = after
        elif changes.get("not_null") == (False, True) and "not-null-by-check" not in self.plain:
            relaxed = {**after, "not_null": False}
            if set(changes) != {"not_null"}:
                self.main[name] = relaxed
            self.require_values(name, after)
        else:
            self.main[name] = after

    def require_values(self, name: Name, after: Attributes) -> None:
        """Make a column NOT NULL: a CHECK that is validated while others write spares the scan under lock."""
        expression = f"({ident(name.name)} IS NOT NULL)"
        check = self.free_name(Name(Kind.CONSTRAINT, name.schema, name.table, f"{name.name}_is_set"))
        attributes = {
            "type": "check",
            "definition": f"CHECK ({expression})",
            "columns": [name.name],
            "expression": expression,
            "validated": False,
        }
        # With a backfill only together with the default: from then on nobody can write NULL.
        (self.defaults if name in self.backfill else self.main)[check] = attributes
        self.valid[check] = {**attributes, "validated": True}
        self.not_null[name] = after
        self.not_null[check] = None

    def free_name(self, wanted: Name) -> Name:
        """Return a name that no other object has, as near to this one as can be."""
        names = (wanted._replace(name=shortened(f"{wanted.name}{'_' * count}")) for count in range(MAX_NAME_BYTES))
        return next(name for name in names if name not in self.before.objects and name not in self.after.objects)

    # Constraints

    def sort_constraint(self, difference: Difference) -> None:
        name, before, after = difference.name, difference.before, difference.after
        if after is None:
            gone = self.columns_that_go(name, (before or {}).get("columns", ()))
            (self.drops if gone or self.is_referred_to(name, before or {}) else self.main)[name] = None
            return
        rebuilt = before is None or bool(set(difference.changes) - {"validated", "comment", "enforced"})
        kind = after["type"]
        if not rebuilt:
            (self.valid if difference.changes.get("validated") == (False, True) else self.main)[name] = after
        elif kind in ("unique", "primary key") and "unique-using-index" not in self.plain:
            self.sort_key(name, after, replaced=before is not None)
        elif kind in ("check", "foreign key") and self.can_wait(name, after):
            first, second = (self.late, self.late_valid) if self.waits_for_a_key(after) else (self.main, self.valid)
            first[name] = {**after, "validated": False}
            second[name] = after
        else:
            (self.late if self.waits_for_a_key(after) else self.main)[name] = after

    def columns_that_go(self, part: Name, columns: Sequence[str]) -> bool:
        names = (Name(Kind.COLUMN, part.schema, part.table, column) for column in columns)
        return any(name in self.before.objects and name not in self.after.objects for name in names)

    def is_referred_to(self, name: Name, key: Attributes) -> bool:
        """Whether a foreign key rests on this one, so that it can only go after that."""
        return any(
            (target["schema"], target["table"]) == (name.schema, name.table)
            and set(target["columns"]) == set(key.get("columns", ()))
            for _, attributes in self.before.of_kind(Kind.CONSTRAINT)
            if (target := attributes.get("references"))
        )

    def can_wait(self, name: Name, after: Attributes) -> bool:
        """Whether the rows that are there can be looked at later, while others write."""
        if "constraint-not-valid" in self.plain or after.get("enforced") is False:
            return False
        partitioned = self.after.objects[name.owner].get("type") == "partitioned"
        return after["type"] == "check" or not partitioned or self.after.version >= PARTIAL_VALIDATION

    def waits_for_a_key(self, after: Attributes | None) -> bool:
        """Whether it is a foreign key to a key that this batch gives to a table that is there."""
        target = (after or {}).get("references")
        if not target or "unique-using-index" in self.plain:
            return False
        return any(
            (name.schema, name.table) == (target["schema"], target["table"])
            and set(value["columns"]) == set(target["columns"])
            for name, value in self.new_keys
        )

    @cached_property
    def new_keys(self) -> list[tuple[Name, Attributes]]:
        """The keys that tables which are there get in this batch."""
        return [
            (name, value)
            for name, value in self.after.of_kind(Kind.CONSTRAINT)
            if value["type"] in ("unique", "primary key")
            and not self.is_new(name.owner)
            and self.before.objects.get(name, {}).get("definition") != value["definition"]
        ]

    def sort_key(self, name: Name, after: Attributes, *, replaced: bool) -> None:
        """A key on a table that is there: its index is built while others write, then it becomes the constraint."""
        if self.after.objects[name.owner].get("type") == "partitioned":
            self.main[name] = after
            return
        index = shortened(f"{name.name}_new") if replaced else name.name
        built = Name(Kind.INDEX, name.schema, name.table, index)
        attributes = index_of(name, after, index)
        self.swaps.append(({built: attributes}, {built: None, name: after}, Swap(name, index, replaced)))

    # Indexes, enums

    def sort_index(self, difference: Difference) -> None:
        name, after = difference.name, difference.after
        table = self.before.objects.get(name.owner)
        ordinary = table is not None and table.get("type") == "table"
        columns = [key["column"] for key in (difference.before or {}).get("keys", ()) if key.get("column")]
        if after is None and self.columns_that_go(name, columns):
            self.drops[name] = None
        elif not ordinary or "index-concurrently" in self.plain or set(difference.changes) == {"comment"}:
            self.main[name] = after
        else:
            self.indexes.append({name: after})

    def sort_enum(self, difference: Difference) -> None:
        name, after = difference.name, difference.after
        before_values, values = difference.changes.get("values", ((), ()))
        self.take(list(refusals.altered_enum(difference)))
        if refusals.only_adds(before_values, values):
            self.enums[name] = after
        else:
            self.main[name] = after
            self.lost_at_once.append(name)

    # The stages

    def stages(self) -> list[Stage]:
        """Return them in the order in which they can be run."""
        road = Road(self.before)
        if self.lost_at_once:
            # What used the values of an enum that is made anew can only change in the same moment.
            lost = (*self.lost_at_once, *self.lost)
            road.add("", "", {found.name: found.after for found in self.found}, lost=lost)
            return road.stages
        if not self.lost:
            # Nothing is lost by what only falls away.
            self.main |= self.drops
            self.drops = {}
        if self.enums and not self.uses_a_new_value():
            self.main |= self.enums
            self.enums = {}
        road.add("new enum values", ENUMS, self.enums)
        road.add("", MAIN if self.valid or self.backfill else "", self.main)
        road.add("defaults", DEFAULTS, self.defaults)
        if self.backfill:
            road.add("fill new columns", BACKFILL, {}, backfill=self.backfill)
        road.add("validate", VALIDATE, self.valid)
        road.add("not null", NOT_NULL, self.not_null)
        for change in self.indexes:
            (name,) = change
            verb = "drop index" if change[name] is None else "index"
            road.add(f"{verb} {name.name}", CONCURRENT, change, concurrent=True)
        for built, change, swap in self.swaps:
            road.add(f"index for {swap.constraint.name}", CONCURRENT, built, concurrent=True)
            road.add(f"constraint {swap.constraint.name}", SWAP, change, swaps=(swap,))
        road.add("foreign keys", MAIN if self.late_valid else "", self.late)
        road.add("validate foreign keys", VALIDATE, self.late_valid)
        road.add("drops", DROPS, self.drops, lost=tuple(self.lost))
        return road.stages

    def uses_a_new_value(self) -> bool:
        """Whether another change mentions a value that is only now added: not in the same transaction (55P04)."""
        new = [
            quoted_text(value)
            for name, attributes in self.enums.items()
            for value in (attributes or {}).get("values", ())
            if value not in self.before.objects[name]["values"]
        ]
        texts = [json.dumps(attributes, ensure_ascii=False) for attributes in self.main.values()]
        return any(value in text for value in new for text in texts)


ENUMS = "PostgreSQL lets nobody use a new value before it is committed, so the values come first."
MAIN = (
    "New rows are checked from now on; the rows that are there are looked at by the next revision, while others write."
)
DEFAULTS = "New rows get the default from now on; those that are there get it from the next revision."
BACKFILL = (
    "Fills the rows that are there in batches, each in a transaction of its own. It can be stopped and run again."
)
VALIDATE = (
    "Looks at the rows that are there while others read and write. It fails on the first row that breaks the rule, and "
    "nothing is lost: mend the rows and run it again."
)
NOT_NULL = "PostgreSQL believes the validated CHECK and looks at no row, so this takes a moment."
CONCURRENT = "Runs while others read and write, outside a transaction. After a failure it can simply be run again."
SWAP = "The index is there already, so this takes a moment."
DROPS = "Deploy the code that does without these first: code that still reads them fails from here on."


def quoted_text(value: str) -> str:
    """Return a value as it stands in the server's texts, and these in JSON."""
    doubled = value.replace("'", "''")
    return json.dumps(f"'{doubled}'", ensure_ascii=False)[1:-1]


def shortened(name: str) -> str:
    """Cut a name to what PostgreSQL keeps of it, at the front, where the table's name is."""
    encoded = name.encode()
    return name if len(encoded) <= MAX_NAME_BYTES else encoded[len(encoded) - MAX_NAME_BYTES :].decode(errors="ignore")


def index_of(name: Name, constraint: Attributes, index: str) -> Attributes:
    """Return the unique index that backs a key, as it looks before it does."""
    keys = [{"text": ident(column), "column": column, "descending": False} for column in constraint["columns"]]
    include = constraint.get("include")
    distinct = constraint.get("nulls_not_distinct")
    included = f" INCLUDE ({', '.join(map(ident, include))})" if include else ""
    nulls = " NULLS NOT DISTINCT" if distinct else ""
    definition = (
        f"CREATE UNIQUE INDEX {ident(index)} ON {ident(name.schema)}.{ident(name.table)} "
        f"USING btree ({', '.join(key['text'] for key in keys)}){included}{nulls}"
    )
    attributes = {"definition": definition, "method": "btree", "unique": True, "keys": keys, "valid": True}
    extra = {"include": include, "nulls_not_distinct": distinct}
    return attributes | {key: value for key, value in extra.items() if value}
