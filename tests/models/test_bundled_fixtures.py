"""The files under `fixtures/`: their form, their consistency, and that every engine takes them."""

import enum
import hashlib
import itertools
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from advanced_alchemy.types import DateTimeUTC, FileObject, StoredObject
from sqlalchemy import Column, Date, Engine, Enum, String, Table, UniqueConstraint, insert, null, select
from sqlalchemy.orm import Session

from toolkit.models.todo import Todo, User, metadata

FIXTURES = Path(__file__).parents[2] / "fixtures"
BOOKKEEPING = "sa_orm_sentinel"

Row = dict[str, Any]


def read(table: Table) -> list[Row]:
    rows: list[Row] = json.loads(path_of(table).read_text("utf-8"))
    return rows


def path_of(table: Table) -> Path:
    return FIXTURES / f"{table.name}.json"


def data_columns(table: Table) -> list[Column[Any]]:
    return [column for column in table.columns if column.name != BOOKKEEPING]


def to_python(column: Column[Any], value: Any) -> Any:
    match column.type:
        case _ if value is None:
            return None
        case DateTimeUTC():
            return datetime.fromisoformat(value)
        case Date():
            return date.fromisoformat(value)
        case Enum(enum_class=kind) if kind is not None:
            return kind[value]
        case StoredObject():
            return FileObject(**value)
        case kind:
            return UUID(value) if kind.python_type is UUID else value


def to_fixture(value: Any) -> Any:
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat()
        case date():
            return value.isoformat()
        case UUID():
            return str(value)
        case enum.Enum():
            return value.name
        case FileObject():
            return value.to_dict()
        case _:
            return value


def unique_keys(table: Table) -> Iterator[tuple[str, ...]]:
    yield tuple(column.name for column in table.primary_key)
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield tuple(column.name for column in constraint.columns)
    for index in table.indexes:
        if index.unique:
            yield tuple(column.name for column in index.columns)


each_table = pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: table.name)


def test_there_is_one_file_for_each_table() -> None:
    assert {path.name for path in FIXTURES.glob("*.json")} - {"manifest.json"} == {
        path_of(table).name for table in metadata.sorted_tables
    }


@each_table
def test_a_file_is_an_array_with_one_row_a_line_and_text_as_it_is(table: Table) -> None:
    lines = path_of(table).read_text(encoding="utf-8").splitlines()
    assert (lines[0], lines[-1]) == ("[", "]")
    assert [json.loads(line.removesuffix(",")) for line in lines[1:-1]] == read(table)
    assert not any("\\u" in line for line in lines)


@each_table
def test_rows_are_in_order_of_their_key_and_columns_in_order_of_the_table(table: Table) -> None:
    rows = read(table)
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    assert {tuple(row) for row in rows} == {tuple(column.name for column in data_columns(table))}


@each_table
def test_every_value_is_in_its_one_form(table: Table, attachments_backend: None) -> None:
    for row, column in itertools.product(read(table), data_columns(table)):
        assert to_fixture(to_python(column, row[column.name])) == row[column.name]


@each_table
def test_every_value_fits_its_column(table: Table) -> None:
    for row, column in itertools.product(read(table), data_columns(table)):
        value = row[column.name]
        assert value is not None or column.nullable
        if isinstance(column.type, String) and value is not None:
            assert len(value) <= (column.type.length or len(value))


@each_table
def test_keys_are_unique_and_point_at_rows_that_are_there(table: Table) -> None:
    rows = read(table)
    for key in unique_keys(table):
        assert len({tuple(row[name] for name in key) for row in rows}) == len(rows)
    for foreign_key in table.foreign_keys:
        parents = {row[foreign_key.column.name] for row in read(foreign_key.column.table)}
        assert {row[foreign_key.parent.name] for row in rows} <= parents


def test_the_data_set_is_small_and_has_every_nullable_column_both_ways() -> None:
    counts = {table.name: len(read(table)) for table in metadata.sorted_tables}
    assert (counts["user_account"], counts["role"], counts["tag"], counts["todo"]) == (5, 3, 8, 40)
    for table in metadata.sorted_tables:
        for column in data_columns(table):
            if column.nullable:
                assert {row[column.name] is None for row in read(table)} == {True, False}


def test_every_attachment_has_its_file_of_the_size_that_its_row_says() -> None:
    listed = json.loads((FIXTURES / "manifest.json").read_bytes())["attachments"]["attachments"]
    rows = {row["file"]["filename"]: row["file"]["size"] for row in read(metadata.tables["attachment"])}
    assert {path: each["bytes"] for path, each in listed.items()} == rows
    for each in listed.values():
        content = (FIXTURES / "attachments" / each["sha256"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (each["bytes"], each["sha256"])
    assert len(list((FIXTURES / "attachments").iterdir())) == len(rows)


def test_a_todo_and_its_tags_belong_to_the_same_user() -> None:
    owner_of = {row["id"]: row["user_id"] for name in ("todo", "tag") for row in read(metadata.tables[name])}
    assert all(owner_of[row["todo_id"]] == owner_of[row["tag_id"]] for row in read(metadata.tables["todo_tag"]))


def load_fixtures(engine: Engine) -> None:
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            for row in read(table):
                values = {
                    column.name: null() if row[column.name] is None else to_python(column, row[column.name])
                    for column in data_columns(table)
                }
                connection.execute(insert(table).values(values))


def test_every_engine_takes_the_files_and_gives_back_the_same(engine: Engine, attachments_backend: None) -> None:
    load_fixtures(engine)
    with engine.connect() as connection:
        for table in metadata.sorted_tables:
            found = connection.execute(select(*data_columns(table)).order_by(table.c.id)).mappings()
            rows = [{name: to_fixture(value) for name, value in row.items()} for row in found]
            assert rows == read(table)


def test_the_loaded_rows_are_found_through_the_models(engine: Engine, attachments_backend: None) -> None:
    load_fixtures(engine)
    with Session(engine) as session:
        soren = session.scalars(select(User).where(User.email == "soren.brandt@example.org")).one()
        design = session.scalars(select(Todo).where(Todo.item == "Write the design document")).one()
        assert {role.slug for role in soren.roles} == {"team-member", "auditor"}
        assert (design.user, [tag.name for tag in design.tags]) == (soren, ["work"])
        assert [attachment.file.content_type for attachment in design.attachments] == ["application/pdf"]
