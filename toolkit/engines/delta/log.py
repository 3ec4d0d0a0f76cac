"""A table's log: what it says of the table as of a version, and commits; who commits second is refused."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
from msgspec import Struct, field

from toolkit.compute.scratch import scratch_directory
from toolkit.engines.delta.files import DataFile, now, statistics
from toolkit.engines.delta.place import Place, storage
from toolkit.errors import ContentionError, DatabaseUnavailableError, StatementError

APPLICATION = "toolkit"
"""Whose transactions are counted in the log: a number is given out once."""
DEFINITION, KEY, UNIQUE = "toolkit.definition", "toolkit.key", "toolkit.unique"
"""The table's properties that keep what Delta has no place for."""
OWN = "toolkit_"
"""What the names of the toolkit's own tables begin with: they have few rows, and statements write them."""
# So many commits are looked through: some, as of who removes old files, change no row.
_COMMITS = 5
# What a reader of files must not pass over: of these, the rows are what the files hold.
_UNDERSTOOD = frozenset({"timestampNtz"})
_MAPPING = "delta.columnMapping.mode"
# What writers have to heed: checks, no removals, and what makes the values of a column.
_CONSTRAINT, _APPENDED = "delta.constraints.", "delta.appendOnly"
TAKE = "Take that from the table with what has set it, or write into another (--rename)."
# How the library refuses a table that it does not write: as it refuses the second of two commits.
_FEATURES = "Unsupported table features"
_OF_FIELDS = (b"delta.invariants", b"delta.generationExpression", b"delta.identity.")


class Snapshot(Struct, frozen=True):
    """A table as of a version."""

    version: int
    transaction: int
    """The number of the toolkit's last one."""
    schema: pa.Schema
    files: tuple[DataFile, ...]
    properties: Mapping[str, str]
    receipt: Mapping[str, Any] = field(default_factory=dict)
    """What a commit says of the rows of just these files; nothing if somebody else has changed them since."""
    hindrance: str | None = None
    """Why its rows cannot be read here."""

    def demands(self, *, removes: bool) -> list[str]:
        """What others have made a condition of writing, which is not looked at here."""
        found = [f"{name} ({text})" for name, text in self.properties.items() if name.startswith(_CONSTRAINT)]
        if removes and self.properties.get(_APPENDED, "").casefold() == "true":
            found.append(f"{_APPENDED} (no file may go)")
        for each in self.schema:
            names = [key.decode() for key in each.metadata or {} if key.startswith(_OF_FIELDS)]
            found += [f"{name} of {each.name}" for name in names]
        return found


class Commit(Struct, frozen=True):
    """What one commit does to a table."""

    schema: pa.Schema
    added: Sequence[DataFile]
    removed: Sequence[DataFile]
    files: Sequence[DataFile]
    """All files of the table behind it."""
    receipt: Mapping[str, Any]
    properties: Mapping[str, str] = field(default_factory=dict)
    fence: str | None = None
    """For whom it is, if it only keeps others from committing what they had begun."""


