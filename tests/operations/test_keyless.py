"""Tables without a key: rows that cannot be told apart are copied, compared, replaced and dumped as a multiset."""

from __future__ import annotations

import datetime as dt
import io
import json
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from advanced_alchemy.types import StoredObject
from msgspec import structs

from tests.contracts.test_matrix import RING
from tests.operations.databases import connected, contents, create, execute, postgres
from tests.operations.outcomes import counts
from tests.operations.test_busy import Meanwhile
from tests.operations.test_hard_schemas import ALL, EVERY_TARGET, Using, plain, rows, using
from toolkit.config import Config
from toolkit.core.digest import TableDigest, digest_batches
from toolkit.core.tables import KEY as KEY_OF
from toolkit.core.tables import table_spec
from toolkit.errors import (
    ConfigurationError,
    DeleteGuardError,
    ExistingRowsError,
    KeylessRowsError,
    ReferencedRowsError,
    RepeatedKeyError,
    ScriptError,
    UnrepresentableValueError,
    VerificationError,
)
from toolkit.operations.archive.rows import file_tables
from toolkit.operations.diff.compare import diff
from toolkit.operations.diff.script import diff_sql
from toolkit.operations.fixtures.dump import dump_data
from toolkit.operations.fixtures.load import load_data
from toolkit.operations.status import status
from toolkit.operations.sync import sync
from toolkit.operations.transfer.deletes import DeleteLimit
from toolkit.operations.transfer.options import Mode, Options
from toolkit.operations.transfer.watermarks import Since

__all__ = ["using"]

metadata = sa.MetaData()
HOST = sa.Table("host", metadata, sa.Column("id", sa.Integer, primary_key=True, autoincrement=False))
LOG = sa.Table(
    "log",
    metadata,
    sa.Column("host", sa.Integer, sa.ForeignKey("host.id")),
    sa.Column("at", sa.DateTime(timezone=True)),
    sa.Column("message", sa.Text),
    sa.Column("data", sa.JSON(none_as_null=True)),
    sa.Column("raw", sa.LargeBinary),
    sa.Column("price", sa.Numeric(12, 4)),
    sa.Column("ratio", sa.Double),
    sa.Column("tags", sa.ARRAY(sa.Text).with_variant(sa.JSON(none_as_null=True), "sqlite")),
    sa.Column("code", sa.Text, unique=True),
)
NAMES = [column.name for column in LOG.columns]
AT = dt.datetime(2024, 1, 1, 12, 30, 15, 123456, tzinfo=dt.UTC)
FULL = (1, AT, "a", {"a": [1, None]}, b"\0\xff", Decimal("1.2500"), 0.1, ["x", None], None)
EMPTY = (None,) * len(NAMES)
WIDE: tuple[Any, ...] = (2, AT, "long " * 50_000, [], b"w" * 100_000, None, None, [], "only")
ROWS = [FULL, FULL, FULL, EMPTY, EMPTY, WIDE]


def keyless(config: Config) -> Config:
    """The configuration for these tables."""
    return replace(config, metadata=f"{__name__}:metadata", migrations=config.root / "none")


def put(config: Config, name: str, values: list[tuple[Any, ...]]) -> None:
    with connected(config.database(name)) as connection:
        connection.execute(LOG.insert(), [dict(zip(NAMES, row, strict=True)) for row in values])


def filled(config: Config, name: str) -> None:
    create(config.database(name), metadata)
    execute(config.database(name), "INSERT INTO host VALUES (1), (2)")
    put(config, name, ROWS)


# Between two servers of PostgreSQL rows go as they are sent.
@pytest.mark.slow
@pytest.mark.parametrize(("source", "target"), RING)
def test_they_are_copied_with_every_duplicate_and_replaced_from_and_into_every_engine(
    config: Config, second_postgres_url: str, source: str, target: str
) -> None:
    config = keyless(config)
    if source == target:
        target = second_postgres_url
    filled(config, source)
    create(config.database(target), metadata)

    first = sync(config, source, target)
    assert (counts(first), first.verified) == ({"host": (2, 0, 0, 0), "log": (6, 0, 0, 0)}, True)
    assert contents(config.database(target), metadata) == contents(config.database(source), metadata)
    second = sync(config, source, target)
    assert (counts(second), second.verified) == ({"host": (0, 0, 2, 0), "log": (0, 0, 6, 0)}, True)

    # One of three equal rows becomes one of two others: as many rows, and as many values.
    execute(config.database(target), "DELETE FROM log WHERE message = 'a'")
    put(config, target, [FULL, FULL, EMPTY])
    before = contents(config.database(target), metadata)
    with pytest.raises(KeylessRowsError, match=r"log \(6 in .*, 6 at the source\)"):
        sync(config, source, target)
    assert contents(config.database(target), metadata) == before
    third = sync(config, source, target, options=Options(mode=Mode.REPLACE, batch_rows=2))
    assert (counts(third)["log"], third.verified) == ((6, 0, 0, 6), True)
    assert contents(config.database(target), metadata) == contents(config.database(source), metadata)
    assert counts(sync(config, source, target, options=ALL))["log"] == (0, 0, 6, 0)


