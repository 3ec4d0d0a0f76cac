"""The README's example for GitHub Actions: its steps run, in a copy of the project, by this environment's programs."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.operations.processes import toolkit as start
from tests.test_readme import README, ROOT

TEST = """
from sqlalchemy import text

def test_rows(toolkit_session):
    assert toolkit_session.scalar(text("SELECT count(*) FROM tag")) == 8
"""
# Another's steps, and what installs from a network.
NOT_RUN = {"uses: actions/checkout", "uses: astral-sh/setup-uv", "run: uv sync", "uses: actions/upload-artifact"}


def workflow() -> dict[Any, Any]:
    """The example."""
    (found,) = (
        each
        for each in re.findall(r"```yaml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
        if "jobs:" in each
    )
    document: dict[Any, Any] = yaml.safe_load(found)
    return document


def done(line: str, folder: Path) -> str:
    """What a command of a step writes; those of the toolkit are run in processes that need not load it first."""
    program, *words = shlex.split(line.removeprefix("uv run "))
    if program == "toolkit":
        process = start(folder, *words)
        assert process.end() == 0, f"{line}\n{process.out}{process.err}"
        return process.out
    ran = subprocess.run(
        [sys.executable, "-m", program, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "CI": "true"},
    )
    assert ran.returncode == 0, f"{line}\n{ran.stdout}{ran.stderr}"
    return ran.stdout


@pytest.mark.slow
@pytest.mark.long
def test_the_steps_of_the_example_for_github_actions_run(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What starts a server where none is named is tested by itself (tests/test_embedded.py, tests/pytest_plugin/).
    monkeypatch.setenv("TOOLKIT_TEST_POSTGRES_URL", postgres_url)
    for name in ("fixtures", "migrations"):
        (tmp_path / name).symlink_to(ROOT / name)
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    databases = "[tool.toolkit.databases]\n"
    assert databases in settings
    settings = settings.replace(databases, f'{databases}postgres = "{postgres_url}"\n')
    # Without this project's own settings of pytest.
    (tmp_path / "pyproject.toml").write_text(settings.partition("[tool.pytest.ini_options]")[0])
    (tmp_path / "test_rows.py").write_text(TEST)
    (job,) = workflow()["jobs"].values()
    ran, left = [], set()
    for step in job["steps"]:
        command = step.get("run", "")
        skipped = [
            each
            for each in NOT_RUN
            if f"run: {command}".startswith(each) or f"uses: {step.get('uses')}".startswith(each)
        ]
        if skipped:
            left.update(skipped)
            continue
        ran += [done(line, tmp_path) for line in command.splitlines()]
    assert left == NOT_RUN
    assert "2 passed" in ran[0]
    assert "Verified" in ran[-2]
    assert "same" in ran[-1]
    assert (tmp_path / "plan.html").read_text().startswith("<!doctype html>")
