"""Where a history ends, as its text says: as Alembic says after it has run all of it, or left to Alembic."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.config import Config, load_config
from toolkit.operations.migrations.heads import written_head
from toolkit.operations.project import Project

FIRST = 'revision = "a1"\ndown_revision = None\nbranch_labels = None\ndepends_on = None\n'
SECOND = (
    "# revision identifiers, used by Alembic.\nrevision: str = 'b2'  # made by hand\ndown_revision: str | None = 'a1'\n"
)


def history(root: Path, *steps: str, settings: str = "") -> Config:
    """A project with these migrations."""
    versions = root / "migrations" / "versions"
    versions.mkdir(parents=True)
    (versions.parent / "env.py").write_text("from toolkit.migration_environment import run_migrations\n")
    for number, step in enumerate(steps):
        (versions / f"{number}.py").write_text(f'"""A step.\n\nRevises: one before\n"""\n\n{step}')
    if settings:
        (root / "alembic.ini").write_text(settings)
    return load_config(root, {})


@pytest.mark.parametrize("steps", [(FIRST,), (FIRST, SECOND), (SECOND, FIRST)])
def test_a_plain_history_ends_where_alembic_says_and_alembic_is_not_asked(
    tmp_path: Path, steps: tuple[str, ...]
) -> None:
    project = Project(history(tmp_path, *steps, settings="[alembic]\n# version_locations = elsewhere\n"))
    heads = project.heads
    assert "scripts" not in vars(project)
    assert list(heads) == list(project.scripts.get_heads())


@pytest.mark.parametrize(
    "steps",
    [
        (),
        (FIRST, SECOND.replace("b2", "c3"), SECOND),
        (FIRST, SECOND.replace("'a1'", "('a1',)")),
        (FIRST, SECOND.replace("'a1'", "'a' + '1'")),
        (FIRST, SECOND + 'if True:\n    revision = "c3"\n'),
        (FIRST, SECOND + 'if True: revision = "c3"\n'),
        (FIRST, SECOND + 'revision += "2"\n'),
        (FIRST, SECOND + "depends_on = 'a1'\n"),
        ('revision, down_revision = "a1", None\n',),
    ],
    ids=["none", "two heads", "a tuple", "computed", "again", "in one line", "more of it", "depends", "both at once"],
)
def test_what_is_not_written_plainly_is_left_to_alembic(tmp_path: Path, steps: tuple[str, ...]) -> None:
    config = history(tmp_path, *steps)
    assert written_head(config) is None
    project = Project(config)
    assert list(project.heads) == list(project.scripts.get_heads())


@pytest.mark.parametrize(
    "steps",
    [(SECOND,), (FIRST, SECOND.replace("'a1'", "'z9'")), (FIRST, *(SECOND.replace("a1", each) for each in ("b2",)))],
    ids=["no beginning", "a gap", "a circle"],
)
def test_a_history_that_is_not_whole_has_no_head_by_its_text(tmp_path: Path, steps: tuple[str, ...]) -> None:
    assert written_head(history(tmp_path, *steps)) is None


@pytest.mark.parametrize("setting", ["version_locations = more", "sourceless = true", "recursive_version_locations: 1"])
def test_where_migrations_are_elsewhere_too_alembic_is_asked(tmp_path: Path, setting: str) -> None:
    assert written_head(history(tmp_path, FIRST, settings=f"[alembic]\n{setting}\n")) is None
