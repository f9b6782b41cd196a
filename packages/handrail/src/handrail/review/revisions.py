"""The revisions of a project, and the review of some of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from handrail.errors import ConfigurationError
from handrail.review.imports import imported_lightly
from handrail.review.kept import Kept
from handrail.review.reviewed import Reviewed
from handrail.revisions import versions_folder
from handrail.scripts import Script, read_scripts
from handrail.sizes import Sizes

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    from handrail.config import Project
    from handrail.review.reviewer import Reviewer


@dataclass(frozen=True)
class Revisions:
    """Revisions on disk.

    Attributes:
        scripts: All of them, parents first.
        root: The folder to which file names are relative.
        project: The project's folder; None where it is not known.
        folder: The one in which they are, where that is all that is known; else alembic.ini says where they are.
    """

    scripts: list[Script]
    root: Path
    project: Path | None
    folder: Path | None = None

    @classmethod
    def of(cls, project: Project) -> Revisions:
        """Return the revisions of a project.

        Raises:
            ConfigurationError: Alembic does not find them.
        """
        root, usual = project.root, versions_folder(project)
        if usual is not None and usual.is_dir():
            return cls(read_scripts([usual.resolve()]), root, root)
        from handrail.configuration import script_folders

        return cls(read_scripts(script_folders(_alembic(root)[1])), root, root)

    @classmethod
    def beside(cls, file: Path) -> Revisions:
        """Return the revisions in the folder of this one, whatever project they are of."""
        folder = file.resolve().parent
        marks = (parent for parent in folder.parents if (parent / "alembic.ini").is_file())
        return cls(read_scripts([folder]), Path.cwd(), next(marks, None), folder)

    def review(self, chosen: Sequence[Script], sizes: Sizes, *, together: bool = False) -> list[Reviewed]:
        """Judge some revisions.

        Args:
            chosen: Those to be judged.
            sizes: Of the tables.
            together: Whether they are applied in one go, so that a table which one of them creates is new to the next.
        """
        wanted = {script.path for script in chosen}
        last = max((number for number, script in enumerate(self.scripts, 1) if script.path in wanted), default=0)
        leading = self.scripts[:last]
        kept = Kept.of(self.project, self.scripts)
        asked = (str(self.root), str(self.folder), sorted(map(str, wanted)), sizes.known, sizes.dump(), together)
        key = kept.key("review", leading, *asked)
        found = kept.reviews(key)
        if found is None:
            reviewer = self._reviewer(sizes, kept)
            found = reviewer.reviews(leading, chosen, together=together)
            # What was edited meanwhile is not what was reviewed.
            if reviewer.ended and key == kept.key("review", leading, *asked):
                kept.keep_reviews(key, found)
        return found

    def _reviewer(self, sizes: Sizes, kept: Kept) -> Reviewer:
        with imported_lightly():
            from handrail.review.reviewer import Reviewer

            config, directory = _alembic(self.root) if self.folder is None else _alembic_of(self.folder)
        return Reviewer(config, directory, self.root, sizes, kept=kept)


def _alembic(root: Path) -> tuple[Config, ScriptDirectory]:
    """Return what Alembic makes of a project."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    ini = root / "alembic.ini"
    config = Config(ini if ini.exists() else None, toml_file=root / "pyproject.toml")
    try:
        return config, ScriptDirectory.from_config(config)
    except CommandError as error:
        raise ConfigurationError(f"Alembic cannot use the revisions: {error}") from error


def _alembic_of(folder: Path) -> tuple[Config, ScriptDirectory]:
    """Return what Alembic makes of nothing but a folder of revisions."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(folder.parent).replace("%", "%%"))
    return config, ScriptDirectory(str(folder.parent))
