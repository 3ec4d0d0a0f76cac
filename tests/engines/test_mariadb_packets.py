"""Rows as MariaDB sends them: cut into packets, and these into whatever the network gives at a time."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pymysql
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from tests.engines.mariadb_tables import a_key, made
from tests.servers import mariadb as server
from toolkit.config import Database
from toolkit.core.tables import select_tables
from toolkit.engines import connect
from toolkit.engines.mariadb import packets
from toolkit.engines.mariadb.driver import Connection
from toolkit.engines.mariadb.packets import Incoming
from toolkit.engines.mariadb.result_rows import batch_of

Row = list[bytes | None]

END = b"\xfe\x00\x00\x22\x00"
# Around the lengths that are written in other ways.
lengths = st.sampled_from([0, 1, 10, 249, 250, 251, 252, 300])
values = st.one_of(st.none(), st.builds(lambda fill, length: bytes([fill]) * length, st.integers(0, 255), lengths))
columns = st.shared(st.integers(1, 3), key="columns")
rows = columns.flatmap(lambda count: st.lists(st.lists(values, min_size=count, max_size=count), max_size=12))


def sent(content: bytes, whole: int) -> bytes:
    """A packet's content as it is sent, in pieces of at most so many bytes."""
    pieces = [content[start : start + whole] for start in range(0, len(content) + 1, whole)]
    return b"".join(len(piece).to_bytes(3, "little") + b"\x07" + piece for piece in pieces)


def value(content: bytes | None) -> bytes:
    if content is None:
        return b"\xfb"
    if len(content) < 251:
        return bytes([len(content)]) + content
    if len(content) < 1 << 16:
        return b"\xfc" + len(content).to_bytes(2, "little") + content
    if len(content) < 1 << 24:
        return b"\xfd" + len(content).to_bytes(3, "little") + content
    return b"\xfe" + len(content).to_bytes(8, "little") + content


def stream(given_rows: list[Row], whole: int) -> bytes:
    return b"".join(sent(b"".join(map(value, row)), whole) for row in given_rows) + sent(END, whole)


def read(content: bytes, count: int, most: int, size: int) -> list[Row]:
    """All rows of a stream, through arrays."""
    model = sa.Table("t", sa.MetaData(), *(sa.Column(f"c{place}", sa.LargeBinary) for place in range(count)))
    (spec,) = select_tables(model.metadata)
    incoming, found = Incoming(BytesIO(content).read), []
    while not incoming.is_at_end:
        several = incoming.rows(most, size)
        if len(several.heads) > 1:
            assert len(several.heads) <= most + 1
            found.append(batch_of(spec.columns, several, spec.schema))
    return [list(row.values()) for row in pa.Table.from_batches(found, spec.schema).to_pylist()]


@given(rows, columns, st.integers(1, 9), st.integers(1, 2000), st.integers(1, 700), st.sampled_from([255, 1 << 20]))
def test_values_of_any_length_come_whole_however_their_bytes_arrive(
    rows: list[Row], count: int, most: int, size: int, at_once: int, whole: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packets, "_READ_BYTES", at_once)
        if whole == 255:
            patch.setattr(packets, "_WHOLE", whole)
        assert read(stream(rows, whole), count, most, size) == rows


def test_a_value_of_sixty_five_thousand_bytes_and_more_has_its_length_in_three() -> None:
    given_rows: list[Row] = [[b"a" * 65_535, b"b" * 65_536], [b"c" * 70_000, None]]
    assert read(stream(given_rows, 1 << 20), 2, 10, 1 << 20) == given_rows


def test_a_value_of_sixteen_megabytes_has_its_length_in_eight() -> None:
    given_rows: list[Row] = [[b"a" * (1 << 24), b"b"], [b"c", None]]
    assert read(stream(given_rows, packets._WHOLE), 2, 10, 1 << 26) == given_rows


def test_rows_of_other_columns_than_were_asked_for_are_none() -> None:
    for columns_ in (1, 3):
        with pytest.raises((ValueError, IndexError)):
            read(stream([[b"one", b"two"]], 1 << 20), columns_, 10, 1 << 20)


@pytest.mark.parametrize("lost", [1, 5, 9, 12])
def test_a_stream_that_ends_too_soon_is_no_end_of_rows(lost: int) -> None:
    with pytest.raises(EOFError):
        read(stream([[b"one"], [b"two"]], 1 << 20)[:-lost], 1, 10, 1 << 20)


@pytest.fixture
def database(mariadb_url: str, tmp_path: Path) -> Database:
    """An empty database of MariaDB."""
    return Database("mariadb", mariadb_url, tmp_path)


@pytest.mark.slow
def test_a_row_of_more_than_one_packet_comes_whole_and_a_reader_that_stops_leaves_the_connection_usable(
    database: Database,
) -> None:
    """20 values of nearly the megabyte that the server takes at once: more than the 16 MB of a packet."""
    names = [f"c{number}" for number in range(20)]
    spec = made(
        database,
        f"id INT PRIMARY KEY, {', '.join(f'{name} LONGTEXT' for name in names)}",
        a_key(),
        *(sa.Column(name, sa.Text) for name in names),
    )
    each = "REPEAT(CHAR(65 + {}), @@max_allowed_packet * 0.9)"
    for key in (1, 2):
        filled = ", ".join(each.format(place) for place in range(len(names)))
        server.run(database.address, f"INSERT INTO t SELECT {key}, {filled}")
    with connect(database) as connection:
        own = connection.repository(spec)
        found = [row for batch in own.read() for row in batch.to_pylist()]
        [(most,)] = server.run(database.address, "SELECT CAST(@@max_allowed_packet * 0.9 AS SIGNED)")
        wanted = {name: chr(65 + place) * most for place, name in enumerate(names)}
        assert sorted(found, key=lambda row: row["id"]) == [{"id": 1, **wanted}, {"id": 2, **wanted}]
        assert most * len(names) > 1 << 24
        stopped = own.read()
        next(stopped)
        stopped.close()  # type: ignore[attr-defined]
        assert own.count() == 2


def test_an_error_behind_rows_is_no_end_of_them(database: Database) -> None:
    """The server has sent rows when it comes to one that it has an error for, or is told to stop."""
    query = "SELECT IF(seq = 5, (SELECT 1 UNION SELECT 2), seq) FROM seq_1_to_10"
    with connect(database) as connection:
        raw = connection.sqlalchemy.connection.driver_connection
        assert isinstance(raw, Connection)
        for most in (1, 4, 100):
            with pytest.raises(pymysql.err.OperationalError, match="more than 1 row"):
                list(raw.packets(query, most, 1 << 20))


def test_a_connection_that_is_cut_behind_rows_is_no_end_of_them(database: Database) -> None:
    query = "SELECT REPEAT('x', 1000) FROM seq_1_to_100000"
    with connect(database) as connection:
        raw = connection.sqlalchemy.connection.driver_connection
        assert isinstance(raw, Connection)
        told = raw.packets(query, 10, 1 << 20)
        next(told)
        server.run(database.address, f"KILL HARD {raw.thread_id()}")  # type: ignore[no-untyped-call]
        with pytest.raises(pymysql.err.OperationalError, match="Lost connection"):
            list(told)
