"""Tables with rows, and with all that may hang on a table: workers bring about just what a sync without them does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from msgspec import structs
from msgspec.structs import asdict

from tests.executors.faults import runs
from tests.executors.here import open_here
from tests.operations.parted import only
from tests.operations.test_parts_load import left, target
from toolkit.cli import run
from toolkit.config import Config, Database
from toolkit.errors import ToolkitError, VerificationError
from toolkit.operations.parts.crew import Crew, WorkerOptions
from toolkit.operations.parts.loading import load_in_parts
from toolkit.operations.sync import sync
from toolkit.operations.transfer.deletes import DeleteLimit
from toolkit.operations.transfer.options import Mode, Options

WORKERS = WorkerOptions("local:2", part_bytes=25_000)

# Two tables that point at one another's kind, one without a key, one of a single part; each half filled in the target.
TABLES = """
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TABLE parent (
    id bigint PRIMARY KEY, code text UNIQUE, doc jsonb, mood mood, many int[], size numeric(12,3) NOT NULL
);
CREATE TABLE child (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, parent bigint REFERENCES parent ON DELETE CASCADE,
    up int REFERENCES child, note varchar(60), twice text GENERATED ALWAYS AS (note || note) STORED
);
CREATE TABLE line (text text, number int);
CREATE TABLE few (id uuid PRIMARY KEY, at timestamptz);
"""
ROWS = """
INSERT INTO parent SELECT i * 7919 % 100003, 'code ' || i, jsonb_build_object('n', i), 'glad', ARRAY[i, NULL], i / 8.0
FROM generate_series({first}, {last}) AS i;
INSERT INTO child (id, parent, up, note) OVERRIDING SYSTEM VALUE
SELECT i, i * 7919 % 100003, CASE WHEN i > {first} THEN {first} END, 'note ' || i
FROM generate_series({first}, {last}) AS i;
INSERT INTO line SELECT 'line ' || i / 2, i / 2 FROM generate_series({first}, {last}) AS i;
INSERT INTO few SELECT md5(({first} + i)::text)::uuid, '2026-01-01' FROM generate_series(1, 3) AS i;
"""


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolkit.operations.parts.crew.open_executor", open_here)


@pytest.fixture
def trio(config: Config, second_postgres_url: str, postgres_databases: Any) -> Iterator[Config]:
    """A source, and two targets that are alike."""
    name = postgres_databases.take()
    targets = {
        "other": Database("other", second_postgres_url, config.root),
        "third": Database("third", postgres_databases.url(name), config.root),
    }
    yield replace(only(config), databases={"postgres": config.database("postgres"), **targets})
    postgres_databases.give_back(name)


def run_in(config: Config, name: str, statements: str) -> None:
    with psycopg.connect(config.database(name).address, autocommit=True) as connection:
        connection.execute(statements.encode())


@pytest.fixture
def filled(trio: Config) -> Config:
    """Rows of which some are equal, some differ, and some are on one side alone."""
    run_in(trio, "postgres", TABLES + ROWS.format(first=1, last=500))
    for name in ("other", "third"):
        run_in(trio, name, TABLES + ROWS.format(first=251, last=625))
        run_in(
            trio, name, "UPDATE parent SET doc = 'null' WHERE id % 3 = 0; UPDATE child SET note = 'x' WHERE id % 5 = 0"
        )
    return trio


def contents(config: Config, name: str) -> Mapping[str, list[tuple[Any, ...]]]:
    """All rows, and where sequences stand."""
    queries = {t: f"SELECT * FROM {t} ORDER BY 1, 2" for t in ("parent", "child", "line", "few")}
    queries["sequences"] = "SELECT schemaname, sequencename, last_value FROM pg_sequences"
    with psycopg.connect(config.database(name).address) as connection:
        return {each: connection.execute(query.encode()).fetchall() for each, query in queries.items()}


def told(result: Any) -> list[dict[str, Any]]:
    """What was done, but for how long it took."""
    return [asdict(structs.replace(each, seconds=0.0)) for each in result.tables]


ANY = DeleteLimit(10_000)


@pytest.mark.slow
def test_workers_do_what_a_sync_without_them_does(filled: Config) -> None:
    """Of rows that a condition leaves, of some of each table, of all, and in place of all; each time with changes."""
    _alike(filled, ("parent",), where={"parent": "id < 50000"})
    _alike(filled, ("parent", "child"), where_source={"child": "id % 7 = 1"})
    run_in(filled, "postgres", _CHANGES.format(3))
    _alike(filled, ("parent", "child", "few"))
    run_in(filled, "postgres", _CHANGES.format(2))
    _alike(filled, ("parent", "child", "few", "line"), options=Options(mode=Mode.REPLACE, max_delete=ANY))


_CHANGES = (
    "UPDATE parent SET mood = 'sad', size = size + 1 WHERE id % {0} = 0; UPDATE child SET note = id WHERE id % {0} = 0"
)


def _alike(config: Config, tables: tuple[str, ...], **options: Any) -> None:
    """Do both, each into a target of its own, and once more; the first was planned so."""
    planned = load_in_parts(config, "postgres", "other", tables, WORKERS, dry_run=True, **options)
    ours = load_in_parts(config, "postgres", "other", tables, WORKERS, **options)
    theirs = sync(config, "postgres", "third", tables, **options)
    assert told(ours) == told(theirs)
    counted = ("inserted", "updated", "unchanged", "target_only", "deleted")
    assert [[each[name] for name in counted] for each in told(planned)] == [
        [each[name] for name in counted] for each in told(ours)
    ]
    assert ours.verified
    assert any(each.updated for each in ours.tables)
    assert contents(config, "other") == contents(config, "third")
    assert not left(config)
    again = load_in_parts(config, "postgres", "other", tables, WORKERS, **options)
    assert not any(each.inserted + each.updated + each.deleted for each in again.tables)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "there", "options", "told_of"),
    [
        ("DELETE FROM parent WHERE id > 50000", "SELECT", Options(mode=Mode.REPLACE), "more than the limit"),
        ("SELECT", "UPDATE parent SET code = 'code 5' WHERE code = 'code 600'", Options(), "code 5"),
        ("UPDATE parent SET size = -5 WHERE id = 7919", "ALTER TABLE parent ADD CHECK (size > 0)", Options(), "7919"),
        (
            "SELECT",
            "ALTER TABLE child ADD lacking int NOT NULL DEFAULT 1; ALTER TABLE child ALTER lacking DROP DEFAULT",
            Options(),
            "lacking is NOT NULL",
        ),
        ("SELECT", "ALTER TABLE parent ALTER size TYPE numeric(12,1)", Options(), "size"),
    ],
)
def test_workers_refuse_what_a_sync_without_them_refuses(
    filled: Config, source: str, there: str, options: Options, told_of: str
) -> None:
    run_in(filled, "postgres", source)
    errors = []
    for name in ("other", "third"):
        run_in(filled, name, there)
    before = contents(filled, "other")
    with pytest.raises(ToolkitError, match=told_of) as ours:
        load_in_parts(filled, "postgres", "other", ("parent", "child"), WORKERS, options=options)
    with pytest.raises(ToolkitError, match=told_of) as theirs:
        sync(filled, "postgres", "third", ("parent", "child"), options=options)
    assert contents(filled, "other") == before
    errors += [ours.value, theirs.value]
    assert errors[0].exit_code == errors[1].exit_code


HANGING = """
CREATE SEQUENCE own; CREATE TABLE log (id bigint);
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO log VALUES (NEW.id); RETURN NEW; END';
CREATE TABLE item (id bigint PRIMARY KEY, label text, amount numeric(20,4) DEFAULT 5);
CREATE TABLE parent (id bigint PRIMARY KEY); INSERT INTO parent VALUES (1);
CREATE TABLE child (id int, item bigint REFERENCES item);
ALTER TABLE item ADD up bigint DEFAULT 1 REFERENCES parent, ADD serial bigserial,
    ADD n int GENERATED ALWAYS AS IDENTITY,
    ADD twice text GENERATED ALWAYS AS (label || label) STORED, ADD CONSTRAINT sane CHECK (amount < 1e9),
    ADD EXCLUDE (serial WITH =), ALTER label SET STATISTICS 500, ALTER label SET STORAGE EXTERNAL,
    SET (fillfactor = 70, toast.autovacuum_enabled = false), ENABLE ROW LEVEL SECURITY,
    REPLICA IDENTITY USING INDEX item_pkey;
