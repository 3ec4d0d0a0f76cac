"""`toolkit archive push`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from toolkit.cli.archive_group import (
    ARCHIVE,
    command,
    dry_run_option,
    exclude_option,
    from_option,
    jobs_option,
    json_option,
)
from toolkit.cli.options import STORE, TABLES, duration, where_option
from toolkit.cli.project_options import BY_DEFAULT
from toolkit.cli.worker_options import insecure_option, taken, workers_option
from toolkit.errors import EXIT_DIFFERENT

if TYPE_CHECKING:
    import datetime as dt


@command()
@click.argument("tables", **TABLES)
@from_option(**BY_DEFAULT, help="The database whose rows point at files: a name, or a URL.")
@click.option(
    "--to",
    "--store",
    "store",
    default=ARCHIVE,
    show_default=True,
    **STORE,
    help="The archive: a configured store, a URL, or a directory's path.",
)
@click.option(
    "--older-than",
    metavar="DURATION",
    callback=duration,
    help="Only files of rows made so long ago (12h, 7d, 2w, 6mo, 1y), by their created_at; where a table has "
    "no such column, files last written so long ago.",
)
@where_option
@exclude_option
@click.option(
    "--move",
    is_flag=True,
    help="Afterwards point the rows at the archive, and remove the live files that no row needs any more. "
    "The application finds them by a backend of the store's name: register a toolkit.archive.ArchiveBackend.",
)
@click.option("--compress", is_flag=True, help="Store what gets smaller by it compressed (zstd).")
@click.option(
    "--rehash", is_flag=True, help="Read every file, also those that have the size, time and tag of the last snapshot."
)
@jobs_option
@workers_option
@insecure_option
@dry_run_option
@json_option
def push(
    ctx: click.Context,
    tables: tuple[str, ...],
    source: str,
    store: str,
    older_than: dt.timedelta | None,
    where: dict[str, tuple[str, ...]],
    exclude: tuple[str, ...],
    move: bool,
    compress: bool,
    rehash: bool,
    jobs: int,
    dry_run: bool,
    as_json: bool,
    **which: Any,
) -> int:
    """Archive every file that rows point at.

    All tables that hold files, or those named. Each content is stored once, under its SHA-256; the snapshot, which says
    what was seen, is written when all of it is there. The next push sends only what is new. Files that are gone or
    cannot be read are told, and the exit code is 3. With --workers, each of them has --jobs files under way.
    """
    from toolkit.cli.output import report
    from toolkit.cli.progress import progress_on_stderr
    from toolkit.cli.render_archive import show_push
    from toolkit.operations.archive.push import push as run
    from toolkit.operations.archive.push_values import PushOptions

    workers = taken(which)
    options = PushOptions(older_than, move, compress, rehash, jobs)
    with progress_on_stderr() as progress:
        result = run(
            ctx.obj,
            source,
            tables,
            store=store,
            where=where,
            exclude=exclude,
            options=options,
            dry_run=dry_run,
            workers=workers,
            progress=progress,
        )
    report(result, show_push, as_json=as_json, done="" if dry_run else "What was pushed is in the archive")
    return 0 if result.complete else EXIT_DIFFERENT
