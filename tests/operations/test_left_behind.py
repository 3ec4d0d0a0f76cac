"""What of a schema is not as it was at a target is told, and what would be left behind is refused."""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from tests.operations.databases import execute
from toolkit import dump_data, sync
from toolkit.config import Config
from toolkit.core.plan import SyncResult
from toolkit.engines import connect
from toolkit.errors import MissingParentError, SchemaMismatchError, UnrepresentableValueError
from toolkit.operations.diff.compare import diff
from toolkit.operations.inspect import definitions


@pytest.fixture
def bare(config: Config) -> Config:
    """The configuration of the databases, without models."""
    return replace(config, metadata="", migrations=config.root / "none")


def told(result: SyncResult) -> set[str]:
    return {f"{each.table}{f'.{each.column}' if each.column else ''} {each.reason}" for each in result.warnings}


def test_values_that_only_inheriting_tables_have_are_refused_until_they_are_left_out(
    bare: Config, tmp_path: Path
) -> None:
    execute(
        bare.database("postgres"),
        "CREATE TABLE p (id int PRIMARY KEY)",
        "CREATE TABLE c (extra text, empty text) INHERITS (p)",
        "CREATE TABLE g (deep int) INHERITS (c)",
        "INSERT INTO p VALUES (1)",
        "INSERT INTO g VALUES (2, 'x', NULL, 5)",
    )
    for target in ("sqlite", "duckdb"):
        with pytest.raises(SchemaMismatchError) as refused:
            sync(bare, "postgres", target)
        assert refused.value.fact == (
            "postgres has values of c.extra, which are not read: rows of c are read as those of p; postgres has values "
            "of g.deep, which are not read: rows of g are read as those of p."
        )
        assert "--exclude-column c.extra --exclude-column g.deep; or" in refused.value.advice
    with pytest.raises(SchemaMismatchError):
        dump_data(bare, "postgres", directory=tmp_path / "dumped")
    left = ("c.extra", "g.deep")
    assert sync(bare, "postgres", "sqlite", exclude_columns=left).tables[0].inserted == 2
    # Into tables that are there as well.
    with pytest.raises(SchemaMismatchError):
        sync(bare, "postgres", "sqlite")
    assert sync(bare, "postgres", "sqlite", exclude_columns=left).tables[0].unchanged == 2


@pytest.mark.slow
def test_what_becomes_text_or_a_document_and_what_a_foreign_key_lacks_is_told(bare: Config) -> None:
    execute(
        bare.database("postgres"),
        "CREATE TABLE one (a int, b int, UNIQUE (a, b))",
        "CREATE TABLE other (id int PRIMARY KEY, a int, b int, tags text[], lasts interval, exact numeric)",
        "ALTER TABLE other ADD FOREIGN KEY (a, b) REFERENCES one (a, b) MATCH FULL",
        "INSERT INTO other (id, exact) VALUES (1, 1e40)",
    )
    assert {each for each in told(sync(bare, "postgres", "duckdb")) if each.startswith("other.")} == {
        "other.exact type decimal: It is VARCHAR there."
    }
    assert {each for each in told(sync(bare, "postgres", "sqlite")) if "type" in each or "MATCH" in each} == {
        "other.tags type array of text: It is JSON there.",
        "other.lasts type calendar interval: It is TEXT there.",
        "other.exact type decimal: It is TEXT there.",
        "other foreign key of a, b to one: It is made without MATCH FULL.",
    }
    execute(bare.database("postgres"), "DROP TABLE other, one")
    assert sync(bare, "duckdb", "postgres").verified
    with connect(bare.database("postgres")) as connection:
        found = connection.run("SELECT confmatchtype FROM pg_constraint WHERE contype = 'f'").fetchall()  # type: ignore[attr-defined]
    assert found == [("f",)]


@pytest.mark.parametrize("target", ["sqlite2", "postgres", "duckdb"])
def test_a_foreign_key_without_regard_to_case_holds_or_is_left_out_and_told(
    bare: Config, tmp_path: Path, target: str
) -> None:
    execute(
        bare.database("sqlite"),
        "CREATE TABLE p (code TEXT COLLATE NOCASE PRIMARY KEY)",
        "CREATE TABLE c (id INTEGER PRIMARY KEY, p TEXT REFERENCES p (code))",
        "INSERT INTO p VALUES ('Abc')",
        "INSERT INTO c VALUES (1, 'aBC')",
    )
    done = sync(bare, "sqlite", target)
    assert done.verified
    lost = "c foreign key of p to p: Left out: code of p is found in either case here, and not there."
    assert (lost in told(done)) == (target != "sqlite2")
    execute(bare.database("sqlite"), "INSERT INTO c VALUES (2, 'none'), (3, 'ABC')")
    if target == "sqlite2":
        for dry_run in (True, False):
            done = sync(bare, "sqlite", target, dry_run=dry_run, rejects=tmp_path / "out")
            assert [(each.table, each.rows) for each in done.rejected] == [("c", 1)]


