"""Results of `toolkit archive …` as text or JSON on stdout."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from toolkit.cli.output import SCHEMA_VERSION, json_text, print_json_part, say
from toolkit.cli.render import plural, show_table

if TYPE_CHECKING:
    from toolkit.operations.archive.audit import AuditResult
    from toolkit.operations.archive.changes import SnapshotDiff
    from toolkit.operations.archive.erasing import ForgetResult
    from toolkit.operations.archive.finding import FoundFiles
    from toolkit.operations.archive.listing import SnapshotFiles, SnapshotInfo, SnapshotList
    from toolkit.operations.archive.orphans import OrphanResult
    from toolkit.operations.archive.outcomes import Finding
    from toolkit.operations.archive.prune_values import KeptMoves, PruneResult
    from toolkit.operations.archive.push_values import PushResult
    from toolkit.operations.archive.restore_values import RestoreResult
    from toolkit.operations.archive.rotating import RotateResult
    from toolkit.operations.archive.verify import VerifyResult

# Of each outcome; `--json` tells all.
_SHOWN = 20
_TEXT = 100


def show_push(result: PushResult) -> None:
    """A line for each column of files, then what came of it."""
    say(f"{result.source} -> {result.archive}{' (dry run: nothing was written)' if result.dry_run else ''}")
    ages = sorted({each.age_by for each in result.columns if each.age_by})
    wide = None if ages else -1
    show_table(
        ("column", "files", "bytes", "too young")[:wide],
        [(f"{each.table}.{each.column}", each.files, each.bytes, each.younger)[:wide] for each in result.columns],
    )
    if ages:
        say(f"Age by {', '.join(ages)}.")
    kinds = [(result.unchanged, "unchanged since the last snapshot"), (result.archived, "in the archive already")]
    parts = [f"{count:,} {what}" for count, what in kinds if count]
    parts.append(f"{result.read:,} {'to be read' if result.dry_run else 'read'} ({result.read_bytes:,} bytes)")
    say(f"{_files(result.objects)}, {result.bytes:,} bytes: {', '.join(parts)}.")
    show_findings(result.findings)
    for note in result.notes:
        say(note)
    if result.dry_run:
        say("Run again without --dry-run to archive this.")
        return
    repaired = f", {result.repaired:,} of them in place of damaged ones" if result.repaired else ""
    say(f"Sent {_objects(result.sent)}, {result.sent_bytes:,} bytes{repaired}.")
    if result.moved or result.removed:
        say(f"Moved {_rows(result.moved)}; removed {_files(result.removed)} of the live store.")
    old_enough = " and old enough" if any(each.younger for each in result.columns) else ""
    none = f"No snapshot: no row points at a file that is there{old_enough}"
    what = f"Snapshot {result.snapshot}" if result.snapshot else none
    say(f"{what}. {result.seconds:.2f} s")


def show_snapshots(result: SnapshotList) -> None:
    """A line for each snapshot; what it lacks, if any does; its place, if databases of one name are at several."""
    places = Counter(name for name, _ in {(each.database, each.place) for each in result.snapshots})
    columns: list[tuple[str, list[Any]]] = [
        ("snapshot", [each.id for each in result.snapshots]),
        ("made (UTC)", [f"{each.made_at or each.created_at:%Y-%m-%d %H:%M:%S}" for each in result.snapshots]),
        ("files", [each.files for each in result.snapshots]),
        ("bytes", [each.bytes for each in result.snapshots]),
    ]
    if any(each.lacking for each in result.snapshots):
        columns.append(("lacks", [each.lacking or "" for each in result.snapshots]))
    if any(each.erased for each in result.snapshots):
        columns.append(("erased", [each.erased or "" for each in result.snapshots]))
    columns.append(("of", [_of(each) for each in result.snapshots]))
    if max(places.values(), default=0) > 1:
        columns.append(("at", [each.place or "" for each in result.snapshots]))
    show_table([name for name, _ in columns], list(zip(*(values for _, values in columns), strict=True)))
    if not result.snapshots:
        say(f"{result.archive} has no snapshot.")
    show_findings(result.findings)
    for note in result.notes:
        say(note)


def show_found(result: FoundFiles) -> None:
    """A line for each file in each snapshot."""
    for each in result.files:
        say(
            f"{each.snapshot} {each.made_at:%Y-%m-%d %H:%M:%S} {each.sha256[:12]} {each.size:>13,}  "
            f"{each.table}.{each.column} {_key(each.key)}  {each.backend}:{each.path}"
        )
    show_findings(result.findings)
    if not result.files:
        say(f"No snapshot of {result.archive} has a file {result.text!r}.")


def show_changes(result: SnapshotDiff) -> None:
    """A line for each reference that differs, then how many do."""
    for each in result.changes:
        index = "" if each.index is None else f"[{each.index}]"
        places = " → ".join(
            f"{place.backend}:{place.path} ({place.sha256[:12]}, {place.size:,} bytes)"
            for place in (each.old, each.new)
            if place is not None
        )
        say(f"{each.change}: {each.table}.{each.column}{index} {_key(each.key)}  {places}")
    counts = Counter(each.change for each in result.changes)
    parts = [*(f"{count:,} {change}" for change, count in counts.items()), f"{result.same:,} the same"]
    say(f"{result.archive}: {result.old.id} → {result.new.id}: {', '.join(parts)}.")
    for snapshot in (result.old, result.new):
        if snapshot.lacking:
            say(f"Snapshot {snapshot.id} lacks {_files(snapshot.lacking)} that rows pointed at.")


def show_files(result: SnapshotFiles) -> None:
    """A line for each file, as it comes."""
    snapshot = result.snapshot
    say(
        f"Snapshot {snapshot.id} of {_of(snapshot)}, {_files(snapshot.files)}, {snapshot.bytes:,} bytes"
        f"{f', schema revision {snapshot.revision}' if snapshot.revision else ''}"
        f"{f'; it lacks {_files(snapshot.lacking)} that rows point at' if snapshot.lacking else ''}"
    )
    for lacking in result.lacking:
        place = "" if lacking.path is None else f" {lacking.backend}:{lacking.path}"
        say(f"lacks: {lacking.table}.{lacking.column} {_key(lacking.key)}{place}: {lacking.reason}")
    for entry in result.files:
        index = "" if entry.index is None else f"[{entry.index}]"
        key = ", ".join(f"{name}={value}" for name, value in entry.key.items())
        say(
            f"{entry.sha256[:12]} {entry.size:>13,}  {entry.table}.{entry.column}{index} {key}  "
            f"{entry.backend}:{entry.path}"
        )


def show_files_as_json(result: SnapshotFiles) -> None:
    """One JSON document, written as the files come."""
    head = json_text({"schema_version": SCHEMA_VERSION, "archive": result.archive, "snapshot": result.snapshot})
    lacking = json_text([msgspec.to_builtins(each) for each in result.lacking])
    print_json_part(f'{head[:-1]}, "lacking": {lacking}, "files": [')
    for number, entry in enumerate(result.files):
        print_json_part(f"{',' if number else ''}\n{entry.document}")
    print_json_part("\n]}\n")


def show_verification(result: VerifyResult) -> None:
    """What was looked at, and all that is wrong."""
    show_findings(result.findings)
    if result.without_key:
        _show_without_key(result)
        return
    how = "read and compared with their hashes" if result.read_data else "compared by listing and size"
    say(
        f"{result.archive}: {plural(len(result.snapshots), 'snapshot')}, {_objects(result.objects)}, "
        f"{result.bytes:,} bytes; {result.ok:,} ok, {how}."
    )
    for each in result.incomplete:
        say(
            f"Snapshot {each.snapshot} lacks {_files(each.lacking)} that rows pointed at when it was made; "
            f"{each.elsewhere:,} of them in other snapshots."
        )
    if result.pushes:
        say(f"Orphan check skipped: a push is at work ({'; '.join(result.pushes)}).")
    elif any(finding.outcome == "damaged manifest" for finding in result.findings):
        say("Orphan check skipped: which objects a damaged manifest needs is not known.")
    well = "What was archived is well" if result.incomplete else "All is well"
    rows = f"Rows of {result.rows_of} were looked at" if result.rows_of else "Rows were not looked at (--from NAME)"
    say(f"{rows}. {well if result.whole else _counted(result.findings)}. {result.seconds:.2f} s")


def _show_without_key(result: VerifyResult) -> None:
    how = "read and compared with their checksums" if result.read_data else "checked by name and size"
    say(f"{result.archive}: encrypted, {_objects(result.objects)}, {result.bytes:,} bytes; {result.ok:,} ok, {how}.")
    say("No key is given: rows were not checked, and missing objects are found only with the key.")
    say(f"{'All else is well' if result.whole else _counted(result.findings)}. {result.seconds:.2f} s")


def show_rotation(result: RotateResult) -> None:
    """How much was encrypted anew, and which keys are needed from now on."""
    show_findings(result.findings)
    would = "to be " if result.dry_run else ""
    say(
        f"{result.archive}: {_objects(result.objects)}, {result.bytes:,} bytes, {would}encrypted with key {result.key}."
    )
    old = ", ".join(result.old_keys)
    if result.complete and not result.dry_run:
        say(f"{'Not needed any more: key ' + old if old else 'There was no other key'}. {result.seconds:.2f} s")
    elif old:
        say(f"Still needed: key {old}. {result.seconds:.2f} s")


def show_restore(result: RestoreResult) -> None:
    """What was written, and which rows were changed to what."""
    say(
        f"{result.archive}, snapshot {result.snapshot} of {_of(result)} -> {result.target}"
        f"{' (dry run: nothing was written)' if result.dry_run else ''}"
    )
    would = "to be " if result.dry_run else ""
    say(
        f"{_files(result.files)}: {result.written:,} {would}written ({result.written_bytes:,} bytes), {result.same:,} "
        f"there already, {result.other:,} with other content left as they are."
    )
    for snapshot, count in result.filled.items():
        say(f"{_files(count)} that it lacks from snapshot {snapshot}.")
    for repair in result.repairs[:_SHOWN]:
        say(f"  ~ {repair.table}.{repair.column} {_key(repair.key)}")
        say(f"      {_places(repair.old)} → {_places(repair.new)}")
    if result.repairs:
        more = len(result.repairs) - _SHOWN
        say(f"{_rows(len(result.repairs))} {would}repaired{f' ({more:,} more; --json shows all)' if more > 0 else ''}.")
    show_findings(result.findings)
    if result.mapping and not result.dry_run:
        say(f"Which file was which: {result.mapping}")
    say("Run again without --dry-run to restore this." if result.dry_run else f"{result.seconds:.2f} s")


def show_prune(result: PruneResult) -> None:
    """A line for each snapshot with its reasons, then what goes."""
    say(f"{result.archive}{' (dry run: nothing was removed)' if result.dry_run else ''}")
    show_table(
        ("snapshot", "made (UTC)", "of", "", "why"),
        [
            (
                v.snapshot.id,
                f"{v.snapshot.made_at or v.snapshot.created_at:%Y-%m-%d %H:%M:%S}",
                v.group,
                "keep" if v.kept else "remove",
                ", ".join(v.reasons) or "no rule keeps it",
            )
            for v in result.snapshots
        ],
    )
    would = "Would remove" if result.dry_run else "Removed"
    say(
        f"{would} {plural(result.removed_snapshots, 'snapshot')} and {_objects(result.removed_objects)}, "
        f"{result.removed_bytes:,} bytes; {_objects(result.kept_objects)}, {result.kept_bytes:,} bytes stay."
    )
    if result.moved_objects:
        say(f"{_objects(result.moved_objects)} in no snapshot stay because rows were moved there.")
    for told in (*map(_kept, result.kept_moves), *result.notes):
        say(told)
    if result.dry_run:
        say("Run again without --dry-run to remove this.")


def _kept(kept: KeptMoves) -> str:
    """Pushes whose objects were not released, and what to do about it."""
    what = f"Kept what {kept.moves:,} push{'' if kept.moves == 1 else 'es'} moved"
    if kept.columns:
        return f"{what}, because the metadata lacks {', '.join(kept.columns)}: name the one that has it (--metadata)."
    return (
        f"{what} from a database of this name at another place ({kept.place}): give each an archive or a prefix of its "
        f"own; or, if it is this database that was there before, add --adopt {kept.place} (and give it an `identity` "
        "in the configuration, if it is often elsewhere)."
    )


def show_forgotten(result: ForgetResult) -> None:
    """What was erased, and what stays of it."""
    say(f"{result.archive}{' (dry run: nothing was erased)' if result.dry_run else ''}")
    show_findings(result.findings)
    for note in result.notes:
        say(note)
    if not result.rows:
        say("No row that meets the condition is in any snapshot.")
        return
    would = "Would erase" if result.dry_run else "Erased"
    say(
        f"{would} {_files(result.files)} of {_rows(result.rows)} in {plural(len(result.snapshots), 'snapshot')}: "
        f"{_objects(result.removed_objects)}, {result.removed_bytes:,} bytes, that no snapshot needs any more."
    )
    if result.rows_left:
        say(f"In the database still: {_rows(result.rows_left)} of them; the next push archives what they point at.")


def show_audit(result: AuditResult) -> None:
    """A line for each live store, and every row or file without its counterpart."""
    _show_stores(result)
    show_findings(result.findings)
    verdict = "Every row has its file, and every file a row" if result.clean else _counted(result.findings)
    say(f"{result.source}: {verdict}. {result.seconds:.2f} s")


def _show_stores(result: AuditResult) -> None:
    show_table(
        ("store", "rows", "files", "bytes", "without row", "bytes", "rows without file"),
        [
            (each.backend, each.rows, each.files, each.bytes, each.unreferenced, each.unreferenced_bytes, each.dangling)
            for each in result.backends
        ],
    )


def show_orphans(result: OrphanResult) -> None:
    """A line for each store, each file that goes, and all else that has no counterpart."""
    _show_stores(result.audit)
    would = "would be removed" if result.dry_run else "removed"
    for each in result.removed[:_SHOWN]:
        say(f"{would}: {each.place} ({each.size or 0:,} bytes): {each.reason}")
    if len(result.removed) > _SHOWN:
        say(f"{would}: {len(result.removed) - _SHOWN:,} more (--json shows all)")
    show_findings(result.findings)
    younger = f"; {_files(result.younger)} without a row too young" if result.younger else ""
    say(f"{result.source}: {_files(len(result.removed))}, {result.removed_bytes:,} bytes, {would}{younger}.")
    if result.dry_run:
        say("Run again without --dry-run to remove this.")


def show_findings(findings: Sequence[Finding]) -> None:
    """Some of each outcome, and how many more there are."""
    by_outcome: dict[str, list[Finding]] = {}
    for finding in findings:
        by_outcome.setdefault(finding.outcome, []).append(finding)
    for outcome, found in by_outcome.items():
        for finding in found[:_SHOWN]:
            say(": ".join(filter(None, (outcome, finding.place, finding.reason))))
        if len(found) > _SHOWN:
            say(f"{outcome}: {len(found) - _SHOWN:,} more (--json shows all)")


def _counted(findings: Iterable[Finding]) -> str:
    return ", ".join(f"{count:,} {outcome}" for outcome, count in Counter(f.outcome for f in findings).items())


def _of(snapshot: SnapshotInfo | RestoreResult) -> str:
    scope = snapshot.scope
    parts = [*scope.tables, *(f"{table} where {condition}" for table, condition in scope.where.items())]
    parts += [f"older than {scope.older_than}"] if scope.older_than else []
    return snapshot.database + (f" ({'; '.join(parts)})" if parts else "")


def _key(key: Any) -> str:
    return ", ".join(f"{name}={value}" for name, value in key.items())


def _places(held: str | None) -> str:
    """Which files a column's text names; the whole text is in what `--json` shows."""
    try:
        document = json.loads(held or "null")
    except (ValueError, RecursionError):
        return "no reference"
    parts = document if isinstance(document, list) else [document]
    places = [f"{part.get('backend')}:{part.get('filename')}" for part in parts if isinstance(part, dict)]
    text = ", ".join(places) or "nothing"
    return text if len(text) <= _TEXT else f"{text[: _TEXT - 1]}…"


def _files(number: int) -> str:
    return plural(number, "file")


def _objects(number: int) -> str:
    return plural(number, "object")


def _rows(number: int) -> str:
    return plural(number, "row")
