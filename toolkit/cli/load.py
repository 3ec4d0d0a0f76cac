"""`toolkit load-data`."""

from __future__ import annotations

from pathlib import Path

import click

from toolkit.cli.options import general_options, make_options, transfer_options


@click.command("load-data")
@click.argument("tables", nargs=-1, metavar="[TABLE]...")
@click.option("--to", "target", default="sqlite", show_default=True, metavar="NAME",
              help="Target: a database's name, or a URL.")
@click.option("--dir", "directory", type=click.Path(path_type=Path), metavar="DIR",
              help="Where the fixtures are.  [default: fixtures]")
@transfer_options
@general_options
@click.pass_context
def load_data(
    ctx: click.Context,
    tables: tuple[str, ...],
    target: str,
    directory: Path | None,
    dry_run: bool,
    no_verify: bool,
    batch_rows: int | None,
    commit_every: int | None,
    as_json: bool,
) -> None:
    """Write JSON fixtures into a database.

    Every table that has a file, or those named. Rows are inserted or updated by primary key; other rows stay.
    """
    from toolkit.cli.render import progress_on_stderr, show_json, show_transfer
    from toolkit.operations.load import load_data as run

    options = make_options(no_verify, batch_rows, commit_every)
    with progress_on_stderr() as progress:
        result = run(ctx.obj, target, tables, directory=directory, dry_run=dry_run, options=options, progress=progress)
    show_json(result) if as_json else show_transfer(result)