@pytest.mark.slow
@pytest.mark.parametrize("target", ["sqlite", "duckdb"])
def test_schemas_and_tables_with_dots_in_their_names_arrive_and_what_has_one_name_is_refused(
    bare: Config, target: str
) -> None:
    execute(
        bare.database("postgres"),
        'CREATE SCHEMA "b.c"',
        'CREATE TABLE "b.c".t (id int PRIMARY KEY)',
        'CREATE TABLE "b.c"."d.e" (id int PRIMARY KEY, t int REFERENCES "b.c".t (id))',
        'CREATE TABLE "f.g" (id int PRIMARY KEY)',
        'INSERT INTO "b.c".t VALUES (1)',
        'INSERT INTO "b.c"."d.e" VALUES (1, 1)',
    )
    assert sync(bare, "postgres", target).verified
    again = sync(bare, "postgres", target)
    assert {each.table: each.unchanged for each in again.tables} == {"b.c.t": 1, "b.c.d.e": 1, "f.g": 0}
    statements = definitions(bare, "postgres", for_engine="duckdb").statements
    assert statements[0] == 'CREATE SCHEMA IF NOT EXISTS "b.c"'
    execute(bare.database("postgres"), 'CREATE TABLE "b.c.t" (id int PRIMARY KEY)')
    with pytest.raises(SchemaMismatchError, match=r"postgres has two tables that are b\.c\.t: one of a schema, and"):
        sync(bare, "postgres", target)


@pytest.mark.parametrize("target", ["sqlite2", "postgres", "duckdb"])
def test_a_first_sync_that_fails_leaves_no_tables_behind(bare: Config, target: str) -> None:
    execute(
        bare.database("sqlite"),
        "CREATE TABLE p (id INTEGER PRIMARY KEY)",
        "CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p (id))",
        "INSERT INTO c VALUES (1, 9)",
    )
    with pytest.raises(MissingParentError):
        sync(bare, "sqlite", target)
    with connect(bare.database(target)) as connection:
        assert not list(connection.stored_tables())
    execute(bare.database("sqlite"), "INSERT INTO p VALUES (9)")
    assert sync(bare, "sqlite", target).verified


@pytest.mark.slow
def test_what_postgres_keeps_of_tables_beside_their_definitions_is_told_where_somebody_has_set_it(bare: Config) -> None:
    role = f"app_{uuid.uuid4().hex}"
    execute(
        bare.database("postgres"),
        *(f"CREATE TABLE {name} (id int PRIMARY KEY, word text)" for name in ("a", "b", "c", "plain")),
        f"CREATE ROLE {role}",
        f"GRANT SELECT ON a TO {role}",
        f"GRANT UPDATE (word) ON b TO {role}",
        f"ALTER TABLE c OWNER TO {role}",
        "ALTER TABLE a SET (fillfactor = 50)",
        "ALTER TABLE a REPLICA IDENTITY FULL",
        "ALTER TABLE b CLUSTER ON b_pkey",
        "ALTER TABLE a ALTER word SET STORAGE external",
        "ALTER TABLE b ALTER word SET COMPRESSION pglz",
        "ALTER TABLE c ALTER word SET STATISTICS 500",
    )
    try:
        found = told(sync(bare, "postgres", "duckdb"))
    finally:
        execute(bare.database("postgres"), "ALTER TABLE c OWNER TO CURRENT_USER", f"DROP OWNED BY {role}")
        execute(bare.database("postgres"), f"DROP ROLE {role}")
    assert found == {
        "a, b grants: Rights are not carried: give them to the roles there.",
        "c owner: What is made belongs to the role that makes it.",
        "a storage parameters: They are carried only to PostgreSQL.",
        "a replica identity: It is not carried.",
        "b cluster: It is not carried.",
        "a, b, c storage of columns: SET STORAGE, COMPRESSION, STATISTICS and options of columns are not carried.",
    }
    # Of tables that are there, nobody asks.
    assert told(sync(bare, "postgres", "duckdb")) == set()