LINES = sa.MetaData()
LINE = sa.Table("line", LINES, sa.Column("n", sa.Integer), sa.Column("v", sa.Text))


def lines(using: Using, source: str, target: str, target_name: str) -> Config:
    """Two databases with a table of numbers and letters, each letter a row: `1a 1a 2-` has a NULL."""
    config = using(LINES)
    create(config.database(target_name), LINES)
    for name, text in (("sqlite", source), (target_name, target)):
        values = [f"({word[0]}, {'NULL' if word[1] == '-' else repr(word[1])})" for word in text.split()]
        execute(config.database(name), *([f"INSERT INTO line VALUES {', '.join(values)}"] if values else []))
    return config


def held(config: Config, name: str) -> str:
    found = rows(config, name, "SELECT n, coalesce(v, '-') FROM line")
    return " ".join(f"{n}{v}" for n, v in found)


@pytest.mark.parametrize(
    ("one", "other"),
    [("1a 1a", "1b 1b"), ("1a 1a 2-", "1a 2- 2-"), ("1a 1a 1a 1b", "1a 1b 1b 1b"), ("1a 1a", "2- 2-"), ("1-", "1- 1-")],
)
def test_duplicates_do_not_cancel_in_a_digest(one: str, other: str) -> None:
    spec = table_spec(LINE)

    def digest(text: str) -> TableDigest:
        values = [(int(word[0]), None if word[1] == "-" else word[1]) for word in text.split()]
        rows = [dict(zip(spec.column_names, row, strict=True)) for row in values]
        return digest_batches(spec, [pa.RecordBatch.from_pylist(rows, spec.schema)])

    assert digest(one) != digest(other)
    assert digest(one) == digest(" ".join(reversed(one.split())))


@pytest.mark.parametrize("target", ["postgres"])
def test_what_would_go_for_good_is_limited_and_an_empty_source_deletes_nothing(using: Using, target: str) -> None:
    config = lines(using, "1a 1a 2b", "1a 2c 2d 2e", target)
    limited = partial(sync, config, "sqlite", target, options=Options(mode=Mode.REPLACE, max_delete=DeleteLimit(2, 0)))
    with pytest.raises(DeleteGuardError, match=r"3 rows of .* would be deleted, but that is more than .* of 4 rows"):
        limited()
    assert held(config, target) == "1a 2c 2d 2e"
    execute(config.database(target), "DELETE FROM line WHERE v = 'e'")
    assert counts(limited()) == {"line": (3, 0, 0, 3)}
    assert held(config, target) == "1a 1a 2b"

    execute(config.database("sqlite"), "DELETE FROM line")
    with pytest.raises(DeleteGuardError, match="the source has no rows"):
        sync(config, "sqlite", target, options=ALL)
    assert counts(sync(config, "sqlite", target)) == {"line": (0, 0, 0, 0)}
    assert held(config, target) == "1a 1a 2b"


@pytest.mark.parametrize("target", ["sqlite2", "duckdb"])
def test_a_condition_narrows_what_is_compared_and_what_is_replaced(using: Using, target: str) -> None:
    config = lines(using, "1a 1a 2b", "1c 3z 3z", target)
    where = {"line": "n < 3"}
    with pytest.raises(KeylessRowsError, match=r"1 in .*, 3 at the source"):
        sync(config, "sqlite", target, where=where)
    assert counts(sync(config, "sqlite", target, where=where, options=ALL)) == {"line": (3, 0, 0, 1)}
    assert held(config, target) == "1a 1a 2b 3z 3z"
    assert counts(sync(config, "sqlite", target, where=where)) == {"line": (0, 0, 3, 0)}
    assert counts(sync(config, "sqlite", target, where_source={"line": "n < 2"}, where=where, options=ALL)) == {
        "line": (2, 0, 0, 3)
    }
    assert held(config, target) == "1a 1a 3z 3z"


