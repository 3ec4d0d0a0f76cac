"""A table of a lake within a transaction: its files as of now, and what was changed since it was read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa
from msgspec import Struct, field

from toolkit.engines.delta.files import DataFile, FileWriter, as_dataset
from toolkit.engines.delta.log import Snapshot
from toolkit.engines.delta.place import Place
from toolkit.engines.delta.storage import listed
from toolkit.engines.delta.types import TYPE, FileType, file_type
from toolkit.errors import ConfigurationError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from toolkit.compute.segments import SegmentTotals
    from toolkit.core.tables import TableSpec
    from toolkit.engines.delta.storage import Files

FILES, PART = "toolkit_files", "toolkit_part"


def quoted(name: str) -> str:
    """A quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


class LakeTable(Struct, dict=True):
    """A table: `types` are the calculator's, by column; `base` is what it is in the lake, None if it is new."""

    place: Place
    name: str
    number: int
    types: Mapping[str, str]
    required: frozenset[str]
    base: Snapshot | None
    files: list[DataFile] = field(default_factory=list)
    pending: list[DataFile] = field(default_factory=list)
    """Files that were written here, and that no commit names yet."""
    totals: SegmentTotals | None = None
    """Those of the rows as they are now, of the columns of `spec`, if they are known."""
    spec: TableSpec | None = None
    """As whom its rows were written last, to tell their digest with the commit."""

    @property
    def is_changed(self) -> bool:
        """Whether a commit has anything to say."""
        return self.base is None or [each.path for each in self.files] != [each.path for each in self.base.files]

    @property
    def rows(self) -> int | None:
        """The number of rows, as the log has it; None if somebody's does not."""
        counts = [each.rows for each in self.files]
        return None if -1 in counts else sum(counts)

    @property
    def definition(self) -> str:
        """The table without rows that its definition made, which rows that are written go through; quoted."""
        return f"memory.main.{quoted(self.name)}"

    @cached_property
    def storage(self) -> Files:
        """Where its files are."""
        return self.place.files(self.name)

    @cached_property
    def forms(self) -> Mapping[str, FileType]:
        """How the values of each column stand in the files.

        Raises:
            ConfigurationError: there is no exact way for one.
        """
        found = {name: file_type(actual) for name, actual in self.types.items()}
        for name, form in found.items():
            if form is None:
                raise ConfigurationError(
                    f"{self.place.database}: {self.name}.{name} cannot be made in a lake: Delta has no type that holds "
                    f"every value of {self.types[name]}.",
                    "Declare it as another type, such as a text or JSON, or leave the table out (--exclude).",
                )
        return {name: form for name, form in found.items() if form is not None}

    @cached_property
    def schema(self) -> pa.Schema:
        """What the files hold; a type that is none of Delta's is named beside the one that it stands in."""
        return pa.schema(
            [
                pa.field(
                    name,
                    form.arrow,
                    nullable=name not in self.required,
                    metadata=None if form.is_native else {TYPE: self.types[name]},
                )
                for name, form in self.forms.items()
            ]
        )

    # -- what is seen of it ----------------------------------------------------------------------------------------

    def stored_view(self, raw: DuckDBPyConnection, files: Sequence[DataFile], name: str) -> str:
        """Some of its files under a name, as they are stored."""
        raw.register(name, as_dataset(self.storage.readable, self.schema, files))
        return quoted(name)

    def typed_fields(self, of: str = "") -> str:
        """The columns of stored rows as values of their types."""
        return ", ".join(f"{form.typed(of + quoted(name))} AS {quoted(name)}" for name, form in self.forms.items())

    def stored_fields(self, of: str = "") -> str:
        """The columns of typed rows as they are stored."""
        return ", ".join(f"{form.stored(of + quoted(name))} AS {quoted(name)}" for name, form in self.forms.items())

    def show(self, raw: DuckDBPyConnection) -> None:
        """Let its name mean its rows as they are now."""
        stored = self.stored_view(raw, self.files, f"{FILES}_{self.number}")
        fields = self.typed_fields()
        raw.execute(f"CREATE OR REPLACE TEMP VIEW {quoted(self.name)} AS SELECT {fields} FROM {stored}")

    # -- what is written -------------------------------------------------------------------------------------------

    def write(self, batches: Iterable[pa.RecordBatch]) -> list[DataFile]:
        """New files of these stored rows, which belong to the table only once they are among its `files`."""
        writer = FileWriter(self.storage, self.schema)
        try:
            return writer.write(batches)
        finally:
            self.pending += writer.written

    def listed(self, folder: str) -> list[str]:
        """The paths of what is in a folder beside its files.

        Raises:
            DatabaseUnavailableError: it cannot be listed.
        """
        try:
            return [str(each.path) for each in listed(self.storage, folder)]
        except OSError as error:
            raise self.place.unreachable(error) from error

    def tidy(self, kept: Iterable[DataFile] = ()) -> None:
        """Remove files that were written in vain."""
        wanted = {each.path for each in kept}
        for file in self.pending:
            if file.path not in wanted:
                self.storage.delete(file.path)
        self.pending = [each for each in self.pending if each.path in wanted]