CREATE UNIQUE INDEX item_label ON item (lower(label), id) WHERE id > 5; ALTER TABLE item CLUSTER ON item_pkey;
CREATE STATISTICS item_stats ON id, label FROM item; COMMENT ON STATISTICS item_stats IS 'some';
CREATE VIEW seen AS SELECT id, label FROM item; CREATE MATERIALIZED VIEW kept AS SELECT id FROM item;
CREATE POLICY few ON item USING (id < 100); CREATE RULE none AS ON DELETE TO item WHERE false DO INSTEAD NOTHING;
CREATE TRIGGER noted AFTER INSERT ON item FOR EACH ROW WHEN (NEW.id < 20) EXECUTE FUNCTION noted();
GRANT SELECT ON item TO PUBLIC; GRANT UPDATE (label) ON item TO PUBLIC; CREATE PUBLICATION p FOR TABLE item;
COMMENT ON TABLE item IS 'a ''table'''; COMMENT ON COLUMN item.label IS 'its label';
COMMENT ON INDEX item_pkey IS 'the key'; COMMENT ON TRIGGER noted ON item IS 'notes';
CREATE TABLE others (kept item[]);
"""
# All rows of the catalogue that name the table, its parts, or what rests on them; but for what is counted of its rows.
LOOKS = """
WITH places AS (
    SELECT 'pg_class'::regclass AS kind, 'item'::regclass::oid AS id
    UNION SELECT 'pg_class'::regclass, indexrelid FROM pg_index WHERE indrelid = 'item'::regclass
    UNION SELECT 'pg_constraint'::regclass, oid FROM pg_constraint
        WHERE 'item'::regclass IN (conrelid, confrelid)
    UNION SELECT 'pg_type'::regclass, oid FROM pg_type WHERE typrelid = 'item'::regclass
    UNION SELECT 'pg_trigger'::regclass, oid FROM pg_trigger WHERE tgrelid = 'item'::regclass
    UNION SELECT 'pg_statistic_ext'::regclass, oid FROM pg_statistic_ext WHERE stxrelid = 'item'::regclass
)
SELECT 'depends', pg_describe_object(classid, objid, objsubid), pg_describe_object(refclassid, refobjid, refobjsubid)
FROM pg_depend JOIN places ON (refclassid, refobjid) = (kind, id) OR (classid, objid) = (kind, id)
UNION ALL SELECT 'comment', pg_describe_object(classoid, objoid, objsubid), description
FROM pg_description JOIN places ON (classoid, objoid) = (kind, id)
UNION ALL SELECT 'class', relname, (to_jsonb(c) - '{relfilenode,reltuples,relpages,relallvisible,relallfrozen,'
    'relfrozenxid,relminmxid,oid,reltoastrelid,relhastriggers,reltype,relhassubclass,relhasrules,relispopulated}'::text[])::text