@pytest.mark.parametrize("target", ["duckdb"])
def test_other_options_copy_them_as_a_whole_or_are_refused_by_name(using: Using, tmp_path: Path, target: str) -> None:
    config = lines(using, "1a 1a 2b", "", target)
    with pytest.raises(ConfigurationError, match=r"line has no key, .*--match"):
        sync(config, "sqlite", target, match={"line": ["n"]})
    dry = sync(config, "sqlite", target, dry_run=True)
    assert (counts(dry), held(config, target)) == ({"line": (3, 0, 0, 0)}, "")
    first = sync(config, "sqlite", target, options=Options(commit_every=1), rejects=tmp_path / "rejects")
    assert (counts(first), first.verified, held(config, target)) == ({"line": (3, 0, 0, 0)}, True, "1a 1a 2b")
    execute(config.database(target), "DELETE FROM line WHERE n = 2")
    for mode in (Mode.SOFT_DELETE, Mode.INSERT):
        with pytest.raises(KeylessRowsError):
            sync(config, "sqlite", target, options=Options(mode=mode))
    replaced = sync(config, "sqlite", target, options=structs.replace(ALL, commit_every=1))
    assert (counts(replaced), held(config, target)) == ({"line": (3, 0, 0, 2)}, "1a 1a 2b")


@pytest.mark.parametrize("target", ["postgres"])
def test_a_difference_is_shown_by_the_rows_that_one_side_has_more_often(using: Using, target: str) -> None:
    config = lines(using, "1a 1a 1a 2- 9z", "1a 2- 2- 9z 4d", target)
    (table,) = diff(config, "sqlite", target, rows=3).tables
    assert (table.status, table.added, table.changed, table.removed, table.unchanged) == ("differs", 2, 0, 2, 3)
    assert [(row.kind, row.key, row.columns) for row in table.rows] == [
        ("added", {}, {"n": (None, 1), "v": (None, "a")}),
        ("added", {}, {"n": (None, 1), "v": (None, "a")}),
        ("removed", {}, {"n": (2, None), "v": (None, None)}),
    ]
    with pytest.raises(ScriptError, match="line: has no key"):
        diff_sql(config, "sqlite", target, io.BytesIO())
    sync(config, "sqlite", target, options=ALL)
    (same,) = diff(config, "sqlite", target, rows=None).tables
    assert (same.status, same.unchanged, same.rows) == ("same", 5, ())
    diff_sql(config, "sqlite", target, io.BytesIO())


def test_many_rows_are_compared_as_few_are(using: Using) -> None:
    config = lines(using, "1a 1a 1a 2-", "1a 2- 2- 2-", "duckdb")
    for name in ("sqlite", "duckdb"):
        execute(config.database(name), f"INSERT INTO line VALUES {', '.join(f'({n}, NULL)' for n in range(3, 1501))}")
    (table,) = diff(config, "sqlite", "duckdb", rows=None).tables
    assert (table.added, table.removed, table.unchanged) == (2, 2, 1500)
    assert [(row.kind, *row.columns.values()) for row in table.rows] == [
        *[("added", (None, 1), (None, "a"))] * 2,
        *[("removed", (2, None), (None, None))] * 2,
    ]


@pytest.mark.parametrize("target", ["postgres", "duckdb"])
def test_dumps_are_ordered_by_all_columns_and_loaded_with_their_duplicates(
    using: Using, tmp_path: Path, target: str
) -> None:
    config = lines(using, "2b 1a 2- 1a 2a", "", target)
    dump_data(config, "sqlite", directory=tmp_path / "one")
    written = (tmp_path / "one" / "line.json").read_bytes()
    assert [list(row.values()) for row in json.loads(written)] == [[1, "a"], [1, "a"], [2, "a"], [2, "b"], [2, None]]

    load = partial(load_data, config, target, directory=tmp_path / "one")
    assert counts(load()) == {"line": (5, 0, 0, 0)}
    assert counts(load()) == {"line": (0, 0, 5, 0)}
    dump_data(config, target, directory=tmp_path / "other")
    assert (tmp_path / "other" / "line.json").read_bytes() == written

    with pytest.raises(ExistingRowsError, match="5 of the rows are"):
        load(options=Options(mode=Mode.INSERT))
    execute(config.database(target), "DELETE FROM line WHERE n = 1", "INSERT INTO line VALUES (7, 'g')")
    with pytest.raises(KeylessRowsError, match=r"4 in .*, 5 at the source"):
        load()
    assert counts(load(options=Options(mode=Mode.REPLACE))) == {"line": (5, 0, 0, 4)}
    assert held(config, target) == held(config, "sqlite")


