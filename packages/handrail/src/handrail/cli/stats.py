"""`handrail stats`: how large the tables are, for reviews where the data is not."""

from __future__ import annotations

import click

from handrail.config import load_project


@click.command()
def stats() -> None:
    """Print the sizes of the database's tables as JSON, for `handrail review --stats`.

    Names of tables, estimated rows and bytes; nothing of what is in them. Any role can read them:

    \b
    handrail stats > stats.json
    """  # noqa: D301 - click looks for that character
    from handrail.configuration import alembic_config, database_of
    from handrail.connection import with_connection
    from handrail.sizes import Sizes

    project = load_project()
    url = database_of(project, alembic_config(project))
    sizes = with_connection(url, Sizes.of, application="handrail stats")
    click.echo(sizes.dump(), nl=False)
