"""From PostgreSQL into PostgreSQL rows go as the server sends them, and are proved by what both servers digest."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from toolkit.config import Config, load_config
from toolkit.engines.postgresql import passthrough
from toolkit.engines.postgresql.table import PostgresRepository
from toolkit.errors import ToolkitError
from toolkit.operations.sync import sync
from toolkit.operations.transfer.options import Options

# Types whose binary form is sent on, each with values that a client would be tempted to change.
VALUES = {
    "smallint": ["-32768"],
    "bigint": ["9223372036854775807"],
    "numeric": ["NaN", "Infinity", "1.500", "1e-40"],
    "numeric(10,2)": ["1.50"],
    "real": ["0.1", "-0", "NaN"],
    "double precision": ["1e300", "-0", "Infinity"],
    "boolean": ["t"],
    "text": ["", "é\u2028", " x "],
    "varchar(5)": ["ab   "],
    "char(5)": ["ab"],
    "bytea": ["\\x00ff"],
    "uuid": ["c0ffee00-0000-0000-0000-000000000000"],
    "jsonb": ['{"a": 1.10, "b": "\\u0001"}', "1e400"],
    "date": ["infinity", "0044-03-15 BC"],
    "timestamp": ["-infinity", "2024-02-29 10:00:00.123456"],
    "timestamptz": ["2006-01-01 00:00:00.000001+02"],
    "time": ["24:00"],
}


@pytest.fixture
def urls(postgres_url: str, second_postgres_url: str) -> tuple[str, str]:
    return postgres_url, second_postgres_url


@pytest.fixture
def pair(tmp_path: Path, urls: tuple[str, str]) -> Config:
    return load_config(tmp_path, dict(zip(("TOOLKIT_ONE_URL", "TOOLKIT_TWO_URL"), urls, strict=True)))


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where rows are read into the client."""

    def read(self: PostgresRepository, *_: object, **__: object) -> Iterator[pa.RecordBatch]:
        raise AssertionError(f"{self.name} was read")

    monkeypatch.setattr(PostgresRepository, "read", read)