def test_files_that_lack_a_column_of_such_a_table_get_its_default(using: Using, tmp_path: Path) -> None:
    metadata = sa.MetaData()
    sa.Table("line", metadata, sa.Column("n", sa.Integer), sa.Column("v", sa.Text, default="x"))
    config = using(metadata)
    (tmp_path / "line.json").write_text('[{"n": 1}, {"n": 1}, {"n": 1, "v": null}]')
    assert counts(load_data(config, "sqlite", directory=tmp_path)) == {"line": (3, 0, 0, 0)}
    assert held(config, "sqlite") == "1- 1x 1x"


@pytest.mark.parametrize("target", ["sqlite2"])
def test_a_row_that_does_not_fit_is_named_by_its_first_columns(using: Using, target: str) -> None:
    metadata = sa.MetaData()
    sa.Table("line", metadata, *(sa.Column(n, sa.Integer) for n in "ab"), sa.Column("c", sa.Text, nullable=False))
    config = using(metadata)
    create(config.database(target), metadata)
    execute(
        config.database("sqlite"),
        "DROP TABLE line",
        "CREATE TABLE line (a INTEGER, b INTEGER, c TEXT)",
        "INSERT INTO line VALUES (1, 2, 'x'), (3, 4, NULL)",
    )
    with pytest.raises(UnrepresentableValueError, match="line a=3, b=4, c=NULL: column 'c' is NULL"):
        sync(config, "sqlite", target)
    assert rows(config, target, "SELECT * FROM line") == []


KEY = {"line": ["n"]}


@pytest.mark.parametrize(("target", "has_index"), [("sqlite2", True), ("duckdb", False)])
def test_a_key_that_is_named_tells_rows_apart_whether_the_target_keeps_it_unique_or_not(
    using: Using, target: str, has_index: bool
) -> None:
    config = lines(using, "1a 2b 3c", "1a 2- 4d", target)
    execute(config.database(target), "ALTER TABLE line ADD COLUMN own TEXT", "UPDATE line SET own = 'kept'")
    if has_index:
        execute(config.database(target), "CREATE UNIQUE INDEX line_n ON line (n)")
    synced = partial(sync, config, "sqlite", target, keys=KEY, set_values={"line.own": "new"})
    first = synced()
    assert (counts(first), first.verified) == ({"line": (1, 1, 1, 0)}, True)
    owned = [(1, "a", "kept"), (2, "b", "kept"), (3, "c", "new"), (4, "d", "kept")]
    assert rows(config, target, "SELECT n, v, own FROM line") == owned
    assert counts(synced()) == {"line": (0, 0, 3, 0)}
    execute(config.database("sqlite"), "UPDATE line SET v = 'x' WHERE n < 3", "INSERT INTO line VALUES (5, 'e')")
    assert counts(synced(options=structs.replace(ALL, commit_every=2))) == {"line": (1, 2, 1, 1)}
    assert held(config, target) == "1x 2x 3c 5e"
    execute(config.database(target), "DELETE FROM line")
    assert counts(synced()) == {"line": (4, 0, 0, 0)}
    assert held(config, target) == "1x 2x 3c 5e"


@pytest.mark.parametrize("target", ["sqlite2"])
@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ("1a 2b 2c", "", r"line: 2 rows of sqlite have one key, n=2: \(n=2, v=b\) and \(n=2, v=c\)"),
        ("1a 2b", "3a 3b", r"line: 2 rows of (sqlite2|postgres|duckdb) have one key, n=3.*--key line:COL"),
    ],
)
def test_a_named_key_of_several_rows_is_refused_on_either_side_before_anything_is_written(
    using: Using, target: str, one: str, other: str, told: str
) -> None:
    config = lines(using, one, other, target)
    for dry_run in (True, False):
        with pytest.raises(RepeatedKeyError, match=f"(?s){told}"):
            sync(config, "sqlite", target, keys=KEY, dry_run=dry_run)
    assert held(config, target) == other


