"""Conditions in SQL: whether a database is already as a difference would make it."""

from __future__ import annotations

from handrail.catalog.ddl.spelling import identifier, place, qualified, table_of
from handrail.catalog.difference import Difference
from handrail.catalog.objects import Attributes, Kind, Name
from handrail.connection import literal

# How an object is found: in which catalog, by which conditions, and which function writes its definition.
PARTS = {
    Kind.COLUMN: ("pg_attribute", "attrelid", "attname", ""),
    Kind.CONSTRAINT: ("pg_constraint", "conrelid", "conname", "pg_get_constraintdef(oid)"),
    Kind.TRIGGER: ("pg_trigger", "tgrelid", "tgname", "pg_get_triggerdef(oid)"),
    Kind.RULE: ("pg_rewrite", "ev_class", "rulename", "pg_get_ruledef(oid)"),
    Kind.POLICY: ("pg_policy", "polrelid", "polname", ""),
}
LOOKUPS = {
    Kind.SCHEMA: "to_regnamespace",
    Kind.COLLATION: "to_regcollation",
    Kind.ENUM: "to_regtype",
    Kind.DOMAIN: "to_regtype",
    Kind.COMPOSITE: "to_regtype",
    Kind.RANGE: "to_regtype",
    Kind.SEQUENCE: "to_regclass",
    Kind.TABLE: "to_regclass",
    Kind.INDEX: "to_regclass",
    Kind.VIEW: "to_regclass",
    Kind.MATERIALIZED_VIEW: "to_regclass",
}
DEFINITIONS = {
    Kind.INDEX: "pg_get_indexdef",
    Kind.VIEW: "pg_get_viewdef",
    Kind.MATERIALIZED_VIEW: "pg_get_viewdef",
}


def already(difference: Difference) -> str:
    """Return a condition that holds where the difference is made; empty where making it again does nothing."""
    name, after = difference.name, difference.after
    if after is None:
        return negated(exists(name))
    if difference.before is None:
        return exists(name)
    return changed(name, after, difference)


def negated(condition: str) -> str:
    return f"NOT {condition}" if condition.startswith("EXISTS") else condition.replace("IS NOT NULL", "IS NULL")


def exists(name: Name, more: str = "") -> str:
    """Return the condition that an object is there."""
    if name.kind in PARTS:
        catalog, table, column, _ = PARTS[name.kind]
        dropped = " AND NOT attisdropped" if name.kind is Kind.COLUMN else ""
        return (
            f"EXISTS (SELECT FROM {catalog} WHERE {table} = to_regclass({literal(table_of(name))}) "
            f"AND {column} = {literal(name.name)}{dropped}{more})"
        )
    if name.kind is Kind.EXTENSION:
        return f"EXISTS (SELECT FROM pg_extension WHERE extname = {literal(name.name)})"
    if name.kind is Kind.STATISTICS:
        return (
            f"EXISTS (SELECT FROM pg_statistic_ext WHERE stxname = {literal(name.name)} "
            f"AND stxnamespace = to_regnamespace({literal(identifier(name.schema))}){more})"
        )
    if name.kind is Kind.FUNCTION:
        return f"EXISTS (SELECT FROM pg_proc WHERE {function(name)}{more})"
    return f"{LOOKUPS[name.kind]}({literal(place(name))}) IS NOT NULL" if name.kind in LOOKUPS else ""


def function(name: Name) -> str:
    """Return how a function is found: by the text of its arguments, as it is named."""
    own, _, arguments = name.name.partition("(")
    return (
        f"pronamespace = to_regnamespace({literal(identifier(name.schema))}) AND proname = {literal(own)} "
        f"AND pg_get_function_identity_arguments(oid) = {literal(arguments.removesuffix(')'))}"
    )


