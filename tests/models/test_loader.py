"""Loading a user's own schema, and what is said when it cannot be loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, registry

from toolkit.config import BUNDLED_METADATA
from toolkit.errors import ConfigurationError
from toolkit.models.loader import load_metadata

ROOT = Path(__file__).parent.parent.parent
METADATA = sa.MetaData()
sa.Table("thing", METADATA, sa.Column("id", sa.Integer, primary_key=True))
EMPTY = sa.MetaData()
ALONE = sa.MetaData()
sa.Table("child", ALONE, sa.Column("parent_id", sa.ForeignKey("parent.id"), primary_key=True))
REGISTRY = registry(metadata=METADATA)


class Base(DeclarativeBase):
    metadata = METADATA


class Holder:
    metadata = METADATA


NOT_ONE = object()


@pytest.mark.parametrize("name", ["METADATA", "REGISTRY", "Base", "Holder.metadata"])
def test_what_holds_a_metadata(name: str) -> None:
    assert load_metadata(f"{__name__}:{name}", Path()) is METADATA


def test_the_bundled_schema() -> None:
    assert "todo" in load_metadata(BUNDLED_METADATA, Path()).tables


def test_modules_are_found_beside_the_settings(tmp_path: Path) -> None:
    (tmp_path / "found_by_loader.py").write_text("from tests.models.test_loader import METADATA as metadata\n")
    before = list(sys.path)
    assert isinstance(load_metadata("found_by_loader:metadata", tmp_path), sa.MetaData)
    assert sys.path == before


def test_modules_are_found_in_the_src_of_a_project(tmp_path: Path) -> None:
    package = tmp_path / "src" / "package_for_loader"
    package.mkdir(parents=True)
    (package / "models.py").write_text("from package_for_loader.base import metadata\n")
    (package / "base.py").write_text("from tests.models.test_loader import METADATA as metadata\n")
    before = list(sys.path)
    assert load_metadata("package_for_loader.models:metadata", tmp_path) is METADATA
    assert sys.path == before
    (tmp_path / "src" / "__init__.py").touch()
    sys.modules.pop("package_for_loader", None)
    with pytest.raises(ConfigurationError, match="There is no module 'package_for_loader'"):
        load_metadata("package_for_loader.models2:metadata", tmp_path)


def test_migrations_in_a_package_alembic_do_not_hide_alembic(tmp_path: Path) -> None:
    (tmp_path / "alembic").mkdir()
    (tmp_path / "alembic" / "__init__.py").touch()
    (tmp_path / "using_alembic_for_loader.py").write_text(
        "import alembic.config\nfrom tests.models.test_loader import METADATA as metadata\n"
    )
    load = "from toolkit.models.loader import *; load_metadata('using_alembic_for_loader:metadata', Path(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; from pathlib import Path; {load}", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_of_an_error_of_a_page_the_first_line_is_told(tmp_path: Path) -> None:
    (tmp_path / "wordy_for_loader.py").write_text("raise ValueError('problem ' * 500 + '\\nkey_one: hunter2\\n')\n")
    with pytest.raises(ConfigurationError) as caught:
        load_metadata("wordy_for_loader:x", tmp_path)
    assert "ValueError: problem problem" in caught.value.fact
    assert "hunter2" not in str(caught.value)
    assert "\n" not in caught.value.fact
    assert len(caught.value.fact) < 400


@pytest.mark.parametrize(
    ("reference", "fact"),
    [
        ("nonsense", "not of the form MODULE:ATTRIBUTE"),
        (":x", "not of the form MODULE:ATTRIBUTE"),
        ("no_such_module:x", "no module 'no_such_module'"),
        ("toolkit.no_such:x", "no module 'toolkit.no_such'"),
        ("my/app/models.py:Base", "names a file, not a module"),
        (f"{__name__}:EMPTY", "has no tables"),
        (f"{__name__}:ALONE", "child.parent_id refers to parent.id, which the metadata"),
        ("leaving_for_loader:x", "could not be imported: SystemExit: 3"),
        (f"{__name__}:METADTA", "Did you mean 'METADATA'"),
        (f"{__name__}:NOT_ONE", "of type object, not a schema"),
        (f"{__name__}:Path", "the class Path, not a schema"),
        ("broken_for_loader:x", "could not be imported: ValueError: on purpose"),
        ("needy_for_loader:x", "could not be imported: ModuleNotFoundError: No module named 'not_installed'"),
    ],
)
def test_what_cannot_be_loaded(tmp_path: Path, reference: str, fact: str) -> None:
    (tmp_path / "broken_for_loader.py").write_text("raise ValueError('on purpose')\n")
    (tmp_path / "needy_for_loader.py").write_text("import not_installed\n")
    (tmp_path / "leaving_for_loader.py").write_text("raise SystemExit(3)\n")
    with pytest.raises(ConfigurationError) as caught:
        load_metadata(reference, tmp_path)
    assert fact in str(caught.value)
    assert caught.value.exit_code == 2