@pytest.mark.parametrize("target", ["sqlite2"])
@pytest.mark.parametrize(("one", "other", "side"), [("1a 2-", "", "sqlite"), ("1a 2b", "3-", "")])
def test_a_named_key_with_a_null_is_refused_by_its_row(
    using: Using, target: str, one: str, other: str, side: str
) -> None:
    config = lines(using, one, other, target)
    told = f"line v=NULL: column 'v' is NULL in {side or target}, and part of the key"
    with pytest.raises(UnrepresentableValueError, match=told):
        sync(config, "sqlite", target, keys={"line": ["v"]})
    assert held(config, target) == other


def test_a_named_key_is_refused_before_a_target_without_tables_is_made(using: Using) -> None:
    config = using(LINES)
    execute(config.database("sqlite"), "INSERT INTO line VALUES (1, 'a'), (1, 'b')")
    for dry_run in (True, False):
        with pytest.raises(RepeatedKeyError, match="n=1"):
            sync(config, "sqlite", "sqlite2", keys=KEY, dry_run=dry_run)
    file = config.database("sqlite2").file
    assert file is not None
    assert not file.exists()


@pytest.mark.parametrize("target", ["postgres"])
def test_rows_that_others_point_at_by_a_unique_value_are_not_replaced(using: Using, target: str) -> None:
    """A unique column that may be NULL is no key, but a foreign key may point there."""
    metadata = sa.MetaData()
    sa.Table("place", metadata, sa.Column("code", sa.Text, unique=True), sa.Column("v", sa.Integer))
    sa.Table("visit", metadata, sa.Column("n", sa.Integer), sa.Column("code", sa.ForeignKey("place.code")))
    config = using(metadata)
    create(config.database(target), metadata)
    places = "INSERT INTO place VALUES ('a', 1), (NULL, 2), (NULL, 2)"
    for name in ("sqlite", target):
        execute(config.database(name), places, "INSERT INTO visit VALUES (1, 'a'), (1, 'a'), (2, NULL)")
    execute(config.database("sqlite"), "UPDATE place SET v = 3 WHERE v = 2")
    with pytest.raises(ReferencedRowsError, match=r"2 rows of visit .*\n.*--key place:COL"):
        sync(config, "sqlite", target, options=ALL)
    execute(config.database(target), "UPDATE visit SET code = NULL")
    assert counts(sync(config, "sqlite", target, options=ALL)) == {"place": (3, 0, 0, 3), "visit": (3, 0, 0, 3)}
    assert contents(config.database(target), metadata) == contents(config.database("sqlite"), metadata)


@pytest.mark.parametrize("target", ["sqlite2", "postgres"])
def test_rows_point_at_new_parents_and_away_from_those_that_go(using: Using, target: str) -> None:
    metadata = plain("parent", sa.Column("v", sa.Text))
    sa.Table("log", metadata, sa.Column("parent_id", sa.ForeignKey("parent.id")), sa.Column("v", sa.Text))
    config = using(metadata)
    create(config.database(target), metadata)
    execute(
        config.database("sqlite"),
        "INSERT INTO parent VALUES (1, 'a'), (3, 'c')",
        "INSERT INTO log VALUES (1, 'x'), (1, 'x'), (3, 'y'), (NULL, 'y')",
    )
    execute(
        config.database(target),
        "INSERT INTO parent VALUES (1, 'a'), (2, 'b')",
        "INSERT INTO log VALUES (2, 'x'), (1, 'x')",
    )
    for commit_every in (None, 1):
        options = structs.replace(ALL, commit_every=commit_every)
        found = sync(config, "sqlite", target, options=options)
        assert found.verified
        assert contents(config.database(target), metadata) == contents(config.database("sqlite"), metadata)
        execute(config.database(target), "DELETE FROM log", "DELETE FROM parent WHERE id = 3")
        execute(
            config.database(target), "INSERT INTO parent VALUES (2, 'b')", "INSERT INTO log VALUES (2, 'x'), (1, 'x')"
        )
    assert counts(sync(config, "sqlite", target, ["parent", "log"], options=ALL))["log"] == (4, 0, 0, 2)


@EVERY_TARGET
def test_more_rows_than_are_written_one_by_one(using: Using, small_rebuilds: None, target: str) -> None:
    config = lines(using, "1a", "", target)
    values = ", ".join(f"({n % 700}, {'NULL' if n % 3 else repr('x' * (n % 5))})" for n in range(1_500))
    execute(config.database("sqlite"), f"INSERT INTO line VALUES {values}")
    execute(config.database(target), "CREATE INDEX line_n ON line (n)")
    assert counts(sync(config, "sqlite", target)) == {"line": (1_501, 0, 0, 0)}
    assert counts(sync(config, "sqlite", target)) == {"line": (0, 0, 1_501, 0)}
    execute(config.database(target), "UPDATE line SET v = 'z' WHERE n = 699")
    assert counts(sync(config, "sqlite", target, options=structs.replace(ALL, batch_rows=500))) == {
        "line": (1_501, 0, 0, 1_501)
    }
    assert held(config, target) == held(config, "sqlite")