def read(place: Place, name: str) -> Snapshot | None:
    """The table as of now, or the moment of the place; None if there was none then.

    A table without the version that is asked for is no table that was not there: it is hindered.

    Raises:
        DatabaseUnavailableError: it cannot be read.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        version = place.moment if isinstance(place.moment, int) else None
        table = DeltaTable(place.table(name), version=version, **storage(place))
        if isinstance(place.moment, datetime):
            first = table.history()[-1]["timestamp"]
            if place.moment.timestamp() * 1000 < first:
                return None
            table.load_as_version(place.moment)
        return _snapshot(table)
    except TableNotFoundError:
        return None
    except (DeltaError, OSError) as error:
        if isinstance(place.moment, int) and "version" in str(error).lower():
            return None if name.startswith(OWN) else _without_version(place.moment)
        raise place.unreachable(error) from error


def _without_version(version: int) -> Snapshot:
    """What is known of a table that has no such version, or has lost its log."""
    return Snapshot(version, 0, pa.schema([]), (), {}, hindrance=f"it has no version {version}")


def _snapshot(table: Any) -> Snapshot:
    protocol, metadata = table.protocol(), table.metadata()
    others = {*(protocol.reader_features or ())} - _UNDERSTOOD
    hindrance = None
    if others:
        hindrance = f"it has features that are not understood here: {', '.join(sorted(others))}"
    elif metadata.partition_columns:
        hindrance = "it is partitioned"
    elif metadata.configuration.get(_MAPPING, "none") != "none":
        # Tables of the second version of the protocol have this without a feature of that name; by the names of the
        # schema, every value of their files would be NULL.
        hindrance = "its files call the columns by other names (column mapping)"
    actions = pa.table(table.get_add_actions(flatten=False)).to_pylist()
    files = tuple(map(_file, actions))
    return Snapshot(
        table.version(),
        table.transaction_version(APPLICATION) or 0,
        pa.schema(table.schema().to_arrow()),
        files,
        dict(metadata.configuration),
        _receipt(table, files),
        hindrance,
    )


def _receipt(table: Any, files: Sequence[DataFile]) -> Mapping[str, Any]:
    """What the last commit of this toolkit tells, if the table has the same files still: files never change."""
    for each in table.history(_COMMITS):
        if isinstance(told := each.get(APPLICATION), str):
            found: Mapping[str, Any] = json.loads(told)
            return found if found.get("files") == _named(files) else {}
    return {}


def _named(files: Sequence[DataFile]) -> str:
    """What tells the files of a version from those of others: their names are given once."""
    return hashlib.sha256("\0".join(sorted(each.path for each in files)).encode()).hexdigest()


def _file(action: Mapping[str, Any]) -> DataFile:
    return DataFile(
        action["path"],
        action["size_bytes"],
        -1 if action["num_records"] is None else action["num_records"],
        {name: value for name, value in (action.get("min") or {}).items() if value is not None},
        {name: value for name, value in (action.get("max") or {}).items() if value is not None},
    )


def create(place: Place, name: str, commit: Commit) -> None:
    """Make a table with its rows, by one commit.

    What of the library makes a table with rows takes no properties but Delta's own: so it makes one aside, by two
    commits, and these are written as one.

    Raises:
        ContentionError: somebody else has made it.
        DatabaseUnavailableError: the store does not answer; whether it was made is to be asked of the log.
    """
    mark = uuid.uuid4().hex
    content = _first_commit(place, name, commit, mark)
    try:
        place.files(name).make(f"_delta_log/{0:020}.json", pa.py_buffer(content))
    except OSError as error:
        # An answer may have got lost, and a second attempt is refused then by its own first.
        if _is_there(place, name, 0, mark):
            return
        if isinstance(error, FileExistsError):
            raise _second(place, name) from error
        raise place.unreachable(error) from error


def _first_commit(place: Place, name: str, commit: Commit, mark: str) -> bytes:
    from deltalake import DeltaTable, Schema
    from deltalake.exceptions import DeltaError

    with scratch_directory() as directory:
        try:
            table = DeltaTable.create(
                str(directory / "table"),
                commit.schema,
                mode="error",
                name=name,
                configuration=dict(commit.properties),
                raise_if_key_not_exists=False,
            )
            table.create_write_transaction(
                [*map(_added, commit.added)],
                "append",
                Schema.from_arrow(commit.schema),
                commit_properties=_properties(commit, 1, mark),
            )
        except (DeltaError, OSError) as error:
            raise place.unreachable(error) from error
        made, filled = ((directory / "table" / "_delta_log" / f"{n:020}.json").read_bytes() for n in (0, 1))
    # The first says how it was made, the second what is in it.
    told = [line for line in made.splitlines() if _is_no_info(line)]
    return b"\n".join([*sorted(filled.splitlines(), key=_is_no_info), *told]) + b"\n"


def _is_no_info(line: bytes) -> bool:
    return "commitInfo" not in json.loads(line)


def append(place: Place, name: str, base: Snapshot, commit: Commit) -> None:
    """Commit on top of a version, and on that alone.

    Raises:
        ContentionError: somebody else has committed since.
        StatementError: the table has what the library does not write.
        DatabaseUnavailableError: the store does not answer; whether it was committed is to be asked of the log.
    """
    from deltalake import DeltaTable, Schema
    from deltalake.exceptions import CommitFailedError, DeltaError
    from deltalake.transaction import RemoveAction

    number, mark = base.transaction + 1, uuid.uuid4().hex
    try:
        # As of the version that was read: what was committed since is a conflict.
        table = DeltaTable(place.table(name), version=base.version, **storage(place))
        newest = DeltaTable(place.table(name), **storage(place))
        if newest.version() != base.version or (newest.transaction_version(APPLICATION) or 0) >= number:
            raise _second(place, name)
        removed = [RemoveAction(each.path, True, now(), each.size) for each in commit.removed]
        table.create_write_transaction(
            [*map(_added, commit.added), *removed],
            "append",
            Schema.from_arrow(commit.schema),
            commit_properties=_properties(commit, number, mark),
        )
    except (DeltaError, OSError) as error:
        # An answer may have got lost, and the library's second attempt is refused then by its own first.
        if _is_there(place, name, base.version + 1, mark):
            return
        if str(error).startswith(_FEATURES):
            raise StatementError(place.database, f"the table {name} is not written here: {error}", TAKE) from error
        if isinstance(error, CommitFailedError) or "conflict" in str(error).lower():
            raise _second(place, name) from error
        raise place.unreachable(error) from error


def _is_there(place: Place, name: str, version: int, mark: str) -> bool:
    """Whether the version is the commit of this mark.

    Raises:
        DatabaseUnavailableError: that cannot be told.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        table = DeltaTable(place.table(name), **storage(place))
        if table.version() < version:
            return False
        found = next((each for each in table.history() if each.get("version") == version), {})
    except TableNotFoundError:
        return False
    except (DeltaError, OSError) as error:
        raise DatabaseUnavailableError(
            place.database,
            f"whether the commit of version {version} of the table {name} was done is not known: the store is silent",
            "Run again when it answers: what is there is compared then.",
        ) from error
    return bool(json.loads(found.get(APPLICATION) or "{}").get("mark") == mark)


