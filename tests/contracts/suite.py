"""The contract of an engine: what every repository keeps, by its fast way, by the portable one, and decorated.

A module that gives an engine takes it all (`from tests.contracts.suite import *`) and has one fixture of its own:
`database`, an empty database of that engine.
"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa

from tests.contracts import schema
from tests.contracts.test_matrix import exact
from tests.operations.databases import create
from toolkit.compute.stored_digest import StoredDigest
from toolkit.config import Database
from toolkit.core.digest import DIGEST_FIELD, TableDigest, digest_batches, keyed_digests, sum_digests
from toolkit.core.tables import TableSpec, select_tables
from toolkit.engines import connect
from toolkit.engines.contract import Connection, Table
from toolkit.engines.portable.connection import DatabaseConnection
from toolkit.engines.portable.table import TableRepository
from toolkit.errors import ToolkitError

SPEC = schema.spec()
DECORATED = schema.decorated_spec()


@pytest.fixture(params=["fast", "portable", "decorated"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which repository to use, or that the columns are of an application's own type."""
    return str(request.param)


@pytest.fixture(params=["fast", "portable"])
def way(request: pytest.FixtureRequest) -> str:
    """Which repository to use, of a table that has no column of an application's own type."""
    return str(request.param)


@pytest.fixture
def table(database: Database, kind: str) -> Database:
    """A database with the table of every type, empty."""
    create(database, schema.decorated_metadata if kind == "decorated" else schema.metadata)
    return database


@pytest.fixture
def plain(database: Database) -> Database:
    """The same of no application's types, where it does not matter how it is accessed."""
    create(database, schema.metadata)
    return database


@pytest.fixture
def batch(database: Database) -> pa.RecordBatch:
    """Rows with every value that the engine has a place for."""
    has_others = database.kind.connection(database, write=False).capabilities.has_floats_beyond_numbers
    return schema.batch(only_numbers=not has_others)


def of(kind: str) -> TableSpec:
    """What the table is."""
    return DECORATED if kind == "decorated" else SPEC


def repository(connection: Connection, kind: str, spec: TableSpec | None = None) -> Table:
    """The engine's own repository, or the portable one on the same connection."""
    wanted = of(kind) if spec is None else spec
    if kind != "portable":
        return connection.repository(wanted)
    assert isinstance(connection, DatabaseConnection)
    return TableRepository(connection, wanted)


def quoted(connection: Connection, name: str) -> str:
    """A name in conditions, which are in the database's own SQL."""
    return connection.sqlalchemy.dialect.identifier_preparer.quote_identifier(name)


def filled(database: Database, kind: str, batch: pa.RecordBatch, spec: TableSpec | None = None) -> None:
    """Write rows and commit."""
    with connect(database, write=True) as connection:
        assert repository(connection, kind, spec).upsert_many([batch]) == batch.num_rows
        connection.commit()


def rows(repository: Table, keys: pa.Table | None = None, batch_rows: int = 3) -> pa.Table:
    """All rows (or those with these keys), ordered by key."""
    batches = list(repository.read(batch_rows=batch_rows, keys=keys))
    assert all(batch.num_rows <= batch_rows for batch in batches)
    spec = repository.spec
    return pa.Table.from_batches(batches, spec.schema).sort_by([(name, "ascending") for name in spec.key])


def same(one: pa.Table, other: pa.Table) -> bool:
    """Equal in every value, JSON by document."""
    digests = [digest_batches(SPEC, table.to_batches()) for table in (one, other)]
    plain = [c.name for c in SPEC.columns if c.type.kind not in ("json", "file")]
    return digests[0] == digests[1] and all(exact(one.column(n)) == exact(other.column(n)) for n in plain)


def test_what_was_written_is_counted_and_read_back_by_both_ways(
    table: Database, kind: str, batch: pa.RecordBatch
) -> None:
    with connect(table) as connection:
        assert repository(connection, kind).is_empty()
        assert repository(connection, kind).count() == 0
        assert repository(connection, kind).digest() == TableDigest()
    filled(table, kind, batch)
    with connect(table) as connection:
        assert not repository(connection, kind).is_empty()
        assert repository(connection, kind).count() == batch.num_rows
        for way in ("fast", "portable"):
            assert same(rows(repository(connection, way, of(kind))), pa.Table.from_batches([batch]).sort_by("key"))


