"""`--since` between two files of SQLite without models: times are texts there, and are compared as times."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.operations.test_dumped_forms import files, run
from toolkit.errors import ConfigurationError
from toolkit.operations.sync import sync
from toolkit.operations.transfer.watermarks import Since

TABLE = "CREATE TABLE t (id integer PRIMARY KEY, v text, at {})"


@pytest.mark.parametrize(
    ("declared", "form"),
    [
        ("datetime", "2024-01-{:02d} 03:04:05"),
        ("datetime", "2024-01-{:02d} 03:04:05.678901"),
        ("timestamp", "2024-01-{:02d}T03:04:05.678Z"),
        ("datetime", "2024-01-{:02d} 03:04:05-05:00"),
        ("datetime", "2024-01-{:02d} 03:04"),
        ("date", "2024-01-{:02d}"),
    ],
)
def test_only_rows_of_later_times_are_looked_at(tmp_path: Path, declared: str, form: str) -> None:
    config, one = files(tmp_path, TABLE.format(declared)), tmp_path / "one.sqlite3"
    for day in (2, 4, 6):
        run(one, "INSERT INTO t (v, at) VALUES ('old', ?)", values=(form.format(day),))
    assert sync(config, "one", "two", since=Since("at")).verified
    run(one, "UPDATE t SET v = 'unseen' WHERE id = 1", "UPDATE t SET v = 'seen' WHERE id = 3")
    run(one, "INSERT INTO t (v, at) VALUES ('new', ?)", values=(form.format(8),))
    assert sync(config, "one", "two", since=Since("at")).verified
    assert [v for _, v, _ in run(tmp_path / "two.sqlite3", "SELECT * FROM t")] == ["old", "old", "seen", "new"]


def test_times_of_several_zones_and_forms_are_in_their_order_and_what_is_no_time_is_looked_at_each_time(
    tmp_path: Path,
) -> None:
    config, one = files(tmp_path, TABLE.format("datetime")), tmp_path / "one.sqlite3"
    # In the order of their times; as texts, they are in another.
    times = ["2024-01-02 09:00:00+05:00", "2024-01-02T05:00Z", "2024-01-02 06:00:00", "2024-01-02 03:00:00-05:00"]
    for at in (*times, "some day", "12:30"):
        run(one, "INSERT INTO t (v, at) VALUES ('old', ?)", values=(at,))
    sync(config, "one", "two", since=Since("at"))
    for at in ("2024-01-02 04:30:00-05:00", "no day"):
        run(one, "INSERT INTO t (v, at) VALUES ('new', ?)", values=(at,))
    run(one, "UPDATE t SET v = 'seen' WHERE id IN (4, 5, 6)")
    sync(config, "one", "two", since=Since("at"))
    found = [v for _, v, _ in run(tmp_path / "two.sqlite3", "SELECT * FROM t")]
    assert found == ["old", "old", "old", "seen", "seen", "seen", "new", "new"]


@pytest.mark.parametrize(
    ("declared", "value", "said"),
    [("datetime", 5, "holds values of several kinds (integer, text)"), ("text", "2024-01-03", "holds text")],
)
def test_what_is_no_column_of_times_is_refused_with_what_to_do(
    tmp_path: Path, declared: str, value: object, said: str
) -> None:
    config = files(tmp_path, TABLE.format(declared))
    run(tmp_path / "one.sqlite3", "INSERT INTO t (at) VALUES (?), ('2024-01-02')", values=(value,))
    with pytest.raises(ConfigurationError) as caught:
        sync(config, "one", "two", since=Since("at"))
    assert f"t.at {said}, which does not grow" in caught.value.fact
    assert "Without --since, all rows are compared." in caught.value.advice
