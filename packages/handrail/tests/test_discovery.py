"""No model is forgotten, and what cannot be imported is an error instead of a missing table."""

from __future__ import annotations

import os
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
    assert ('exclude = ["shop.payments.models"]' in message) == ("SystemExit" not in cause)
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


@pytest.mark.parametrize(
    "failure",
    [
        "class Settings(BaseModel):\n    size: int\n    database_url: str\nSettings(database_url=URL)\n",
        "raise ValueError(f'cannot use {URL}')\n",
        "raise ValueError(f'password {URL[17:30]} is weak')\n",
        "raise ValueError('p@ss:w/rd is weak')\n",
        "raise SystemExit(f'no {URL}')\n",
    ],
)
def test_a_failure_does_not_show_the_password(shop: SmallProject, failure: str) -> None:
    """Whatever a module says of its settings, the URL with the password is not repeated."""
    url = "postgresql://ada:p%40ss:w%2Frd@host/shop"
    shop.write(
        "shop/main.py", f"import os\nfrom pydantic import BaseModel\nURL = os.environ['DATABASE_URL']\n{failure}"
    )

    message = shop.refuses("check", DATABASE_URL=url)

    assert "shop/main.py:" in message
    for part in ("p%40", "p@ss", "rd@", "ada", "postgre…", "input_value"):
        assert part not in message.partition("Nothing was compared")[0]


def test_what_pydantic_misses_is_told(shop: SmallProject) -> None:
    """Without its input, a failed validation still says what is wrong where."""
    shop.write(
        "shop/main.py",
        """\
        from pydantic import BaseModel


        class Settings(BaseModel):
            size: int


        Settings(size="s3cr3t")
        """,
    )

    message = shop.refuses("check")

    assert "ValidationError: size: Input should be a valid integer" in message
    assert "s3cr3t" not in message


def test_a_long_cause_is_cut(shop: SmallProject) -> None:
    """What to do stays in sight."""
    shop.write("shop/main.py", "raise ValueError('x' * 10_000)\n")

    message = shop.refuses("check")

    assert "x …. Nothing was compared" in message
    assert len(message) < 1200


def test_a_module_may_take_the_url_out_of_the_environment(shop: SmallProject, empty_database: str) -> None:
    """It is there for the modules, and they may do with it what they like."""
    del shop.environment["DATABASE_URL"]
    shop.write(".env", f"DATABASE_URL={empty_database}\n")
    shop.write("shop/main.py", "import os\nassert os.environ.pop('DATABASE_URL')\n")

    shop.succeeds("revision", "--autogenerate", "-m", "all")


def test_the_entrypoint_is_imported_first(shop: SmallProject) -> None:
    """Modules that import each other in a circle work as they do in the application."""
    shop.write("shop/api.py", "from shop.core import START\nNAME = 'api'\n")
    shop.write("shop/core.py", "START = 1\nfrom shop.api import NAME\n")
    shop.write("shop/main.py", "import shop.core\n")
    pyproject = '[tool.handrail]\nmetadata = "shop.base:Base"\n[tool.fastapi]\nentrypoint = "shop.main:app"\n'
    shop.write("pyproject.toml", pyproject)

    shop.succeeds("revision", "--autogenerate", "-m", "all")


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_links_in_a_circle_end(shop: SmallProject) -> None:
    """A link to a folder around it is not followed; any other is."""
    shop.write("elsewhere/orders/models.py", ORDERS)
    shop.write("shop/a/__init__.py", "")
    shop.write("shop/b/__init__.py", "")
    for link, target in (("shop/again", "."), ("shop/a/b", "../b"), ("shop/b/a", "../a"), ("shop/b/here", "..")):
        (shop.root / link).symlink_to(target)
    (shop.root / "shop/orders").symlink_to("../elsewhere/orders")

    shop.succeeds("revision", "--autogenerate", "-m", "all")

    assert "create_table" in shop.revisions()[0]


def test_a_package_of_the_same_name_in_the_working_directory(shop: SmallProject) -> None:
    """The project that is named on the command line counts, and not the folder one stands in."""
    shop.write("shop/models.py", ORDERS)
    shop.write("other/shop/__init__.py", "raise RuntimeError('this must not run')\n")

    done = shop.run(
        "alembic", "-c", "../alembic.ini", "revision", "--autogenerate", "-m", "all", cwd=shop.root / "other"
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "create_table" in shop.revisions()[0]


def test_a_package_of_the_same_name_that_is_imported_already(shop: SmallProject) -> None:
    """Its models would be compared with our database."""
    shop.write("other/shop/__init__.py", "")
    shop.write("other/sitecustomize.py", "import shop\n")

    message = shop.refuses("check", PYTHONPATH=str(shop.root / "other"))

    assert f"the package shop of this project is in {shop.root}," in message
    assert f"imported another one of that name from {shop.root / 'other'}." in message


def test_a_package_in_src_need_not_be_installed(shop: SmallProject) -> None:
    """Neither does a folder hide it that only has its name."""
    shop.write("shop/models.py", ORDERS)
    (shop.root / "src").mkdir()
    (shop.root / "shop").rename(shop.root / "src/shop")
    shop.write("shop/Dockerfile", "")

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
