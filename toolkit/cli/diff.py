"""`toolkit diff`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from toolkit.cli.options import (
    DATABASE,
    TABLES,
    convert_option,
    exclude_column_option,
    rename_option,
    selection_options,
    set_option,
    where_option,
    where_source_option,
)
from toolkit.cli.project_options import general_options
from toolkit.errors import EXIT_DIFFERENT, EXIT_FAILURE

if TYPE_CHECKING:
    from toolkit.config import Config
    from toolkit.core.tables import Conditions
    from toolkit.operations.diff.compare import Status


@click.command()
@click.argument("tables", **TABLES)
@click.option("--from", "source", required=True, **DATABASE, help="One database: a name, or a URL.")
@click.option("--to", "target", required=True, **DATABASE, help="The other, which a sync would change.")
@click.option(
    "--rows",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="N",
    help="Show so many rows of each table that differ, with their columns: old → new.",
)
@click.option("--columns", multiple=True, metavar="COL", help="Compare only this column; may be repeated.")
@where_option
@where_source_option
@selection_options
@exclude_column_option
@set_option
@rename_option
@convert_option
@click.option(
    "--sql",
    "script",
    type=click.Path(dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Write the statements that would make the second database equal, for psql, sqlite3 or duckdb. The "
    "script holds all values unmasked. - is stdout, without a report.",
)
@click.option("--show-pii", is_flag=True, help="Show columns of personal data, which are masked otherwise.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, with all rows that differ.")
@click.option("--json-lines", is_flag=True, help="Print each table and each row that differs as a line of JSON.")
@general_options
@click.pass_context
def diff(
    ctx: click.Context,
    /,
    tables: tuple[str, ...],
    source: str,
    target: str,
    rows: int,
    columns: tuple[str, ...],
    set_values: dict[str, str],
    script: str | None,
    show_pii: bool,
    as_json: bool,
    json_lines: bool,
    **which: Any,
) -> int:
    """Compare the tables of two databases.

    The exit code is 0 when all are the same, 3 when some differ, and 1 when some could not be compared. Nothing is
    written.
    """
    shown = None if as_json else rows
    if script is not None:
        _require_whole_rows(columns, json_lines=json_lines, both_on_stdout=script == "-" and as_json)
        which["set_values"] = set_values
        return _write_script(
            ctx.obj, source, target, script, tables, rows=shown, show_pii=show_pii, as_json=as_json, **which
        )
    if set_values:
        raise click.UsageError("--set says what rows get that a script inserts: it goes with --sql.")
    if json_lines:
        return _stream(ctx.obj, source, target, tables, columns, show_pii=show_pii, **which)
    return compare(
        ctx.obj, source, target, tables, columns=columns, rows=shown, show_pii=show_pii, as_json=as_json, **which
    )


def compare(config: Config, source: str, target: str, tables: Sequence[str], *, as_json: bool, **options: Any) -> int:
    """Compare, as `operations.diff.compare.diff` is asked to, show what was found, and give the exit code."""
    from toolkit.cli.output import print_json, progress_on_stderr
    from toolkit.cli.render import show_diff
    from toolkit.operations.diff.compare import diff as run

    with progress_on_stderr() as progress:
        result = run(config, source, target, tables, progress=progress, **options)
    print_json(result) if as_json else show_diff(result)
    return _exit_code({table.status for table in result.tables})


def _stream(
    config: Config,
    source: str,
    target: str,
    tables: Sequence[str],
    columns: Sequence[str],
    *,
    where: Conditions,
    where_source: Conditions,
    convert: Sequence[str],
    show_pii: bool,
    **which: Any,
) -> int:
    """The same, each table and each row as a line as soon as it is compared."""
    from toolkit.cli.output import print_json
    from toolkit.operations.diff.compare import Comparison
    from toolkit.operations.reflection.reflection import Wanted

    statuses = set()
    with Comparison(config, source, target, Wanted(tables, **which), convert, show_pii=show_pii) as comparison:
        for table, differences in comparison.tables(where, columns, where_source):
            print_json(table, indent=None)
            statuses.add(table.status)
            for row in differences(None):
                print_json(row, indent=None)
        for warning in comparison.warnings:
            print_json(warning, indent=None)
    return _exit_code(statuses)


def _write_script(
    config: Config, source: str, target: str, script: str, tables: Sequence[str], *, as_json: bool, **options: Any
) -> int:
    """Write the script, show what was found unless the script has stdout to itself, and give the exit code."""
    from toolkit.cli.output import print_json, progress_on_stderr, script_stream
    from toolkit.cli.render import show_diff
    from toolkit.operations.diff.script import diff_sql

    output: Path | IO[bytes] = script_stream() if script == "-" else Path(script)
    with progress_on_stderr() as progress:
        result = diff_sql(config, source, target, output, tables, progress=progress, **options)
    if script != "-":
        print_json(result) if as_json else show_diff(result)
    return _exit_code({table.status for table in result.tables})


def _exit_code(statuses: Collection[Status]) -> int:
    from toolkit.operations.diff.compare import Status

    if Status.FAILED in statuses:
        return EXIT_FAILURE
    return EXIT_DIFFERENT if set(statuses) - {Status.SAME} else 0


def _require_whole_rows(columns: tuple[str, ...], *, json_lines: bool, both_on_stdout: bool) -> None:
    if columns:
        raise click.UsageError("--sql writes whole rows: leave out --columns.")
    if json_lines:
        raise click.UsageError("--sql goes with --json, not with --json-lines.")
    if both_on_stdout:
        raise click.UsageError("--sql - and --json would both be on stdout: give --sql a file.")
