"""`handrail review`: what revisions do, before they do it."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from handrail.errors import ConfigurationError

if TYPE_CHECKING:
    from handrail.review import Reviewed
    from handrail.sizes import Sizes

FOUND, NOT_JUDGED = 1, 2
SHAPES = ["text", "json", "github", "sarif", "markdown"]


@click.command()
@click.argument("what", nargs=-1, metavar="[REVISION | FROM:TO | FILE.sql | FILE.py]...")
@click.option(
    "--since", metavar="GIT_REF", help="The revisions that were added or changed since this commit or branch."
)
@click.option(
    "--stats", type=click.Path(path_type=Path), help="Sizes of the tables, from `handrail stats` in production."
)
@click.option(
    "--format", "shape", type=click.Choice(SHAPES), default="text", help="For people, machines or a pull request."
)
def review(what: tuple[str, ...], since: str | None, stats: Path | None, shape: str) -> None:
    """Tell what revisions do: what is lost, who has to wait and for how long, what fails, what breaks running code.

    No database is needed and nothing is run in one: the SQL of each revision is found by calling its upgrade() on a
    connection that leads nowhere. Without an argument, what the configured database has not applied yet is reviewed;
    when there is none that answers within a second, what is not in the main branch yet, else the newest revision.
    `:` stands for all of them.

    \b
    handrail review                       what is not applied yet
    handrail review 3f2a                  one revision
    handrail review 3f2a:head             those after it
    handrail review --since origin/main   those of this branch
    handrail review changes/*.sql         plain SQL, without Alembic

    Without --stats every table may be large. What is meant gets a line in the revision:
    # handrail: allow <rule> <object> — <reason>

    The exit code is 0 when nothing was found, 1 when something was, and 2 when something could not be judged.
    """  # noqa: D301 - click looks for that character
    without_collector(click.get_current_context())
    from handrail.report import written
    from handrail.sizes import Sizes

    sizes = Sizes.load(stats) if stats else Sizes()
    files = [Path(name) for name in what if name.endswith((".sql", ".py"))]
    revisions = [name for name in what if not name.endswith((".sql", ".py"))]
    reviews = [*reviewed_files(files, sizes)]
    if revisions or not files:
        reviews += reviewed_revisions(revisions, since, sizes)
    click.echo(written(reviews, shape))
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if shape == "github" and summary:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(written(reviews, "markdown") + "\n")
    counting = [finding for review in reviews for finding in review.findings if finding.counts]
    if any(finding.rule != "unseen" for finding in counting):
        sys.exit(FOUND)
    sys.exit(NOT_JUDGED if counting else 0)


def without_collector(context: click.Context) -> None:
    """Let the collector rest: of a command that ends at once it would only walk over all of SQLAlchemy."""
    gc.disable()
    # What is there now stays as it is, when this is not the end of the process after all.
    context.call_on_close(gc.enable)
    context.call_on_close(gc.freeze)


def reviewed_files(files: list[Path], sizes: Sizes) -> list[Reviewed]:
    """Review SQL files, each by itself, and revisions that are named by their files."""
    reviews = []
    for file in files:
        try:
            text = file.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"{file}: {error.strerror}.") from error
        except UnicodeDecodeError as error:
            raise ConfigurationError(f"{file} is not UTF-8, at byte {error.start}.") from error
        if file.suffix == ".sql":
            from handrail.review.sql_file import review_sql

            reviews.append(review_sql(file, text, sizes))
        else:
            reviews += reviewed_script(file, sizes)
    return reviews


def reviewed_script(file: Path, sizes: Sizes) -> list[Reviewed]:
    """Review a revision that is named by its file, after those that it follows in its folder."""
    from handrail.review.revisions import Revisions
    from handrail.scripts import read_script

    script = read_script(file.resolve())
    if script is None:
        raise ConfigurationError(f"{file} is no revision of Alembic's: it has no `revision = …`.")
    return Revisions.beside(file).review([script], sizes)


def reviewed_revisions(wanted: list[str], since: str | None, sizes: Sizes) -> list[Reviewed]:
    """Review revisions of the project here."""
    from handrail.config import load_any_project
    from handrail.review.revisions import Revisions
    from handrail.scripts import selected
    from handrail.upstream import changed_since

    project = load_any_project(Path.cwd())
    revisions = Revisions.of(project)
    if wanted:
        chosen = [script for name in wanted for script in selected(revisions.scripts, name)]
        return revisions.review(chosen, sizes)
    if since is not None:
        changed = changed_since(revisions.root, since)
        chosen = [script for script in revisions.scripts if script.path in changed]
    else:
        from handrail.review.chosen import not_applied

        found = not_applied(revisions.scripts, project)
        click.echo(found.how, err=True)
        chosen = found.scripts
    return revisions.review(chosen, sizes, together=True)