def test_digests_of_all_rows_and_of_some_are_those_of_the_canonical_rows_and_of_what_was_sent(
    table: Database, kind: str, batch: pa.RecordBatch
) -> None:
    filled(table, kind, batch)
    expected = dict(zip(*keyed_digests(SPEC, batch).to_pydict().values(), strict=True))
    some = pa.Table.from_batches([batch.slice(1, 5)])
    with connect(table, write=True) as connection:
        found = pa.Table.from_batches(repository(connection, kind).row_digests()).to_pydict()
        connection.stop_reading()
        whole = repository(connection, kind).digest()
        part = repository(connection, kind).digest(keys=some.select(["key"]))
    assert dict(zip(*found.values(), strict=True)) == expected
    assert whole == digest_batches(SPEC, [batch])
    assert part == digest_batches(SPEC, some.to_batches())
    with connect(table) as connection, StoredDigest() as sent:
        assert same(rows(repository(connection, kind), keys=some.select(["key"])), some.sort_by("key"))
        if connection.capabilities.keeps_text_of_json:  # Nobody asks another.
            assert repository(connection, kind).stored_digest() == sent.of(batch)


def test_an_upsert_updates_rows_with_the_same_key_and_inserts_the_others(
    table: Database, kind: str, batch: pa.RecordBatch
) -> None:
    filled(table, kind, batch.slice(0, 4))
    position = SPEC.column_names.index("int32")
    changed = batch.set_column(position, SPEC.schema.field("int32"), pa.array(range(batch.num_rows), pa.int32()))
    filled(table, kind, changed)
    filled(table, kind, changed)
    with connect(table) as connection:
        assert same(rows(repository(connection, kind)), pa.Table.from_batches([changed]).sort_by("key"))


def test_a_load_fills_an_empty_table(table: Database, kind: str, batch: pa.RecordBatch) -> None:
    with connect(table, write=True) as connection:
        batches = [batch.slice(0, 5), batch.slice(5, 0), batch.slice(5)]
        assert repository(connection, kind).load(iter(batches), rows=10**6) == batch.num_rows
        connection.commit()
    with connect(table) as connection:
        assert same(rows(repository(connection, kind)), pa.Table.from_batches([batch]).sort_by("key"))


def test_rows_that_are_there_are_given_values_and_deleted_by_key(
    table: Database, kind: str, batch: pa.RecordBatch
) -> None:
    filled(table, kind, batch)
    names = ["key", "int32", "timestamp", schema.TEXT]
    position = SPEC.column_names.index("int32")
    changed = batch.set_column(position, SPEC.schema.field("int32"), pa.array(range(batch.num_rows), pa.int32()))
    given = pa.Table.from_batches([changed.select(names)])
    with connect(table, write=True) as connection:
        assert repository(connection, kind).update_many(given) == changed.num_rows
        connection.commit()
    keys = pa.Table.from_batches([batch.slice(0, 3)]).select(["key"])
    with connect(table, write=True) as connection:
        assert same(rows(repository(connection, kind)), pa.Table.from_batches([changed]).sort_by("key"))
        connection.stop_reading()
        assert repository(connection, kind).delete_many(keys) == 3
        assert repository(connection, kind).delete_many(keys) == 0
        connection.commit()
    with connect(table) as connection:
        assert repository(connection, kind).count() == batch.num_rows - 3


