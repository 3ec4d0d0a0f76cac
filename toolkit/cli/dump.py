"""`toolkit dump-data`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import click
from msgspec.structs import replace

from toolkit.cli.options import (
    DATABASE,
    DIRECTORY,
    TABLES,
    convert_option,
    exclude_column_option,
    selection_options,
    where_option,
)
from toolkit.cli.project_options import BY_DEFAULT, general_options
from toolkit.errors import EXIT_DIFFERENT


@click.command("dump-data")
@click.argument("tables", **TABLES)
@click.option(
    "--from",
    "source",
    **BY_DEFAULT,
    **DATABASE,
    help="Source: a database's name, or a URL.",
)
@click.option(
    "--dir",
    "directory",
    **DIRECTORY,
    help="Where to: a directory, an object store's URL, or - for standard output (one table).  [default: fixtures]",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["json", "jsonl"]),
    default="json",
    show_default=True,
    help="An array of objects, one a line, or only the lines.",
)
@click.option("--compress", type=click.Choice(["none", "gz", "zst"]), default="none", show_default=True)
@where_option
@selection_options
@exclude_column_option
@convert_option
@click.option(
    "--closure",
    type=click.Choice(["parents", "both"]),
    is_flag=False,
    flag_value="parents",
    help="With --where or named tables: of all other tables the rows that the chosen ones point at, and what these "
    "point at; with --closure=both also the rows that point at chosen ones.",
)
@click.option(
    "--natural",
    is_flag=True,
    help="Write references by unique keys, and leave out keys that a load makes again, where a unique key allows it.",
)
@click.option("--attachments", is_flag=True, help="Also keep the files that rows point at, by their hash.")
@click.option(
    "--keep-others",
    is_flag=True,
    help="Keep what an older dump wrote of tables that are excluded now, or gone. With tables named, all others stay.",
)
@click.option("--dry-run", is_flag=True, help="Count rows and files, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@general_options
@click.pass_context
def dump_data(
    ctx: click.Context,
    /,
    tables: tuple[str, ...],
    source: str,
    directory: str | None,
    format_: str,
    compress: str,
    closure: str | None,
    dry_run: bool,
    as_json: bool,
    **which: Any,
) -> int:
    """Write tables as JSON fixtures for git.

    One row a line, ordered by primary key, byte for byte the same from whichever engine. The old files stay until all
    new ones are written. Files that rows point at and that could not be read are told, and the exit code is 3.
    """
    from toolkit.cli.output import report, results_on_stderr, script_stream
    from toolkit.cli.progress import progress_on_stderr
    from toolkit.cli.render import show_dump
    from toolkit.operations.fixtures.dump import Closure, Compression, FileForm, Format
    from toolkit.operations.fixtures.dump import dump_data as run
    from toolkit.operations.fixtures.one_table import STANDARD, place_of, require_place

    form = FileForm(Format(format_), Compression(compress))
    require_place("dump-data", tables, directory)
    if is_standard := directory == STANDARD:
        _require_rows_alone(ctx.params)
    with (
        place_of(directory, tables, output=script_stream() if is_standard else None) as into,
        results_on_stderr() if is_standard else nullcontext(),
    ):
        with progress_on_stderr() as progress:
            result = run(
                ctx.obj,
                source,
                tables,
                directory=into,
                form=form,
                closure=Closure(closure) if closure else None,
                manifest=not is_standard,
                dry_run=dry_run,
                progress=progress,
                **which,
            )
        result = replace(result, directory=STANDARD) if is_standard else result
        done = "" if dry_run else f"The files are written to {result.directory}"
        report(result, show_dump, as_json=as_json, done=done)
    return EXIT_DIFFERENT if result.attachments and result.attachments.problems else 0


def _require_rows_alone(given: Mapping[str, Any]) -> None:
    """Refuse what standard output has no place for beside the rows of a table."""
    if given["as_json"] or given["attachments"]:
        raise click.UsageError("--dir - writes the rows alone: leave out --json and --attachments.")
    if given["closure"]:
        raise click.UsageError("--dir - is for one table: a closure needs a directory.")