@pytest.mark.slow
@pytest.mark.parametrize("target", ["postgres"])
def test_names_conversions_values_and_watermarks_are_for_them_too(using: Using, target: str) -> None:
    metadata = sa.MetaData()
    sa.Table("line", metadata, sa.Column("n", sa.Integer), sa.Column("v", sa.Text), sa.Column("at", sa.DateTime))
    config = using(metadata)
    execute(
        config.database("sqlite"),
        "INSERT INTO line VALUES (1, 'a', '2024-01-01 00:00:00'), (1, 'a', '2024-01-01 00:00:00'), (2, 'b', '')",
    )
    there = sa.MetaData()
    sa.Table("zeile", there, sa.Column("n", sa.Integer), sa.Column("w", sa.Text), sa.Column("at", sa.DateTime))
    create(config.database(target), there)
    execute(config.database(target), "ALTER TABLE zeile ADD COLUMN own INTEGER")
    synced = partial(
        sync,
        config,
        "sqlite",
        target,
        rename={"line": "zeile", "line.v": "w"},
        convert=["line.at:empty-as-null"],
        set_values={"line.own": "7"},
    )
    assert counts(synced()) == {"line": (3, 0, 0, 0)}
    assert rows(config, target, "SELECT n, w, own FROM zeile") == [(1, "a", 7), (1, "a", 7), (2, "b", 7)]
    assert counts(synced()) == {"line": (0, 0, 3, 0)}
    execute(config.database(target), "UPDATE zeile SET w = 'c' WHERE n = 2")
    with pytest.raises(KeylessRowsError, match="line"):
        synced()
    assert counts(synced(options=ALL)) == {"line": (3, 0, 0, 3)}
    found = diff(
        config, "sqlite", target, rename={"line": "zeile", "line.v": "w"}, convert=["line.at:empty-as-null"], rows=9
    )
    assert found.equal

    execute(config.database("sqlite"), "UPDATE line SET at = NULL WHERE at = ''")
    create(config.database(target), metadata)
    since = partial(sync, config, "sqlite", target, since=Since("at"))
    assert counts(since()) == {"line": (3, 0, 0, 0)}
    assert counts(since()) == {"line": (0, 0, 3, 0)}
    execute(config.database("sqlite"), "INSERT INTO line VALUES (5, 'e', '2025-01-01 00:00:00')")
    with pytest.raises(KeylessRowsError):
        since()


@pytest.mark.parametrize("target", ["sqlite2"])
def test_what_a_trigger_makes_of_their_rows_is_shown_by_the_first_of_them(using: Using, target: str) -> None:
    config = lines(using, "1a 1a 2b", "", target)
    function = (
        ["CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := 'z'; RETURN NEW; END $$"]
        if target == "postgres"
        else []
    )
    trigger = (
        "CREATE TRIGGER t BEFORE INSERT ON line FOR EACH ROW WHEN (NEW.n = 2) EXECUTE FUNCTION f()"
        if target == "postgres"
        else "CREATE TRIGGER t AFTER INSERT ON line WHEN NEW.n = 2 BEGIN UPDATE line SET v = 'z' WHERE n = 2; END"
    )
    execute(config.database(target), *function, trigger)
    with pytest.raises(VerificationError, match="First: n=2, v=b was sent and is not there"):
        sync(config, "sqlite", target)
    assert held(config, target) == ""


