"""A table filled in parts: all of it or nothing, whatever is lost on the way; never a row twice."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psutil
import psycopg
import pytest
from msgspec import structs
from sqlalchemy import make_url

from tests.executors import forked
from tests.executors.here import open_here
from tests.operations.databases import connected
from tests.operations.parted import METADATA, ROWS, SPEC, fill, only
from toolkit.config import Config, Database
from toolkit.core.digest import TableDigest
from toolkit.engines import connect
from toolkit.engines.contract import Part, RunAbout
from toolkit.engines.postgresql.connection import PostgresConnection
from toolkit.engines.postgresql.filling import FillingConnection
from toolkit.errors import PartFailedError, RunError, ToolkitError
from toolkit.executors.local import LocalExecutor
from toolkit.operations.parts.crew import WorkerOptions
from toolkit.operations.parts.loading import load_in_parts
from toolkit.operations.parts.work import Again, DigestPart, FillPart, Place, digest_part, fill_part, sent

WORKERS = WorkerOptions("local:2", part_bytes=60_000)


@pytest.fixture
def bare(config: Config, second_postgres_url: str) -> Config:
    """An empty table in another database."""
    target = Database("other", second_postgres_url, config.root)
    with connected(target) as connection:
        METADATA.create_all(connection)
    return replace(only(config), databases={**config.databases, "other": target})


@pytest.fixture
def processes() -> Iterator[None]:
    """Workers that can be killed and frozen."""
    with forked.workers():
        yield


@pytest.fixture(autouse=True)
def _here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others are this process."""
    if "processes" not in request.fixturenames:
        monkeypatch.setattr("toolkit.operations.parts.crew.open_executor", open_here)


@pytest.fixture
def two(bare: Config) -> Config:
    """A full table, and that empty one."""
    fill(bare.database("postgres"))
    return bare


def target(config: Config) -> psycopg.Connection[tuple[Any, ...]]:
    """The database that is filled."""
    return psycopg.connect(config.database("other").address, autocommit=True)


def digest(config: Config, name: str) -> TableDigest:
    with connect(config.database(name)) as connection:
        return connection.repository(SPEC).digest()


def left(config: Config) -> list[str]:
    """The runs that were interrupted."""
    with target(config) as connection:
        rows = connection.execute("SELECT relname FROM pg_class WHERE relname LIKE 'toolkit\\_run\\_%parts'").fetchall()
    return [str(row[0]).split("_")[2] for row in rows]


def load(config: Config, **options: object) -> object:
    return load_in_parts(config, "postgres", "other", "item", WORKERS, **options)  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_table_is_as_it_was_but_full(two: Config) -> None:
    with target(two) as connection:
        connection.execute("ALTER TABLE item ADD serial bigserial, ADD CONSTRAINT sane CHECK (amount < 1e9)")
        connection.execute("CREATE UNIQUE INDEX item_label ON item (lower(label), id) WHERE id > 5")
        connection.execute("COMMENT ON TABLE item IS 'a ''table'''; COMMENT ON COLUMN item.label IS 'its label'")
        connection.execute("CREATE STATISTICS item_stats ON id, label FROM item")
        before = connection.execute(_LOOKS).fetchall()
    result: Any = load(two)
    assert (result.verified, result.tables[0].inserted) == (True, ROWS)
    with target(two) as connection:
        assert connection.execute(_LOOKS).fetchall() == before
        rows = connection.execute("SELECT count(serial), count(DISTINCT serial) FROM item").fetchone()
        connection.execute("INSERT INTO item (id) VALUES (-1)")
    assert rows == (ROWS, ROWS)
    assert not left(two)


