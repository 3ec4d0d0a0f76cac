"""`toolkit status`."""

from __future__ import annotations

import click

from toolkit.cli.options import database_names
from toolkit.cli.project_options import general_options, reflect_option
from toolkit.errors import EXIT_DIFFERENT


@click.command()
@click.argument("databases", nargs=-1, metavar="[DATABASE]...", shell_complete=database_names)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@reflect_option
@general_options
@click.pass_context
def status(ctx: click.Context, databases: tuple[str, ...], as_json: bool) -> int:
    """Show what is configured, and what is there.

    Named databases are shown with each table. Nothing is written or made. The exit code is 3 when a database is not
    available, at another revision, or lacks tables or columns; and when one that was named is not there or empty.
    """
    from toolkit.cli.output import print_json
    from toolkit.cli.render_status import show_status
    from toolkit.operations.status import State
    from toolkit.operations.status import status as run

    result = run(ctx.obj, databases)
    print_json(result) if as_json else show_status(result, tables=bool(databases))
    fine = {State.READY} if databases else {State.READY, State.EMPTY, State.ABSENT}
    return 0 if all(each.state in fine for each in result.databases) else EXIT_DIFFERENT
