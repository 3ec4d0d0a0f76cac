"""`toolkit diff`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click
from msgspec.structs import replace

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
from toolkit.cli.worker_options import taken, worker_options
from toolkit.errors import EXIT_DIFFERENT, EXIT_FAILURE

if TYPE_CHECKING:
    from toolkit.config import Config
    from toolkit.core.plan import SyncResult
    from toolkit.core.tables import Conditions
    from toolkit.operations.diff.compare import DiffResult, Status

REPORTED_ROWS = 1000


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
    help="Show so many rows of each table that differ, with their columns: old → new. Personal data is masked unless "
    "--show-pii.",
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
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write what differs as one page of HTML, with up to 1,000 rows of each table.",
)
@click.option("--show-pii", is_flag=True, help="Show columns of personal data, which are masked otherwise.")
@worker_options
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
    report: Path | None,
    show_pii: bool,
    as_json: bool,
    json_lines: bool,
    **which: Any,
) -> int:
    """Compare the tables of two databases.

    The exit code is 0 when all are the same, 3 when some differ, and 1 when some could not be compared. Nothing is
    written.
    """
    shown, workers = None if as_json else rows, taken(which)
    if workers is not None and (script is not None or json_lines):
        raise click.UsageError("--workers cannot be combined with --sql or --json-lines.")
    if report is not None and (script is not None or json_lines):
        raise click.UsageError("--report cannot be combined with --sql or --json-lines.")
    if script is not None:
        _require_whole_rows(columns, json_lines=json_lines, both_on_stdout=script == "-" and as_json)
        which["set_values"] = set_values
        return _write_script(
            ctx.obj, source, target, script, tables, rows=shown, show_pii=show_pii, as_json=as_json, **which
        )
    if set_values:
        raise click.UsageError("--set gives values to rows that a script inserts: it needs --sql.")
    if json_lines:
        return _stream(ctx.obj, source, target, tables, columns, show_pii=show_pii, **which)
    which |= {"columns": columns, "rows": shown, "show_pii": show_pii, "workers": workers}
    return compare(ctx.obj, source, target, tables, as_json=as_json, report=report, **which)


def compare(
    config: Config,
    source: str,
    target: str,
    tables: Sequence[str],
    *,
    as_json: bool,
    rows: int | None = 0,
    report: Path | None = None,
    **options: Any,
) -> int:
    """Compare, as `operations.diff.compare.diff` is asked to, show what was found, and give the exit code."""
    from toolkit.cli.output import print_json
    from toolkit.cli.progress import progress_on_stderr
    from toolkit.cli.render import show_diff
    from toolkit.operations.diff.compare import diff as run

    wanted = rows if report is None or rows is None else max(rows, REPORTED_ROWS)
    with progress_on_stderr() as progress:
        result = run(config, source, target, tables, rows=wanted, progress=progress, **options)
    if report is not None:
        from toolkit.cli.report import write_report

        write_report(report, _with_rows(result, REPORTED_ROWS))
        result = _with_rows(result, rows)
    print_json(result) if as_json else show_diff(result)
    return _exit_code({table.status for table in result.tables})


def write_plan(
    config: Config, plan: SyncResult, file: Path, tables: Sequence[str], source: str, target: str, **options: Any
) -> None:
    """Write the report of a sync's plan, with rows that differ; into a database without tables all would be new."""
    from toolkit.cli.progress import progress_on_stderr
    from toolkit.cli.report import write_report
    from toolkit.operations.diff.compare import DiffResult
    from toolkit.operations.diff.compare import diff as run

    if plan.created_schema:
        found = DiffResult(plan.source, plan.target, (), 0.0)
    else:
        with progress_on_stderr() as progress:
            found = run(config, source, target, tables, rows=REPORTED_ROWS, progress=progress, **options)
    write_report(file, found, plan)


def _with_rows(result: DiffResult, rows: int | None) -> DiffResult:
    return replace(result, tables=tuple(replace(each, rows=each.rows[:rows]) for each in result.tables))


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
    from toolkit.operations.reflection.requested_tables import Wanted

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
    from toolkit.cli.output import print_json, script_stream
    from toolkit.cli.progress import progress_on_stderr
    from toolkit.cli.render import show_diff
    from toolkit.operations.diff.script import diff_sql

    output: Path | IO[bytes] = script_stream() if script == "-" else Path(script)
    with progress_on_stderr(beside_script=script == "-") as progress:
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
        raise click.UsageError("--sql can be combined with --json, not with --json-lines.")
    if both_on_stdout:
        raise click.UsageError("--sql - and --json would both be on stdout: give --sql a file.")
