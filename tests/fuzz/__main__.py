"""Throw files that mean harm at the readers: `python -m tests.fuzz --seconds 3600`.

Each round is a process of its own, with a seed, little memory and a clock: a crash, a hang or a gigabyte is told like
a failed assertion, and what was tried last is kept. A round that fails is done again by `--target NAME --seed N`.
"""

from __future__ import annotations

import faulthandler
import itertools
import os
import resource
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
from hypothesis import HealthCheck, seed, settings

from tests.fuzz.targets import TARGETS

_BYTES = 6 << 30
_ROUND_SECONDS = 600


@click.command()
@click.option("--seconds", default=60, show_default=True, help="How long.")
@click.option("--examples", default=400, show_default=True, help="So many in each round.")
@click.option("--target", type=click.Choice(list(TARGETS)), help="Only this one.")
@click.option("--seed", "number", type=int, help="Do this round of the target, and no other.")
@click.option("--keep", type=click.Path(path_type=Path), default="fuzzed", show_default=True, help="Where to keep.")
def main(seconds: int, examples: int, target: str | None, number: int | None, keep: Path) -> None:
    """Throw files that mean harm at the readers, by turns; exits with 1 if one of them was too much."""
    if target is not None and number is not None:
        _round(target, number, examples)
        return
    ended = time.monotonic() + seconds
    failed = rounds = 0
    for name in itertools.cycle([target] if target else TARGETS):
        if time.monotonic() > ended:
            break
        rounds += 1
        failed += not _is_survived(name, secrets.randbelow(1 << 32), examples, keep)
    click.echo(f"{rounds} rounds of {examples} examples, {failed} of them failed")
    sys.exit(failed > 0)


def _is_survived(name: str, number: int, examples: int, keep: Path) -> bool:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz", "--target", name, "--seed", str(number), "--examples", str(examples)],
            env={**os.environ, "TMPDIR": folder},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode == 0:
            return True
        keep.mkdir(exist_ok=True)
        (keep / f"{name}-{number}.txt").write_text(done.stdout + done.stderr)
        for last in Path(folder).rglob("last"):
            shutil.copy(last, keep / f"{name}-{number}.last")
        click.echo(f"{name}, seed {number}: exit {done.returncode}: {(done.stderr.splitlines() or ['?'])[-1][:200]}")
        return False


def _round(name: str, number: int, examples: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_BYTES, _BYTES))
    faulthandler.enable()
    faulthandler.dump_traceback_later(_ROUND_SECONDS, exit=True)
    folder = Path(tempfile.mkdtemp())
    check = settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))(
        seed(number)(TARGETS[name](folder))
    )
    check()
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
