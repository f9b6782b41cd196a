"""`handrail rebase`: put revisions that only you have behind those of the others."""

from __future__ import annotations

import click

from handrail.config import load_project


@click.command()
@click.argument("revision", required=False)
@click.option("--onto", metavar="HEAD", help="Which head they shall follow; needed when there are three or more.")
def rebase(revision: str | None, onto: str | None) -> None:
    """Put a local revision behind the other head, when there are two.

    REVISION is the one to be moved, with whatever leads to it alone; without it, the head that is not in the main
    branch yet. Only its down_revision changes, and alembic/schema.sql with it. What is applied in the configured
    database, or is in the main branch of a remote, is never moved.
    """
    from handrail.configuration import alembic_config, load_scripts
    from handrail.rebase import planned_rebase, refuse_applied
    from handrail.writing import renew, undisturbed

    project = load_project()
    config = alembic_config(project)
    directory = load_scripts(config)
    plan = planned_rebase(directory, revision, onto, project.root)
    if plan is None:
        click.echo(f"There is one head, {', '.join(directory.get_heads()) or 'of nothing'}: nothing is to be moved.")
        return
    refuse_applied(project, config, directory, plan)
    with undisturbed(project, config, directory, []):
        plan.perform()
    load_scripts(config)
    moved = ", ".join(script.revision for script in plan.moved)
    click.echo(f"{moved} now follows {plan.onto}. Changed: {plan.path.relative_to(project.root)}")
    renew(project, config)
    click.echo("Read it again: it was written for another state of the schema.  Then:  alembic upgrade head")
