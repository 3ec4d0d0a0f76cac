"""Who else reads the live files that a move would remove: other databases, and backends that are one place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import combinations
from typing import TYPE_CHECKING

from msgspec import Struct

from toolkit.core.archive_manifest import address_of
from toolkit.engines import connect
from toolkit.errors import SharedFilesError, ToolkitError
from toolkit.operations.archive.backends import UNKNOWN, Backends
from toolkit.operations.archive.rows import default_backend, file_columns, file_tables, read_cells
from toolkit.operations.project import load_models
from toolkit.stores.locations import meet

_MENTIONED = "mentioned:"
# The last parts of an object's name: objects/ab/abcdef…
_OBJECT_PARTS = 3

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from toolkit.config import Config, Database
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import Connection
    from toolkit.stores.catalogue import Catalogue


def require_apart(backends: Backends, metadata: MetaData, named: Iterable[str]) -> None:
    """Refuse to remove files where two backends share a place, or one and the archive: whose are they?

    `named` are the backends of live files that rows name; those that the models name count, too.

    Raises:
        SharedFilesError: two are the same place, or one is within the other.
    """
    declared = {default_backend(spec, column) for spec in file_tables(metadata) for column in file_columns(spec)}
    keys = sorted({*named, *filter(None, declared)})
    locations = {key: backends.location(key) for key in keys}
    known = {f"backend {key!r}": location for key, location in locations.items() if not location.startswith(UNKNOWN)}
    if backends.archive_location is not None:
        known["the archive"] = backends.archive_location
    for one, other in combinations(known, 2):
        if meet(known[one], known[other]):
            raise SharedFilesError(
                f"{one} and {other} share a place: {known[one]} and {known[other]}",
                "Give each a place of its own, or leave out --move.",
            )


class Holder(Struct, frozen=True):
    """A database whose rows may point at live files, and the models that say which of its columns do."""

    database: Database
    models: tuple[MetaData, ...]

    def tables(self, connection: Connection) -> Iterator[TableSpec]:
        """The tables of files that it has (`present`), each once."""
        found = {spec.name: spec for metadata in self.models for spec in present(connection, metadata)}
        yield from found.values()


def other_databases(config: Config, source: Database, metadata: MetaData) -> list[Holder]:
    """The configured databases that are there, but the source: their rows may point at the same live files.

    One with models of its own may also have tables of the source's.
    """
    others = [each for each in config.databases.values() if _may_have_rows(each) and not _is_same(each, source)]
    own = {name: load_models(config.of(name)) for name in config.schemas}
    return [Holder(each, (metadata, *([own[each.name]] if each.name in own else ()))) for each in others]


def _may_have_rows(database: Database) -> bool:
    """Of one whose address means nothing here, nobody knows."""
    with suppress(ToolkitError):
        return database.is_there
    return True


def _is_same(one: Database, other: Database) -> bool:
    with suppress(ToolkitError):
        return one.place == other.place
    return False


def require_readable(holders: Iterable[Holder], option: str = "--move", what: str = "moved") -> None:
    """See that it can be told what the rows of these databases point at; `option` asks for files to be `what`.

    Raises:
        SharedFilesError: of one it cannot.
    """
    for holder in holders:
        try:
            with connect(holder.database) as connection:
                list(holder.tables(connection))
        except ToolkitError as error:
            raise SharedFilesError(
                f"the rows of database {holder.database.name!r} may point at live files, but cannot be read: "
                f"{error.fact.rstrip('.')}",
                "Make it readable, take it out of the configuration if it has nothing to do with these files, or leave "
                f"out {option}.",
                what,
            ) from error


def needed_places(holders: Iterable[Holder], backends: Backends) -> Iterator[tuple[str]]:
    """Where every file is that some row of any table of these databases points at now.

    Of a backend that cannot be opened only the path is known, which may be that of any place (`anywhere`).
    """
    for holder in holders:
        with connect(holder.database) as connection:
            for spec in holder.tables(connection):
                for cell in read_cells(connection, spec):
                    for each in cell.references:
                        location = backends.location(each.backend, each.path)
                        yield (anywhere(each.path) if location.startswith(UNKNOWN) else location,)
                    if cell.mentioned:
                        yield (mentioned_in(cell.mentioned),)


def anywhere(path: str) -> str:
    """In place of a location: this path, wherever it is."""
    return f"{UNKNOWN}{path.strip('/')}"


def mentioned_in(text: str) -> str:
    """In place of a location: every path that stands in the text of a row whose files cannot be told."""
    return f"{_MENTIONED}{text}"


def is_needed(catalogue: Catalogue, backends: Backends, backend: str, path: str) -> bool:
    """Whether a row may point at a file, under whatever name, by what the catalogue's `needed` has of `needed_places`.

    Or an archive's snapshots do, whose prune takes it: it is named like one of its objects.
    """
    if address_of("/".join(path.strip("/").split("/")[-_OBJECT_PARTS:])) is not None:
        return True
    return is_pointed_at(catalogue, backends, backend, path)


def is_pointed_at(catalogue: Catalogue, backends: Backends, backend: str, path: str) -> bool:
    """Whether a row may point at a file, under whatever name."""
    locations = backends.location(backend, path), anywhere(path)
    if catalogue.one("SELECT 1 FROM needed WHERE location IN (?, ?)", *locations) is not None:
        return True
    # Between the two in the order of bytes are all that begin so.
    after = f"{_MENTIONED[:-1]};"
    found = "SELECT 1 FROM needed WHERE location > ? AND location < ? AND instr(location, ?)"
    return catalogue.one(found, _MENTIONED, after, path.strip("/")) is not None


def present(connection: Connection, metadata: MetaData, tables: Sequence[str] = ()) -> Iterator[TableSpec]:
    """The tables of files that a database has, with those columns that it has: it may be at another revision."""
    for spec in file_tables(metadata, tables):
        names = connection.column_names(spec)
        if names is None:
            continue
        wanted = {*names, *spec.key}
        found = spec.project(name for name in spec.column_names if name in wanted)
        if file_columns(found):
            yield found