_LOOKS = """
SELECT 1, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'item'::regclass
UNION ALL SELECT 2, indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
    WHERE indrelid = 'item'::regclass
UNION ALL SELECT 3, attname, pg_get_expr(adbin, adrelid) FROM pg_attribute JOIN pg_attrdef ON adrelid = attrelid
    AND adnum = attnum WHERE attrelid = 'item'::regclass
UNION ALL SELECT 4, obj_description('item'::regclass, 'pg_class'), col_description('item'::regclass, 2)
UNION ALL SELECT 5, stxname, pg_get_statisticsobjdef(oid) FROM pg_statistic_ext
UNION ALL SELECT 6, pg_get_serial_sequence('item', 'serial'), '' ORDER BY 1, 2, 3
"""


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE child (item bigint REFERENCES item)",
        "CREATE VIEW seen AS SELECT id FROM item",
        "CREATE TABLE kept (old item[])",
        "GRANT SELECT ON item TO PUBLIC",
        "GRANT SELECT (id) ON item TO PUBLIC",
        "ALTER TABLE item ENABLE ROW LEVEL SECURITY",
        "CREATE RULE none AS ON DELETE TO item DO INSTEAD NOTHING",
        (
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
            "CREATE TRIGGER t BEFORE INSERT ON item FOR EACH ROW EXECUTE FUNCTION f()"
        ),
        "ALTER TABLE item ADD n bigint GENERATED BY DEFAULT AS IDENTITY",
        "CREATE TABLE below () INHERITS (item)",
        "CREATE PUBLICATION p FOR ALL TABLES",
        "ALTER TABLE item SET (fillfactor = 70)",
        "ALTER TABLE item SET (toast.autovacuum_enabled = false)",
        "CREATE STATISTICS s ON id, label FROM item; COMMENT ON STATISTICS s IS 'some'",
        "ALTER TABLE item SET UNLOGGED",
        "ALTER TABLE item CLUSTER ON item_pkey",
        "COMMENT ON INDEX item_pkey IS 'the key'",
        "ALTER TABLE item ALTER label SET STATISTICS 500",
        "INSERT INTO item VALUES (1)",
        "DROP TABLE item;CREATE TABLE item (id bigint, label text, amount numeric(20,4)) PARTITION BY RANGE (id)",
    ],
)
def test_a_table_on_which_something_hangs_is_not_replaced(bare: Config, statement: str) -> None:
    """Asked of the run itself, without any worker, as of a table that it has made."""
    with target(bare) as connection:
        connection.execute(statement)
    with writing(bare) as session:
        run = session.new_run(SPEC, structs.replace(about("0123456789"), replaces=True))
        run.begin([Part(0)])
        assert not run.about.replaces
        assert not run.take_place()
        assert not session.runs(SPEC)[0].about.replaces


@contextmanager
def writing(config: Config) -> Iterator[PostgresConnection]:
    with connect(config.database("other"), write=True) as session:
        assert isinstance(session, PostgresConnection)
        yield session


def about(run: str) -> RunAbout:
    return RunAbout(run, "item", "postgres", "", SPEC.column_names, "2026-11-29T00:00:00+00:00")


@contextmanager
def begun(config: Config, parts: Sequence[Part]) -> Iterator[Callable[[int], object]]:
    """A run, and how one of its parts is filled."""
    run = "0123456789"
    with writing(config) as session:
        session.new_run(SPEC, about(run)).begin(parts)
        session.commit()
    context = {name: config.database(name) for name in ("postgres", "other")}
    with connect(config.database("postgres")) as origin:
        place = Place("postgres", None, origin.share())  # type: ignore[attr-defined]
        goal = Place("other", None)
        yield lambda n: fill_part(FillPart(place, goal, sent(SPEC), sent(SPEC), run, parts[n]), context)


def test_a_part_that_was_committed_unseen_is_not_written_again(two: Config) -> None:
    with begun(two, [Part(0, "id < 5000"), Part(1, "id >= 5000")]) as fill_one:
        assert fill_one(0) == fill_one(0)
        with target(two) as connection:
            written = connection.execute("SELECT count(*) FROM toolkit_run_0123456789").fetchone()
            attempt = connection.execute("SELECT attempt FROM toolkit_run_0123456789_parts WHERE part = 0").fetchone()
    with connect(two.database("postgres")) as connection:
        assert written == (connection.repository(replace(SPEC, conditions=("id < 5000",))).count(),)
    assert attempt == (1,)