@pytest.mark.slow
@pytest.mark.parametrize("target", ["postgres"])
def test_rows_that_cannot_be_written_are_rejected_with_their_duplicates(
    using: Using, tmp_path: Path, target: str
) -> None:
    """Orphans, a NULL that the target forbids, one of a check, and a value of another type, each of them twice."""
    metadata = plain("parent", sa.Column("v", sa.Text))
    sa.Table(
        "log",
        metadata,
        sa.Column("parent_id", sa.ForeignKey("parent.id")),
        sa.Column("v", sa.Text),
        sa.Column("n", sa.Integer),
        sa.Column("w", sa.Text, nullable=False),
        sa.CheckConstraint("w <> 'bad'", name="not_bad"),
    )
    config = using(metadata)
    create(config.database(target), metadata)
    execute(
        config.database("sqlite"),
        "DROP TABLE log",
        "CREATE TABLE log (parent_id INTEGER, v TEXT, n INTEGER, w TEXT)",
        "INSERT INTO parent VALUES (1, 'a')",
        "INSERT INTO log VALUES (1, 'a', 1, 'good'), (1, 'a', 1, 'good'), (NULL, 'a', NULL, 'good')",
        "INSERT INTO log VALUES (9, 'a', 1, 'good'), (9, 'a', 1, 'good')",
        "INSERT INTO log VALUES (1, 'a', 1, 'bad'), (1, 'a', 1, 'bad')",
        "INSERT INTO log VALUES (1, 'a', 1, NULL), (1, 'a', 1, NULL), (1, 'a', 'x', 'good'), (1, 'a', 'x', 'good')",
    )
    result = sync(config, "sqlite", target, rejects=tmp_path / "rejects")
    assert (counts(result)["log"], result.verified) == ((3, 0, 0, 0), True)
    assert [(each.table, each.rows) for each in result.rejected] == [("log", 8)]
    assert rows(config, target, "SELECT w, count(*) FROM log GROUP BY w") == [("good", 3)]
    again = sync(config, "sqlite", target, rejects=tmp_path / "more")
    assert (counts(again)["log"], len(again.rejected)) == ((0, 0, 3, 0), 1)


@pytest.mark.parametrize("target", ["sqlite2"])
def test_a_unique_column_without_nulls_is_a_key_as_long_as_neither_side_has_one(using: Using, target: str) -> None:
    metadata = sa.MetaData()
    table = sa.Table("line", metadata, sa.Column("n", sa.Integer, unique=True), sa.Column("v", sa.Text))
    table.info[KEY_OF] = ("n",)
    config = using(metadata)
    create(config.database(target), metadata)
    execute(config.database("sqlite"), "INSERT INTO line VALUES (1, 'a'), (2, 'b')")
    execute(config.database(target), "INSERT INTO line VALUES (1, 'x'), (3, 'c')")
    assert counts(sync(config, "sqlite", target)) == {"line": (1, 1, 0, 0)}
    assert held(config, target) == "1a 2b 3c"
    execute(config.database(target), "INSERT INTO line VALUES (NULL, 'd')")
    with pytest.raises(UnrepresentableValueError, match=f"'n' is NULL in {target}, and part of the key"):
        sync(config, "sqlite", target)


@pytest.mark.parametrize("target", ["sqlite2", "duckdb"])
def test_without_models_decimals_of_any_precision_are_no_key_but_are_copied(
    config: Config, tmp_path: Path, target: str
) -> None:
    config = replace(config, metadata="", migrations=config.root / "none")
    with postgres(config) as connection:
        connection.execute("CREATE TABLE line (n numeric PRIMARY KEY, v text)")
        connection.execute("INSERT INTO line VALUES (1.50, 'a'), (0.000001, 'b')")
    assert counts(sync(config, "postgres", target)) == {"line": (2, 0, 0, 0)}
    assert counts(sync(config, "postgres", target)) == {"line": (0, 0, 2, 0)}


def test_status_counts_their_rows_and_an_archive_refuses_them_by_name(using: Using) -> None:
    metadata = sa.MetaData()
    sa.Table("line", metadata, sa.Column("n", sa.Integer), sa.Column("file", StoredObject(backend="none")))
    config = using(metadata)
    execute(config.database("sqlite"), "INSERT INTO line (n) VALUES (1), (1)")
    found = status(config, ["sqlite"])
    assert (found.refusals, [(each.table, each.rows) for each in found.databases[0].tables]) == ((), [("line", 2)])
    with pytest.raises(ConfigurationError, match="line has files, but neither a primary key nor a unique key"):
        file_tables(metadata)


