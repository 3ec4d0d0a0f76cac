"""`--where-source`: a condition of the source alone, so that rows that no longer meet it leave the copy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from tests.operations.clients import run_script
from tests.operations.databases import create, execute
from tests.operations.outcomes import counts
from tests.operations.test_hard_schemas import ALL, Using, plain, rows, using
from toolkit.config import Config
from toolkit.errors import ConditionError, DeleteGuardError, UnknownNameError
from toolkit.operations.diff.compare import diff
from toolkit.operations.diff.script import diff_sql
from toolkit.operations.sync import sync
from toolkit.operations.transfer.deletes import DeleteLimit
from toolkit.operations.transfer.options import Mode
from toolkit.operations.transfer.watermarks import Since

__all__ = ["using"]

# Only the source has this column, and only its engine knows this operator.
PUBLIC = {"t": "state GLOB 'pub*'"}


@pytest.fixture
def copied(using: Using) -> Config:
    """Rows of which the source alone knows which are public: 1 and 2 are, 4 has gone."""
    config = using(plain("t", sa.Column("v", sa.Text), sa.Column("n", sa.Integer)))
    execute(
        config.database("sqlite"),
        "ALTER TABLE t ADD COLUMN state TEXT",
        "INSERT INTO t VALUES (1, 'a', 1, 'public'), (2, 'b', 2, 'pub'), (3, 'c', 3, 'draft'), (5, 'e', 5, 'draft')",
    )
    return config


def copy(config: Config, target: str, more: str = "") -> None:
    create(config.database(target), _metadata())
    execute(config.database(target), f"INSERT INTO t VALUES (1, 'a', 1), (3, 'c', 3), (4, 'd', 4){more}")


def _metadata() -> sa.MetaData:
    return plain("t", sa.Column("v", sa.Text), sa.Column("n", sa.Integer))


@pytest.mark.parametrize("target", ["postgres"])
def test_rows_that_no_longer_meet_it_leave_the_copy_with_delete_and_stay_without(copied: Config, target: str) -> None:
    copy(copied, target)
    assert counts(sync(copied, "sqlite", target, where_source=PUBLIC)) == {"t": (1, 0, 1, 0)}
    assert len(rows(copied, target, "SELECT id FROM t")) == 4
    result = sync(copied, "sqlite", target, where_source=PUBLIC, options=ALL)
    assert (counts(result), result.verified) == ({"t": (0, 0, 2, 2)}, True)
    assert rows(copied, target, "SELECT * FROM t") == [(1, "a", 1), (2, "b", 2)]
    assert counts(sync(copied, "sqlite", target, where_source=PUBLIC, options=ALL)) == {"t": (0, 0, 2, 0)}


@pytest.mark.parametrize("target", ["sqlite2"])
def test_rows_that_another_condition_leaves_out_on_either_side_stay(copied: Config, target: str) -> None:
    """Of both sides n > 1 is asked: row 1 is outside of it there; row 5, a draft, is outside at the source alone."""
    copy(copied, target, ", (5, 'e', 50)")
    execute(copied.database("sqlite"), "UPDATE t SET n = 0 WHERE id = 5")
    result = sync(copied, "sqlite", target, where={"t": "n > 1"}, where_source=PUBLIC, options=ALL)
    assert (counts(result), result.verified) == ({"t": (1, 0, 0, 2)}, True)
    assert [row[0] for row in rows(copied, target, "SELECT id FROM t")] == [1, 2, 5]


def test_the_guards_of_delete_hold_as_ever(copied: Config) -> None:
    copy(copied, "sqlite2")
    limited = replace(ALL, max_delete=DeleteLimit(1, 0.0))
    with pytest.raises(DeleteGuardError, match="more than the limit"):
        sync(copied, "sqlite", "sqlite2", where_source=PUBLIC, options=limited)
    with pytest.raises(DeleteGuardError, match="the source has no rows of it"):
        sync(copied, "sqlite", "sqlite2", where_source={"t": "state = 'none'"}, options=ALL)
    assert len(rows(copied, "sqlite2", "SELECT id FROM t")) == 3


def test_it_holds_for_a_target_without_tables_with_match_and_is_no_condition_of_the_target(copied: Config) -> None:
    assert counts(sync(copied, "sqlite", "duckdb", where_source=PUBLIC)) == {"t": (2, 0, 0, 0)}
    copy(copied, "postgres")
    execute(copied.database("postgres"), "UPDATE t SET id = 9 WHERE id = 1")
    result = sync(copied, "sqlite", "postgres", where_source=PUBLIC, match={"t": ["v"]}, options=ALL)
    assert (counts(result), result.verified) == ({"t": (1, 0, 1, 2)}, True)
    with pytest.raises(ConditionError, match="sqlite: the condition 'nonsense' of table 't'"):
        sync(copied, "sqlite", "postgres", where_source={"t": "nonsense"})
    with pytest.raises(UnknownNameError, match="no table 'u'"):
        sync(copied, "sqlite", "postgres", where_source={"u": "true"})


def test_how_far_a_sync_came_is_kept_for_each_condition_of_the_source(copied: Config) -> None:
    since = Since("n")
    sync(copied, "sqlite", "sqlite2", where_source=PUBLIC, since=since)
    other = {"t": "state = 'draft'"}
    assert counts(sync(copied, "sqlite", "sqlite2", where_source=other, since=since)) == {"t": (2, 0, 0, 0)}
    execute(copied.database("sqlite"), "UPDATE t SET v = 'old' WHERE id = 1", "UPDATE t SET v = 'new' WHERE id = 2")
    assert counts(sync(copied, "sqlite", "sqlite2", where_source=PUBLIC, since=since)) == {"t": (0, 1, 0, 0)}


def test_rows_that_no_longer_meet_it_are_marked_with_soft_delete(using: Using) -> None:
    metadata = plain("t", sa.Column("is_deleted", sa.Boolean, nullable=False))
    config = using(metadata)
    create(config.database("sqlite2"), metadata)
    execute(config.database("sqlite"), "INSERT INTO t VALUES (1, 0), (2, 0)")
    execute(config.database("sqlite2"), "INSERT INTO t VALUES (1, 0), (2, 0)")
    options = replace(ALL, mode=Mode.SOFT_DELETE)
    result = sync(config, "sqlite", "sqlite2", where_source={"t": "id = 1"}, options=options)
    assert (result.tables[0].marked, result.verified) == (1, True)
    assert rows(config, "sqlite2", "SELECT * FROM t") == [(1, 0), (2, 1)]


@pytest.mark.parametrize("target", ["sqlite2"])
def test_a_difference_and_its_script_are_those_of_the_rows_that_meet_it(
    copied: Config, target: str, tmp_path: Path
) -> None:
    copy(copied, target)
    conditions: dict[str, Any] = {"where_source": PUBLIC, "where": {"t": "n < 4"}}

    for compared in (
        diff(copied, "sqlite", target, **conditions),
        diff_sql(copied, "sqlite", target, tmp_path / "script.sql", **conditions),
    ):
        (table,) = compared.tables
        assert (table.added, table.changed, table.removed, table.unchanged) == (1, 0, 1, 1)
    assert run_script(copied.database(target), tmp_path / "script.sql").returncode == 0
    assert rows(copied, target, "SELECT * FROM t") == [(1, "a", 1), (2, "b", 2), (4, "d", 4)]
    assert diff(copied, "sqlite", target, **conditions).equal
    assert sync(copied, "sqlite", target, where_source=PUBLIC, where={"t": "n < 4"}, options=ALL).verified
