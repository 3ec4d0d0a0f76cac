"""`toolkit sync`: bring the tables of one database to another, so that both hold the same rows.

One transaction, verified before it commits; reading is one snapshot. A target without any tables is migrated first. As
a dry run nothing is written, and the counts are what a real run would write. Of a table, at most `max_delete` rows are
deleted or marked as deleted (by default a tenth, or 100). Files that the target's store lacks are copied there first;
what has another content there is told, and replaced only where that was asked for.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from toolkit.core.plan import FileCopy, SyncResult, TransferWarning
from toolkit.core.progress import Progress, Silent
from toolkit.core.tables import Conditions, TableSpec, narrowed
from toolkit.engines import connect
from toolkit.engines.portable.as_stored import carried_as_stored
from toolkit.engines.portable.connection import refuse_schema, require_columns
from toolkit.engines.portable.lossy import require_exact
from toolkit.errors import (
    ConfigurationError,
    KeylessRowsError,
    MissingParentError,
    RefusedRowError,
    ToolkitError,
    UniqueConflictError,
    UnrepresentableValueError,
    VerificationError,
)
from toolkit.operations.migrations.revisions import exists, require_one_revision
from toolkit.operations.reflection.project import Chosen
from toolkit.operations.reflection.requested_tables import Wanted
from toolkit.operations.transfer.conversion_options import conversions
from toolkit.operations.transfer.deletes import guarding_schema
from toolkit.operations.transfer.matching import matches
from toolkit.operations.transfer.misfits import telling_all_misfits
from toolkit.operations.transfer.options import Options
from toolkit.operations.transfer.origins import DatabaseOrigin
from toolkit.operations.transfer.renamed_target import Elsewhere
from toolkit.operations.transfer.repeated_keys import repeated_key
from toolkit.operations.transfer.request import Transfer, TransferResult, transferred
from toolkit.operations.transfer.run import make_lacking, transfer
from toolkit.operations.transfer.set_values import SetValues, values_to_set
from toolkit.operations.transfer.sources import table_beneath
from toolkit.operations.transfer.stored_forms import telling_forms
from toolkit.operations.unmodelled import unmodelled
from toolkit.operations.views import told_views

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.config import Config, Database
    from toolkit.core.inspection import Inspection
    from toolkit.core.renames import Renames
    from toolkit.engines.catalogue import RunningTransaction
    from toolkit.engines.contract import Connection
    from toolkit.operations.project import Project
    from toolkit.operations.transfer.converting import Conversions
    from toolkit.operations.transfer.rejects import Rejects
    from toolkit.operations.transfer.request import Staging
    from toolkit.operations.transfer.sampling import Sample
    from toolkit.operations.transfer.sources import SourceTables
    from toolkit.operations.transfer.watermarks import Since


def sync(
    config: Config,
    source: str,
    target: str,
    tables: Sequence[str] = (),
    *,
    where: Conditions | None = None,
    where_source: Conditions | None = None,
    exclude: Collection[str] = (),
    exclude_columns: Collection[str] = (),
    keys: Mapping[str, Sequence[str]] | None = None,
    match: Mapping[str, Sequence[str]] | None = None,
    set_values: Mapping[str, str] | None = None,
    rename: Mapping[str, str] | None = None,
    convert: Sequence[str] = (),
    since: Since | None = None,
    dry_run: bool = False,
    options: Options | None = None,
    attachments: str | Mapping[str, str] | None = None,
    overwrite_attachments: bool = False,
    rejects: Path | str | None = None,
    rows: int = 0,
    show_pii: bool = False,
    progress: Progress | None = None,
    staging: Staging | None = None,
) -> SyncResult:
    """Write to `target` what differs in `source`; rows that only the target has stay, unless the options say otherwise.

    All tables, or those named, without those to `exclude`, and without `exclude_columns`, given as `TABLE.COLUMN`.
    Without models they are those of the databases; `keys` names, by table, columns that tell rows apart. `where` holds,
    by table, a condition in SQL that both databases understand, or several that hold together: only rows that meet it
    are compared. `where_source` is asked of the source alone: rows that do not meet it are to the target as if the
    source had none. `match` names, by table, columns by which rows are recognised instead of the primary key: the
    target's keys stay, and foreign keys are rewritten. `set_values` holds, by `TABLE.COLUMN`, what new rows get in
    columns that only the target has, `rename` the target's name of a `TABLE` or `TABLE.COLUMN` of the models. `convert`
    says as `TABLE.COLUMN:HOW` how values of the source become the model's. `since` limits the sync to rows changed
    since the last one that was given a `since`. `attachments` is the store that the target's rows find their files in,
    or one for each backend that they name (`""`: for others). `rejects` is a directory, or an object store's URL, for
    rows that cannot be written, and for those that depend on them. A dry run shows `rows` of each kind and table.

    Raises:
        ToolkitError: everything that can go wrong, with what to do next; the target is then as it was before.
    """
    started = time.perf_counter()
    options = (options or Options()).limited(sees_deletes=since is None)
    config = config.of(source, target)
    databases = config.database(source), config.database(target)
    _require_two(*databases)
    wanted = Wanted(tables, exclude, exclude_columns, rename or {}, keys or {}, (*config.convert, *convert))
    with Chosen.of_both(config, *databases, wanted, progress or Silent()) as chosen:
        specs = narrowed(chosen.specs(), where or {}, where_source)
        elsewhere = Elsewhere.of(chosen.project, specs, chosen.renames)
        elsewhere.require_schemas(databases[1])
        converted = conversions(chosen.project.metadata, config.convert, convert)
        converted.require_in_run(specs)
        converted.require_unasked(specs, since.column if since else None)
        _require_column(since, specs)
        return _Sync(
            chosen,
            *databases,
            specs,
            elsewhere,
            elsewhere.columns(matches({spec.name: spec for spec in specs}, match or {})),
            values_to_set(elsewhere.specs, elsewhere.places(set_values or {})),
            since,
            options,
            _Attachments(attachments, overwrite_attachments),
            progress or Silent(),
            started,
            dry_run=dry_run,
            named=bool(tables),
            rejects=_rejects(rejects, elsewhere.names, match=match, attachments=attachments),
            conversions=converted,
            sample=_sample(rows, chosen.project, show_pii=show_pii) if rows and dry_run else None,
            staging=staging,
        ).done()


class _Attachments(Struct, frozen=True):
    """Where the files that rows point at are copied to, if anywhere."""

    stores: str | Mapping[str, str] | None
    overwrite: bool


class _Sync(Struct, frozen=True):
    """One sync, as it was asked for. `named`: the tables were, so that nobody is told of others."""

    chosen: Chosen
    source: Database
    target: Database
    specs: Sequence[TableSpec]
    elsewhere: Elsewhere
    match: Mapping[str, Sequence[str]]
    values: SetValues
    since: Since | None
    options: Options
    attachments: _Attachments
    progress: Progress
    started: float
    dry_run: bool
    named: bool
    conversions: Conversions
    rejects: Rejects | None = None
    sample: Sample | None = None
    staging: Staging | None = None

    @property
    def project(self) -> Project:
        """What it works on."""
        return self.chosen.project

    def done(self) -> SyncResult:
        """Look at the source, copy its files, and transfer its rows."""
        removes, progress = self.options.mode.removes, self.progress
        with guarding_schema(removes), self._origin() as origin:
            elsewhere, specs = self.elsewhere, [spec.at_source for spec in self.specs]
            origin.lock_tables(specs, progress)
            if self.staging is not None:
                self.staging.share(origin)
            running = origin.running_transactions() if self.since else ()
            if removes and elsewhere.names is None:
                require_one_revision(origin, self.target, self.project)
            lacking = require_columns(origin, specs)
            told: Sequence[TransferWarning] = ()
            if not lacking:
                elsewhere = self._as_stored(origin)
                specs = [spec.at_source for spec in elsewhere.models]
            views = told_views(origin, specs, progress)
            is_known = lacking or self.project.is_reflected
            left = () if is_known else unmodelled(origin, self.project, specs, named=self.named)
            request = self._request(origin, elsewhere, lacking, running)
            with telling_forms(origin, specs), self._telling(origin, elsewhere):
                if not lacking and self.rejects is None:
                    require_exact(origin, map(self.conversions.stored, specs))
                    told = self.conversions.require_taken(origin, specs, progress)
                copied = self._copied_files(origin, specs, lacking)
                found = elsewhere.told(self._transferred(request, origin, elsewhere))
            if self.rejects is not None and not lacking:
                told = self.conversions.told_without(origin, specs, self.rejects.keys)
            if self.rejects is not None and self.dry_run:
                told = (*told, self.rejects.untried(self.target.name, progress))
            wanted = replace(self.chosen.wanted, tables=[spec.name for spec in specs])
            seen = self._inspected(origin, wanted) if self._is_shown(found) else None
        masked = () if self.sample is None else self.sample.masking.warnings
        warnings = (*self.chosen.warnings, *views, *left, *told, *masked)
        done = transferred(self.source.name, request, found, self.started, copied, warnings)
        return replace(done, renamed=elsewhere.shown, inspection=seen)

    def _request(
        self,
        origin: Connection,
        elsewhere: Elsewhere,
        lacking: Sequence[str],
        running: Sequence[RunningTransaction],
    ) -> Transfer:
        return Transfer(
            DatabaseOrigin(elsewhere.source(origin, self.conversions), elsewhere.specs, self.match),
            self.target,
            elsewhere.specs,
            self.options,
            self.dry_run,
            lacking,
            self.since,
            running,
            self.values,
            files=self.rejects,
            rejects=self.rejects,
            excluded=self.chosen.excluded,
            sample=self.sample,
            exclude_columns=self.chosen.wanted.exclude_columns,
        )

    def _origin(self) -> AbstractContextManager[Connection]:
        """The source: as its tables were found, where it is open."""
        return connect(self.source) if self.chosen.source is None else nullcontext(self.chosen.source)

    def _is_shown(self, found: TransferResult) -> bool:
        """Whether to show what would become of tables that nobody has written a model of."""
        return self.dry_run and self.project.is_reflected and found.schema_from is not None

    def _inspected(self, origin: Connection, wanted: Wanted) -> Inspection:
        from toolkit.operations.inspect import inspected

        return inspected(origin, self.target.kind, wanted, self.progress)

    @contextmanager
    def _telling(self, origin: Connection, elsewhere: Elsewhere) -> Iterator[None]:
        """Tell of all values that do not fit, among the rows that a watermark leaves; and of keys of two rows."""
        rows = elsewhere.source(origin, self.conversions)
        every = telling_all_misfits(
            lambda: rows, elsewhere.specs, self.target, lambda: self._looked_at(rows, elsewhere)
        )
        try:
            with self._advising_rejects(), every if self.rejects is None else nullcontext():
                yield
        except KeylessRowsError as error:
            raise elsewhere.renamed(error) from error
        except (RefusedRowError, UniqueConflictError, VerificationError) as error:
            found: ToolkitError | None = None
            with suppress(ToolkitError):
                found = next(
                    (repeated_key(origin, spec, origin.name) for spec in self.specs if spec.name == error.table), None
                )
            if found is not None:
                raise found from error
            raise

    @contextmanager
    def _advising_rejects(self) -> Iterator[None]:
        """Where rows do not fit, say how the others are synced all the same."""
        try:
            yield
        except (MissingParentError, RefusedRowError, UniqueConflictError, UnrepresentableValueError) as error:
            if isinstance(error, MissingParentError) and error.parent in {spec.name for spec in self.specs}:
                error.advice = "Correct the rows at the source."
            is_answered = self.match or self.attachments.stores or self.staging or "--set " in error.advice
            if self.rejects is None and not is_answered:
                error.advise_last("Or leave such rows out, with those that depend on them: --rejects DIR.")
            raise

    def _looked_at(self, rows: SourceTables, elsewhere: Elsewhere) -> Sequence[TableSpec]:
        """The tables, narrowed to the rows that a watermark leaves."""
        if self.since is None or not exists(self.target):
            return elsewhere.specs
        from toolkit.operations.transfer.watermarks import looked_at

        with connect(self.target) as target:
            return looked_at(self.since, rows, target, elsewhere.specs)

    def _transferred(self, request: Transfer, origin: Connection, elsewhere: Elsewhere) -> TransferResult:
        """Transfer the rows; those that cannot be written are left out, where that was asked for."""
        rejects, project = self.rejects, elsewhere.project
        if self.staging is not None:
            return self.staging.transferred(request, project, self.progress)
        if rejects is None or request.problems:
            return transfer(request, project, self.progress)
        from toolkit.operations.transfer.rejecting import Rejecting

        rows, specs = elsewhere.source(origin, self.conversions), elsewhere.specs

        def attempt() -> TransferResult:
            if not rejects.is_searched:
                require_exact(origin, (table_beneath(rows.repository(spec)).spec for spec in specs))
            return transfer(request, project, self.progress)

        return Rejecting(
            origin.name,
            rows,
            specs,
            self.target,
            rejects,
            self.options,
            self.values,
            lambda: self._looked_at(rows, elsewhere),
            partial(make_lacking, request, project),
            self.dry_run,
        ).run(attempt)

    def _as_stored(self, origin: Connection) -> Elsewhere:
        """The tables, with what two databases of one engine have, but not the model, as it is stored."""
        if self.source.kind is not self.target.kind:
            return self.elsewhere
        with ExitStack() as open_:

            def target() -> Connection | None:
                return open_.enter_context(connect(self.target)) if exists(self.target) else None

            pairs = zip(
                [self.conversions.stored(spec.at_source) for spec in self.elsewhere.models],
                self.elsewhere.specs,
                strict=True,
            )
            return self.elsewhere.with_types_of(carried_as_stored(origin, list(pairs), target))

    def _copied_files(self, source: Connection, specs: Sequence[TableSpec], lacking: Sequence[str]) -> FileCopy | None:
        """Copy the rows' files to the stores that were named, if any were; what the source lacks is refused before."""
        if not self.attachments.stores:
            return None
        refuse_schema(lacking)
        from toolkit.operations.attachments import copy_files

        return copy_files(
            self.project.config,
            source,
            specs,
            self.project.metadata,
            self.attachments.stores,
            overwrite=self.attachments.overwrite,
            dry_run=self.dry_run,
            progress=self.progress,
        )


def _sample(rows: int, project: Project, *, show_pii: bool) -> Sample:
    from toolkit.operations.transfer.sampling import Sample

    return Sample.of(rows, project, show_pii=show_pii)


def _require_column(since: Since | None, specs: Sequence[TableSpec]) -> None:
    if since is not None:
        from toolkit.operations.transfer.watermarks import require_column

        require_column(since, specs)


def _rejects(directory: Path | str | None, names: Renames | None, **others: object) -> Rejects | None:
    """The rows that are left out, none so far. Raises what `Rejects.into` does."""
    if directory is None:
        return None
    from toolkit.operations.transfer.rejects import Rejects

    return Rejects.into(directory, names, others)


def _require_two(source: Database, target: Database) -> None:
    if source.place == target.place:
        fact = f"Source and target are the same database ({source.name})."
        raise ConfigurationError(fact, "Name two different ones: --from and --to.")
