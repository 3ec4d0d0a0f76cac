"""Options that several commands share."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeVar

import click

from toolkit.cli.examples import epilog
from toolkit.cli.project_options import reflect_option
from toolkit.errors import ToolkitError
from toolkit.shown_text import printable

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from toolkit.config import Config
    from toolkit.operations.transfer.deletes import DeleteLimit
    from toolkit.operations.transfer.options import Options

F = TypeVar("F", bound=Callable[..., Any])


class Commands(click.Group):
    """A group that offers the command that was probably meant, and whose commands' help ends with examples."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        return with_examples(super().get_command(ctx, cmd_name), f"{self.name} {cmd_name}")

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of that name.

        Raises:
            click.UsageError: there is none; names the one that it resembles.
        """
        if not ctx.resilient_parsing and self.get_command(ctx, args[0]) is None:
            for close in get_close_matches(args[0], self.list_commands(ctx), 1):
                ctx.fail(f"No such command {args[0]!r}. Did you mean {close!r}?")
        return super().resolve_command(ctx, args)


def with_examples(command: click.Command | None, name: str) -> click.Command | None:
    """The same command, with the examples of that name at the end of its help."""
    if command is not None and command.epilog is None:
        command.epilog = epilog(name)
    return command


def transfer_options(command: F) -> F:
    """How rows are written: from --dry-run to --hold-triggers, and --json for what is told."""
    for option in reversed(
        (
            click.option("--dry-run", is_flag=True, help="Print the plan and write nothing."),
            click.option("--no-verify", is_flag=True, help="Do not compare digests before the commit."),
            click.option("--batch-rows", type=click.IntRange(1), metavar="N", help="Rows held in memory at a time."),
            click.option(
                "--commit-every",
                type=click.IntRange(1),
                metavar="N",
                help="Commit after every N rows; an interrupted run leaves whole batches.",
            ),
            click.option(
                "--hold-triggers",
                is_flag=True,
                help="Keep the target's triggers from firing for the rows that are written.",
            ),
            click.option("--json", "as_json", is_flag=True, help="Print one JSON document."),
        )
    ):
        command = option(command)
    return command


def by_table(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """What `TABLE:REST` says of each table, all of it."""
    found: dict[str, tuple[str, ...]] = {}
    for value in values:
        table, colon, rest = value.partition(":")
        if not (table and colon and rest.strip()):
            raise click.BadParameter(f"{value!r} is not of the form TABLE:…")
        found[table] = (*found.get(table, ()), rest)
    return found


def where_option(command: F) -> F:
    """--where TABLE:CONDITION, as a mapping."""
    return click.option(
        "--where",
        multiple=True,
        metavar="TABLE:CONDITION",
        callback=by_table,
        help="Only rows that meet a condition in the database's own SQL; may be repeated: all for one "
        "table hold together.",
    )(command)


def where_source_option(command: F) -> F:
    """--where-source TABLE:CONDITION, as a mapping."""
    return click.option(
        "--where-source",
        multiple=True,
        metavar="TABLE:CONDITION",
        callback=by_table,
        help="Only rows that meet a condition at the source, in its own SQL: others are to the target as if "
        "the source had none; may be repeated, as --where.",
    )(command)


def convert_option(command: F) -> F:
    """--convert TABLE.COLUMN:HOW, whose names are known to the models."""
    return click.option(
        "--convert",
        multiple=True,
        metavar="TABLE.COLUMN:HOW",
        help="How values of the source become ones that the model's type holds: epoch-s, epoch-ms, epoch-us, "
        "truncate-microseconds, round, empty-as-null, zero-date-as-null, text, json, last-duplicate-key, bool, "
        "date, utf-8 or utc-from:ZONE; may be repeated.",
    )(command)


def only_option(command: F) -> F:
    """--only TABLE:CONDITION, as a mapping."""
    return click.option(
        "--only",
        multiple=True,
        metavar="TABLE:CONDITION",
        callback=by_table,
        help="Only files of rows that meet a condition in the database's own SQL; may be repeated: all "
        "for one table hold together.",
    )(command)


def match_option(command: F) -> F:
    """--match TABLE:COL,COL, as a mapping."""
    return click.option(
        "--match",
        multiple=True,
        metavar="TABLE:COL,COL",
        callback=_columnsby_table,
        help="Recognise rows by these columns instead of the primary key; may be repeated, for another table.",
    )(command)


def set_option(command: F) -> F:
    """--set TABLE.COLUMN=VALUE, as a mapping."""
    return click.option(
        "--set",
        "set_values",
        multiple=True,
        metavar="TABLE.COLUMN=VALUE",
        callback=_by_column,
        help="What inserted rows get in a column that only the target has; may be repeated, for another column.",
    )(command)


def rename_option(command: F) -> F:
    """--rename SOURCE=TARGET, as a mapping."""
    return click.option(
        "--rename",
        multiple=True,
        metavar="SOURCE=TARGET",
        callback=_by_name,
        help="The name that --to has for a table (t=stage.t) or a column (t.a=t.b) of the models; may be repeated, "
        "for another one.",
    )(command)


def _by_name(_: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    return _by_place(parameter, values, "SOURCE=TARGET", "names")


def _by_column(_: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    found = _by_place(parameter, values, "TABLE.COLUMN=VALUE", "values")
    for place in found:
        if not all(place.rpartition(".")):
            raise click.BadParameter(f"{place!r} is not of the form TABLE.COLUMN")
    return found


def _by_place(parameter: click.Parameter, values: tuple[str, ...], form: str, what: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for value in values:
        place, sign, rest = value.partition("=")
        if not (sign and place and (rest or what == "values")):
            raise click.BadParameter(f"{value!r} is not of the form {form}")
        if found.setdefault(place, rest) != rest:
            raise click.UsageError(f"{parameter.opts[0]} is given twice for {place}, with two {what}.")
    return found


def _columnsby_table(
    ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for table, given in by_table(ctx, parameter, values).items():
        each = [tuple(name.strip() for name in names.split(",")) for names in given]
        if len(set(each)) > 1:
            raise click.UsageError(
                f"{parameter.opts[0]} is given twice for {table} ({' and '.join(map(','.join, each))}), whose rows can "
                f"be recognised in one way only: give it once, with all columns that identify a row."
            )
        found[table] = each[0]
    return found


def _by_backend(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """`BACKEND=STORE` as a mapping; a store alone is for all other backends, whose key is empty."""
    found: dict[str, str] = {}
    for value in values:
        # A path or a URL may have such a sign, but behind a slash or a colon.
        named = re.fullmatch(r"([^=/\\:]+)=(.+)", value)
        key, store = (named[1], named[2]) if named else ("", value)
        if key in found:
            raise click.BadParameter(f"two are given for {f'backend {key!r}' if key else 'every backend'}.")
        found[key] = store
    return found


def attachments_option(command: F) -> F:
    """--attachments STORE, or BACKEND=STORE, as a mapping."""
    return click.option(
        "--attachments",
        multiple=True,
        metavar="[BACKEND=]STORE",
        callback=_by_backend,
        shell_complete=store_names,
        help="Also copy files that the rows point at and this store of the target lacks; may be "
        "repeated, with a store for each backend.",
    )(command)


def to_backend_option(command: F) -> F:
    """--to-backend KEY, or BACKEND=KEY, as a mapping."""
    return click.option(
        "--to-backend",
        "backend",
        multiple=True,
        metavar="[BACKEND=]KEY",
        callback=_by_backend,
        help="Into this live store, not where each file was; may be repeated, with one for each backend.",
    )(command)


def duration(_: click.Context, __: click.Parameter, value: str | None) -> dt.timedelta | None:
    """`90s`, `15m`, `7d` or `6mo` as a duration."""
    from toolkit.core.durations import parse_duration

    try:
        return None if value is None else parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from error


def duration_or_number(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> dt.timedelta | int | None:
    """The same, and a bare number as one."""
    return int(value) if value is not None and value.isdigit() else duration(context, parameter, value)


def exclude_column_option(command: F) -> F:
    """--exclude-column TABLE.COLUMN."""
    return click.option(
        "--exclude-column",
        "exclude_columns",
        multiple=True,
        metavar="TABLE.COLUMN",
        help="All columns but this one; may be repeated.",
    )(command)


def selection_options(command: F) -> F:
    """Which tables are worked on, by which keys, of whose schema: what every verb takes."""
    for option in reversed(
        (
            click.option(
                "--exclude",
                multiple=True,
                metavar="TABLE",
                shell_complete=table_names,
                help="All tables but this one; may be repeated.",
            ),
            click.option(
                "--key",
                "keys",
                multiple=True,
                metavar="TABLE:COL,COL",
                callback=_columnsby_table,
                help="Tell the rows of a table apart by these columns, of which no two rows have the same values; may "
                "be repeated, for another table.",
            ),
            reflect_option,
        )
    ):
        command = option(command)
    return command


def make_options(
    no_verify: bool,
    batch_rows: int | None,
    commit_every: int | None,
    mode: str = "upsert",
    max_delete: DeleteLimit | None = None,
    *,
    hold_triggers: bool = False,
) -> Options:
    """The options of a transfer, from what the command line gave."""
    from toolkit.operations.transfer.options import Mode, Options

    default = Options()
    rows = batch_rows or default.batch_rows
    return Options(not no_verify, rows, commit_every, Mode(mode), max_delete, hold_triggers)


def database_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """What a shell offers in a database's place."""
    return _begins(incomplete, lambda: _project(ctx).databases)


