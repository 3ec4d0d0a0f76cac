"""Options that several commands share."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from toolkit.config import Config
    from toolkit.operations.deletes import DeleteLimit
    from toolkit.operations.transfer import Options

F = TypeVar("F", bound=Callable[..., Any])


def transfer_options(command: F) -> F:
    """How rows are written: --dry-run, --no-verify, --batch-rows, --commit-every, and --json for what is told."""
    for option in reversed(
        (
            click.option("--dry-run", is_flag=True, help="Print the plan and write nothing."),
            click.option("--no-verify", is_flag=True, help="Do not compare digests before the commit."),
            click.option("--batch-rows", type=click.IntRange(1), metavar="N", help="Rows held in memory at a time."),
            click.option("--commit-every", type=click.IntRange(1), metavar="N",
                         help="Commit after every N rows; an interrupted run leaves whole batches."),
            click.option("--json", "as_json", is_flag=True, help="Print one JSON document."),
        )
    ):
        command = option(command)
    return command


def _by_table(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """`TABLE:REST` as a mapping."""
    pairs = [value.partition(":") for value in values]
    for table, colon, rest in pairs:
        if not (table and colon and rest.strip()):
            raise click.BadParameter(f"{table + colon + rest!r} is not of the form TABLE:…")
    return {table: rest for table, _, rest in pairs}


def where_option(command: F) -> F:
    """--where TABLE:CONDITION, as a mapping."""
    return click.option("--where", multiple=True, metavar="TABLE:CONDITION", callback=_by_table,
                        help="Only rows that meet a condition in the database's own SQL; may be repeated.")(command)


def only_option(command: F) -> F:
    """--only TABLE:CONDITION, as a mapping."""
    return click.option("--only", multiple=True, metavar="TABLE:CONDITION", callback=_by_table,
                        help="Only files of rows that meet a condition in the database's own SQL; may be repeated."
                        )(command)


def match_option(command: F) -> F:
    """--match TABLE:COL,COL, as a mapping."""
    return click.option("--match", multiple=True, metavar="TABLE:COL,COL", callback=_columns_by_table,
                        help="Recognise rows by these columns instead of the primary key; may be repeated.")(command)


def _columns_by_table(
    ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, tuple[str, ...]]:
    columns = _by_table(ctx, parameter, values)
    return {table: tuple(name.strip() for name in names.split(",")) for table, names in columns.items()}


_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def duration(_: click.Context, __: click.Parameter, value: str | None) -> dt.timedelta | int | None:
    """`90s`, `5m`, `2h`, `1d` or `3w` as a time; a bare number as one."""
    if value is None or value.isdigit():
        return value if value is None else int(value)
    if value[:-1].isdigit() and value[-1] in _UNITS:
        return dt.timedelta(**{_UNITS[value[-1]]: int(value[:-1])})
    raise click.BadParameter(f"{value!r} is neither a number nor a time such as 90s, 5m, 2h or 1d")


def general_options(command: F) -> F:
    """--metadata and --debug, which may stand before the command's name or behind it."""
    command = click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")(command)
    return click.option("--metadata", metavar="MODULE:ATTR", expose_value=False, callback=_choose_metadata,
                        help="The tables to work on, instead of the bundled todo schema.")(command)


def _choose_metadata(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value and ctx.obj is not None:
        config: Config = ctx.obj
        ctx.obj = ctx.find_root().obj = replace(config, metadata=value)


def make_options(
    no_verify: bool,
    batch_rows: int | None,
    commit_every: int | None,
    mode: str = "upsert",
    max_delete: DeleteLimit | None = None,
) -> Options:
    """The options of a transfer, from what the command line gave."""
    from toolkit.operations.transfer import Mode, Options

    default = Options()
    return Options(not no_verify, batch_rows or default.batch_rows, commit_every, Mode(mode), max_delete)
