"""`toolkit workers …`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from toolkit.cli.options import STORE, Commands, database_names
from toolkit.cli.project_options import general_options
from toolkit.cli.worker_options import insecure_option, taken, workers_option
from toolkit.errors import EXIT_FAILURE

if TYPE_CHECKING:
    from toolkit.operations.parts.checking import Reach, StoreReach, WorkersCheck


@click.group(cls=Commands)
def workers() -> None:
    """Look at the workers of `sync`, `diff` and `archive push --workers`."""


@workers.command()
@click.argument("databases", nargs=-1, metavar="[DATABASE]...", shell_complete=database_names)
@click.option("--store", "stores", multiple=True, **STORE, help="Also this store; may be repeated.")
@workers_option
@insecure_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@general_options
@click.pass_context
def check(
    ctx: click.Context, /, databases: tuple[str, ...], stores: tuple[str, ...], as_json: bool, **given: Any
) -> int:
    """Ask workers for their versions, and have each reach databases and stores.

    Those named; or all databases that are servers, and all configured stores that are no directories. The
    exit code is 1 when one is not reached, 2 when a worker runs other versions than this process.
    """
    from toolkit.cli.output import print_json
    from toolkit.operations.parts.checking import check_workers

    options = taken(given)
    if options is None:
        raise click.UsageError("Say where the workers are: --workers.")
    found = check_workers(ctx.obj, databases, options, stores)
    print_json(found) if as_json else _show(found)
    return 0 if found.is_fine else EXIT_FAILURE


def _show(found: WorkersCheck) -> None:
    from toolkit.cli.output import say
    from toolkit.cli.render import show_table

    reaches: dict[str, tuple[Reach | StoreReach, ...]] = {
        each.worker: (*each.databases, *each.stores) for each in found.workers
    }
    first = found.workers[:1]
    names = [each.database for worker in first for each in worker.databases]
    names += [each.store for worker in first for each in worker.stores]
    rows = [
        (
            each.worker,
            each.python,
            each.toolkit,
            *("not reached" if reach.problem else f"{reach.seconds:.2f} s" for reach in reaches[each.worker]),
        )
        for each in found.workers
    ]
    show_table(("worker", "Python", "toolkit", *names), rows)
    for worker in found.workers:
        for reach in reaches[worker.worker]:
            if reach.problem:
                say(f"{worker.worker}: {reach.problem}")
    # One that has several threads answers as one.
    say(f"Processes that answered: {len(found.workers):,}. Parts at a time: {found.expected:,}.")