def store_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """What a shell offers in a store's place."""
    return _begins(incomplete, lambda: _project(ctx).stores)


def table_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """What a shell offers in a table's place."""
    from toolkit.operations import names

    said = [ctx.params[name] for name in _DATABASES if ctx.params.get(name)]
    return _begins(incomplete, lambda: names.table_names(_project(ctx), said or _project(ctx).databases))


# What parameters that are a database's name, or a URL, are called.
_DATABASES = ("source", "target", "database")


def directories(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Let a shell offer directories."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, "dir")]


def _begins(incomplete: str, names: Callable[[], Iterable[str]]) -> list[str]:
    """Those that begin so; none, rather than an error in the middle of a line, if they cannot be told.

    A name that cannot be shown as it is, such as one with a line break, cannot be offered to a shell either.
    """
    try:
        return sorted(name for name in names() if name.startswith(incomplete) and name == printable(name))
    except ToolkitError:
        return []


def _project(ctx: click.Context) -> Config:
    from toolkit.config import load_config

    # Not the application's own configuration: what a shell asks for in the middle of a line runs none of its code.
    return load_config(metadata=ctx.find_root().params.get("metadata"), application="")


# Arguments for click: what is typed in such a place, and what a shell offers there.
DATABASE: Mapping[str, Any] = {"metavar": "NAME", "shell_complete": database_names}
STORE: Mapping[str, Any] = {"metavar": "STORE", "shell_complete": store_names}
DIRECTORY: Mapping[str, Any] = {"metavar": "DIR", "shell_complete": directories}
TABLES: Mapping[str, Any] = {"metavar": "[TABLE]...", "nargs": -1, "shell_complete": table_names}
