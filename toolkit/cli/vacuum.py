"""`toolkit vacuum`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from toolkit.cli.options import DATABASE
from toolkit.cli.project_options import general_options

if TYPE_CHECKING:
    from toolkit.config import Config
    from toolkit.operations.vacuum import Vacuumed


@click.command()
@click.option("--database", "name", **DATABASE, required=True, help="A lake: a configured database, or a URL.")
@click.option(
    "--keep-hours",
    type=int,
    default=168,
    show_default=True,
    metavar="N",
    help="Keep what was removed or written since.",
)
@click.option("--dry-run", is_flag=True, help="Only count the files.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@general_options
@click.pass_obj
def vacuum(config: Config, /, name: str, keep_hours: int, dry_run: bool, as_json: bool) -> None:
    """Remove files of a lake that its tables no longer have.

    Versions of before that can no longer be read then. Fewer than 168 hours are refused: somebody may still read such
    files, or be about to commit them.
    """
    from toolkit.cli.output import report
    from toolkit.operations.vacuum import vacuum as run

    report(run(config, name, keep_hours=keep_hours, dry_run=dry_run), _show, as_json=as_json)


def _show(found: Vacuumed) -> None:
    from toolkit.cli.output import say

    would = "would be " if found.dry_run else ""
    for each in found.tables:
        say(f"{found.database}: {each.table}: files {would}removed: {each.files}")