@pytest.mark.parametrize("step", ["compare line", "replace line"])
def test_rows_that_others_write_meanwhile_are_replaced_only_when_they_were_counted(using: Using, step: str) -> None:
    config = lines(using, "1a 1a 2b", "1a 3c", "postgres")

    def insert(values: str = "(4, 'd')") -> None:
        with postgres(config) as connection:
            connection.execute(f"INSERT INTO line VALUES {values}".encode())

    limit = Options(mode=Mode.REPLACE, max_delete=DeleteLimit(2, 0))
    once = Meanwhile(insert, step, times=1)
    assert counts(sync(config, "sqlite", "postgres", options=limit, progress=once)) == {"line": (3, 0, 0, 3)}
    assert held(config, "postgres") == "1a 1a 2b"
    twice = Meanwhile(partial(insert, "(4, 'd'), (4, 'd')"), step, times=1)
    execute(config.database("postgres"), "INSERT INTO line VALUES (3, 'c')")
    with pytest.raises(DeleteGuardError, match="3 rows of postgres would be deleted"):
        sync(config, "sqlite", "postgres", options=limit, progress=twice)
    assert held(config, "postgres") == "1a 1a 2b 3c 4d 4d"


@pytest.mark.parametrize("target", ["sqlite2", "postgres"])
def test_rows_that_the_database_changes_with_what_they_point_at_are_written_again(using: Using, target: str) -> None:
    """The values of two parents change places, and what points at them would go along (ON UPDATE CASCADE)."""
    metadata = plain("parent", sa.Column("code", sa.Text, unique=True))
    sa.Table("log", metadata, sa.Column("code", sa.ForeignKey("parent.code", onupdate="CASCADE")))
    config = using(metadata)
    create(config.database(target), metadata)
    for name in ("sqlite", target):
        execute(config.database(name), "INSERT INTO parent VALUES (1, 'a'), (2, 'b')")
        execute(config.database(name), "INSERT INTO log VALUES ('a'), ('a'), ('b')")
    execute(
        config.database("sqlite"),
        "UPDATE parent SET code = CASE code WHEN 'a' THEN 'b' ELSE 'a' END || 'x'",
        "UPDATE parent SET code = substr(code, 1, 1)",
    )
    execute(config.database("sqlite"), "DELETE FROM log", "INSERT INTO log VALUES ('a'), ('a'), ('b')")
    found = sync(config, "sqlite", target)
    assert (counts(found), found.verified) == ({"parent": (0, 2, 0, 0), "log": (0, 0, 3, 0)}, True)
    assert contents(config.database(target), metadata) == contents(config.database("sqlite"), metadata)


@pytest.mark.parametrize("target", ["postgres"])
def test_rows_that_are_rejected_do_not_go_with_those_that_are_replaced(
    using: Using, tmp_path: Path, target: str
) -> None:
    metadata = plain("parent", sa.Column("v", sa.Integer))
    sa.Table("log", metadata, sa.Column("parent_id", sa.ForeignKey("parent.id")), sa.Column("v", sa.Text))
    config = using(metadata)
    create(config.database(target), metadata)
    for name in ("sqlite", target):
        execute(config.database(name), "INSERT INTO parent VALUES (1, 1), (2, 2)")
    execute(config.database(target), "INSERT INTO log VALUES (1, 'x'), (2, 'y')")
    execute(config.database("sqlite"), "UPDATE parent SET v = 'no number' WHERE id = 1")
    execute(config.database("sqlite"), "INSERT INTO log VALUES (1, 'x'), (2, 'z')")
    rejecting = partial(sync, config, "sqlite", target, options=ALL)
    with pytest.raises(DeleteGuardError, match=r"log: 1 row of .* the same rows of the source are rejected"):
        rejecting(rejects=tmp_path / "one")
    assert rows(config, target, "SELECT * FROM log") == [(1, "x"), (2, "y")]
    execute(config.database(target), "DELETE FROM log WHERE v = 'x'")
    assert counts(rejecting(rejects=tmp_path / "other"))["log"] == (1, 0, 0, 1)


def test_conversions_are_counted_without_the_rows_that_are_rejected(using: Using, tmp_path: Path) -> None:
    metadata = sa.MetaData()
    sa.Table("line", metadata, sa.Column("n", sa.Integer), sa.Column("v", sa.Text), sa.Column("at", sa.DateTime))
    config = using(metadata)
    create(config.database("duckdb"), metadata)
    execute(
        config.database("sqlite"),
        "INSERT INTO line VALUES (1, 'a', ''), (1, 'a', ''), ('x', 'a', ''), (2, 'b', '2024-01-01 00:00:00')",
    )
    result = sync(config, "sqlite", "duckdb", convert=["line.at:empty-as-null"], rejects=tmp_path / "rejects")
    assert (counts(result), [each.rows for each in result.rejected]) == ({"line": (3, 0, 0, 0)}, [1])
