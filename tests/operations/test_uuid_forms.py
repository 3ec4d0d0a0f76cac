"""A UUID that a SQLite file stores as 16 bytes here and as text there is one value to models, and two to SQLite."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from advanced_alchemy.types import GUID

from toolkit.config import Config, load_config
from toolkit.errors import MisfitsError, ToolkitError, TwoFormsError, UnrepresentableValueError
from toolkit.operations.diff.compare import Status, diff
from toolkit.operations.fixtures.dump import dump_data
from toolkit.operations.sync import sync

ONE, TWO = uuid.UUID(int=0xABCDEF << 96), uuid.UUID(int=2 << 96)
metadata = sa.MetaData()
sa.Table("author", metadata, sa.Column("id", GUID(length=16), primary_key=True), sa.Column("name", sa.String))
sa.Table(
    "book",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("author_id", GUID(length=16), sa.ForeignKey("author.id")),
)
of_digits = sa.MetaData()
sa.Table("author", of_digits, sa.Column("id", sa.Uuid, primary_key=True))


def written(directory: Path, authors: list[bytes | str], books: list[bytes | str]) -> Config:
    """The configuration of a file with these keys, with and without models, and of an empty one."""
    with sqlite3.connect(directory / "one.sqlite3") as file:
        file.execute("CREATE TABLE author (id BINARY(16) NOT NULL PRIMARY KEY, name VARCHAR)")
        file.execute("CREATE TABLE book (id INTEGER PRIMARY KEY, author_id BINARY(16) REFERENCES author (id))")
        file.executemany("INSERT INTO author (id) VALUES (?)", [(each,) for each in authors])
        file.executemany("INSERT INTO book (author_id) VALUES (?)", [(each,) for each in books])
    file.close()
    environ = {"TOOLKIT_ONE_URL": "sqlite:///one.sqlite3", "TOOLKIT_TWO_URL": "sqlite:///two.sqlite3"}
    return load_config(directory, environ, f"{__name__}:metadata")


WORK: dict[str, Callable[[Config], object]] = {
    "sync": lambda config: sync(config, "one", "two"),
    "dump": lambda config: dump_data(config, "one"),
}


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_a_key_in_two_forms_is_refused_with_both_and_what_makes_them_one(
    tmp_path: Path, work: Callable[[Config], object]
) -> None:
    config = written(tmp_path, [ONE.bytes, str(ONE), str(TWO)], [])
    with pytest.raises(TwoFormsError) as caught:
        work(config)
    assert caught.value.fact == (
        f"author.id: 2 rows of one have the same UUID, {ONE}, in different forms. The column has 16 bytes in 1 row "
        f"(first: id=X'{ONE.hex}'), text with hyphens in 2 rows (first: id={TWO})."
    )
    assert "UPDATE author SET id = unhex(id, '-') WHERE typeof(id) = 'text'" in caught.value.advice
    assert not (tmp_path / "two.sqlite3").exists()


def test_keys_that_are_no_uuids_are_told_as_that(tmp_path: Path) -> None:
    config = written(tmp_path, ["ab", b"\xab"], [])
    with pytest.raises(MisfitsError, match="2 values, no uuid: 'ab'"):
        sync(config, "one", "two")


def test_uuids_of_a_column_of_32_characters_are_to_be_text(tmp_path: Path) -> None:
    config = written(tmp_path, [ONE.bytes, ONE.hex], []).with_metadata(f"{__name__}:of_digits")
    with pytest.raises(TwoFormsError) as caught:
        sync(config, "one", "two")
    assert "Write all of them as text of 32 digits in one" in caught.value.advice


def test_such_a_table_is_not_said_to_be_equal_to_one_of_fewer_rows(tmp_path: Path) -> None:
    config = written(tmp_path, [ONE.bytes, str(ONE)], [])
    with sqlite3.connect(tmp_path / "two.sqlite3") as file:
        file.execute("CREATE TABLE author (id BINARY(16) NOT NULL PRIMARY KEY, name VARCHAR)")
        file.execute("INSERT INTO author (id) VALUES (?)", [ONE.bytes])
    file.close()
    for source, target in (("one", "two"), ("two", "one")):
        (found,) = diff(config, source, target, ["author"]).tables
        assert (found.status, "the same UUID" in str(found)) == (Status.FAILED, True)


def test_different_keys_in_different_forms_are_synced_by_models(tmp_path: Path) -> None:
    config = written(tmp_path, [ONE.bytes, str(TWO)], [str(ONE), TWO.bytes])
    assert sync(config, "one", "two").verified
    with sqlite3.connect(tmp_path / "two.sqlite3") as file:
        keys = [each for (each,) in file.execute("SELECT id FROM author UNION ALL SELECT author_id FROM book")]
    file.close()
    assert sorted(keys) == sorted([ONE.bytes, TWO.bytes] * 2)


def test_by_models_a_changed_row_is_found_by_its_key_in_another_form_and_refused_where_it_is_to_be_written(
    tmp_path: Path,
) -> None:
    others = [uuid.UUID(int=number << 64) for number in range(3, 30)]
    config = written(tmp_path, [ONE.bytes, *map(str, others), str(TWO)], [])
    sync(config, "one", "two")
    with sqlite3.connect(tmp_path / "one.sqlite3") as file:
        file.execute("UPDATE author SET name = 'new' WHERE id IN (?, ?)", [ONE.bytes, str(TWO)])
    file.close()
    (found,) = sync(config, "one", "two", ["author"]).tables
    assert (found.updated, found.unchanged) == (2, 27)
    with sqlite3.connect(tmp_path / "two.sqlite3") as file:
        assert file.execute("SELECT id FROM author WHERE name = 'new' ORDER BY id DESC").fetchall() == [
            (ONE.bytes,),
            (TWO.bytes,),
        ]
        file.execute("UPDATE author SET name = 'newer' WHERE id = ?", [TWO.bytes])
    file.close()
    with pytest.raises(UnrepresentableValueError, match="would come a second time") as caught:
        sync(config, "two", "one", ["author"])
    assert "Write the keys there in that form: UUIDs as 16 bytes." in caught.value.advice


def test_without_models_rows_that_point_at_another_form_are_refused_with_both(tmp_path: Path) -> None:
    config = written(tmp_path, [ONE.bytes, TWO.bytes], [str(ONE)]).with_metadata("")
    with pytest.raises(ToolkitError, match="points at author that two does not have") as caught:
        sync(config, "one", "two")
    assert "book.author_id has UUIDs as text with hyphens, author.id as 16 bytes" in caught.value.advice
