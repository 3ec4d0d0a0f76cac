"""The engines that there are. A new one is a package and one entry here."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toolkit.engines.contract import Engine


class Entry(Struct, frozen=True):
    """An engine: which addresses mean it, and the module whose `ENGINE` it is, loaded only when one is used.

    `schemes` begin an address, the first of them in what is advised; files of a database usually end in `suffixes`, and
    hold the bytes `magic` at an offset.
    """

    schemes: tuple[str, ...]
    module: str
    suffixes: tuple[str, ...] = ()
    magic: tuple[int, bytes] | None = None

    def load(self) -> Engine:
        """The engine itself."""
        engine: Engine = import_module(self.module).ENGINE
        return engine


ENGINES: tuple[Entry, ...] = (
    Entry(("sqlite",), "toolkit.engines.sqlite.engine", magic=(0, b"SQLite format 3\x00")),
    Entry(("postgresql", "postgres", "embedded"), "toolkit.engines.postgresql.engine"),
    Entry(("duckdb",), "toolkit.engines.duckdb.engine", (".duckdb", ".ddb"), (8, b"DUCK")),
    Entry(("delta",), "toolkit.engines.delta.engine"),
    Entry(("mariadb", "mysql"), "toolkit.engines.mariadb.engine"),
)
# Of these, no server was there to try anything on; what the portable code would send is compiled in tests.
_UNTRIED = {
    "mssql": "SQL Server",
    "oracle": "Oracle",
    "cockroachdb": "CockroachDB",
    "cockroach": "CockroachDB",
    "spanner": "Spanner",
}
TEST_SERVERS: Mapping[str, str] = {"postgres": "TOOLKIT_TEST_POSTGRES_URL", "mariadb": "TOOLKIT_TEST_MARIADB_URL"}
"""By a database's name, what says where the pytest plugin may make and drop some; none of a database's own settings."""


def engine_of(address: str) -> Engine | None:
    """The engine that an address means by its scheme, whichever driver it names; None if there is no such engine."""
    scheme = address.partition(":")[0].partition("+")[0]
    return next((entry.load() for entry in ENGINES if scheme in entry.schemes), None)


def engine_of_dialect(name: str) -> Engine | None:
    """The engine whose databases SQLAlchemy speaks to by the dialect of that name."""
    return next((each for each in map(Entry.load, _by_scheme(name)) if name in (each.dialect, each.name)), None)


def _by_scheme(name: str) -> Iterator[Entry]:
    """All entries, the one of a scheme of that name first: the others need not be loaded then."""
    yield from (entry for entry in ENGINES if name in entry.schemes)
    yield from (entry for entry in ENGINES if name not in entry.schemes)


def untried(scheme: str) -> str:
    """What was tried of an engine that there is none of here, as a sentence; empty of any other."""
    if scheme not in _UNTRIED:
        return ""
    return (
        "There is no engine for it because no server was there to try one on: the statements of the portable code are "
        f"compiled by SQLAlchemy's dialect for {_UNTRIED[scheme]}, and none was ever run."
    )


def schemes() -> list[str]:
    """What addresses may begin with."""
    return [scheme for entry in ENGINES for scheme in entry.schemes]


LONGEST_MAGIC = max(at + len(magic) for at, magic in (entry.magic for entry in ENGINES if entry.magic))
"""So many bytes tell whose a file is."""


def scheme_of_content(start: bytes) -> str | None:
    """What the URL of a file begins with whose content begins so; None if it is no database's."""
    for entry in ENGINES:
        if entry.magic is not None and start[entry.magic[0] :].startswith(entry.magic[1]):
            return entry.schemes[0]
    return None


def scheme_of_file(path: str) -> str:
    """What the URL of a file begins with, as far as its name tells; the first engine's if it does not."""
    found = (entry for entry in ENGINES if path.endswith(entry.suffixes))
    return next(found, ENGINES[0]).schemes[0]