def changed(name: Name, after: Attributes, difference: Difference) -> str:
    """Return the condition that an object has the attributes of the second side, where that cannot be set twice."""
    changes = difference.changes
    match name.kind:
        case Kind.COLUMN:
            return column(name, after, difference)
        case Kind.CONSTRAINT if not set(changes) <= {"comment", "validated", "clustered"}:
            said = f" AND pg_get_constraintdef(oid) = {literal(with_validity(after))}"
            return exists(name, said)
        case Kind.TRIGGER | Kind.RULE if "definition" in changes:
            return exists(name, f" AND {PARTS[name.kind][3]} = {literal(after['definition'])}")
        case Kind.POLICY if set(changes) - {"comment"}:
            return exists(name, policy(after))
        case Kind.INDEX | Kind.VIEW | Kind.MATERIALIZED_VIEW if "definition" in changes:
            lookup = f"to_regclass({literal(place(name))})"
            return f"{DEFINITIONS[name.kind]}({lookup}) = {literal(after['definition'])}"
        case Kind.STATISTICS if "definition" in changes:
            return exists(name, f" AND pg_get_statisticsobjdef(oid) = {literal(after['definition'])}")
        case Kind.FUNCTION if "definition" in changes:
            return exists(name, f" AND pg_get_functiondef(oid) = {literal(after['definition'])}")
        case Kind.TABLE:
            return family(name, after, difference)
        case Kind.DOMAIN if "checks" in changes:
            return checks(name, after)
        case Kind.ENUM if "values" in changes:
            values = ", ".join(map(literal, after["values"]))
            return (
                "(SELECT array_agg(enumlabel ORDER BY enumsortorder)::text[] FROM pg_enum WHERE enumtypid = "  # noqa: S608
                f"to_regtype({literal(place(name))})) = ARRAY[{values}]"
            )
        case Kind.COMPOSITE if "attributes" in changes:
            attributes = ", ".join(literal(attribute[0]) for attribute in after["attributes"])
            return (
                "(SELECT array_agg(attname ORDER BY attnum)::text[] FROM pg_attribute WHERE attrelid = "  # noqa: S608
                f"to_regclass({literal(place(name))}) AND attnum > 0 AND NOT attisdropped) = ARRAY[{attributes}]"
            )
    return ""


def with_validity(constraint: Attributes) -> str:
    """Return the definition as PostgreSQL writes it."""
    return str(constraint["definition"]) + ("" if constraint.get("validated", True) else " NOT VALID")


def policy(after: Attributes) -> str:
    """Return the conditions on what a policy says, and for whom."""
    command = {"SELECT": "r", "INSERT": "a", "UPDATE": "w", "DELETE": "d"}.get(after["command"], "*")
    said = f" AND polcmd = '{command}' AND polpermissive = {str(after['permissive']).lower()}"
    for column_, key in (("polqual", "using"), ("polwithcheck", "check")):
        text = "NULL" if after.get(key) is None else literal(after[key])
        said += f" AND pg_get_expr({column_}, polrelid) IS NOT DISTINCT FROM {text}"
    roles = ", ".join(
        "0" if role == "public" else f"to_regrole({literal(identifier(role))})" for role in after["roles"]
    )
    return f"{said} AND polroles @> ARRAY[{roles}]::oid[] AND cardinality(polroles) = {len(after['roles'])}"


def column(name: Name, after: Attributes, difference: Difference) -> str:
    """Return the condition on type, identity and expression, which cannot be given twice without a price."""
    changes, said = difference.changes, ""
    if {"type", "collation"} & changes.keys():
        said += f" AND format_type(atttypid, atttypmod) = {literal(after['type'])}"
        if "collation" in changes:
            wanted = after.get("collation")
            condition = (
                f"attcollation {'=' if wanted else '<>'} to_regcollation({literal(wanted or other(difference))})"
            )
            said += f" AND {condition}"
    if "identity" in changes and bool((difference.before or {}).get("identity")) != bool(after.get("identity")):
        said += f" AND attidentity {'<>' if after.get('identity') else '='} ''"
    if "generated" in changes:
        said += f" AND attgenerated {'<>' if after.get('generated') else '='} ''"
    return exists(name, said) if said else ""


def other(difference: Difference) -> str:
    return str((difference.before or {}).get("collation") or 'pg_catalog."default"')


def family(name: Name, after: Attributes, difference: Difference) -> str:
    """Return the condition on the parents of a table."""
    if not {"inherits", "partition_of", "bound"} & difference.changes.keys():
        return ""
    table = literal(place(name))
    found = (
        "(SELECT coalesce(array_agg(inhparent ORDER BY inhseqno), '{}') FROM pg_inherits WHERE inhrelid = "  # noqa: S608
        f"to_regclass({table}))"
    )
    parents = list(after.get("inherits") or ()) + ([after["partition_of"]] if after.get("partition_of") else [])
    listed = ", ".join(f"to_regclass({literal(qualified(*parent))})::oid" for parent in parents)
    bound = (
        f" AND (SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = to_regclass({table})) "  # noqa: S608
        f"= {literal(after['bound'])}"
        if after.get("bound")
        else ""
    )
    return f"{found} = ARRAY[{listed}]::oid[]{bound}"


def checks(name: Name, after: Attributes) -> str:
    """Return the condition that a domain has just these checks."""
    wanted = after.get("checks") or {}
    names = ", ".join(map(literal, sorted(wanted)))
    return (
        "(SELECT coalesce(array_agg(conname ORDER BY conname COLLATE \"C\"), '{}')::text[] FROM pg_constraint WHERE "  # noqa: S608
        f"contype = 'c' AND contypid = to_regtype({literal(place(name))})) = ARRAY[{names}]::text[]"
    )
