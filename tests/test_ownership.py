"""Settings and modules of another user: what is run as this one is this one's, root's, or trusted by name."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from toolkit.cli import run, toolkit
from toolkit.ownership import TRUST, foreign_module

UNRECOGNISED = 4_000_000
Give = Callable[..., None]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An application's folder, whose module says that it was run."""
    monkeypatch.setenv(TRUST, "")
    # For an empty folder of temporary files: pytest's own are where everybody may put files.
    folder = tmp_path / "project"
    (folder / "sub").mkdir(parents=True)
    monkeypatch.chdir(folder / "sub")
    (folder / "toolkit.toml").write_text('metadata = "models_here:metadata"\nmigrations = "steps"\n')
    (folder / "models_here.py").write_text(
        "import pathlib, sqlalchemy as sa\nmetadata = sa.MetaData()\n"
        "sa.Table('note', metadata, sa.Column('id', sa.Integer, primary_key=True))\n"
        "(pathlib.Path(__file__).parent / 'was run').touch()\n"
    )
    return folder


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    yield
    for name in ("models_here", "pandas_here"):
        sys.modules.pop(name, None)


@pytest.fixture
def give_away(monkeypatch: pytest.MonkeyPatch) -> Give:
    """Let files be somebody else's: as root by giving them away, else by being somebody else than their owner."""

    def give(*paths: Path) -> None:
        if os.getuid():
            theirs = {path.lstat().st_ino for path in paths}
            found = Path.lstat

            def lstat(path: Path) -> os.stat_result:
                status = found(path)
                fields = list(status)
                fields[4] = UNRECOGNISED if status.st_ino in theirs else fields[4]
                return os.stat_result(fields)

            monkeypatch.setattr(Path, "lstat", lstat)
        for path in paths if not os.getuid() else ():
            os.chown(path, UNRECOGNISED, UNRECOGNISED, follow_symlinks=False)

    return give


def was_run(project: Path) -> bool:
    """Whether the module was, since this was last asked."""
    there = (project / "was run").exists()
    (project / "was run").unlink(missing_ok=True)
    sys.modules.pop("models_here", None)
    return there


@pytest.mark.parametrize("which", ["toolkit.toml", "pyproject.toml", "models_here.py", "link"])
def test_settings_and_modules_of_another_user_are_run_only_when_trusted(
    project: Path, give_away: Give, capsys: pytest.CaptureFixture[str], which: str
) -> None:
    assert run(["status"]) == 0
    assert was_run(project)
    settings = (project / "toolkit.toml").read_text()
    if which == "pyproject.toml":
        (project / "toolkit.toml").unlink()
        (project / which).write_text(f"[tool.toolkit]\n{settings}")
    elif which == "link":
        (project / "toolkit.toml").rename(project / "ours")
        (project / "toolkit.toml").symlink_to("ours")
        which = "toolkit.toml"
    give_away(project / which)
    capsys.readouterr()
    assert run(["status"]) == 2
    told = capsys.readouterr().err
    assert f"{project / which} belongs to user {UNRECOGNISED}" in told
    assert "--trust, or TOOLKIT_TRUST=1" in told
    assert not was_run(project)
    for words in (["--trust", "status"], ["status", "--trust"]):
        os.environ[TRUST] = ""
        assert run(words) == 0
        assert was_run(project)


def test_migrations_of_another_user_are_run_only_when_trusted(
    project: Path, give_away: Give, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["database", "init"]) == 0
    assert run(["database", "make-migrations", "--no-autogenerate"]) == 0
    [step] = (project / "steps" / "versions").glob("*.py")
    for path in (step, project / "steps" / "env.py"):
        content = path.read_text()
        path.write_text("import pathlib\npathlib.Path('ran').touch()\n" + content.replace("\r", ""))
        give_away(path)
        capsys.readouterr()
        for words in (["database", "upgrade"], ["database", "history"], ["status"]):
            assert run(words) == 2
            assert f"{path} belongs to user {UNRECOGNISED}" in capsys.readouterr().err
        assert not Path("ran").exists()
        path.unlink()
        path.write_text(content)
    monkeypatch.setenv(TRUST, "1")
    assert run(["database", "upgrade"]) == 0


def test_where_modules_are_not_all_ours_none_are_looked_for(
    project: Path, give_away: Give, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "toolkit.toml").write_text('metadata = "toolkit.models.todo:metadata"\n')
    (project / "pandas_here.py").write_text("raise SystemExit('run')")
    (project / "data").mkdir()
    # A folder that is no package, such as a database server's, makes no difference.
    (project / "data").chmod(0)
    (project / "gone.py").symlink_to("nowhere")
    give_away(project / "data")
    assert foreign_module(project) is None
    give_away(project / "pandas_here.py")
    assert foreign_module(project) == (project / "pandas_here.py", f"user {UNRECOGNISED}")
    # What needs none of them works; what does is told why not.
    assert run(["status"]) == 0
    capsys.readouterr()
    assert run(["--metadata", "pandas_here:metadata", "status"]) == 2
    assert f"{project}/pandas_here.py belongs to user {UNRECOGNISED}" in capsys.readouterr().err
    assert run(["--metadata", "models_here:metadata", "status"]) == 2
    assert f"{project}/pandas_here.py belongs to user {UNRECOGNISED}" in capsys.readouterr().err
    (project / "pandas_here.py").unlink()
    project.chmod(0o1777)
    assert foreign_module(project) == (project, "everybody")


def test_what_another_user_left_further_up_is_not_in_the_way(project: Path, give_away: Give) -> None:
    above = project.parent / "pyproject.toml"
    (project / "toolkit.toml").unlink()
    for content in ("[broken", "[project]\n"):
        above.unlink(missing_ok=True)
        above.write_text(content)
        give_away(above)
        assert run(["status"]) == 0


def test_a_shell_that_asks_for_names_runs_nothing_of_the_project(project: Path) -> None:
    (project / "fixtures").mkdir()
    for name in ("note.json", "manifest.json", "other.csv.gz", "README.md"):
        (project / "fixtures" / name).touch()
    shell = ShellComplete(toolkit, {}, "toolkit", "_TOOLKIT_COMPLETE")
    for words in (["sync"], ["dump-data", "--exclude"], ["status"], ["archive", "push", "--only"]):
        shell.get_completions(words, "")
    assert [each.value for each in shell.get_completions(["sync"], "")] == ["note", "other"]
    assert not was_run(project)


def test_the_user_who_called_sudo_is_trusted_by_root(
    project: Path, give_away: Give, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = os.getuid() or UNRECOGNISED
    if caller == UNRECOGNISED:
        give_away(project / "models_here.py")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("SUDO_UID", str(caller))
    assert run(["status"]) == 0
    monkeypatch.delenv("SUDO_UID")
    assert run(["status"]) == 2
