"""Options of commands whose work others may do in parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from toolkit.operations.parts.crew import WorkerOptions

F = TypeVar("F", bound=Callable[..., Any])

workers_option = click.option(
    "--workers",
    metavar="WHERE",
    help="Do it in parts, by other processes: local (as many as processors), local:N, or those of a cluster of Dask's "
    "(tls://HOST:PORT) or Ray's (ray://HOST:PORT). They are sent names, and know databases and stores by their own "
    "settings.",
)
insecure_option = click.option(
    "--insecure-workers",
    is_flag=True,
    help="With --workers: take a cluster whose connection is not encrypted, on a network that you trust.",
)
_CONNECTIONS = click.option(
    "--connections",
    type=click.IntRange(2),
    metavar="N",
    help="With --workers: have them open so many connections to one database at most.  [default: 2 for each worker]",
)
_PART_BYTES = click.option(
    "--part-bytes",
    type=click.IntRange(8192),
    metavar="N",
    help="With --workers: how much of a table is one part, about.  [default: 1 GiB]",
)


def worker_options(command: F) -> F:
    """--workers, and what belongs to it."""
    for option in (insecure_option, _PART_BYTES, _CONNECTIONS, workers_option):
        command = option(command)
    return command


def run_options(command: F) -> F:
    """--resume and --restart, of runs that fill a table."""
    for option in (
        click.option(
            "--restart",
            is_flag=True,
            help="With --workers: remove what an interrupted run has written, and begin again.",
        ),
        click.option("--resume", metavar="RUN", help="With --workers: go on with an interrupted run."),
    ):
        command = option(command)
    return command


def require_alone(ctx: click.Context, *others: str) -> None:
    """Refuse options that say something of what workers do not do; those named, and general ones, are for them.

    Raises:
        UsageError: one was given.
    """
    for parameter in ctx.command.params:
        name = parameter.name or ""
        is_given = ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if is_given and parameter.expose_value and name not in {*_OWN, *others}:
            raise click.UsageError(f"{parameter.opts[0]} cannot be combined with --workers.")


_OWN = ("workers", "insecure_workers", "connections", "part_bytes", "tables", "source", "target", "as_json")


def taken(given: dict[str, Any]) -> WorkerOptions | None:
    """What these options say, which are taken out of all that were given; None without --workers.

    Raises:
        UsageError: something is said of workers, and there are none.
    """
    address, is_insecure = given.pop("workers"), given.pop("insecure_workers")
    said = {name: given.pop(name, None) for name in ("connections", "part_bytes")}
    if address is None:
        for name, value in (*said.items(), ("insecure_workers", is_insecure)):
            if value:
                raise click.UsageError(f"--{name.replace('_', '-')} is of no use without --workers.")
        return None
    from toolkit.operations.parts.crew import WorkerOptions

    return WorkerOptions(
        address, is_insecure=is_insecure, **{name: value for name, value in said.items() if value is not None}
    )
