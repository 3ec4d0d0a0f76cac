"""A user without a name, whose home cannot be written to, as in many containers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
UNRECOGNISED = 54321
# What a user may do who has nothing but what they are given; Python itself may lie in root's home, hence the reading.
_MAY = "--inh-caps=-all,+dac_read_search"
_AS_STRANGER = (
    "setpriv",
    f"--reuid={UNRECOGNISED}",
    f"--regid={UNRECOGNISED}",
    "--clear-groups",
    _MAY,
    _MAY.replace("inh", "ambient"),
)
_RUN = """
import sys
from toolkit.cli import run
try:
    open(sys.argv[1] + "/file", "w")
except PermissionError:
    sys.exit(max(run(command.split()) for command in sys.argv[2:]))
sys.exit("the home can be written to")
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that is only to be read."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o555)
    return folder


def unprivileged(project: Path, home: Path, commands: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run commands, with nothing in the environment but a home and a place for temporary files."""
    temporary = project / "temporary"
    temporary.mkdir()
    if os.geteuid() == 0:
        for path in (project, *project.rglob("*")):
            os.chown(path, UNRECOGNISED, UNRECOGNISED)
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(temporary)}
    return subprocess.run(
        [*(_AS_STRANGER if os.geteuid() == 0 else ()), sys.executable, "-c", _RUN, str(home), *commands],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_user_with_a_home_that_is_only_to_be_read_works_on_all_that_is_theirs_and_leaves_nothing_elsewhere(
    home: Path, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    settings = [f'{key} = "{ROOT / key}"\n' for key in ("migrations", "fixtures")]
    (project / "toolkit.toml").write_text("".join(['metadata = "toolkit.models.todo:metadata"\n', *settings]))
    done = unprivileged(
        project,
        home,
        [
            "load-data --to sqlite",
            "sync --from sqlite --to duckdb",
            "dump-data --from duckdb --dir out --attachments",
            "archive push --from sqlite",
            "archive verify --from sqlite",
            "status sqlite duckdb",
        ],
    )
    assert done.returncode == 0, done.stderr
    assert not list(home.iterdir())
    assert [path.name for path in (project / "temporary").rglob("*") if path.stat().st_size and path.is_file()] == []
    assert {path.name for path in project.iterdir()} == {
        "toolkit.toml",
        "temporary",
        "toolkit.sqlite3",
        "toolkit.duckdb",
        "out",
        ".toolkit",
    }