def run(url: str, *statements: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        for statement in statements:
            found = connection.execute(statement.encode())
        return found.fetchall() if found.description else []


@pytest.mark.usefixtures("unread")
def test_values_of_the_servers_own_types_arrive_as_they_are_and_nobody_reads_them(
    pair: Config, urls: tuple[str, str]
) -> None:
    names = [f"v{number}" for number in range(len(VALUES))]
    table = ", ".join(f'"{name} %s" {type_}' for name, type_ in zip(names, VALUES, strict=True))
    create = f"CREATE TABLE t (id int PRIMARY KEY, {table})"
    most = max(map(len, VALUES.values()))
    rows = [
        ", ".join("'{}'".format(v[n].replace("'", "''")) if n < len(v) else "NULL" for v in VALUES.values())
        for n in range(most + 1)
    ]
    run(urls[0], create, *(f"INSERT INTO t VALUES ({n}, {row})" for n, row in enumerate(rows)))
    run(urls[1], create)
    (result,) = sync(pair, "one", "two").tables
    assert (result.inserted, result.verified) == (len(rows), True)
    query = "SELECT md5(string_agg(record_send(t)::text, ' ' ORDER BY id)) FROM t"
    assert run(urls[0], query) == run(urls[1], query)


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize("type_", ["json", "integer[]", "interval", "numeric(10,3)", "varchar(6)"])
def test_other_types_and_types_that_differ_are_read(pair: Config, urls: tuple[str, str], type_: str) -> None:
    source = {"numeric(10,3)": "numeric(10,2)", "varchar(6)": "varchar(5)"}.get(type_, type_)
    run(urls[0], f"CREATE TABLE t (id int PRIMARY KEY, v {source})", "INSERT INTO t VALUES (1, NULL)")
    run(urls[1], f"CREATE TABLE t (id int PRIMARY KEY, v {type_})")
    with pytest.raises(AssertionError, match="was read"):
        sync(pair, "one", "two")


def test_a_row_that_is_refused_is_named_and_nothing_stays(pair: Config, urls: tuple[str, str]) -> None:
    run(
        urls[0], "CREATE TABLE t (id int PRIMARY KEY, v int)", "INSERT INTO t SELECT n, n FROM generate_series(1, 99) n"
    )
    run(urls[1], "CREATE TABLE t (id int PRIMARY KEY, v int CHECK (v <> 77))")
    with pytest.raises(ToolkitError) as caught:
        sync(pair, "one", "two")
    assert "id=77" in caught.value.fact
    assert run(urls[1], "SELECT count(*) FROM t") == [(0,)]


def test_a_value_that_changes_on_its_way_is_not_verified(
    pair: Config, urls: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(urls[0], "CREATE TABLE t (id int PRIMARY KEY, v text)", "INSERT INTO t VALUES (1, 'right')")
    run(urls[1], "CREATE TABLE t (id int PRIMARY KEY, v text)")
    blocks = passthrough._blocks
    monkeypatch.setattr(
        passthrough,
        "_blocks",
        lambda *all_: ((block.replace(b"right", b"wrong"), rows) for block, rows in blocks(*all_)),
    )
    with pytest.raises(ToolkitError, match="other values"):
        sync(pair, "one", "two")
    assert run(urls[1], "SELECT count(*) FROM t") == [(0,)]


def test_what_is_written_to_the_source_meanwhile_is_not_of_the_snapshot(
    pair: Config, urls: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(urls[0], "CREATE TABLE t (id int PRIMARY KEY, v text)", "INSERT INTO t VALUES (1, 'old'), (2, 'old')")
    run(urls[1], "CREATE TABLE t (id int PRIMARY KEY, v text)")
    send = passthrough.send

    def late(*arguments: Any) -> None:
        run(
            urls[0], "UPDATE t SET v = 'new' WHERE id = 1", "DELETE FROM t WHERE id = 2", "INSERT INTO t VALUES (3, '')"
        )
        send(*arguments)

    monkeypatch.setattr("toolkit.engines.postgresql.table.send", late)
    (result,) = sync(pair, "one", "two").tables
    assert result.verified
    assert run(urls[1], "SELECT * FROM t ORDER BY id") == [(1, "old"), (2, "old")]


@pytest.mark.usefixtures("unread")
def test_a_condition_holds_and_without_verification_nothing_is_digested(pair: Config, urls: tuple[str, str]) -> None:
    run(urls[0], "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t SELECT generate_series(1, 9)")
    run(urls[1], "CREATE TABLE t (id int PRIMARY KEY)")
    (result,) = sync(pair, "one", "two", where={"t": "id > 6"}, options=Options(verify=False)).tables
    assert (result.inserted, result.verified, result.source_digest) == (3, False, None)
    assert run(urls[1], "SELECT id FROM t ORDER BY id") == [(7,), (8,), (9,)]


def test_ctrl_c_while_rows_are_sent_ends_the_digest_too(
    pair: Config, urls: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(urls[0], "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    run(urls[1], "CREATE TABLE t (id int PRIMARY KEY)")
    monkeypatch.setattr(PostgresRepository, "digest_query", lambda *_: "SELECT count(*), 0::bigint FROM pg_sleep(600)")

    running = (
        "SELECT 1 FROM pg_stat_activity "
        "WHERE query LIKE '%pg_sleep(600)%' AND state = 'active' AND pid <> pg_backend_pid()"
    )

    def interrupted(*_: Any) -> None:
        while not run(urls[0], running):
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr("toolkit.engines.postgresql.table.send", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sync(pair, "one", "two")


def test_a_database_without_an_encoding_is_read_as_utf_8(
    tmp_path: Path, postgres_server: str, postgres_url: str
) -> None:
    run(
        postgres_server,
        "CREATE DATABASE unencoded ENCODING SQL_ASCII LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
    )
    source = postgres_server.replace("/postgres?", "/unencoded?")
    try:
        table = "CREATE TABLE t (id int PRIMARY KEY, v text)"
        run(source, table, "INSERT INTO t VALUES (1, 'é')")
        run(postgres_url, table)
        pair = load_config(tmp_path, {"TOOLKIT_ONE_URL": source, "TOOLKIT_TWO_URL": postgres_url})
        (result,) = sync(pair, "one", "two").tables
        assert result.verified
        assert run(postgres_url, "SELECT v FROM t") == [("é",)]
    finally:
        run(postgres_server, "DROP DATABASE unencoded WITH (FORCE)")