def is_fenced_alone(place: Place, name: str, base: Snapshot, version: int, fence: str) -> bool:
    """Whether behind a version and up to that of `base`, nobody has committed anything but such fences.

    Removing old files is a commit, too, and changes no row.

    Raises:
        DatabaseUnavailableError: it cannot be read.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        history = DeltaTable(place.table(name), version=base.version, **storage(place)).history()
    except (DeltaError, OSError) as error:
        raise place.unreachable(error) from error
    since = [each for each in history if each["version"] > version]
    told = (json.loads(each.get(APPLICATION) or "{}").get("fence") for each in since)
    harmless = [
        own == fence or str(each.get("operation")).startswith("VACUUM") for each, own in zip(since, told, strict=True)
    ]
    return len(since) == base.version - version and all(harmless)


def _properties(commit: Commit, number: int, mark: str) -> Any:
    from deltalake.transaction import CommitProperties, Transaction

    told = {**commit.receipt, "files": _named(commit.files), "mark": mark, "fence": commit.fence}
    return CommitProperties(
        custom_metadata={APPLICATION: json.dumps(told)},
        # Another commit in between is no matter to resolve: what was verified is this one on top of that version.
        max_commit_retries=0,
        app_transactions=[Transaction(APPLICATION, number, now())],
    )


def _added(file: DataFile) -> Any:
    from deltalake.transaction import AddAction

    return AddAction(file.path, file.size, {}, now(), True, statistics(file))


def _second(place: Place, name: str) -> ContentionError:
    return ContentionError(
        place.database,
        f"somebody else has committed to the table {name} since it was read: this commit was refused, and nothing of "
        "it is there",
        "Run again: it is compared with what is there now.",
    )