FROM pg_class AS c WHERE oid IN (SELECT id FROM places UNION SELECT reltoastrelid FROM pg_class WHERE relname = 'item')
    AND relname NOT LIKE 'pg_toast%'
UNION ALL SELECT 'beside', '', (SELECT reloptions::text FROM pg_class WHERE oid = c.reltoastrelid) FROM pg_class AS c
WHERE relname = 'item'
UNION ALL SELECT 'column', attname, to_jsonb(a)::text FROM pg_attribute AS a WHERE attrelid = 'item'::regclass
UNION ALL SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE 'item'::regclass IN (conrelid, confrelid)
UNION ALL SELECT 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid) || indisclustered FROM pg_index
WHERE indrelid = 'item'::regclass
UNION ALL SELECT 'policy', polname, pg_get_expr(polqual, polrelid) FROM pg_policy
UNION ALL SELECT 'published', pubname, tablename::text FROM pg_publication_tables
UNION ALL SELECT 'rule', rulename, definition FROM pg_rules WHERE tablename = 'item'
UNION ALL SELECT 'trigger', tgname, pg_get_triggerdef(oid) || tgenabled::text FROM pg_trigger WHERE NOT tgisinternal
ORDER BY 1, 2, 3
"""


ITEM = """
CREATE TABLE item (id bigint PRIMARY KEY, label text, amount numeric(20,4)); CREATE INDEX on_label ON item (label);
INSERT INTO item SELECT i * 7, 'item ' || repeat('x', i % 60), i FROM generate_series(1, 1500) AS i;
"""


@pytest.mark.slow
def test_all_that_hangs_on_a_table_stays(trio: Config) -> None:
    """Of an empty table, in whose place another would lose it, and of one that has rows."""
    run_in(trio, "postgres", ITEM)
    run_in(trio, "other", HANGING)
    with target(trio) as connection:
        before, place = connection.execute(LOOKS).fetchall(), _place(connection)
        for _ in range(2):
            result = load_in_parts(trio, "postgres", "other", "item", WORKERS)
            assert result.verified
            assert (connection.execute(LOOKS).fetchall(), _place(connection)) == (before, place)
            rows = connection.execute("SELECT count(*), count(DISTINCT serial), count(DISTINCT n) FROM item").fetchone()
            assert rows == (1500, 1500, 1500)
            # Rows that are lacking, and others that differ, the second time.
            connection.execute("DELETE FROM item WHERE id % 5 = 0; UPDATE item SET label = 'y' WHERE id % 11 = 0")
            connection.execute("ALTER SEQUENCE item_serial_seq RESTART 10000; ALTER SEQUENCE item_n_seq RESTART 10000")
        assert connection.execute("SELECT count(*) FROM log").fetchone() == (2,)
    assert not left(trio)


def _place(connection: psycopg.Connection[Any]) -> object:
    return connection.execute("SELECT 'item'::regclass::oid").fetchone()


@pytest.mark.slow
def test_rows_find_their_partitions_or_are_refused(trio: Config) -> None:
    columns = "id bigint PRIMARY KEY, label text, amount numeric(20,4)"
    run_in(
        trio,
        "postgres",
        f"CREATE TABLE item ({columns}); INSERT INTO item SELECT i * 7919 % 3001, 'item ' || repeat('x', i % 60), i "
        "FROM generate_series(1, 3000) AS i",
    )
    run_in(
        trio,
        "other",
        f"CREATE TABLE item ({columns}) PARTITION BY RANGE (id);"
        "CREATE TABLE low PARTITION OF item FOR VALUES FROM (0) TO (1000) PARTITION BY HASH (id);"
        "CREATE TABLE even PARTITION OF low FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
        "CREATE TABLE odd PARTITION OF low FOR VALUES WITH (MODULUS 2, REMAINDER 1);"
        "CREATE TABLE high PARTITION OF item FOR VALUES FROM (1000) TO (3000)",
    )
    with pytest.raises(ToolkitError, match=r"id=3000.*no partition of relation"):
        load_in_parts(trio, "postgres", "other", "item", WORKERS)
    (run,) = left(trio)
    with target(trio) as connection:
        assert connection.execute("SELECT count(*) FROM item").fetchone() == (0,)
        connection.execute("CREATE TABLE top PARTITION OF item DEFAULT")
        assert load_in_parts(trio, "postgres", "other", "item", WORKERS, resume=run).verified
        counts = connection.execute("SELECT tableoid::regclass::text, count(*) FROM item GROUP BY 1").fetchall()
        assert {name for name, _ in counts} == {"even", "odd", "high", "top"}
        assert sum(rows for _, rows in counts) == 3000
        connection.execute("UPDATE item SET id = -id WHERE id % 9 = 1; DELETE FROM item WHERE id % 7 = 0")
    options = Options(mode=Mode.REPLACE, max_delete=ANY)
    done = load_in_parts(trio, "postgres", "other", "item", WORKERS, options=options).tables[0]
    assert (done.verified, done.deleted > 200, done.inserted > 600) == (True, True, True)


@contextmanager
def _interrupted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if the coordinator were lost when all is staged."""

    def lost(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("toolkit.operations.parts.staging._Work._merged", lost)
        yield


@pytest.mark.slow
def test_what_a_run_keeps_is_its_owners_alone_and_is_not_rested_on_after_a_crash(
    trio: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No publication of all tables may have it: a subscriber has no such table, and would stop there."""
    run_in(trio, "postgres", ITEM)
    run_in(
        trio,
        "other",
        "CREATE TABLE item (id bigint PRIMARY KEY, label text, amount numeric(20,4)); INSERT INTO item VALUES (7);"
        "CREATE PUBLICATION p FOR ALL TABLES; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
    )
    try:
        with _interrupted(monkeypatch), pytest.raises(KeyboardInterrupt):
            load_in_parts(trio, "postgres", "other", "item", WORKERS)
        with target(trio) as connection:
            found = connection.execute(_SEEN).fetchall()
            (run,) = runs(connection)
            connection.execute(f"TRUNCATE toolkit_run_{run}, toolkit_run_{run}_parts".encode())
    finally:
        run_in(trio, "other", "ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM PUBLIC; DROP PUBLICATION p")
    assert found == [(2, 0, 0)]
    options = Options(mode=Mode.REPLACE, max_delete=ANY)
    with pytest.raises(ToolkitError, match=r"0 of . parts of item are in its ledger"):
        load_in_parts(trio, "postgres", "other", "item", WORKERS, resume=run, options=options)
    assert load_in_parts(trio, "postgres", "other", "item", WORKERS, restart=True, options=options).verified


_SEEN = """
SELECT count(*), count(*) FILTER (WHERE relname IN (SELECT tablename FROM pg_publication_tables)),
    count(*) FILTER (WHERE EXISTS (SELECT FROM aclexplode(relacl) WHERE grantee = 0))
FROM pg_class WHERE relname LIKE 'toolkit%' AND relkind = 'r'
"""


@pytest.mark.slow
def test_a_run_of_several_tables_is_taken_up_as_a_whole_or_not(filled: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    tables, conditions = ("parent", "child", "few"), {"child": "id <> 10"}
    with _interrupted(monkeypatch), pytest.raises(KeyboardInterrupt):
        load_in_parts(filled, "postgres", "other", tables, WORKERS, where=conditions)
    (run,) = set(left(filled))
    with pytest.raises(ToolkitError, match=r"has written .* parts of child"):
        load_in_parts(filled, "postgres", "other", "child", WORKERS, where=conditions)
    with pytest.raises(ToolkitError, match="was begun for parent, too"):
        load_in_parts(filled, "postgres", "other", "child", WORKERS, where=conditions, resume=run)
    with pytest.raises(ToolkitError, match="copies child where id <> 10"):
        load_in_parts(filled, "postgres", "other", tables, WORKERS, resume=run)
    # What was equal when it was staged, and is not any more.
    run_in(filled, "postgres", "UPDATE parent SET code = 'new' WHERE id = 7919; DELETE FROM child WHERE id = 499")
    ours = load_in_parts(filled, "postgres", "other", tables, WORKERS, where=conditions, resume=run)
    assert told(ours) == told(sync(filled, "postgres", "third", tables, where=conditions))
    assert contents(filled, "other") == contents(filled, "third")
    assert not left(filled)


@pytest.mark.slow
def test_parts_that_are_not_all_of_a_table_prove_nothing(filled: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    cut = Crew.parts

    def fewer(self: Crew, table: Any) -> Any:
        return cut(self, table)[:-1] if table.connection.name == "postgres" else cut(self, table)

    monkeypatch.setattr(Crew, "parts", fewer)
    before = contents(filled, "other")
    with pytest.raises(VerificationError, match="rows arrived in parts, of 500"):
        load_in_parts(filled, "postgres", "other", "parent", WORKERS)
    assert contents(filled, "other") == before


@pytest.mark.slow
def test_a_table_that_the_run_has_made_is_the_stage_itself(trio: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows are written once; but not where something hangs on it by then."""
    run_in(trio, "postgres", ITEM)
    with monkeypatch.context() as patched:
        patched.setattr("toolkit.operations.parts.staging._Work._merged", lambda *_: pytest.fail("written twice"))
        assert load_in_parts(trio, "postgres", "other", "item", WORKERS).created_schema
    assert not left(trio)
    with monkeypatch.context() as patched:
        patched.setattr("toolkit.operations.parts.staging._Work._replaced", lambda *_: pytest.fail("too early"))
        with pytest.raises(pytest.fail.Exception):
            load_in_parts(trio, "postgres", "third", "item", WORKERS)
    with psycopg.connect(trio.database("third").address, autocommit=True) as connection:
        connection.execute("CREATE VIEW seen AS SELECT * FROM item; GRANT SELECT ON item TO PUBLIC")
        (run,) = runs(connection)
        place = _place(connection)
        assert load_in_parts(trio, "postgres", "third", "item", WORKERS, resume=run).verified
        assert _place(connection) == place
        assert connection.execute("SELECT count(*) FROM seen").fetchone() == (1500,)


@pytest.mark.slow
def test_the_command_line_asks_workers_for_what_they_do_and_refuses_what_they_do_not(
    filled: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("postgres", "other"):
        monkeypatch.setenv(f"TOOLKIT_{name.upper()}_URL", filled.database(name).address)
    asked = ["sync", "parent", "child", "--reflect", "--from", "postgres", "--to", "other", "--workers", "local:2"]
    asked += ["--part-bytes", "40000"]
    assert run([*asked, "--since", "id"]) == 2
    assert "--since cannot be combined with --workers" in capfd.readouterr().err
    assert run([*asked, "--delete", "--max-delete", "1"]) == 3
    again = ["--restart", "--delete", "--max-delete", "90%", "--where", "child:id <> 10"]
    assert run([*asked, *again]) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "Verified: rows and digest of every table written are equal."
    ours, theirs = contents(filled, "other"), contents(filled, "postgres")
    assert ours["parent"] == theirs["parent"]
