"""PostgreSQL's tables by its own catalogue, without models: as they are reflected, and as they are made once more."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from sqlalchemy.types import NullType

from tests.engines.postgresql_catalogue import catalogue
from toolkit.config import Config, load_config
from toolkit.core.engine_type import EngineType
from toolkit.core.numbering import NEXT_NUMBER, NUMBERING, Numbering
from toolkit.engines import connect
from toolkit.errors import (
    ConfigurationError,
    RefusedRowError,
    SchemaMismatchError,
    StatementError,
    UnrepresentableValueError,
)
from toolkit.operations.sync import sync

HERE = Path(__file__).parent


def run(url: str, *statements: str) -> None:
    with psycopg.connect(url) as connection:
        for each in statements:
            connection.execute(each.encode())


@pytest.fixture
def pair(tmp_path: Path, postgres_url: str, second_postgres_url: str) -> Config:
    """Two databases of PostgreSQL, and no models."""
    return load_config(tmp_path, {"TOOLKIT_ONE_URL": postgres_url, "TOOLKIT_TWO_URL": second_postgres_url})


@pytest.mark.slow
def test_tables_in_another_database_are_the_same_again_by_the_servers_own_catalogue(
    pair: Config, postgres_url: str, second_postgres_url: str
) -> None:
    names = ("hostile_postgresql.sql", "hostile_postgresql_rows.sql")
    run(postgres_url, *((HERE / name).read_text(encoding="utf-8") for name in names))
    result = sync(pair, "one", "two")
    assert result.created_schema
    assert result.verified
    assert catalogue(second_postgres_url) == catalogue(postgres_url)
    again = sync(pair, "one", "two")
    assert {table.unchanged for table in again.tables} == {2, 3}
    assert sum(table.inserted + table.updated for table in again.tables) == 0


BESIDE = """
CREATE TABLE kept (id integer PRIMARY KEY, name text);
CREATE VIEW a_view AS SELECT id FROM kept;
CREATE MATERIALIZED VIEW a_copy AS SELECT id FROM kept;
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER stamped BEFORE INSERT ON kept FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE RULE ruled AS ON DELETE TO kept DO INSTEAD NOTHING;
CREATE POLICY seen ON kept USING (id > 0);
CREATE STATISTICS counted ON id, name FROM kept;
CREATE FOREIGN DATA WRAPPER wrapper;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER wrapper;
CREATE FOREIGN TABLE far (id integer) SERVER elsewhere;
CREATE TABLE child () INHERITS (kept);
CREATE TABLE child_with_more (own text, more text) INHERITS (kept);
CREATE SEQUENCE unused;
CREATE TYPE unused_type AS ENUM ('a');
CREATE DOMAIN used_domain AS text;
CREATE TABLE pointing (id serial PRIMARY KEY, of_child integer, name used_domain[]);
ALTER TABLE child ADD PRIMARY KEY (id);
ALTER TABLE pointing ADD CONSTRAINT to_child FOREIGN KEY (of_child) REFERENCES child;
CREATE SCHEMA other;
ALTER TABLE pointing ENABLE ROW LEVEL SECURITY;
CREATE VIEW other."View 2" AS SELECT 1;
CREATE TEMPORARY TABLE for_now (id integer);
CREATE TYPE pair AS (a integer);
CREATE TABLE typed OF pair;
CREATE CAST (text AS pair) WITH INOUT;
CREATE OPERATOR === (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4eq);
CREATE OPERATOR CLASS mine FOR TYPE integer USING btree AS OPERATOR 3 =, FUNCTION 1 btint4cmp(integer, integer);
CREATE TEXT SEARCH CONFIGURATION unnamed (COPY = simple);
CREATE PUBLICATION published;
CREATE FUNCTION told() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER at_end ON ddl_command_end EXECUTE FUNCTION told();
ALTER DEFAULT PRIVILEGES IN SCHEMA other GRANT SELECT ON TABLES TO PUBLIC;
CREATE INDEX by_sum ON kept ((id + 1));
ALTER INDEX by_sum ALTER COLUMN 1 SET STATISTICS 300;
"""


def test_what_is_beside_tables_is_told(pair: Config, postgres_url: str) -> None:
    run(postgres_url, BESIDE)
    with connect(pair.database("one")) as connection:
        schema = connection.schema()
    assert set(schema.metadata.tables) == {"kept", "pointing", "typed"}
    assert [(note.table, note.what, note.reason) for note in schema.notes] == [
        ("pointing", "foreign key to_child of of_child", "child is none of the tables that can be read."),
        ("pointing", "domain used_domain of elements", "Elements of arrays are not checked there."),
        ("a_copy", "materialized view", "Only tables are carried."),
        ("a_view", "view", "Only tables are carried."),
        ("far", "foreign table", "Its rows are elsewhere."),
        ("other.View 2", "view", "Only tables are carried."),
        ("child", "table", "Its rows are read, and carried, as those of kept."),
        (
            "child_with_more",
            "table",
            "Its rows are read, and carried, as those of kept, without its own columns: own, more.",
        ),
        ("kept", "trigger stamped", "Triggers are not carried."),
        ("kept", "rule ruled", "Rules are not carried."),
        ("kept", "policy seen", "Policies are not carried."),
        (
            "pointing",
            "row level security",
            "It is not carried: there every role with rights to the table sees all rows.",
        ),
        ("counted", "statistics", "Extended statistics are not carried."),
        ("unused", "sequence", "No table takes numbers from it."),
        ("unused_type", "type", "No table has a column of it."),
        ("stamp", "function", "Functions are carried only to PostgreSQL, and only those that tables rest on."),
        ("told", "function", "Functions are carried only to PostgreSQL, and only those that tables rest on."),
        ("unnamed", "text search configuration", "No table's column or index names it."),
        ("=== (integer, integer)", "operator", "It is not carried."),
        ("at_end", "event trigger", "It is not carried."),
        ("mine", "operator class", "It is not carried."),
        ("other", "default privileges", "It is not carried."),
        ("published", "publication", "It is not carried."),
        ("text AS pair", "cast", "It is not carried."),
        ("typed", "type of the table", "It is made as a table of its own, not of that type (OF)."),
        ("kept", "storage of columns", "SET STORAGE, COMPRESSION, STATISTICS and options of columns are not carried."),
    ]


def test_what_is_no_table_is_told_as_what_it_is_where_it_is_named(pair: Config, postgres_url: str) -> None:
    run(postgres_url, BESIDE)
    for name, told in ("a_copy", "materialized view"), ("child", "table"), ("unused", "sequence"):
        with pytest.raises(ConfigurationError, match=rf"{name} \({told}\) is not carried: "):
            sync(pair, "one", "two", tables=[name])


def test_what_columns_search_with_comes_along_and_so_do_comments_within_types(
    pair: Config, postgres_url: str, second_postgres_url: str
) -> None:
    run(
        postgres_url,
        "CREATE SCHEMA words",
        'CREATE TEXT SEARCH DICTIONARY words."My stems" '
        "(TEMPLATE = snowball, LANGUAGE = 'english', STOPWORDS = 'english')",
        "CREATE TEXT SEARCH CONFIGURATION mine (COPY = simple)",
        'ALTER TEXT SEARCH CONFIGURATION mine ALTER MAPPING FOR asciiword WITH words."My stems", simple',
        "CREATE TYPE pair AS (a integer, b text)",
        "COMMENT ON COLUMN pair.b IS 'the ''second'' one'",
        "CREATE DOMAIN positive AS integer CONSTRAINT above CHECK (VALUE > 0)",
        "COMMENT ON CONSTRAINT above ON DOMAIN positive IS 'above 0'",
        "CREATE TABLE t (id positive PRIMARY KEY, p pair, x text, "
        "s tsvector GENERATED ALWAYS AS (to_tsvector('mine', x)) STORED)",
        "INSERT INTO t (id, x) VALUES (1, 'the tables of words')",
    )
    assert sync(pair, "one", "two").verified
    with psycopg.connect(second_postgres_url) as there:
        found = there.execute(
            "SELECT s::text, col_description('pair'::regclass, 2), obj_description(oid, 'pg_constraint') "
            "FROM t, pg_constraint WHERE conname = 'above'"
        ).fetchone()
    assert found == ("'tabl':2 'word':4", "the 'second' one", "above 0")


def test_a_statement_that_rests_on_what_is_not_carried_is_shown(pair: Config, postgres_url: str) -> None:
    run(
        postgres_url,
        "CREATE OPERATOR === (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4eq)",
        "CREATE TABLE t (id integer PRIMARY KEY CHECK (id === 5))",
    )
    with pytest.raises(
        StatementError, match=r"operator does not exist.*as the source's schema is made: CREATE TABLE t"
    ):
        sync(pair, "one", "two")


def test_tablespaces_of_tables_and_of_indexes_are_told(pair: Config, postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as server:
        if server.info.server_version < 15_00_00:
            pytest.skip("Before 15, a tablespace needs a directory of the server's.")
        server.execute("SET allow_in_place_tablespaces = on")
        server.execute("CREATE TABLESPACE elsewhere LOCATION ''")
        try:
            server.execute("CREATE TABLE moved (id integer) TABLESPACE elsewhere")
            server.execute("CREATE TABLE indexed (id integer)")
            server.execute("CREATE INDEX ON indexed (id) TABLESPACE elsewhere")
            with connect(pair.database("one")) as connection:
                notes = connection.schema().notes
        finally:
            server.execute("DROP TABLE IF EXISTS moved, indexed")
            server.execute("DROP TABLESPACE elsewhere")
    assert [(each.table, each.what) for each in notes] == [("indexed, moved", "tablespace")]


def test_tables_are_as_sqlalchemy_has_them(pair: Config, postgres_url: str) -> None:
    run(postgres_url, (HERE / "hostile_postgresql.sql").read_text(encoding="utf-8"))
    with connect(pair.database("one")) as connection:
        metadata = connection.schema().metadata
    parent = metadata.tables["Parent Table"]
    assert not [column for table in metadata.tables.values() for column in table.c if isinstance(column.type, NullType)]
    shown = {name: repr(parent.c[name].type) for name in ("Mixed Name", "months", "exactly", "at", "mask", "raw")}
    assert shown == {
        "Mixed Name": "VARCHAR(length=20, collation='C')",
        "months": "INTERVAL(fields='YEAR TO MONTH')",
        "exactly": "INTERVAL(precision=3)",
        "at": "TIMESTAMP(timezone=True, precision=3)",
        "mask": "BIT(length=9, varying=True)",
        "raw": "BYTEA()",
    }
    assert parent.c.feeling.type is parent.c.feelings.type.item_type  # type: ignore[attr-defined]
    assert str(parent.c["Mixed Name"].server_default.arg) == """'a:b %s ''q'' "d"'::character varying"""  # type: ignore[union-attr]
    assert parent.c.id.identity is not None
    odd = parent.c.odd.type
    assert isinstance(odd, EngineType)
    assert (odd.definition, repr(odd.like)) == ("numeric(3,-2)", "Numeric(precision=5, scale=0)")
    numbered = {each.name: each.info[NEXT_NUMBER] for each in parent.c if NEXT_NUMBER in each.info}
    assert numbered == {"id": 45, "serial": 1, "small": 1, "big": 1}
    falling = Numbering(-1, minimum=-100, maximum=7)
    assert metadata.tables["counted"].c.id.info == {NEXT_NUMBER: 5, NUMBERING: falling}
    assert metadata.tables["counted"].c.other.info == {}
    assert metadata.tables["payment"].dialect_options["postgresql"]["partition_by"] == "RANGE (at)"
    keys = {str(key.name): key for key in metadata.tables["a"].foreign_key_constraints}
    assert (keys["a to b"].ondelete, keys["a to b"].deferrable) == ("CASCADE", True)
    assert keys["partial"].ondelete == 'SET NULL ("y")'
    indexes = {str(index.name): index for index in parent.indexes}
    assert str(indexes["by_lower"].expressions[0]) == 'lower("100%")'
    assert str(indexes["partly"].dialect_options["postgresql"]["where"]) == '("select" IS NULL)'
    assert indexes["Index %"].dialect_options["postgresql"]["using"] == "gin"


@pytest.mark.slow
def test_arrays_of_arrays_arrive_whatever_their_column_was_declared_as(
    pair: Config, postgres_url: str, second_postgres_url: str
) -> None:
    rows = "(1, '{{1,2},{3,NULL}}', '{a}'), (2, '[2:3]={1,2}', NULL), (3, '{1}', '{{{a}},{{NULL}}}')"
    run(
        postgres_url,
        "CREATE TABLE lists (id integer PRIMARY KEY, numbers integer[], words text[], plain text[])",
        f"INSERT INTO lists VALUES {rows}",
    )
    assert sync(pair, "one", "two").verified
    assert sync(pair, "one", "two").tables[0].unchanged == 3
    with psycopg.connect(second_postgres_url) as connection:
        found = connection.execute(
            "SELECT string_agg((id, numbers::text, words::text)::text, ', ') FROM lists"
        ).fetchone()
    with psycopg.connect(postgres_url) as connection:
        query = "SELECT string_agg((id, numbers::text, words::text)::text, ', ') FROM lists"
        assert found == connection.execute(query).fetchone()
    with connect(pair.database("one")) as one:
        types = {each.name: each.type for each in one.schema().metadata.tables["lists"].c}
    assert [getattr(types[name], "dimensions", None) for name in ("numbers", "words", "plain")] == [2, 2, 1]


def test_rows_are_written_in_the_order_of_foreign_keys_that_only_partitions_have_or_that_are_of_periods(
    pair: Config, postgres_url: str, second_postgres_url: str
) -> None:
    run(
        postgres_url,
        "CREATE TABLE z_parent (id integer PRIMARY KEY)",
        "CREATE TABLE a_child (id integer PRIMARY KEY, parent integer) PARTITION BY RANGE (id)",
        "CREATE TABLE low PARTITION OF a_child FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE high PARTITION OF a_child FOR VALUES FROM (10) TO (20)",
        *(
            f"ALTER TABLE {name} ADD FOREIGN KEY (parent) REFERENCES z_parent ON DELETE CASCADE"
            for name in ("low", "high")
        ),
        "CREATE TABLE z_only (id integer PRIMARY KEY)",
        "ALTER TABLE low ADD CONSTRAINT low_alone FOREIGN KEY (id) REFERENCES z_only",
        "INSERT INTO z_only VALUES (1)",
        "CREATE TABLE z_valid (id int4range, during daterange, PRIMARY KEY (id, during WITHOUT OVERLAPS))",
        "CREATE TABLE a_valid (id integer PRIMARY KEY, of int4range, during daterange)",
        "ALTER TABLE a_valid ADD FOREIGN KEY (of, PERIOD during) REFERENCES z_valid (id, PERIOD during)",
        "ALTER TABLE a_valid ADD FOREIGN KEY (id) REFERENCES z_parent NOT ENFORCED, ADD CHECK (id > 100) NOT ENFORCED",
        "INSERT INTO z_parent VALUES (1)",
        "INSERT INTO a_child VALUES (1, 1), (11, 1)",
        "INSERT INTO z_valid VALUES ('[1,2)', '[2020-01-01,2021-01-01)')",
        "INSERT INTO a_valid VALUES (7, '[1,2)', '[2020-02-01,2020-03-01)')",
    )
    result = sync(pair, "one", "two")
    assert result.verified
    assert result.warnings == ()
    assert catalogue(second_postgres_url) == catalogue(postgres_url)
    with connect(pair.database("one")) as one:
        (key,) = one.schema().metadata.tables["a_child"].foreign_keys
    assert (key.column.table.name, key.ondelete) == ("z_parent", "CASCADE")


def test_constraints_that_no_other_engine_has_are_told_where_tables_are_made_without_them(
    pair: Config, postgres_url: str
) -> None:
    run(
        postgres_url,
        "CREATE TABLE stay (room int4range, during daterange, seat int4range,"
        " PRIMARY KEY (room, during WITHOUT OVERLAPS), CONSTRAINT seats UNIQUE (seat, during WITHOUT OVERLAPS))",
        "CREATE TABLE visit (id integer PRIMARY KEY, room int4range, during daterange,"
        " CONSTRAINT positive CHECK (id > 0) NOT ENFORCED,"
        " CONSTRAINT in_stay FOREIGN KEY (room, PERIOD during) REFERENCES stay (room, PERIOD during))",
        "CREATE SEQUENCE of_both",
        "CREATE DOMAIN even AS integer CHECK (VALUE % 2 = 0)",
        "CREATE DOMAIN evens AS even[]",
        "CREATE TYPE mood AS ENUM ('a', 'b')",
        "CREATE TABLE listed (id integer PRIMARY KEY, many evens, moods mood[], plain integer[])",
        *(f"CREATE TABLE {name} (id integer PRIMARY KEY DEFAULT nextval('of_both'))" for name in ("one", "two")),
    )
    with connect(pair.database("one")) as one:
        notes = {(each.table, each.what, each.reason) for each in one.schema().notes if each.is_of_made}
    assert notes == {
        ("stay", "primary key stay_pkey", "It is WITHOUT OVERLAPS: periods of one key may overlap there."),
        ("stay", "unique key seats", "It is WITHOUT OVERLAPS: periods of one key may overlap there."),
        ("visit", "check positive", "It is not enforced: carried only to PostgreSQL."),
        ("visit", "foreign key in_stay of room, during", "It is of periods: carried only to PostgreSQL."),
        ("listed", "domain even of elements", "Elements of arrays are not checked there."),
        ("listed", "enum mood of elements", "Elements of arrays are not checked there."),
        ("one.id, two.id", "sequence of_both", "It gives numbers to all of them: each has its own there."),
    }


@pytest.mark.slow
def test_rows_by_a_key_without_overlaps_are_inserted_and_one_to_update_asks_for_a_unique_index(
    pair: Config, postgres_url: str, second_postgres_url: str
) -> None:
    """`ON CONFLICT` does not rest on such a key."""
    table = (
        "CREATE TABLE stay (room int4range, during daterange, n integer, PRIMARY KEY (room, during WITHOUT OVERLAPS))"
    )
    run(postgres_url, table, "INSERT INTO stay VALUES ('[1,2)', '[2020-01-01,2021-01-01)', 1)")
    assert sync(pair, "one", "two").verified
    run(postgres_url, "UPDATE stay SET n = 2")
    with pytest.raises(SchemaMismatchError) as refused:
        sync(pair, "one", "two")
    advised = refused.value.advice.rpartition(": ")[2]
    assert advised.startswith("CREATE UNIQUE INDEX ")
    run(second_postgres_url, advised)
    assert sync(pair, "one", "two").verified


def test_domains_of_tables_that_are_not_wanted_are_made_nowhere(
    pair: Config, postgres_url: str, tmp_path: Path
) -> None:
    run(
        postgres_url,
        "CREATE DOMAIN year AS integer CHECK (VALUE > 1900)",
        "CREATE TABLE a (id integer PRIMARY KEY)",
        "CREATE TABLE b (id integer PRIMARY KEY, y year)",
        "INSERT INTO a VALUES (1)",
    )
    assert sync(pair, "one", f"duckdb:///{tmp_path / 'copy.duckdb'}", ["a"]).verified


def test_moments_that_python_does_not_know_are_told_and_no_epoch_is_advised(
    pair: Config, postgres_url: str, tmp_path: Path
) -> None:
    """PostgreSQL's last year is none of Python's: there was an OverflowError."""
    run(
        postgres_url,
        "CREATE TABLE t (id integer PRIMARY KEY, at timestamptz)",
        "INSERT INTO t VALUES (1, '294276-12-31'), (2, '2020-01-01')",
    )
    with pytest.raises(UnrepresentableValueError, match="lies beyond the year 294246") as refused:
        sync(pair, "one", f"duckdb:///{tmp_path / 'copy.duckdb'}")
    assert "epoch" not in refused.value.advice


def test_rules_beside_which_no_row_is_updated_are_named(
    pair: Config, postgres_url: str, second_postgres_url: str
) -> None:
    for url, value in ((postgres_url, "new"), (second_postgres_url, "old")):
        run(url, "CREATE TABLE t (id integer PRIMARY KEY, v text)", f"INSERT INTO t VALUES (1, '{value}')")
    run(second_postgres_url, "CREATE RULE kept AS ON UPDATE TO t DO INSTEAD NOTHING", "ALTER TABLE t DISABLE RULE kept")
    with pytest.raises(StatementError, match=r"t has rules, .*: kept") as refused:
        sync(pair, "one", "two")
    assert "DROP RULE kept ON " in refused.value.advice


def test_rows_against_a_check_that_is_younger_are_carried_and_the_check_follows_them(
    pair: Config, postgres_url: str, second_postgres_url: str
) -> None:
    run(
        postgres_url,
        "CREATE TABLE n (id integer PRIMARY KEY, x integer, p integer REFERENCES n DEFERRABLE INITIALLY DEFERRED)",
        "INSERT INTO n VALUES (1, -1, 2), (2, NULL, 1)",
        "SET CONSTRAINTS ALL IMMEDIATE",
        "ALTER TABLE n ADD CONSTRAINT positive CHECK (x > 0) NOT VALID, ADD CONSTRAINT there NOT NULL x NOT VALID",
        "COMMENT ON CONSTRAINT positive ON n IS 'since May'",
        "CREATE TABLE p (id integer, x integer) PARTITION BY RANGE (id)",
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9)",
        "INSERT INTO p VALUES (1, -1)",
        "ALTER TABLE p ADD CONSTRAINT above CHECK (x > 0) NOT VALID",
        "COMMENT ON CONSTRAINT above ON p1 IS 'of the part'",
        "ALTER TABLE p1 ADD CONSTRAINT own CHECK (x > 1) NOT VALID",
    )
    assert sync(pair, "one", "two").verified
    assert catalogue(second_postgres_url) == catalogue(postgres_url)


def test_arrays_of_decimals_are_carried_between_columns_of_other_scales(
    pair: Config, postgres_url: str, second_postgres_url: str
) -> None:
    run(
        postgres_url,
        "CREATE TABLE t (id integer PRIMARY KEY, a numeric(10,2)[])",
        "INSERT INTO t VALUES (1, '{1.5,NULL,NaN}'), (2, '[0:1]={1,2}')",
    )
    run(second_postgres_url, "CREATE TABLE t (id integer PRIMARY KEY, a numeric(12,4)[])")
    assert sync(pair, "one", "two").verified
    assert [table.unchanged for way in (("one", "two"), ("two", "one")) for table in sync(pair, *way).tables] == [2, 2]
    run(second_postgres_url, "UPDATE t SET a = '{1.5555}' WHERE id = 2")
    with pytest.raises(UnrepresentableValueError, match=r"t id=2: column 'a' holds \{1.5555\}"):
        sync(pair, "two", "one")


@pytest.mark.parametrize(
    ("constraint", "told"),
    [
        ("ALTER TABLE t ADD EXCLUDE USING gist (r WITH &&)", "conflicts with existing key .*"),
        ("CREATE UNIQUE INDEX ON t (lower(r))", r"Key \(lower\(r\)\)=\(1\) already exists"),
        ("CREATE UNIQUE INDEX ON t (r) WHERE s", r"\(r = \[1,5\), which id=2 has too\)"),
    ],
)
def test_rows_that_exchange_what_no_unique_columns_hold_are_refused_with_the_way_out(
    pair: Config, postgres_url: str, second_postgres_url: str, constraint: str, told: str
) -> None:
    for url, rows in (postgres_url, "(1, '[1,5)'), (2, '[5,9)')"), (second_postgres_url, "(2, '[1,5)'), (1, '[5,9)')"):
        table = "CREATE TABLE t (id integer PRIMARY KEY, r int4range, s boolean DEFAULT true)"
        run(url, table, constraint, f"INSERT INTO t VALUES {rows}")
    with pytest.raises(RefusedRowError, match=rf"t id=1 is refused: .*{told}\n.*If rows exchange their values"):
        sync(pair, "one", "two")


def test_the_class_of_operators_that_an_index_loses_is_named(pair: Config, postgres_url: str, tmp_path: Path) -> None:
    run(postgres_url, "CREATE TABLE t (id integer PRIMARY KEY, n text)", "CREATE INDEX i ON t (n text_pattern_ops)")
    result = sync(pair, "one", f"sqlite:///{tmp_path}/there.sqlite3")
    told = "It is made without the operator class text_pattern_ops."
    assert any(told in str(each.reason) for each in result.warnings if each.is_of_schema)