def test_a_value_is_set_only_where_the_one_that_was_read_still_is(
    table: Database, kind: str, batch: pa.RecordBatch
) -> None:
    filled(table, kind, batch)
    keys = [*batch.column("key").to_pylist()[:2], batch.column("key")[-1].as_py(), uuid.UUID(int=1).bytes]
    asked = pa.table({"key": pa.array(keys, SPEC.column("key").type.arrow)})
    new = schema.VALUES["file"][0].replace("a.txt", "b.txt")
    values = pa.array([new] * 4, SPEC.column("file").type.arrow)
    with connect(table, write=True) as connection:
        own = repository(connection, kind)
        held = {row["key"]: row["file"] for row in rows(own).to_pylist()}
        connection.stop_reading()
        # As it is, another, none as it is, and of no row.
        assert own.compare_and_set("file", asked, [held[keys[0]], "{}", None, "{}"], values) == [
            True,
            False,
            True,
            False,
        ]
        connection.commit()
    with connect(table) as connection:
        now = {row["key"]: row["file"] for row in rows(connection.repository(of(kind))).to_pylist()}
    assert {key for key in held if now[key] != held[key]} == {keys[0], keys[2]}


def test_keys_meet_a_condition_of_the_key_whether_the_table_has_such_rows_or_not(
    table: Database, kind: str, batch: pa.RecordBatch
) -> None:
    keys = [batch.column("key")[0].as_py(), uuid.UUID(int=1).bytes]
    filled(table, kind, batch)
    with connect(table) as connection:
        key = quoted(connection, "key")
        for condition, expected in ((f"{key} IS NOT NULL", True), (f"{key} IS NULL", False), (f"{key} = {key}", True)):
            own = repository(connection, kind, replace(of(kind).project(["key"]), conditions=(condition,)))
            assert own.meet(pa.table({"key": pa.array(keys, SPEC.column("key").type.arrow)})) == [expected] * 2


def test_a_connection_sees_what_it_wrote_itself_and_leaving_without_a_commit_keeps_nothing(
    table: Database, kind: str, batch: pa.RecordBatch
) -> None:
    if kind == "portable" and table.engine_name == "postgresql":
        # psycopg has no Python value for some of these; the fast way reads them, and digests within the server.
        kind = "fast"
    with connect(table, write=True) as connection:
        repository(connection, kind).upsert_many([batch])
        assert repository(connection, kind).digest() == digest_batches(SPEC, [batch])
    with connect(table) as connection:
        assert repository(connection, kind).is_empty()


def test_the_catalogue_is_known(plain: Database, batch: pa.RecordBatch) -> None:
    with connect(plain, write=True) as connection:
        connection.look_up([SPEC])
        assert connection.columns(SPEC) == dict.fromkeys(SPEC.column_names, False)
        assert connection.repository(SPEC).has_key()
        assert connection.facts(replace(SPEC, name="none", table=sa.Table("none", sa.MetaData()))) is None
        assert SPEC.table.name not in connection.views(None)
        (stored,) = (each for each in connection.stored_tables() if each.name == SPEC.table.name)
        assert sorted(stored.columns) == sorted(SPEC.column_names)
        assert not connection.filled([SPEC])
        assert connection.counts([SPEC]) == {SPEC.name: 0}
        connection.repository(SPEC).upsert_many([batch])
        assert connection.filled([SPEC]) == {SPEC.name}
        assert connection.counts([SPEC]) == {SPEC.name: batch.num_rows}


def test_the_constraints_are_those_that_the_model_says_will_be_made(plain: Database) -> None:
    with connect(plain) as connection:
        made, found = connection.made_constraints(SPEC.table), connection.constraints([SPEC])[SPEC.name]
    assert (found.key, found.not_null | found.key) == (made.key, made.not_null | made.key)


def test_a_failed_savepoint_keeps_nothing_and_its_error_is_in_our_words(plain: Database, batch: pa.RecordBatch) -> None:
    with connect(plain, write=True) as connection:

        def fail() -> None:
            with connection.translated(), connection.savepoint():
                connection.repository(SPEC).upsert_many([batch])
                connection.sqlalchemy.exec_driver_sql("SELEC")

        with pytest.raises(ToolkitError) as told:
            fail()
        assert plain.name in told.value.fact
        assert connection.repository(SPEC).is_empty()


def test_an_address_is_one_place_and_is_shown_without_a_password(database: Database) -> None:
    again = replace(database, name="another")
    assert (again.place, again.engine_name, again.is_in_memory) == (database.place, database.kind.name, False)
    secret = database.at(database.address + ("&" if "?" in database.address else "?") + "password=secret")
    assert "secret" not in secret.shown_url + repr(secret)


