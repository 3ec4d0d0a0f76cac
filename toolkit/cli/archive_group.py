"""The group `toolkit archive …`, and the options that its commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from toolkit.cli.options import DATABASE, STORE, Commands, by_table, table_names
from toolkit.cli.project_options import general_options

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


def exclude_option(command: F) -> F:
    """--exclude TABLE, as a tuple."""
    return click.option(
        "--exclude", multiple=True, metavar="TABLE", shell_complete=table_names, help="Not this table; may be repeated."
    )(command)


def row_option(command: F) -> F:
    """--row TABLE:CONDITION, as a mapping."""
    return click.option(
        "--row",
        multiple=True,
        required=True,
        metavar="TABLE:CONDITION",
        callback=by_table,
        help="Rows that meet a condition in the database's own SQL; may be repeated: all for one table hold together.",
    )(command)
