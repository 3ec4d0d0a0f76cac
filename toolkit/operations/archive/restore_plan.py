"""The plan of a restore: which files are to be written, and which rows are to be changed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import msgspec

from toolkit.core.archive_manifest import FileEntry, Lacking, decode_entry
from toolkit.core.parallel import in_order
from toolkit.engines import connect
from toolkit.engines.portable.connection import check_schema
from toolkit.errors import UnknownNameError
from toolkit.operations.archive.filling import fill
from toolkit.operations.archive.lacking import lacked
from toolkit.operations.archive.outcomes import Finding, Outcome
from toolkit.operations.archive.rows import file_columns, file_tables, read_cells
from toolkit.operations.archive.selecting import Selection
from toolkit.operations.archive.sharing import Holder, require_readable

if TYPE_CHECKING:
    from toolkit.config import Database
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import Connection
    from toolkit.operations.archive.restore_run import RestoreRun
    from toolkit.operations.archive.targets import Pointer


class RestorePlan(msgspec.Struct, frozen=True):
    """Fills the catalogue of a restore; nothing is written elsewhere."""

    run: RestoreRun

    def make(self) -> None:
        """Find out which files are to be written and which rows are to be changed; nothing is written."""
        self.run.progress.step(f"read snapshot {self.run.header.id}", self.run.header.files)
        self.run.catalogue.run_many(
            "INSERT INTO entry (tbl, col, key, idx, line) VALUES (?, ?, ?, ?, ?)",
            (
                (e.table, e.column, json.dumps(e.key, ensure_ascii=False), e.index, msgspec.json.encode(e).decode())
                for e in self.run.archive.entries(self.run.header.id)
            ),
        )
        self._require_backends()
        if self.run.database is not None and (self.run.directory is None or self.run.options.only):
            self._read_rows(self.run.database)
        self._tell_lacking()
        rows = self.run.catalogue.stream(
            "SELECT id, tbl, col, key, line FROM entry ORDER BY tbl, col, key, coalesce(idx, 0), id"
        )
        groups = ([*group] for _, group in groupby(rows, key=lambda row: row[1:4]))
        # In order, so that a dry run gives names in a directory as the real one does.
        for repair, aims, findings in in_order(self._planned_row, groups, self.run.options.jobs):
            self.run.findings += findings
            for aim in aims:
                self.run.targets.aim(*aim)
            if repair is not None:
                self.run.catalogue.run("INSERT INTO repair (tbl, col, key, old, new) VALUES (?, ?, ?, ?, ?)", *repair)
        self._tell_empty_conditions()
        self.run.targets.tell_collisions()
        self.run.targets.look()
        self._heed_rows()

    def _heed_rows(self) -> None:
        """See which other rows would read what is to be written; those in a directory are no row's."""
        if self.run.database is None or self.run.metadata is None or self.run.directory is not None:
            return
        others: Sequence[Holder] = ()
        if self.run.options.overwrite and self.run.targets.are_others_there:
            others = self.run.others
            require_readable(others, "--overwrite", "overwritten")
        self.run.targets.heed(self._pointers((Holder(self.run.database, (self.run.metadata,)), *others)))
        if self.run.options.overwrite:
            self.run.targets.overwrite()

    def _pointers(self, holders: Sequence[Holder]) -> Iterator[Pointer]:
        """Where every file is that a row points at now, and the row."""
        for holder in holders:
            with connect(holder.database) as connection:
                for spec in holder.tables(connection):
                    for cell in read_cells(connection, spec):
                        row = cell.table, cell.column, json.dumps(cell.key, ensure_ascii=False)
                        for each in cell.references:
                            yield self.run.backends.location(each.backend, each.path), *row, bytes(each.raw).decode()

    def _tell_lacking(self) -> None:
        """What the snapshot lacks is taken from older ones, if that was asked for, or told."""
        fills = self.run.options.fill_from_older
        lacks = lacked(self.run.archive, self.run.header, self._is_asked_for, older_only=fills)
        self.run.findings += [each.finding for each in (fill(self.run, lacks) if fills else lacks)]

    def _is_asked_for(self, file: Lacking) -> bool:
        """Whether a file that the snapshot lacks would be restored if it were there: its row is, if that matters."""
        if self.run.database is None or (self.run.options.rowless and not self.run.options.only):
            return True
        row = file.table, file.column, json.dumps(file.key, ensure_ascii=False)
        is_there = self.run.catalogue.one("SELECT 1 FROM cell WHERE (tbl, col, key) = (?, ?, ?)", *row) is not None
        wants_gone = self.run.options.rowless or self.run.directory is not None
        return is_there or (wants_gone and self._is_gone(file.table, row[2]))

    def _require_backends(self) -> None:
        """Refuse a backend that no file of the snapshot was in: a misspelt one would leave files where they were."""
        known = {key for (key,) in self.run.catalogue.all("SELECT DISTINCT json_extract(line, '$.backend') FROM entry")}
        for key in self.run.options.backends:
            if key and key not in known:
                raise UnknownNameError("backend", key, known, f"snapshot {self.run.header.id}")

    def _read_rows(self, database: Database) -> None:
        """Note what the rows hold now, those that meet the condition."""
        assert self.run.metadata is not None
        needed = {table for (table,) in self.run.catalogue.all("SELECT DISTINCT tbl FROM entry")}
        needed |= {each.table for each in self.run.archive.lacking(self.run.header)}
        for table in self.run.options.only:
            if table not in needed:
                raise UnknownNameError("table", table, needed, f"snapshot {self.run.header.id}")
        known = sorted(needed & set(self.run.specs))
        specs = file_tables(self.run.metadata, known, self.run.options.only) if known else ()
        with connect(database) as connection:
            check_schema(connection, specs)
            for spec in specs:
                if self.run.options.only and spec.name not in self.run.options.only:
                    continue
                self.run.progress.step(f"read {spec.name}")
                self.run.catalogue.run_many(
                    "INSERT INTO cell VALUES (?, ?, ?, ?)",
                    (
                        (cell.table, cell.column, json.dumps(cell.key, ensure_ascii=False), cell.held)
                        for cell in read_cells(connection, spec)
                    ),
                )
                if self.run.options.only:
                    self._note_gone(database, connection, spec)

    def _note_gone(self, database: Database, connection: Connection, spec: TableSpec) -> None:
        """Note which rows of the snapshot meet the condition although the database has them no more."""
        selection = Selection(database, connection, spec)
        if selection.untold is not None:
            self.run.untold[spec.name] = selection.untold
        rows = self.run.catalogue.all(
            "SELECT DISTINCT key FROM entry WHERE tbl = ? AND (tbl, col, key) NOT IN (SELECT tbl, col, key FROM cell)",
            spec.name,
        )
        lacking = (each for each in self.run.archive.lacking(self.run.header) if each.table == spec.name)
        keys = {*(key for (key,) in rows), *(json.dumps(each.key, ensure_ascii=False) for each in lacking)}
        gone = [(spec.name, row.key) for row in selection.of(sorted(keys)) if row.gone]
        self.run.catalogue.run_many("INSERT OR IGNORE INTO gone VALUES (?, ?)", gone)

    def _is_gone(self, table: str, key: str) -> bool:
        return self.run.catalogue.one("SELECT 1 FROM gone WHERE (tbl, key) = (?, ?)", table, key) is not None

    def _tell_empty_conditions(self) -> None:
        """Say of a condition that it finds nothing, and why it does not find rows that are gone."""
        for spec in (self.run.specs[table] for table in self.run.options.only):
            found = self.run.catalogue.one(
                "SELECT 1 FROM entry JOIN cell USING (tbl, col, key) WHERE tbl = ? UNION ALL "
                "SELECT 1 FROM gone WHERE tbl = ?",
                spec.name,
                spec.name,
            )
            if found is not None or any(finding.table == spec.name for finding in self.run.findings):
                continue
            reason = "no row that meets the condition is in the snapshot"
            if spec.name in self.run.untold:
                reason += (
                    f"; of rows that are gone the key alone is known, and {self.run.untold[spec.name]}: write it of "
                    f"{', '.join(spec.key)}, or look for the file with 'toolkit archive find'"
                )
            columns = ", ".join(file_columns(spec))
            self.run.findings.append(Finding(Outcome.ROW_GONE, spec.name, columns, reason=reason))

    def _planned_row(
        self, rows: Sequence[tuple[int, str, str, str, str]]
    ) -> tuple[tuple[Any, ...] | None, list[tuple[int, FileEntry, bool]], list[Finding]]:
        """What is to be done about one row: its repair, its files, and what is worth telling."""
        _, table, column, key, _ = rows[0]
        entries = [(number, decode_entry(line), False) for number, *_, line in rows]
        held = self.run.catalogue.one("SELECT held FROM cell WHERE (tbl, col, key) = (?, ?, ?)", table, column, key)
        if self.run.options.only and held is None and not self._is_gone(table, key):
            return None, [], []
        if self.run.directory is not None:
            return None, entries, []
        if held is None:
            left = ": its file was left in the archive (--rowless restores it, too)"
            reason = "no such row any more" + ("" if self.run.options.rowless else left)
            gone = Finding(Outcome.ROW_GONE, table, column, json.loads(key), reason=reason)
            return None, entries if self.run.options.rowless else [], [gone]
        cell = self.run.cell(table, column, json.loads(key), held[0])
        repair = self.run.repairer.repair(cell, [entry for _, entry, _ in entries])
        now = {(each.backend, each.path) for each in cell.references}
        entries = [(number, entry, self.run.repairer.place(entry) in now) for number, entry, _ in entries]
        findings = []
        if repair.outcome is not None:
            findings = [Finding(repair.outcome, table, column, cell.key, reason=repair.reason)]
            # Only what the row points at, or will; or what was sent elsewhere.
            after = self.run.cell(table, column, cell.key, held[0] if repair.text is None else repair.text)
            named = {(each.backend, each.path) for each in after.references}
            entries = [each for each in entries if self._is_wanted(each[1], named)]
        change = None if repair.text is None else (table, column, key, held[0], repair.text)
        return change, entries, findings

    def _is_wanted(self, entry: FileEntry, named: set[tuple[str, str]]) -> bool:
        return self.run.options.backend_of(entry.backend) != entry.backend or self.run.repairer.place(entry) in named
