"""The README's example for GitHub Actions: its steps run, in a copy of the project, by this environment's programs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

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


@pytest.mark.long
def test_the_steps_of_the_example_for_github_actions_run(tmp_path: Path) -> None:
    for name in ("fixtures", "migrations"):
        (tmp_path / name).symlink_to(ROOT / name)
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
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
        done = subprocess.run(
            # As a runner's shell does it.
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", command.replace("uv run ", "")],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env={**os.environ, "CI": "true", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        ran.append(done.stdout)
    assert left == NOT_RUN
    assert "2 passed" in ran[0]
    assert "Verified" in ran[-1]
    assert "same" in ran[-1]
    assert (tmp_path / "plan.html").read_text().startswith("<!doctype html>")
