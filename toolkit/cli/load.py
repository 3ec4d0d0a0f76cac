"""`toolkit load-data`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from toolkit.cli.options import (
    DATABASE,
    DIRECTORY,
    TABLES,
    make_options,
    match_option,
    selection_options,
    set_option,
    transfer_options,
)
from toolkit.cli.project_options import BY_DEFAULT, general_options, tables_from_option

if TYPE_CHECKING:
    from toolkit.operations.fixtures.attachments import AttachmentMode


@click.command("load-data")
@click.argument("tables", **TABLES)
@click.option(
    "--to",
    "target",
    **BY_DEFAULT,
    **DATABASE,
    help="Target: a database's name, or a URL.",
)
@click.option(
    "--dir",
    "directory",
    **DIRECTORY,
    help="Where the fixtures are: a directory, an object store's URL, or - for standard input (one table).  "
    "[default: fixtures]",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["json", "jsonl", "csv", "tsv", "yaml"]),
    help="Of standard input: an array, or lines, if it is not said. Of files their names say it.",
)
@click.option(
    "--mode",
    type=click.Choice(["upsert", "insert", "replace"]),
    help="Insert or update; only insert, and refuse rows that are there; or also delete all other rows of "
    "these tables.  [default: upsert]",
)
@selection_options
@match_option
@set_option
@click.option("--ignore-revision", is_flag=True, help="Load what was dumped at another schema revision.")
@click.option("--as-stored", is_flag=True, help="Take what is given for encrypted columns as it is, encrypted or not.")
@click.option("--no-attachments", is_flag=True, help="Leave the files that rows point at alone.")
@click.option(
    "--overwrite-attachments",
    is_flag=True,
    help="Replace files of the live store that have other content than those of the fixtures.",
)
@tables_from_option
@transfer_options
@general_options
@click.pass_context
def load_data(
    ctx: click.Context,
    /,
    tables: tuple[str, ...],
    target: str,
    directory: str | None,
    format_: str | None,
    mode: str | None,
    no_attachments: bool,
    overwrite_attachments: bool,
    dry_run: bool,
    no_verify: bool,
    batch_rows: int | None,
    commit_every: int | None,
    hold_triggers: bool,
    as_json: bool,
    **which: Any,
) -> None:
    """Write fixtures into a database.

    Every table that has a file, or those named: JSON, JSON lines, CSV, TSV or YAML, plain or compressed. Files are read
    and checked whole before anything is written.
    What the fixtures have of the files that rows point at is put back into the live store.
    """
    from toolkit.cli.output import input_stream, report
    from toolkit.cli.progress import progress_on_stderr
    from toolkit.cli.render import show_transfer
    from toolkit.operations.fixtures.dump import Format
    from toolkit.operations.fixtures.load import load_data as run
    from toolkit.operations.fixtures.one_table import STANDARD, place_of, require_place

    attachments = _attachment_mode(leave=no_attachments, overwrite=overwrite_attachments)
    if format_ and directory != STANDARD:
        raise click.UsageError("--format is only for standard input (--dir -): a file's name says its format.")
    options = make_options(no_verify, batch_rows, commit_every, mode or ctx.obj.load.mode, hold_triggers=hold_triggers)
    require_place("load-data", tables, directory)
    given = input_stream() if directory == STANDARD else None
    form = Format(format_) if format_ else None
    with place_of(directory, tables, given=given, format_=form) as files, progress_on_stderr() as progress:
        result = run(
            ctx.obj,
            target,
            tables,
            directory=files,
            dry_run=dry_run,
            options=options,
            attachments=attachments,
            progress=progress,
            **which,
        )
    result = replace(result, source="standard input") if directory == STANDARD else result
    done = "" if dry_run else f"The rows are written to {result.target} and committed"
    report(result, show_transfer, as_json=as_json, done=done)


def _attachment_mode(*, leave: bool, overwrite: bool) -> AttachmentMode:
    from toolkit.operations.fixtures.attachments import AttachmentMode

    if leave and overwrite:
        raise click.UsageError("Give either --no-attachments or --overwrite-attachments, not both.")
    if leave:
        return AttachmentMode.LEAVE
    return AttachmentMode.OVERWRITE if overwrite else AttachmentMode.PUT
