"""The migrations of this project: complete, and reversible one by one."""

from handrail.pytest_plugin import Migrations


def test_the_migrations_create_what_the_models_say(migrations: Migrations) -> None:
    migrations.upgrade()

    migrations.check()


def test_every_migration_can_be_undone_and_done_again(migrations: Migrations) -> None:
    for revision in migrations.revisions():
        migrations.upgrade(revision)
        migrations.downgrade()
        migrations.upgrade(revision)
