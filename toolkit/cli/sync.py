"""`toolkit sync`."""

from __future__ import annotations

import click

from toolkit.cli.options import general_options, make_options, transfer_options


@click.command()
@click.argument("tables", nargs=-1, metavar="[TABLE]...")
@click.option("--from", "source", required=True, metavar="NAME", help="Source: a database's name, or a URL.")
@click.option("--to", "target", required=True, metavar="NAME", help="Target: a database's name, or a URL.")
@transfer_options
@general_options
@click.pass_context
def sync(
    ctx: click.Context,
    tables: tuple[str, ...],
    source: str,
    target: str,
    dry_run: bool,
    no_verify: bool,
    batch_rows: int | None,
    commit_every: int | None,
    as_json: bool,
) -> None:
    """Write to one database what differs in another.

    All tables, or those named. Rows that only the target has stay. Everything is one transaction, verified
    before it commits; a second run writes nothing.
    """
    from toolkit.cli.render import progress_on_stderr, show_json, show_transfer
    from toolkit.operations.sync import sync as run

    options = make_options(no_verify, batch_rows, commit_every)
    with progress_on_stderr() as progress:
        result = run(ctx.obj, source, target, tables, dry_run=dry_run, options=options, progress=progress)
    show_json(result) if as_json else show_transfer(result)
