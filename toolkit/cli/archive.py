"""`toolkit archive …`: attachments into an object store, proved, and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from toolkit.cli import archive_looking, archive_pushing
from toolkit.cli.archive_group import (
    archive,
    command,
    dry_run_option,
    from_option,
    jobs_option,
    json_option,
    row_option,
    store_option,
)
from toolkit.cli.options import (
    duration,
    only_option,
    to_backend_option,
)
from toolkit.cli.project_options import BY_DEFAULT
from toolkit.errors import EXIT_DIFFERENT, ToolkitError

if TYPE_CHECKING:
    import datetime as dt

    from toolkit.config import Config

# Those commands are in the same group.
__all__ = ["archive", "archive_looking", "archive_pushing"]


@command()
@click.argument("snapshot", required=False)
@click.option("--all", "every", is_flag=True, help="All snapshots, and objects that are in none. The default.")
@store_option
@from_option(help="Also look for the files of this database's rows.  [default: sqlite, if it is there]")
@click.option("--read-data", is_flag=True, help="Read every object and compare its content, not only its size.")
@jobs_option
@json_option
def verify(
    ctx: click.Context,
    snapshot: str | None,
    every: bool,
    store: str,
    source: str | None,
    read_data: bool,
    jobs: int,
    as_json: bool,
) -> int:
    """Prove that nothing is lost or damaged.

    Every object that SNAPSHOT (or any snapshot) names is looked for. Outcomes: ok, missing, corrupt, size differs,
    orphan object (in no snapshot), dangling row (its file is gone). The exit code is 3 when anything is wrong.
    """
    from toolkit.cli.output import print_json
    from toolkit.cli.progress import progress_on_stderr
    from toolkit.cli.render_archive import show_verification
    from toolkit.operations.archive.verify import verify as run

    if snapshot is not None and every:
        raise click.UsageError("Name a snapshot, or give --all.")
    if source is None and _has_files(ctx.obj):
        source = ctx.obj.default_database
    with progress_on_stderr() as progress:
        result = run(ctx.obj, snapshot, store=store, source=source, read_data=read_data, jobs=jobs, progress=progress)
    print_json(result) if as_json else show_verification(result)
    return 0 if result.whole else EXIT_DIFFERENT


def _has_files(config: Config) -> bool:
    """Whether the default database is there, with the tables that hold files."""
    from toolkit.operations.archive.dangling import require_rows

    try:
        require_rows(config, config.default_database)
    except ToolkitError:
        return False
    return True


@command()
@click.argument("snapshot")
@store_option
@from_option(**BY_DEFAULT, help="The database whose rows point at the files.")
@to_backend_option
@click.option(
    "--to",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIRECTORY",
    help="Into a directory: rows are neither needed nor changed.",
)
@only_option
@click.option(
    "--overwrite",
    is_flag=True,
    help="Also replace files of other content, and references to other files that are there.",
)
@click.option("--rowless", is_flag=True, help="Also files whose rows are gone.")
@click.option("--fill-from-older", is_flag=True, help="Take what the snapshot lacks from older ones that have it.")
@jobs_option
@dry_run_option
@json_option
def restore(
    ctx: click.Context,
    snapshot: str,
    store: str,
    source: str,
    backend: dict[str, str],
    directory: Path | None,
    only: dict[str, tuple[str, ...]],
    overwrite: bool,
    rowless: bool,
    fill_from_older: bool,
    jobs: int,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Bring the files of a snapshot back.

    SNAPSHOT is its id, the beginning of it, or `latest`. Each file is compared with its hash as it is written. A row
    that has lost its reference (the column is empty, points into the archive, or at a file that is gone) gets it back;
    rows that were deleted are told, not made again. In a directory, SNAPSHOT.jsonl says which file was which. The exit
    code is 3 when something was left as it was.
    """
    from toolkit.cli.output import report
    from toolkit.cli.progress import progress_on_stderr
    from toolkit.cli.render_archive import show_restore
    from toolkit.operations.archive.restore import restore as run
    from toolkit.operations.archive.restore_values import RestoreOptions

    if backend and directory is not None:
        raise click.UsageError("Give either --to-backend or --to, not both.")
    options = RestoreOptions(backend, directory, only, overwrite, rowless, jobs, fill_from_older)
    needed = None if directory is not None and not only else source
    with progress_on_stderr() as progress:
        result = run(ctx.obj, snapshot, store=store, source=needed, options=options, dry_run=dry_run, progress=progress)
    report(result, show_restore, as_json=as_json, done="" if dry_run else "What was restored stays")
    return 0 if result.complete else EXIT_DIFFERENT


