"""Measure the toolkit beside others: `python -m tests.benchmarks [--todos N] [--runs K] [--json FILE]`.

Every program runs in a process of its own, whose whole time counts, by turns on the same data and server. A
program that is missing is named. A run that something else on the machine disturbed is measured again.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from tests.benchmarks.competitors import MissingCompetitorError
from tests.benchmarks.contenders import Contender, Stage
from tests.benchmarks.machine import CommandFailedError, Sample
from tests.benchmarks.mariadb import MariaDB
from tests.benchmarks.postgres import Postgres
from tests.benchmarks.report import as_json, targets_table, times_table
from tests.benchmarks.suite import GROUPS, TARGETS, Group

_QUICK_TODOS = 200_000
# Peak memory is compared with that for so many times fewer rows.
_SMALLER = 5
# How often a disturbed run is measured in all.
_TRIES = 3


@click.command()
@click.option("--todos", default=1_000_000, show_default=True, type=click.IntRange(1000), help="Rows of it.")
@click.option("--runs", default=3, show_default=True, type=click.IntRange(1), help="The median counts.")
@click.option("--only", multiple=True, metavar="TEXT", help="Only groups with this in their name.")
@click.option("--quick", is_flag=True, help="200,000 todos once, the toolkit and the floors alone: under 3 minutes.")
@click.option("--json", "file", type=click.Path(path_type=Path), metavar="FILE", help="Write each run there.")
def main(todos: int, runs: int, only: tuple[str, ...], file: Path | None, *, quick: bool) -> None:
    """Measure, and print tables in Markdown; exits with 1 when something could not be measured."""
    groups = [group for group in GROUPS if not only or any(part in group.name for part in only)]
    if quick:
        todos, runs = _QUICK_TODOS, 1
        groups = [group.quick() for group in groups if group.is_quick]
    ours = [group.ours() for group in groups if not quick and any(c.is_ours for c in group.contenders)]
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        Postgres(Path(name) / "pg") as server,
        MariaDB(Path(name)) as mariadb,
    ):
        stages = Stages(Path(name), server, mariadb)
        large = Measurements(stages, [(group, group.todos(todos)) for group in groups], runs)
        small = Measurements(stages, [(group, group.todos(todos) // _SMALLER) for group in ours], runs)
    machine = f"{os.cpu_count()} processors, Python {platform.python_version()}"
    fewer = "".join(f" ({g.name}: {g.todos(todos):,})" for g in groups if g.todos(todos) < todos)
    click.echo(f"{todos:,} todos{fewer}, {runs} runs, {machine}\n")
    click.echo("\n".join(times_table(large.results)))
    click.echo("\n".join(("", *targets_table(TARGETS, large.results, small.results))))
    absent = {**small.absent, **large.absent}
    for what, why in absent.items():
        click.echo(f"\nNot measured: {what}: {why}")
    if file:
        document = {
            "todos": todos,
            "runs": as_json(large.results),
            "runs with a fifth of the todos": as_json(small.results),
            "not measured": absent,
        }
        file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    sys.exit(1 if absent else 0)


class Stages:
    """The data of each size, made when it is first asked for."""

    def __init__(self, directory: Path, server: Postgres, mariadb: MariaDB) -> None:
        self._directory = directory
        self._server, self._mariadb = server, mariadb
        self._ready: dict[int, Stage] = {}

    def __getitem__(self, todos: int) -> Stage:
        if todos not in self._ready:
            click.echo(f"making {todos:,} todos", err=True)
            stage = Stage(todos, self._directory, self._server, self._mariadb)
            stage.prepare()
            self._ready[todos] = stage
        return self._ready[todos]


class Measurements:
    """The runs of some groups, each with so many todos, and why others could not be measured."""

    def __init__(self, stages: Stages, groups: Sequence[tuple[Group, int]], runs: int) -> None:
        self.results: dict[str, dict[str, list[Sample]]] = {group.name: {} for group, _ in groups}
        self.absent: dict[str, str] = {}
        for group, todos in groups:
            stage = stages[todos]
            for _ in range(max(runs, group.least_runs)):
                for contender in group.contenders:
                    self._run(group, contender, stage)

    def _run(self, group: Group, contender: Contender, stage: Stage) -> None:
        title = f"{group.name}: {contender.name}"
        if title in self.absent:
            return
        try:
            samples = _undisturbed(contender, stage)
        except (MissingCompetitorError, CommandFailedError) as error:
            self.absent[title] = str(error)
            click.echo(f"{title}: {error}", err=True)
            return
        for name, sample in samples.items():
            self.results[group.name].setdefault(name, []).append(sample)
            click.echo(f"{group.name}: {name}: {_shown(sample)}", err=True)


def _undisturbed(contender: Contender, stage: Stage) -> dict[str, Sample]:
    """One run, or the least disturbed of some."""
    best: dict[str, Sample] = {}
    for _ in range(_TRIES):
        for name, sample in contender.run(stage):
            best[name] = min(sample, best.get(name, sample), key=lambda each: each.others)
        if not any(sample.is_disturbed for sample in best.values()):
            break
    return best


def _shown(sample: Sample) -> str:
    return f"{sample.seconds:.2f} s, {sample.rss / 1_000_000:.0f} MB, others {sample.others:.2f}"


if __name__ == "__main__":
    main()
