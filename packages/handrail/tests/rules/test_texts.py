"""The code in findings can be copied, whatever the names are."""

from __future__ import annotations

import ast

import pytest

from handrail.judge import judge
from handrail.predict import State
from handrail.predict.placed import place
from handrail.sizes import Sizes
from handrail.statements import read_sql


def code(sql: str) -> str:
    """Return what to write instead of a statement, as Python with string literals put together."""
    state = State()
    (finding,) = (f for f in judge(place(read_sql(sql), state), state, Sizes(), "file.sql") if f.counts)
    return ast.unparse(ast.parse(finding.instead.partition("\n")[2]))


@pytest.mark.parametrize(
    ("sql", "written"),
    [
        (
            'ALTER TABLE "Order Items" ADD COLUMN "order" uuid DEFAULT gen_random_uuid()',
            """op.execute('ALTER TABLE public."Order Items" ADD COLUMN "order" uuid')""",
        ),
        (
            'ALTER TABLE "Order Items" ADD COLUMN "order" uuid DEFAULT gen_random_uuid()',
            """op.alter_column('Order Items', 'order', server_default=sa.text('gen_random_uuid()'))""",
        ),
        (
            """UPDATE t SET "Who" = 'a' WHERE "Who" IS NULL""",
            """'UPDATE public.t SET "Who" = \\'a\\' WHERE ctid = ANY (ARRAY(SELECT ctid FROM public.t """
            """WHERE "Who" IS NULL LIMIT 5000))'""",
        ),
        (
            """ALTER TABLE t ADD CONSTRAINT c CHECK (a ~ '"')""",
            """op.create_check_constraint('c', 't', 'a ~ \\'"\\'', postgresql_not_valid=True)""",
        ),
        (
            """UPDATE t SET j = '{"a":true}'::jsonb, k = 'a\nb'""",
            r"""UPDATE public.t SET j = \'{"a"\\:true}\'::jsonb, k = \'a\nb\' WHERE ctid""",
        ),
        (
            "CREATE UNIQUE INDEX ON t USING hash ((a || b), lower(c), d) INCLUDE (e) WHERE f > 0",
            "op.create_index('ix_t_d', 't', [sa.text('(a || b)'), sa.text('lower(c)'), 'd'], unique=True, "
            "postgresql_using='hash', postgresql_include=['e'], postgresql_where=sa.text('(f > 0)'), "
            "postgresql_concurrently=True)",
        ),
        (
            "ALTER TABLE t ADD COLUMN u int DEFAULT 1 REFERENCES store.users (key)",
            "op.create_foreign_key('t_u_fkey', 't', 'users', ['u'], ['key'], referent_schema='store', "
            "postgresql_not_valid=True)",
        ),
        ("REINDEX INDEX shop.ix", "op.execute('REINDEX (CONCURRENTLY) INDEX shop.ix')"),
        (
            'ALTER TABLE "Order Items" ADD CONSTRAINT "All fine" CHECK (a > 0)',
            """op.execute('ALTER TABLE public."Order Items" VALIDATE CONSTRAINT "All fine"')""",
        ),
        (
            'ALTER TABLE "Order Items" ALTER COLUMN a SET NOT NULL',
            """op.execute('ALTER TABLE public."Order Items" VALIDATE CONSTRAINT "Order Items_a_not_null"')""",
        ),
        (
            'ALTER TABLE "Order Items" ADD COLUMN "No." serial',
            """op.execute('CREATE SEQUENCE public."Order Items_No._seq"')""",
        ),
        (
            'ALTER TABLE "Order Items" RENAME COLUMN a TO "B"',
            """'CREATE TRIGGER "Order Items_B" BEFORE INSERT OR UPDATE ON public."Order Items" """
            """FOR EACH ROW EXECUTE FUNCTION public."Order Items_B"()'""",
        ),
        (
            'ALTER TABLE t RENAME TO "user"',
            """op.execute('CREATE VIEW public.t AS SELECT * FROM public."user"')""",
        ),
        (
            'ALTER TABLE t DETACH PARTITION "Old"',
            """op.execute('ALTER TABLE public.t DETACH PARTITION public."Old" CONCURRENTLY')""",
        ),
        (
            'ALTER TABLE t ADD CONSTRAINT "U" UNIQUE (a)',
            """op.execute('ALTER TABLE public.t ADD CONSTRAINT "U" UNIQUE USING INDEX "U"')""",
        ),
        ('REINDEX TABLE "T"', """op.execute('REINDEX (CONCURRENTLY) TABLE "T"')"""),
    ],
)
def test_names_and_texts_are_quoted(sql: str, written: str) -> None:
    assert written in code(sql)
