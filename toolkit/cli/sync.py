"""`toolkit sync`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toolkit.cli.diff import compare, write_plan
from toolkit.cli.options import (
    DATABASE,
    DIRECTORY,
    TABLES,
    attachments_option,
    convert_option,
    duration_or_number,
    exclude_column_option,
    make_options,
    match_option,
    rename_option,
    selection_options,
    set_option,
    transfer_options,
    where_option,
    where_source_option,
)
from toolkit.cli.project_options import general_options, tables_from_option
from toolkit.cli.worker_options import require_alone, run_options, taken, worker_options
from toolkit.errors import EXIT_DIFFERENT

if TYPE_CHECKING:
    from toolkit.config import Config
    from toolkit.core.plan import SyncResult
    from toolkit.operations.parts.crew import WorkerOptions
    from toolkit.operations.transfer.deletes import DeleteLimit
    from toolkit.operations.transfer.options import Options


def _limit(_: click.Context, __: click.Parameter, value: str | None) -> DeleteLimit | None:
    """A number of rows, or a share of them."""
    if value is None:
        return None
    from toolkit.operations.transfer.deletes import DeleteLimit

    number, percent = value.removesuffix("%").strip(), value.endswith("%")
    with suppress(ValueError):
        limit = DeleteLimit(0, float(number) / 100) if percent else DeleteLimit(int(number), 0)
        if limit.rows >= 0 and 0 <= limit.share <= 1:
            return limit
    raise click.BadParameter(f"{value!r} is neither a number of rows nor a percentage up to 100")


@click.command()
@click.argument("tables", **TABLES)
@click.option("--from", "source", required=True, **DATABASE, help="Source: a database's name, or a URL.")
@click.option("--to", "target", required=True, **DATABASE, help="Target: a database's name, or a URL.")
@where_option
@where_source_option
@selection_options
@exclude_column_option
@match_option
@set_option
@rename_option
@convert_option
@click.option(
    "--since",
    metavar="COLUMN",
    is_flag=False,
    flag_value="updated_at",
    help="Only rows changed since the last sync with this option, by a column that grows with every change "
    "(updated_at if none is named), and rows where it is NULL. It sees no deleted row, none changed "
    "without its column, and none that changed in the target: sync without it from time to time.",
)
@click.option(
    "--overlap",
    metavar="DURATION|N",
    callback=duration_or_number,
    help="Look so far back behind that (90s, 15m, 2h, 1d), for rows committed late.  [default: 5m, or 0 for numbers]",
)
@click.option("--delete", is_flag=True, help="Also delete rows that only the target has.")
@click.option(
    "--soft-delete",
    is_flag=True,
    help="Mark those rows instead, in the columns is_deleted and deleted_at; without these they stay.",
)
@click.option(
    "--max-delete",
    metavar="N|P%",
    callback=_limit,
    help="How many of a table's rows may be deleted or marked.  [default: 10 %, and up to 100 rows]",
)
@click.option("--verify-only", is_flag=True, help="Only compare, as `toolkit diff` does; exits with 3 on a difference.")
@tables_from_option
@attachments_option
@click.option(
    "--overwrite-attachments",
    is_flag=True,
    help="Replace files that have other content there than those that the rows point at.",
)
@click.option(
    "--rejects",
    **DIRECTORY,
    help="Leave out rows that cannot be written, and those that depend on them, and put them into this "
    "directory as fixtures, each with the reason; the exit code is then 3.",
)
@click.option(
    "--report",
    "report_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="With --dry-run: write the plan as one page of HTML, with up to 1,000 rows of each table that differ.",
)
@click.option(
    "--rows",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="With --dry-run: show up to so many rows of each table that would be inserted, updated (old → new) and "
    "deleted. Personal data is masked unless --show-pii.",
)
@click.option("--show-pii", is_flag=True, help="Show columns of personal data, which are masked otherwise.")
@worker_options
@run_options
@transfer_options
@general_options
@click.pass_context
def sync(
    ctx: click.Context,
    /,
    tables: tuple[str, ...],
    source: str,
    target: str,
    where_source: dict[str, tuple[str, ...]],
    match: dict[str, tuple[str, ...]],
    set_values: dict[str, str],
    since: str | None,
    overlap: dt.timedelta | int | None,
    delete: bool,
    soft_delete: bool,
    max_delete: DeleteLimit | None,
    verify_only: bool,
    attachments: dict[str, str],
    overwrite_attachments: bool,
    rejects: str | None,
    report_file: Path | None,
    rows: int,
    show_pii: bool,
    dry_run: bool,
    no_verify: bool,
    batch_rows: int | None,
    commit_every: int | None,
    hold_triggers: bool,
    as_json: bool,
    **which: Any,
) -> int:
    """Write to one database what differs in another.

    All tables, or those named. Rows that only the target has stay, unless --delete. Everything is one transaction,
    verified before it commits; a second run writes nothing. A condition holds on both sides: rows outside of it are
    neither written nor deleted. Files that could not be copied are told, and the exit code is 3; two that would be one
    in their store are refused.
    """
    workers, _, _ = taken(which), which.pop("resume"), which.pop("restart")
    if verify_only:
        _require_comparison(ctx.params)
        which |= {"where_source": where_source, "rows": rows, "show_pii": show_pii, "workers": workers}
        return compare(ctx.obj, source, target, tables, as_json=as_json, **which)
    _require_sense(since, overlap, max_delete, delete=delete, soft_delete=soft_delete)
    mode = "replace" if delete else "soft-delete" if soft_delete else "upsert"
    options = make_options(no_verify, batch_rows, commit_every, mode, max_delete, hold_triggers=hold_triggers)
    if workers is not None:
        return _load_in_parts(ctx, workers, options)
    from toolkit.cli.progress import progress_on_stderr
    from toolkit.operations.sync import sync as run
    from toolkit.operations.transfer.watermarks import Since

    _require_dry_run(ctx.params)
    with progress_on_stderr() as progress:
        result = run(
            ctx.obj,
            source,
            target,
            tables,
            where_source=where_source,
            match=match,
            set_values=set_values,
            since=Since(since, overlap) if since else None,
            dry_run=dry_run,
            options=options,
            attachments=attachments,
            overwrite_attachments=overwrite_attachments,
            rejects=rejects,
            rows=rows,
            show_pii=show_pii,
            progress=progress,
            **which,
        )
    if report_file:
        which |= {"where_source": where_source, "show_pii": show_pii}
        write_plan(ctx.obj, result, report_file, tables, source, target, **which)
    code = _finish(ctx.obj, result, as_json=as_json)
    if dry_run and not as_json and _is_to_be_written(result):
        return int(ctx.invoke(sync, **{**ctx.params, "dry_run": False, "report_file": None, "rows": 0}))
    return code


def _load_in_parts(ctx: click.Context, workers: WorkerOptions, options: Options) -> int:
    """Have workers bring the rows of large tables to the target."""
    from toolkit.cli.progress import progress_on_stderr
    from toolkit.operations.parts.loading import load_in_parts

    given = ctx.params
    require_alone(ctx, "resume", "restart", "dry_run", *_SELECTING, *_OF_OPTIONS)
    if given["resume"] and given["restart"]:
        raise click.UsageError("Give either --resume or --restart, not both.")
    more: dict[str, Any] = {name: given[name] for name in _SELECTING if given[name]}
    if any(given[name] for name in _OF_OPTIONS):
        more["options"] = options
    with progress_on_stderr() as progress:
        result = load_in_parts(
            ctx.obj,
            given["source"],
            given["target"],
            given["tables"],
            workers,
            progress=progress,
            **{name: given[name] for name in ("resume", "restart", "dry_run")},
            **more,
        )
    return _finish(ctx.obj, result, as_json=given["as_json"])


# What is asked of a sync by workers, too.
_SELECTING = ("where", "where_source", "exclude", "exclude_columns", "keys")
_OF_OPTIONS = ("delete", "soft_delete", "max_delete", "no_verify", "batch_rows", "hold_triggers")


def _is_to_be_written(result: SyncResult) -> bool:
    """Whether the user, who is looking at the plan in a terminal, wants it to be done."""
    from toolkit.cli.output import is_somebody_there, would_you

    writes = any(each.inserted + each.updated + each.deleted + each.marked for each in result.tables)
    return writes and is_somebody_there() and would_you("Write this now? It is planned again from what is there then.")


def _finish(config: Config, result: SyncResult, *, as_json: bool) -> int:
    """Note and show what was done, or would be; the exit code."""
    from toolkit.cli.output import report
    from toolkit.cli.render_inspect import show_sync
    from toolkit.operations.last_syncs import note_sync

    if not result.dry_run:
        note_sync(config, result)
    done = "" if result.dry_run else f"The rows are written to {result.target} and committed"
    report(result, show_sync, as_json=as_json, done=done)
    has_problems = result.attachments is not None and result.attachments.problems
    return EXIT_DIFFERENT if has_problems or result.rejected else 0


# What has to do with writing.
_WRITING = (
    "delete",
    "soft_delete",
    "max_delete",
    "dry_run",
    "no_verify",
    "commit_every",
    "since",
    "match",
    "set_values",
)
_WRITING_TOO = ("attachments", "overwrite_attachments", "hold_triggers", "rejects", "resume", "restart")


def _require_comparison(given: Mapping[str, Any]) -> None:
    """Refuse what a comparison has no use for."""
    if any(given[name] for name in (*_WRITING, *_WRITING_TOO)):
        raise click.UsageError("--verify-only writes nothing, and cannot be combined with options that write.")


def _require_dry_run(given: Mapping[str, Any]) -> None:
    """Refuse what shows a plan where there is none to be shown."""
    if given["resume"] or given["restart"]:
        raise click.UsageError("--resume and --restart are of runs of workers: they need --workers.")
    if given["overwrite_attachments"] and not given["attachments"]:
        raise click.UsageError("--overwrite-attachments needs --attachments.")
    if given["report_file"] and (not given["dry_run"] or given["since"] or given["match"]):
        raise click.UsageError("--report needs --dry-run, and cannot be combined with --since or --match.")
    if given["rows"] and not given["dry_run"]:
        raise click.UsageError("--rows needs --dry-run or --verify-only.")


def _require_sense(
    since: str | None, overlap: object, max_delete: DeleteLimit | None, *, delete: bool, soft_delete: bool
) -> None:
    """Refuse options that contradict each other, or do nothing without another."""
    if overlap is not None and since is None:
        raise click.UsageError("--overlap needs --since.")
    if since and (delete or soft_delete):
        raise click.UsageError("--since cannot see which rows are gone: delete by a sync without it.")
    if max_delete is not None and not (delete or soft_delete):
        raise click.UsageError("--max-delete is a limit for --delete and --soft-delete.")
    if delete and soft_delete:
        raise click.UsageError("Give either --delete or --soft-delete, not both.")
