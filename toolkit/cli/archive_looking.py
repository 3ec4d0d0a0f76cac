"""`toolkit archive list | show | find | diff | cat`: what an archive holds."""

from __future__ import annotations

import click

from toolkit.cli.archive_group import command, json_option, store_option
from toolkit.errors import EXIT_DIFFERENT


@command("list")
@store_option
@click.option("--of", metavar="DATABASE", help="Only those of this database, by its name.")
@json_option
def list_(ctx: click.Context, store: str, of: str | None, as_json: bool) -> int:
    """List the snapshots, oldest first."""
    from toolkit.cli.output import print_json
    from toolkit.cli.render_archive import show_snapshots
    from toolkit.operations.archive.listing import list_snapshots

    result = list_snapshots(ctx.obj, store=store, of=of)
    print_json(result) if as_json else show_snapshots(result)
    return EXIT_DIFFERENT if result.findings else 0


@command()
@click.argument("snapshot")
@store_option
@json_option
def show(ctx: click.Context, snapshot: str, store: str, as_json: bool) -> None:
    """Show the files of a snapshot.

    SNAPSHOT is its id, the beginning of it, or `latest`.
    """
    from toolkit.cli.render_archive import show_files, show_files_as_json
    from toolkit.operations.archive.listing import show as run

    result = run(ctx.obj, snapshot, store=store)
    show_files_as_json(result) if as_json else show_files(result)


@command()
@click.argument("text", metavar="NAME|HASH")
@store_option
@click.option("--of", metavar="DATABASE", help="Only in snapshots of this database, by its name.")
@json_option
def find(ctx: click.Context, text: str, store: str, of: str | None, as_json: bool) -> int:
    """Find a file in all snapshots.

    By its name or path (`*` and `?` stand for others), or by the beginning of its SHA-256, 6 digits at least. The exit
    code is 3 when no snapshot has one.
    """
    from toolkit.cli.output import print_json
    from toolkit.cli.render_archive import show_found
    from toolkit.operations.archive.finding import find as run

    result = run(ctx.obj, text, store=store, of=of)
    print_json(result) if as_json else show_found(result)
    return 0 if result.files and not result.findings else EXIT_DIFFERENT


@command()
@click.argument("old", metavar="A")
@click.argument("new", metavar="B")
@store_option
@json_option
def diff(ctx: click.Context, old: str, new: str, store: str, as_json: bool) -> int:
    """Show how the files of two snapshots differ.

    A and B are ids, beginnings of them, or `latest`. The exit code is 3 when they differ.
    """
    from toolkit.cli.output import print_json
    from toolkit.cli.render_archive import show_changes
    from toolkit.operations.archive.changes import diff as run

    result = run(ctx.obj, old, new, store=store)
    print_json(result) if as_json else show_changes(result)
    return EXIT_DIFFERENT if result.changes else 0


@command()
@click.argument("snapshot")
@click.argument("file")
@store_option
def cat(ctx: click.Context, snapshot: str, file: str, store: str) -> None:
    """Write one file of a snapshot to stdout.

    SNAPSHOT is its id, the beginning of it, or `latest`. FILE is BACKEND:PATH, the path, the name, or the beginning of
    the SHA-256. Its content is compared with its hash: an exit code other than 0 says that it is damaged or cut off.
    """
    from toolkit.cli.output import script_stream
    from toolkit.operations.archive.finding import cat as run

    stream = script_stream()
    for chunk in run(ctx.obj, snapshot, file, store=store).chunks:
        stream.write(chunk)
    stream.flush()