def test_a_clone_for_tests_is_like_its_template_and_is_gone_when_it_is_dropped(
    plain: Database, tmp_path: Path, batch: pa.RecordBatch
) -> None:
    def fill(address: str) -> list[str]:
        create(plain.at(address), schema.metadata)
        filled(plain.at(address), "fast", batch)
        return ["noted"]

    templates = plain.kind.templates(plain, tmp_path / "templates", None)
    assert [list(templates.ensure("one", fill)) for _ in range(2)] == [["noted"]] * 2
    clone = plain.at(templates.clone("one"))
    with connect(clone) as connection:
        assert connection.repository(SPEC).count() == batch.num_rows
    templates.drop(clone.address)
    with pytest.raises(ToolkitError), connect(clone):
        pass
    templates.close()


composite = sa.Table(
    "composite",
    sa.MetaData(),
    sa.Column("b", sa.Text, primary_key=True),
    sa.Column("a", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("c", sa.DateTime(timezone=True), primary_key=True),
    sa.Column("value", sa.Text),
)
KEYS = [("x ", 1), ("x", 1), ("X", 1), ("é", 2), ("e\u0301", 2), ("\"quote'", -(2**63)), ("", 0)]


@pytest.fixture
def composite_rows(database: Database) -> tuple[Database, TableSpec, pa.RecordBatch]:
    """A table whose key has three columns, with look-alike keys."""
    create(database, composite.metadata)
    (spec,) = select_tables(composite.metadata)
    moment = dt.datetime(2024, 1, 1, 0, 0, 0, 5, tzinfo=dt.UTC)
    columns = [[k[0] for k in KEYS], [k[1] for k in KEYS], [moment] * len(KEYS), [str(k) for k in KEYS]]
    arrays = [pa.array(values, c.type.arrow) for c, values in zip(spec.columns, columns, strict=True)]
    return database, spec, pa.record_batch(arrays, schema=spec.schema)


def test_keys_of_several_columns_tell_look_alikes_apart(
    composite_rows: tuple[Database, TableSpec, pa.RecordBatch], way: str
) -> None:
    database, spec, batch = composite_rows
    filled(database, way, batch, spec)
    filled(database, way, batch, spec)
    with connect(database) as connection:
        for number in range(batch.num_rows):
            one = batch.slice(number, 1)
            found = rows(repository(connection, way, spec), pa.Table.from_batches([one]).select(list(spec.key)))
            assert found.to_pylist() == one.to_pylist()


loose = sa.Table("loose", sa.MetaData(), *(sa.Column(column.name, column.declared) for column in SPEC.columns))


def test_a_table_without_a_key_takes_equal_rows_and_counts_each_of_them(
    database: Database, way: str, batch: pa.RecordBatch
) -> None:
    create(database, loose.metadata)
    (spec,) = select_tables(loose.metadata)
    batch = pa.record_batch(batch.columns, schema=spec.schema)
    filled(database, way, batch, spec)
    filled(database, way, batch, spec)
    expected = digest_batches(spec, [batch, batch])
    with connect(database, write=True) as connection:
        found = pa.Table.from_batches(repository(connection, way, spec).row_digests())
        connection.stop_reading()
        whole = repository(connection, way, spec)
        assert (found.column_names, sum_digests(found.column(0).combine_chunks())) == ([DIGEST_FIELD], expected)
        assert (whole.digest(), digest_batches(spec, whole.read())) == (expected, expected)
        key = quoted(connection, "key")
        within = replace(spec, conditions=(f"{key} IS NOT NULL",))
        assert repository(connection, way, replace(spec, conditions=(f"{key} IS NULL",))).delete_all() == 0
        assert whole.count() == expected.rows
        assert repository(connection, way, within).delete_all() == expected.rows
        assert whole.is_empty()
        assert whole.load([batch, batch], expected.rows) == expected.rows
        assert whole.digest() == expected