@command()
@store_option
@click.option("--keep-last", type=click.IntRange(0), default=0, metavar="N", help="The newest N.")
@click.option("--keep-daily", type=click.IntRange(0), default=0, metavar="N", help="The newest of each of N days.")
@click.option("--keep-weekly", type=click.IntRange(0), default=0, metavar="N", help="The newest of each of N weeks.")
@click.option("--keep-monthly", type=click.IntRange(0), default=0, metavar="N", help="The newest of each of N months.")
@click.option("--keep-within", metavar="DURATION", callback=duration, help="All that are not older (12h, 7d, 6mo, 1y).")
@from_option(help="The database of rows that were moved: objects that none of them points at any more go too.")
@click.option(
    "--adopt",
    multiple=True,
    metavar="PLACE",
    help="That database was at PLACE before (a prune names it): what was pushed there is its own; may be repeated.",
)
@dry_run_option
@json_option
def prune(
    ctx: click.Context,
    store: str,
    keep_last: int,
    keep_daily: int,
    keep_weekly: int,
    keep_monthly: int,
    keep_within: dt.timedelta | None,
    source: str | None,
    adopt: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Remove snapshots by a policy.

    Then the objects go that none of the others needs. A snapshot stays if any rule keeps it; snapshots of one database
    and of the same rows are judged together. Refused (exit code 3) while a push is running, and if no snapshot of its
    kind would be left. Objects that rows were moved to stay.
    """
    from toolkit.cli.output import report
    from toolkit.cli.progress import progress_on_stderr
    from toolkit.cli.render_archive import show_prune
    from toolkit.core.retention import Policy
    from toolkit.operations.archive.prune import prune as run

    policy = Policy(keep_last, keep_daily, keep_weekly, keep_monthly, keep_within)
    with progress_on_stderr() as progress:
        result = run(ctx.obj, policy, store=store, source=source, adopt=adopt, dry_run=dry_run, progress=progress)
    report(result, show_prune, as_json=as_json, done="" if dry_run else "The archive is pruned")


@command()
@click.argument("snapshots", metavar="SNAPSHOT...", nargs=-1, required=True)
@store_option
@click.option("--force", is_flag=True, help="Also what no other snapshot has.")
@dry_run_option
@json_option
def remove(
    ctx: click.Context, snapshots: tuple[str, ...], store: str, force: bool, dry_run: bool, as_json: bool
) -> None:
    """Remove single snapshots.

    By id, or the beginning of it; then the objects go that no other snapshot needs. Refused (exit code 3) if one has
    files of rows that no newer snapshot has that stays. One whose manifest is damaged can be removed, too.
    """
    from toolkit.cli.output import report
    from toolkit.cli.progress import progress_on_stderr
    from toolkit.cli.render_archive import show_prune
    from toolkit.operations.archive.removal import remove as run

    with progress_on_stderr() as progress:
        result = run(ctx.obj, snapshots, store=store, force=force, dry_run=dry_run, progress=progress)
    report(result, show_prune, as_json=as_json, done="" if dry_run else "The snapshots are removed")


@command()
@row_option
@from_option(**BY_DEFAULT, help="The database whose rows are meant.")
@store_option
@dry_run_option
@json_option
def forget(
    ctx: click.Context, row: dict[str, tuple[str, ...]], source: str, store: str, dry_run: bool, as_json: bool
) -> int:
    """Erase the files of some rows from every snapshot.

    A line stays in each that says of which row a file was erased, and when. Rows that are gone are found by their
    keys. What another row has, too, stays for it: it is told, and the exit code is 3. Files of the live store stay.
    """
    from toolkit.cli.output import report
    from toolkit.cli.progress import progress_on_stderr
    from toolkit.cli.render_archive import show_forgotten
    from toolkit.operations.archive.erasing import forget as run

    with progress_on_stderr() as progress:
        result = run(ctx.obj, source, row, store=store, dry_run=dry_run, progress=progress)
    report(result, show_forgotten, as_json=as_json, done="" if dry_run else "What was erased is gone")
    return 0 if result.rows and not result.findings else EXIT_DIFFERENT


@command()
@from_option(**BY_DEFAULT, help="The database whose rows point at files: a name, or a URL.")
@store_option
@click.option("--remove-orphans", is_flag=True, help="Remove files that no row of any configured database points at.")
@click.option(
    "--older-than",
    metavar="DURATION",
    callback=duration,
    help="Of these only such as were written so long ago (12h, 7d, 6mo).  [default: 7d]",
)
@jobs_option
@click.option("--dry-run", is_flag=True, help="With --remove-orphans: remove nothing.")
@json_option
def audit(
    ctx: click.Context,
    source: str,
    store: str,
    remove_orphans: bool,
    older_than: dt.timedelta | None,
    jobs: int,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Find rows without files, and files without rows.

    No snapshot is needed, and nothing is written, unless --remove-orphans says so: not where another configured
    database cannot be read, two stores share a place, or no row at all points at a store. The exit code is 3 when
    something has no counterpart.
    """
    from toolkit.cli.output import print_json, report
    from toolkit.cli.progress import progress_on_stderr
    from toolkit.cli.render_archive import show_audit, show_orphans
    from toolkit.operations.archive.audit import audit as run
    from toolkit.operations.archive.orphans import ORPHAN_AGE
    from toolkit.operations.archive.orphans import remove_orphans as remove

    if not remove_orphans:
        if older_than is not None or dry_run:
            raise click.UsageError("--older-than and --dry-run need --remove-orphans.")
        with progress_on_stderr() as progress:
            result = run(ctx.obj, source, store=store, jobs=jobs, progress=progress)
        print_json(result) if as_json else show_audit(result)
        return 0 if result.clean else EXIT_DIFFERENT
    age = ORPHAN_AGE if older_than is None else older_than
    with progress_on_stderr() as progress:
        done = remove(ctx.obj, source, store=store, older_than=age, jobs=jobs, dry_run=dry_run, progress=progress)
    report(done, show_orphans, as_json=as_json, done="" if dry_run else "What was removed is gone")
    return 0 if done.complete else EXIT_DIFFERENT


@command("rotate-key")
@store_option
@jobs_option
@dry_run_option
@json_option
def rotate_key(ctx: click.Context, store: str, jobs: int, dry_run: bool, as_json: bool) -> int:
    """Encrypt an archive with its new key.

    Of the keys that the store is given, the first is the new one: what the others encrypted is read, proved, written
    with it and removed. Afterwards the others are not needed any more. Refused (exit code 3) while a push is running.
    One that was interrupted is continued by the next.
    """
    from toolkit.cli.output import report
    from toolkit.cli.progress import progress_on_stderr
    from toolkit.cli.render_archive import show_rotation
    from toolkit.operations.archive.rotating import rotate_key as run

    with progress_on_stderr() as progress:
        result = run(ctx.obj, store=store, jobs=jobs, dry_run=dry_run, progress=progress)
    report(result, show_rotation, as_json=as_json, done="" if dry_run else "What was encrypted again stays")
    return 0 if result.complete else EXIT_DIFFERENT
