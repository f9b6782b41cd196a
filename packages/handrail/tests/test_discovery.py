"""No model is forgotten, and what cannot be imported is an error instead of a missing table."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from small_project import ORDERS, SmallProject

NewProject = Callable[..., SmallProject]


@pytest.fixture
def shop(new_project: NewProject, empty_database: str) -> SmallProject:
    """A project without models."""
    project = new_project()
    project.environment["DATABASE_URL"] = empty_database
    return project


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("import stripe_of_nobody\n", "ModuleNotFoundError: No module named 'stripe_of_nobody'"),
        ("x = 1\ny = 1 / 0\n", "ZeroDivisionError: division by zero"),
        ("def broken(:\n", "SyntaxError"),
        ("import sys\nsys.exit('no settings')\n", "SystemExit: no settings"),
    ],
)
def test_a_module_that_fails_to_import_is_named(shop: SmallProject, source: str, cause: str) -> None:
    """File, line and cause are told, and nothing is written."""
    shop.write("shop/payments/models.py", source)

    message = shop.refuses("revision", "--autogenerate", "-m", "all")

    line = len(source.splitlines())
    assert f"shop/payments/models.py:{line} could not be imported: {cause}" in message
    assert 'exclude = ["shop.payments.models"]' in message
    assert shop.revisions() == []


def test_the_failing_file_is_named_also_when_another_imports_it(shop: SmallProject) -> None:
    """The place that is told is where the cause is."""
    shop.write("shop/a.py", "import shop.b\n")
    shop.write("shop/b.py", "\n\nraise ValueError('too early')\n")

    assert "shop/b.py:3 could not be imported: ValueError: too early" in shop.refuses("check")


def test_tests_and_scripts_are_not_imported(shop: SmallProject) -> None:
    """Importing them would run them."""
    for path in (
        "shop/tests/models.py",
        "shop/orders/test_orders.py",
        "shop/orders/orders_test.py",
        "shop/conftest.py",
        "shop/__main__.py",
        "shop/scripts/seed.py",
        "shop/not-a-module.py",
    ):
        shop.write(path, "raise RuntimeError('this must not run')\n")
    shop.write("shop/seed.py", "#!/usr/bin/env python\nraise RuntimeError('this must not run')\n")
    shop.write("shop/migrations/script.py.mako", "")
    shop.write("shop/migrations/env.py", "raise RuntimeError('this must not run')\n")
    shop.write("shop/models.py", ORDERS)

    shop.succeeds("revision", "--autogenerate", "-m", "all")

    assert "create_table" in shop.revisions()[0]


def test_excluded_modules_are_not_imported(shop: SmallProject) -> None:
    """The project can say what it does not want imported."""
    shop.write("shop/legacy/job.py", "raise RuntimeError('this must not run')\n")
    shop.write("pyproject.toml", '[tool.handrail]\nmetadata = "shop.base:Base"\nexclude = ["shop.legacy"]\n')
    shop.write("shop/models.py", ORDERS)

    shop.succeeds("revision", "--autogenerate", "-m", "all")


def test_modules_that_read_settings_when_imported_find_them(shop: SmallProject, empty_database: str) -> None:
    """An `app = create_app(load_settings())` in a module does not need DATABASE_URL exported for Alembic."""
    del shop.environment["DATABASE_URL"]
    shop.write(".env", f"DATABASE_URL={empty_database}\n")
    shop.write("shop/main.py", "import os\nassert os.environ['DATABASE_URL']\n")
    shop.write("shop/models.py", ORDERS)

    shop.succeeds("revision", "--autogenerate", "-m", "all")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('metadata = "shop.base:Missing"', "the module shop.base has no 'Missing'"),
        ('metadata = "shop.nowhere:Base"', "No module named 'shop.nowhere'"),
        ('metadata = "nowhere.base:Base"', "No module named 'nowhere'"),
        ('metadata = "shop.base:MetaData"', "it must name a declarative base class or a MetaData"),
        ('metadata = "shop.base"', 'needs metadata = "module:attribute"'),
        ('metdata = "shop.base:Base"', "has no setting 'metdata'"),
        ('metadata = "shop.base:Base"\nexclude = "shop.x"', "exclude must be a list"),
    ],
)
def test_a_wrong_setting_is_named(shop: SmallProject, settings: str, message: str) -> None:
    """A misspelt or impossible setting is never silently ignored."""
    shop.write("pyproject.toml", f"[tool.handrail]\n{settings}\n")

    assert message in shop.refuses("check")


def test_a_project_without_settings_is_told_what_to_add(shop: SmallProject) -> None:
    """The message has the two lines to paste."""
    shop.write("pyproject.toml", "[project]\nname = 'shop'\n")

    assert '[tool.handrail] metadata = "app.models:Base"' in shop.refuses("current")
