"""`handrail review`, `stats` and `plan`: what is reviewed, in which form it is told, and the exit codes."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

import handrail.applied
import handrail.statements.revision
from faults.shop import revision
from handrail.cli import handrail as command
from handrail.errors import DatabaseAheadError, HeadsError
from small_project import SmallProject

CLEAN, FOUND, NOT_JUDGED, WRONG = 0, 1, 2, 3
TABLE = 'op.execute("CREATE TABLE shop.orders (id int, total int)")'
INDEX = 'op.execute("CREATE INDEX ix_total ON shop.orders (total)")'


@pytest.fixture
def project(new_project: Callable[..., SmallProject]) -> SmallProject:
    """A project with two revisions, of which the second makes writers wait."""
    project = new_project()
    revision(project, "r1", None, TABLE)
    revision(project, "r2", "r1", INDEX)
    # Nothing of this needs a server.
    project.environment["DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/nothing"
    return project


def reviewed(project: SmallProject, *arguments: str, code: int = FOUND) -> str:
    done = project.handrail("review", *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def test_a_finding_names_place_effect_and_the_code_instead(project: SmallProject) -> None:
    said = reviewed(project)

    assert "alembic/versions/r2.py:10  danger  index-not-concurrent" in said
    assert "CREATE INDEX on shop.orders reads the whole table" in " ".join(said.split())
    assert 'op.create_index("ix_total", "orders", ["total"], schema="shop", postgresql_concurrently=True)' in said
    assert said.endswith("1 danger in 1 file, 1 statement.\n")


@pytest.mark.parametrize(
    ("wanted", "code", "files"),
    [("r1", CLEAN, ["r1"]), ("r2", FOUND, ["r2"]), (":", FOUND, ["r1", "r2"]), ("r1:", FOUND, ["r2"]),
     ("r1:r1", CLEAN, []), (":r1", CLEAN, ["r1"]), ("head", FOUND, ["r2"])],
)  # fmt: skip
def test_revisions_and_ranges(project: SmallProject, wanted: str, code: int, files: list[str]) -> None:
    found = json.loads(reviewed(project, wanted, "--format", "json", code=code))

    assert [file["revision"] for file in found] == files


def test_what_is_not_there_is_told(project: SmallProject) -> None:
    assert "there is no revision 'nope'" in project.handrail("review", "nope").stderr
    assert "there is more than one revision that begins with 'r'" in project.handrail("review", "r").stderr
    assert "nope.sql: No such file" in project.handrail("review", "nope.sql").stderr
    assert "git knows no 'nope' here" in project.handrail("review", "--since", "nope").stderr
    assert "handrail stats > nope.json" in project.handrail("review", "--stats", "nope.json").stderr


def test_only_what_a_branch_adds(project: SmallProject) -> None:
    """Committed or not; what the main branch has is taken note of and not judged."""
    project.git("init", "--quiet", "--initial-branch=main")
    project.git("add", ".")
    project.git("commit", "--quiet", "-m", "start")
    project.git("checkout", "--quiet", "-b", "mine")
    revision(project, "r3", "r2", 'op.execute("ALTER TABLE shop.orders DROP COLUMN total")')

    for arguments in (["--since", "main"], []):
        found = json.loads(reviewed(project, *arguments, "--format", "json"))
        assert [file["revision"] for file in found] == ["r3"]
        assert [finding["rule"] for finding in found[0]["findings"]] == ["drops-column"]


Answered = Callable[..., tuple[int, list[str], str]]


@pytest.fixture
def answered(new_project: Callable[..., SmallProject], monkeypatch: pytest.MonkeyPatch) -> Answered:
    """Reviews in this process, where the database may take its time: exit code, revisions and what is said besides."""
    monkeypatch.setattr(handrail.applied, "ANSWER_SECONDS", 60.0)

    def review(project: SmallProject, **environment: str) -> tuple[int, list[str], str]:
        monkeypatch.chdir(project.root)
        done = CliRunner().invoke(command, ["review", "--format", "json"], env=project.environment | environment)
        return done.exit_code, [file["revision"] for file in json.loads(done.stdout)], done.stderr

    return review


def test_what_the_database_has_not_applied_is_reviewed_by_default(
    new_project: Callable[..., SmallProject], url: str, answered: Answered
) -> None:
    project = new_project()
    project.use(url)
    revision(project, "r1", None, TABLE)
    project.succeeds("upgrade", "head")
    revision(project, "r2", "r1", INDEX)
    revision(project, "r3", "r2", 'op.execute("ALTER TABLE shop.orders DROP COLUMN total")')
    database = urlsplit(url).path.strip("/")

    code, revisions, said = answered(project)
    assert (code, revisions) == (FOUND, ["r2", "r3"])
    assert said.startswith("Reviewing what is not applied yet in ")
    assert said.endswith(f"{database} (DATABASE_URL).\n")

    with_password = url.replace("@", ":geheim@", 1)
    ini = (project.root / "alembic.ini").read_text(encoding="utf-8")
    project.write("alembic.ini", ini.replace("[alembic]\n", f"[alembic]\nsqlalchemy.url = {with_password}\n"))
    _, revisions, said = answered(project, DATABASE_URL="", ENVIRONMENT="production")
    assert revisions == ["r2", "r3"]
    assert said.endswith(f"{database} (alembic.ini).\n")
    assert "geheim" not in said


def test_where_all_is_applied_there_is_nothing_to_review(
    new_project: Callable[..., SmallProject], asyncpg_url: str, answered: Answered
) -> None:
    """And where none is, all of it is reviewed, but for what `start_after` exempts."""
    project = new_project()
    project.use(asyncpg_url)
    revision(project, "r1", None, TABLE)
    revision(project, "r2", "r1", INDEX)

    assert answered(project)[:2] == (CLEAN, ["r1", "r2"])  # the index is of a table that is new
    project.write("pyproject.toml", '[tool.handrail]\nmetadata = "shop.base:Base"\nstart_after = "r1"\n')
    assert answered(project)[:2] == (FOUND, ["r2"])

    project.succeeds("upgrade", "head")
    code, revisions, said = answered(project)
    assert (code, revisions) == (CLEAN, [])
    assert said.startswith("All revisions are applied in ")

    (project.root / "alembic/versions/r2.py").unlink()
    revision(project, "r9", "r1", INDEX)
    code, revisions, said = answered(project)
    assert (code, revisions) == (FOUND, ["r9"])
    assert "has r2, which is not among the files here" in said


@pytest.fixture
def silent_server() -> Iterator[str]:
    """A server that takes connections and never says a word."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_a_database_that_does_not_answer_is_not_waited_for(
    project: SmallProject, silent_server: str, driver: str
) -> None:
    """Neither one that is down nor one that hangs, nor is a password told."""
    for place in ("127.0.0.1:1", silent_server):
        url = f"postgresql+{driver}://me:geheim@{place}/shop"

        done = project.handrail("review", "--format", "json", DATABASE_URL=url)

        assert [file["revision"] for file in json.loads(done.stdout)] == ["r2"]
        [said] = done.stderr.splitlines()
        assert said.startswith("Reviewing the newest revision; the database of DATABASE_URL does not answer")
        assert said.endswith("and there is no main branch to compare with.")
        assert "geheim" not in said


