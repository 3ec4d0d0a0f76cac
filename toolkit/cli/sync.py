"""`toolkit sync`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from toolkit.cli.options import general_options, make_options, transfer_options, where_option
from toolkit.errors import EXIT_DIFFERENT

if TYPE_CHECKING:
    from toolkit.operations.deletes import DeleteLimit


def _limit(_: click.Context, __: click.Parameter, value: str | None) -> DeleteLimit | None:
    """A number of rows, or a share of them."""
    if value is None:
        return None
    from toolkit.operations.deletes import DeleteLimit

    number, percent = value.removesuffix("%").strip(), value.endswith("%")
    try:
        return DeleteLimit(0, float(number) / 100) if percent else DeleteLimit(int(number), 0)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is neither a number of rows nor a percentage") from error


@click.command()
@click.argument("tables", nargs=-1, metavar="[TABLE]...")
@click.option("--from", "source", required=True, metavar="NAME", help="Source: a database's name, or a URL.")
@click.option("--to", "target", required=True, metavar="NAME", help="Target: a database's name, or a URL.")
@where_option
@click.option("--delete", is_flag=True, help="Also delete rows that only the target has.")
@click.option("--max-delete", metavar="N|P%", callback=_limit,
              help="How many of a table's rows --delete may delete.  [default: 10 %, and up to 100 rows]")
@click.option("--attachments", metavar="STORE",
              help="Also copy files that the rows point at and this store of the target lacks.")
@transfer_options
@general_options
@click.pass_context
def sync(
    ctx: click.Context,
    tables: tuple[str, ...],
    source: str,
    target: str,
    where: dict[str, str],
    delete: bool,
    max_delete: DeleteLimit | None,
    attachments: str | None,
    dry_run: bool,
    no_verify: bool,
    batch_rows: int | None,
    commit_every: int | None,
    as_json: bool,
) -> int:
    """Write to one database what differs in another.

    All tables, or those named. Rows that only the target has stay, unless --delete. Everything is one transaction,
    verified before it commits; a second run writes nothing. A condition holds on both sides: rows outside of it are
    neither written nor deleted. Files that could not be copied are told, and the exit code is 3.
    """
    from toolkit.cli.render import progress_on_stderr, show_json, show_transfer
    from toolkit.operations.sync import sync as run

    if max_delete is not None and not delete:
        raise click.UsageError("--max-delete is a limit for --delete.")
    options = make_options(no_verify, batch_rows, commit_every, "replace" if delete else "upsert", max_delete)
    with progress_on_stderr() as progress:
        result = run(ctx.obj, source, target, tables, where=where, dry_run=dry_run, options=options,
                     attachments=attachments, progress=progress)
    show_json(result) if as_json else show_transfer(result)
    return EXIT_DIFFERENT if result.attachments and result.attachments.problems else 0
