"""The group `toolkit archive …`, and the options that its commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from toolkit.cli.options import DATABASE, STORE, Commands, general_options

F = TypeVar("F", bound=Callable[..., Any])

ARCHIVE = "archive"
"""The store that is meant if none is named."""


store_option = click.option(
    "--store",
    "store",
    default=ARCHIVE,
    show_default=True,
    **STORE,
    help="The archive: a configured store, a URL, or a directory's path.",
)
from_option = functools.partial(click.option, "--from", "source", **DATABASE)
jobs_option = click.option(
    "--jobs", type=click.IntRange(1, 256), default=8, show_default=True, metavar="N", help="Files under way at once."
)
dry_run_option = click.option("--dry-run", is_flag=True, help="Print the plan and write nothing.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@click.group(cls=Commands)
def archive() -> None:
    """Keep files that rows point at in an object store."""


def command(name: str | None = None) -> Callable[[F], click.Command]:
    """A command of the group, with the options that all commands have."""

    def register(function: F) -> click.Command:
        return archive.command(name)(general_options(click.pass_context(function)))

    return register
