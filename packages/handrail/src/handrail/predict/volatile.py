"""Whether an expression can give another value for each row: a new column's volatile default writes the table anew.

Source: https://www.postgresql.org/docs/18/xfunc-volatility.html, and `pg_proc.provolatile`.
"""

from __future__ import annotations

from postgast import pg_query_pb2 as pb

from handrail.predict.state import State
from handrail.predict.syntax import Node, names, nodes

VOLATILE = {
    *("clock_timestamp", "timeofday", "random", "random_normal", "setseed", "gen_random_uuid", "uuidv4", "uuidv7"),
    *("nextval", "setval", "currval", "lastval", "gen_random_bytes", "gen_salt", "crypt", "pg_sleep", "txid_current"),
    *("pg_current_xact_id", "lo_create", "lo_creat", "set_config", "pg_notify", "dblink"),
    *("uuid_generate_v1", "uuid_generate_v1mc", "uuid_generate_v4", "gen_ulid", "ulid_generate", "nanoid"),
}
# What defaults are commonly built of and does not change within a statement. Any other function may be somebody's own,
# and those are volatile unless they are declared otherwise.
STEADY = {
    *("now", "transaction_timestamp", "statement_timestamp", "timezone", "date_trunc", "date_part", "extract", "age"),
    *("to_timestamp", "to_date", "to_char", "to_number", "make_date", "make_interval", "make_timestamp", "make_time"),
    *("make_timestamptz", "current_setting", "current_database", "current_schema", "current_user", "session_user"),
    *("lower", "upper", "initcap", "length", "char_length", "md5", "sha256", "encode", "decode", "concat", "concat_ws"),
    *("left", "right", "substr", "substring", "replace", "trim", "btrim", "ltrim", "rtrim", "lpad", "rpad", "repeat"),
    *("abs", "ceil", "ceiling", "floor", "round", "trunc", "mod", "power", "sqrt", "greatest", "least", "chr", "ascii"),
    *("to_json", "to_jsonb", "json_build_object", "jsonb_build_object", "json_build_array", "jsonb_build_array"),
    *("array_length", "array_append", "string_to_array", "array_fill", "to_tsvector", "to_tsquery", "int4range"),
    *("int8range", "numrange", "tsrange", "tstzrange", "daterange", "inet_client_addr", "pg_backend_pid", "version"),
    *("split_part", "regexp_replace", "strpos", "translate", "reverse", "format", "overlay", "position", "nullif"),
    *("justify_hours", "isfinite", "cardinality", "hashtext", "interval", "date", "timestamp", "quote_literal"),
}


def is_volatile(expression: Node, state: State) -> bool:
    """Whether a default has to be worked out for each row."""
    for call in nodes(expression, pb.FuncCall):
        *schema, name = names(call.funcname)
        if name in state.functions:
            if state.functions[name] == "volatile":
                return True
        elif name in VOLATILE or (schema and schema != ["pg_catalog"]) or name not in STEADY:
            return True
    return False