def test_no_server_is_started_for_a_review(project: SmallProject) -> None:
    done = project.handrail("review", DATABASE_URL="")

    assert "no database is configured or runs here" in done.stderr
    assert not (project.root / ".postgres").exists()


def test_what_has_not_changed_is_not_read_again(project: SmallProject) -> None:
    """The findings are known, and after an edit of the last revision what the others have made."""
    first, *_, packages = imported(project, "r2")
    assert "alembic" in packages
    assert "pygments" not in packages

    again, *_, packages = imported(project, "r2")
    assert (again, packages) == (first, "[]")

    # If it was run again, there would be another table.
    state = next((project.root / ".handrail_cache").glob("state-*"))
    revision(project, "r2", "r1", 'op.execute("ALTER TABLE shop.orders DROP COLUMN total")')
    assert "drops-column" in reviewed(project, "r2")
    assert [*(project.root / ".handrail_cache").glob("state-*")] == [state]
    state.write_text("damaged", encoding="utf-8")
    revision(project, "r2", "r1", 'op.execute("ALTER TABLE shop.orders DROP COLUMN id")')
    assert "shop.orders.id" in reviewed(project, "r2")


def test_what_was_stopped_is_tried_again(project: SmallProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """On another day a loop may come to its end, and what builds on it is known."""
    monkeypatch.setattr(handrail.statements.revision, "SECONDS", 0.1)
    monkeypatch.chdir(project.root)
    revision(project, "r1", None, f"while True: pass\n{TABLE}")

    for wanted in ("r1", "r2"):
        done = CliRunner().invoke(command, ["review", wanted], env=project.environment)

        assert done.exit_code in (FOUND, NOT_JUDGED)
        assert not [*project.root.glob(".handrail_cache/*-*")]


def sizes(rows: int, size: int) -> str:
    """Return a statistics file."""
    return json.dumps({"version": 1, "tables": {"shop/orders": {"rows": rows, "bytes": size}}})


CHANGES: dict[str, Callable[[SmallProject], object]] = {
    "an earlier revision": lambda shop: revision(shop, "r1", None, "pass"),
    "a helper module": lambda shop: shop.write("shop/helper.py", "TABLE = 'other'\n"),
    "a file that is read": lambda shop: shop.write("alembic/functions.sql", "SELECT 2"),
    "a variable": lambda shop: shop.environment.update(FEATURE="on"),
    "the sizes": lambda shop: shop.write("stats.json", sizes(1, 1)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_decides_a_finding_is_noticed(project: SmallProject, change: str) -> None:
    project.write("stats.json", sizes(9_999_999, 10**9))
    arguments = ("r2", "--stats", "stats.json")
    imported(project, *arguments)
    assert imported(project, *arguments)[-1] == "[]"

    CHANGES[change](project)

    assert "alembic" in imported(project, *arguments)[-1]


@pytest.mark.parametrize("what", ["r3", "a.sql", "a package"])
def test_what_does_not_decide_a_finding_is_not(project: SmallProject, what: str) -> None:
    imported(project, "r2")
    if what == "r3":
        revision(project, "r3", "r2", INDEX)
    elif what == "a.sql":
        project.write(".git/a.sql", "SELECT 1")
    else:
        project.write("node_modules/a.txt", "1")

    assert imported(project, "r2")[-1] == "[]"


def test_sizes_decide(project: SmallProject) -> None:
    def with_size(rows: int, size: int, code: int) -> str:
        project.write("stats.json", sizes(rows, size))
        return reviewed(project, "--stats", "stats.json", code=code)

    with_size(1000, 50_000, CLEAN)
    said = with_size(3_000_000, 400_000_000, FOUND)
    assert "shop.orders (3,000,000 rows, 381 MB)" in " ".join(said.split())
    project.write("stats.json", '{"tables": [1]}')
    assert "is no statistics file" in project.handrail("review", "--stats", "stats.json").stderr


def test_plain_sql_needs_no_project(project: SmallProject, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "a.sql").write_text("SET lock_timeout = '1s';\n\n-- why\nDROP TABLE old;\n", encoding="utf-8")
    (folder / "b.sql").write_text("CREATE TABLE t (id int);\nCREATE INDEX ON t (id);\n", encoding="utf-8")
    project.root = folder

    said = reviewed(project, "a.sql", "b.sql")

    assert "a.sql:4  danger  drops-table" in said
    assert said.count("danger") == 2
    assert reviewed(project, "b.sql", code=CLEAN).startswith("Nothing found")


PROBE = """
import sys
from handrail.cli import main
sys.argv = ["handrail", "review", *sys.argv[1:]]
try:
    main()
finally:
    heavy = {"sqlalchemy", "alembic", "mako", "pygments", "asyncio"}
    print(sorted({name.partition(".")[0] for name in sys.modules} & heavy))
"""


def imported(project: SmallProject, *arguments: str) -> list[str]:
    """Return what a review printed and, in the last line, the packages that it has imported."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments],
        cwd=project.root,
        env=project.base_environment() | project.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.splitlines()


def test_a_sql_file_needs_neither_sqlalchemy_nor_alembic(project: SmallProject) -> None:
    project.write("a.sql", "ALTER TABLE t ADD COLUMN u int DEFAULT 1 REFERENCES other; DROP TABLE old;\n")

    *said, packages = imported(project, "a.sql")

    assert "drops-table" in " ".join(said)
    assert packages == "[]"


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        (b"", CLEAN, "Nothing found in 1 file, 0 statements."),
        (b"-- nothing\n", CLEAN, "Nothing found"),
        (b"SELECT 1;\nALTER TABLE t ADD COLUM;\n", NOT_JUDGED, "a.sql:2"),
        (b"SELECT '\xff'", WRONG, "a.sql is not UTF-8"),
        (b"\\set x 1\nDROP TABLE t;\n", FOUND, "a.sql:2"),
        (b"DO $$ BEGIN EXECUTE 'DROP ' || 'TABLE t'; END $$", NOT_JUDGED, "a.sql:1"),
    ],
)
def test_bad_and_empty_files(project: SmallProject, content: bytes, code: int, said: str) -> None:
    (project.root / "a.sql").write_bytes(content)

    done = project.handrail("review", "a.sql")

    assert done.returncode == code, done.stdout + done.stderr
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_revision_does_not_hide_the_others(project: SmallProject) -> None:
    project.write("alembic/versions/r3.py", 'revision = "r3"\ndown_revision = "r2"\n\ndef upgrade(:\n')

    found = json.loads(reviewed(project, ":", "--format", "json"))

    rules = {file["revision"]: [finding["rule"] for finding in file["findings"]] for file in found}
    assert rules == {"r1": [], "r2": ["index-not-concurrent"], "r3": ["unseen"]}


def test_github_gets_annotations_and_a_summary(project: SmallProject) -> None:
    summary = project.root / "summary.md"
    done = project.handrail("review", "--format", "github", GITHUB_STEP_SUMMARY=str(summary))

    [command, *rest] = done.stdout.splitlines()

    assert command.startswith("::error file=alembic/versions/r2.py,line=10,title=handrail%3A index-not-concurrent::")
    assert "%0A" in command
    assert rest == ["1 danger in 1 file, 1 statement."]
    text = summary.read_text(encoding="utf-8")
    assert "| 10 | <code>CREATE INDEX ix\\_total ON shop.orders (total)</code> | writes of shop.orders |" in text


def test_names_in_a_summary_are_no_markup(project: SmallProject) -> None:
    body = "op.execute('ALTER TABLE shop.orders DROP COLUMN \"<img src=x> [a](b) | @x\"')"
    revision(project, "r2", "r1", body)

    text = re.sub("```python.*?```", "", reviewed(project, "--format", "markdown"), flags=re.DOTALL)

    assert "&lt;img src=x>" in text
    assert "<img" not in text
    assert "](b)" not in text.replace("\\[a](b)", "")


def test_sarif_tells_rules_places_and_what_is_allowed(project: SmallProject) -> None:
    note = "# handrail: allow index-not-concurrent shop.orders — at night, with the service down\n"
    revision(project, "r2", "r1", note + INDEX)

    run = json.loads(reviewed(project, "--format", "sarif", code=CLEAN))["runs"][0]

    [result] = run["results"]
    assert result["ruleId"] == "index-not-concurrent"
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 11}
    assert result["suppressions"] == [{"kind": "inSource", "justification": "at night, with the service down"}]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["index-not-concurrent"]


def test_stats_are_what_review_reads(new_project: Callable[..., SmallProject], asyncpg_url: str) -> None:
    project = new_project()
    project.use(asyncpg_url)
    revision(project, "r1", None, TABLE + '\nop.execute("INSERT INTO shop.orders VALUES (4711, 4712)")')
    project.succeeds("upgrade", "head")
    revision(project, "r2", "r1", INDEX)

    stats = project.handrail("stats").stdout

    assert "shop/orders" in stats
    assert "4711" not in stats
    project.write("stats.json", stats)
    assert project.handrail("review", "--stats", "stats.json").returncode == CLEAN


def test_the_plan_tells_what_the_upgrade_will_do(new_project: Callable[..., SmallProject], asyncpg_url: str) -> None:
    project = new_project()
    project.use(asyncpg_url)
    revision(project, "r1", None, TABLE)
    project.succeeds("upgrade", "head")
    assert project.handrail("plan").stdout == "Nothing is pending.\n"
    revision(project, "r2", "r1", 'op.execute("ALTER TABLE shop.orders ALTER total TYPE bigint")')
    revision(
        project, "r3", "r2", 'op.execute("ALTER TABLE shop.orders RENAME total TO amount")', "op.execute('SELECT 1')"
    )

    done = project.handrail("plan")

    said = " ".join(done.stdout.split())
    assert done.returncode == FOUND, done.stdout + done.stderr  # a renamed column breaks running code
    assert (
        "ALTER TABLE shop.orders ALTER total TYPE bigint reads and writes of shop.orders wait; reads shop.orders"
        in said
    )
    assert "reads and writes of shop.orders, for a moment wait" in said
    assert "It cannot be taken back: its downgrade does nothing." in said
    assert "let code that does without it run everywhere first" in said
    assert [file["revision"] for file in json.loads(project.handrail("plan", "--format", "json").stdout)] == [
        "r2",
        "r3",
    ]
    assert project.succeeds("current").split()[0] == "r1"

    unknown = project.handrail("plan", "r9")
    assert (unknown.returncode, unknown.stderr.count("\n")) == (HeadsError.exit_code, 1), unknown.stderr
    revision(project, "r2b", "r1", "op.execute('SELECT 1')")
    two_heads = project.handrail("plan")
    assert two_heads.returncode == HeadsError.exit_code
    assert "there are 2 heads, so it is not clear what `head` is" in two_heads.stderr
    (project.root / "alembic/versions/r2b.py").unlink()
    project.succeeds("upgrade", "r2")
    (project.root / "alembic/versions/r2.py").unlink()
    (project.root / "alembic/versions/r3.py").unlink()
    ahead = project.handrail("plan")
    assert ahead.returncode == DatabaseAheadError.exit_code
    assert ahead.stderr.startswith(
        "error: nothing was changed: the database is at r2, and this code has no such revision."
    )


def test_offline_sql_begins_with_what_was_found(project: SmallProject) -> None:
    sql = project.succeeds("upgrade", "r1:r2", "--sql")

    head, _, rest = sql.partition("BEGIN;")
    assert "-- alembic/versions/r2.py:10  danger  index-not-concurrent" in head
    assert all(not line or line.startswith("--") for line in head.splitlines())
    assert "CREATE INDEX ix_total" in rest


def test_autogenerate_shows_the_review_of_what_it_wrote(
    new_project: Callable[..., SmallProject], asyncpg_url: str
) -> None:
    project = new_project()
    project.use(asyncpg_url)
    columns = "    id: Mapped[int] = mapped_column(primary_key=True)\n    note: Mapped[str | None]\n"
    head = "from sqlalchemy.orm import Mapped, mapped_column\n\nfrom shop.base import Base\n\n\n"
    model = head + 'class Order(Base):\n    __tablename__ = "orders"\n\n'
    project.write("shop/orders.py", model + columns)
    first = project.alembic("revision", "--autogenerate", "-m", "orders")
    assert "danger" not in first.stderr
    project.write("shop/orders.py", model + columns.partition("\n")[0] + "\n")

    second = project.alembic("revision", "--autogenerate", "-m", "no note")

    assert "danger  drops-column" in second.stderr
    assert "# handrail: allow drops-column shop.orders.note" in second.stderr