def test_an_attempt_that_stands_still_is_ended_by_the_next_and_writes_nothing(
    two: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    stands, goes_on = threading.Event(), threading.Event()
    copied = FillingConnection._copied
    outcome: list[object] = []

    def still(self: FillingConnection, *given: object) -> object:
        if not stands.is_set():
            stands.set()
            # With the claim on the part's row, as if it were frozen.
            assert goes_on.wait(30)
        return copied(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(FillingConnection, "_copied", still)
    with begun(two, [Part(0)]) as fill_one:
        first = threading.Thread(target=lambda: outcome.append(fill_one(0)))
        first.start()
        assert stands.wait(30)
        assert fill_one(0).digest == digest(two, "postgres")  # type: ignore[attr-defined]
        goes_on.set()
        first.join(30)
    assert isinstance(outcome[0], Again)
    with target(two) as connection:
        assert connection.execute("SELECT count(*) FROM toolkit_run_0123456789").fetchone() == (ROWS,)


def test_an_attempt_that_is_not_the_last_any_more_does_not_begin_to_write(
    two: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its session was ended before it had one, so to speak: between its two transactions it had nothing to lose."""
    begin = FillingConnection._begun

    def overtaken(self: FillingConnection, *given: Any) -> Any:
        found = begin(self, *given)
        with psycopg.connect(two.database("other").address) as other:
            other.execute("UPDATE toolkit_run_0123456789_parts SET attempt = attempt + 1")
        return found

    monkeypatch.setattr(FillingConnection, "_begun", overtaken)
    with begun(two, [Part(0)]) as fill_one:
        found = fill_one(0)
    assert isinstance(found, Again)
    assert "ended by a newer one" in found.reason


@pytest.mark.slow
def test_a_run_that_lost_its_coordinator_goes_on_with_what_has_not_changed(two: Config) -> None:
    half = [Part(0, "id < 500000"), Part(1, "id >= 500000 AND id < 700000"), Part(2, "id >= 700000")]
    with begun(two, half) as fill_one:
        fill_one(0)
        fill_one(1)
    with psycopg.connect(two.database("postgres").address) as source:
        source.execute("UPDATE item SET label = 'other' WHERE id BETWEEN 600000 AND 650000")
        source.execute("DELETE FROM item WHERE id BETWEEN 800000 AND 810000")
    with target(two) as connection:
        connection.execute(f"COMMENT ON TABLE toolkit_run_0123456789_parts IS '{_comment(two)}'")
    with pytest.raises(RunError, match="has written 2 of 3 parts"):
        load(two)
    with pytest.raises(RunError, match="no interrupted run 'x'"):
        load(two, resume="x")
    assert load(two, resume="0123456789").tables[0].verified  # type: ignore[attr-defined]
    assert digest(two, "other") == digest(two, "postgres")
    assert not left(two)


def _comment(config: Config) -> str:
    """As a coordinator writes it, which knows the source."""
    import json

    from msgspec.structs import asdict

    with connect(config.database("postgres")) as origin:
        return json.dumps(asdict(structs.replace(about("0123456789"), source_identity=origin.identity())))


@pytest.mark.slow
def test_a_key_that_the_server_numbers_goes_on_behind_the_last_number(two: Config) -> None:
    with target(two) as connection:
        connection.execute("ALTER TABLE item ALTER id ADD GENERATED ALWAYS AS IDENTITY (INCREMENT 5 CACHE 3)")
        connection.execute("SELECT nextval('item_id_seq') FROM generate_series(1, 10)")
        before = connection.execute(_LOOKS.replace("serial'", "id'")).fetchall()
    load(two)
    with target(two) as connection:
        assert connection.execute(_LOOKS.replace("serial'", "id'")).fetchall() == before
        top = connection.execute("SELECT max(id) FROM item").fetchone()
        new = connection.execute("INSERT INTO item (label) VALUES ('new') RETURNING id").fetchone()
        increment = connection.execute("SELECT increment_by, cache_size FROM pg_sequences").fetchall()
    assert top is not None
    assert new is not None
    assert new[0] > top[0]
    assert increment == [(5, 3)]


@pytest.mark.slow
def test_rows_that_others_put_into_the_table_meanwhile_are_kept(two: Config) -> None:
    with begun(two, [Part(0)]) as fill_one:
        fill_one(0)
        with target(two) as connection:
            connection.execute(f"COMMENT ON TABLE toolkit_run_0123456789_parts IS '{_comment(two)}'")
            connection.execute("INSERT INTO item (id) VALUES (-5)")
        with writing(two) as session:
            (run,) = session.runs(SPEC)
            assert not run.take_place()
    result: Any = load(two, resume="0123456789")
    assert (result.tables[0].inserted, result.tables[0].target_only) == (ROWS, 1)
    assert not left(two)


@pytest.mark.slow
def test_rows_that_were_changed_in_the_new_table_are_not_taken_for_those_that_were_sent(two: Config) -> None:
    half = [Part(0, "id < 500000"), Part(1, "id >= 500000")]
    with begun(two, half) as fill_one:
        fill_one(0)
    with target(two) as connection:
        connection.execute(f"COMMENT ON TABLE toolkit_run_0123456789_parts IS '{_comment(two)}'")
        connection.execute("UPDATE toolkit_run_0123456789 SET label = 'changed' WHERE id = 0")
    with pytest.raises(ToolkitError, match=r"rows with digest .* arrived"):
        load(two, resume="0123456789")
    assert digest(two, "other").rows == 0
    load(two, restart=True)
    assert digest(two, "other") == digest(two, "postgres")


def test_a_value_that_the_target_refuses_ends_the_run_with_its_reason(two: Config) -> None:
    with target(two) as connection:
        connection.execute("ALTER TABLE item ALTER label TYPE varchar(40)")
    with pytest.raises(PartFailedError, match="too long"):
        load(two)
    assert digest(two, "other").rows == 0


@pytest.mark.slow
def test_a_target_without_tables_gets_them_first(two: Config) -> None:
    with target(two) as connection:
        connection.execute("DROP TABLE item")
    result: Any = load(two, dry_run=True)
    assert (result.created_schema, result.tables[0].inserted) == (True, ROWS)
    result = load(two)
    assert (result.created_schema, digest(two, "other")) == (True, digest(two, "postgres"))


@pytest.mark.slow
@pytest.mark.parametrize("source", ["sqlite", "duckdb"])
def test_rows_of_another_engine(two: Config, source: str) -> None:
    """Part by part through one process: what is shown is that no form of a value is lost on that way."""
    fill(two.database(source))
    load_in_parts(two, source, "other", "item", WORKERS)
    assert digest(two, "other") == digest(two, source)


def test_what_a_run_has_left_is_not_taken_for_a_table_of_the_applications(two: Config) -> None:
    with begun(two, [Part(0)]), connect(two.database("other")) as connection:
        assert [each.name for each in connection.stored_tables()] == ["item"]


def test_a_server_that_takes_no_more_connections_is_told_with_what_to_do(two: Config) -> None:
    with target(two) as connection:
        connection.execute("CREATE ROLE few LOGIN CONNECTION LIMIT 1")
        connection.execute("GRANT SELECT ON item TO few")
    try:
        url = make_url(two.database("other").address).set(username="few").render_as_string(hide_password=False)
        few = Database("few", url, two.root)
        asked = DigestPart(Place("few", None), sent(SPEC), Part(0), 64)
        with psycopg.connect(url), pytest.raises(ToolkitError, match="takes no more connections") as raised:
            digest_part(asked, {"few": few})
        assert "--connections" in raised.value.advice
    finally:
        with target(two) as connection:
            connection.execute("DROP OWNED BY few")
            connection.execute("DROP ROLE few")


@pytest.mark.slow
@pytest.mark.usefixtures("processes")
def test_workers_that_are_killed_or_frozen_cost_no_row_and_double_none(
    two: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both at once, each with its part; who is frozen for longer than anybody waits is gone when it is replaced."""
    monkeypatch.setattr("toolkit.executors.local.PATIENCE", 2.0)
    frozen: list[int] = []

    def lose(executor: LocalExecutor) -> None:
        first, other = executor.process_ids
        os.kill(first, signal.SIGSTOP)
        os.kill(other, signal.SIGKILL)
        frozen.append(first)

    with forked.at_hand_out(3, lose):
        load(two)
    assert not psutil.pid_exists(*frozen)
    assert digest(two, "other") == digest(two, "postgres")


@pytest.mark.slow
def test_a_coordinator_that_is_killed_leaves_an_empty_table_and_a_run_that_can_be_taken_up(two: Config) -> None:
    """Twice: at its first part, and as it takes up what was left, at its fifth."""
    forked.load_until_killed(two, "other", WORKERS, 0)
    (run,) = left(two)
    forked.load_until_killed(two, "other", WORKERS, 4, resume=run)
    assert digest(two, "other").rows == 0
    assert left(two) == [run]
    load(two, resume=run)
    assert digest(two, "other") == digest(two, "postgres")
    assert not left(two)
