"""Alembic runs this file for every command. There is nothing to edit: handrail finds models, schema and database."""

from handrail.env import run

run()