@pytest.mark.slow
def test_tables_that_a_role_may_not_read_stop_a_sync_a_diff_and_a_dump_until_they_are_left_out(
    bare: Config, tmp_path: Path
) -> None:
    role = f"reader_{uuid.uuid4().hex}"
    execute(
        bare.database("postgres"),
        *(f"CREATE TABLE {name} (id int PRIMARY KEY, word text)" for name in ("open", "closed", "partly", "policed")),
        "CREATE SEQUENCE numbers",
        "ALTER TABLE open ALTER id SET DEFAULT nextval('numbers')",
        "CREATE SCHEMA other",
        "CREATE TABLE other.closed (id int PRIMARY KEY)",
        "ALTER TABLE policed ENABLE ROW LEVEL SECURITY",
        f"CREATE ROLE {role}",
        f"GRANT USAGE ON SCHEMA other TO {role}",
        f"GRANT SELECT ON open, policed TO {role}",
        f"GRANT SELECT (id) ON partly TO {role}",
    )
    database = bare.database("postgres")
    limited = replace(database, address=f"{database.address}&options=-crole%3D{role}")
    bare = replace(bare, databases={**bare.databases, "postgres": limited})
    unread = ("closed", "other.closed", "partly", "policed")
    target = tmp_path / "dumped"
    try:
        for attempt in (
            lambda: sync(bare, "postgres", "sqlite"),
            lambda: sync(bare, "postgres", "sqlite", unread),
            lambda: diff(bare, "postgres", "duckdb"),
            lambda: dump_data(bare, "postgres", directory=target),
        ):
            with pytest.raises(SchemaMismatchError) as refused:
                attempt()
            assert [f"postgres may have rows in {name}, and" in refused.value.fact for name in unread] == [True] * 4
            assert refused.value.advice.endswith(" ".join(f"--exclude {name}" for name in unread) + ".")
        assert not target.exists()
        first = sync(bare, "postgres", "sqlite", exclude=unread)
        assert [each.table for each in first.tables] == ["open"]
        # The right to read tables is none to read their sequences: numbers may be given out twice there.
        assert "open sequence numbers: This role may not read where it stands" in {
            text.partition(" (")[0] for text in told(first)
        }
        assert [each.table for each in sync(bare, "postgres", "sqlite", ["open"]).tables] == ["open"]
        # A target's, that would be taken for a table that is not there.
        execute(bare.database("sqlite"), "CREATE TABLE closed (id INTEGER PRIMARY KEY, word TEXT)")
        with pytest.raises(SchemaMismatchError, match="postgres may have rows in closed"):
            sync(bare, "sqlite", "postgres")
        # Where it may read none at all, it is no empty database.
        execute(database, f"REVOKE ALL ON open FROM {role}")
        with pytest.raises(SchemaMismatchError, match="may have rows in open"):
            sync(bare, "postgres", "sqlite")
    finally:
        execute(database, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


@pytest.mark.slow
@pytest.mark.parametrize("type_", ["oid", "lo"])
def test_numbers_of_large_objects_are_refused_as_their_bytes_would_stay_behind(bare: Config, type_: str) -> None:
    execute(
        bare.database("postgres"),
        "CREATE DOMAIN lo AS oid",
        f'CREATE TABLE document (id int PRIMARY KEY, "the file" {type_})',
        "INSERT INTO document VALUES (1, NULL), (2, 4000000000)",
    )
    (table,) = sync(bare, "postgres", "sqlite").tables
    assert (table.inserted, table.verified) == (2, True)
    execute(bare.database("postgres"), "UPDATE document SET \"the file\" = lo_from_bytea(0, 'abc') WHERE id = 1")
    for target in ("sqlite", "duckdb"):
        with pytest.raises(UnrepresentableValueError) as refused:
            sync(bare, "postgres", target)
        assert "document id=1" in refused.value.fact
        assert "the number of a large object, whose bytes would stay behind" in refused.value.fact
        assert "--exclude-column document.'the file'" in refused.value.advice
    done = sync(bare, "postgres", "duckdb", exclude_columns=["document.the file"])
    assert done.verified
    assert "pg_largeobject large objects: 1: Only what is in columns is carried." in told(done)
    execute(bare.database("postgres"), 'SELECT lo_unlink("the file") FROM document WHERE id = 1')


def test_the_version_that_an_application_keeps_in_a_sqlite_file_is_told_where_another_is_made(
    bare: Config, tmp_path: Path
) -> None:
    execute(bare.database("sqlite"), "CREATE TABLE t (id INTEGER PRIMARY KEY)", "PRAGMA user_version = 42")
    wanted = "user_version 42: Not of the rows: PRAGMA user_version = 42 sets it there."
    assert wanted in told(sync(bare, "sqlite", "sqlite2"))
    assert told(sync(bare, "sqlite", "sqlite2")) == set()


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("VARIANT", "1::VARIANT"),
        ("VARIANT", "DATE '2024-01-01'::VARIANT"),
        ("VARIANT[]", "[1::VARIANT]"),
        ("STRUCT(a VARIANT)", "{'a': true::VARIANT}"),
        ("MAP(VARCHAR, VARIANT)", "MAP {'a': 1.5::VARIANT}"),
    ],
)
def test_values_of_duckdb_whose_text_does_not_tell_their_type_are_refused(
    bare: Config, tmp_path: Path, type_: str, value: str
) -> None:
    execute(
        bare.database("duckdb"),
        f"CREATE TABLE t (id INTEGER PRIMARY KEY, v {type_})",
        f"INSERT INTO t VALUES (1, NULL), (2, {value})",
    )
    other = replace(bare.database("duckdb"), name="other", address=f"duckdb:///{tmp_path}/other.duckdb")
    bare = replace(bare, databases={**bare.databases, "other": other})
    # The second is asked with the first alone: the column is read in one way, whatever the target.
    for target in ("other", "sqlite") if type_ == "VARIANT" else ("other",):
        with pytest.raises(UnrepresentableValueError, match=r"t id=2.* whose text does not say of which type it is"):
            sync(bare, "duckdb", target)
    if type_ == "VARIANT":
        assert sync(bare, "duckdb", "other", exclude_columns=["t.v"]).verified
