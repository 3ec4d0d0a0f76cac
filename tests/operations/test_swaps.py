"""Unique values that move between rows arrive on every engine, whatever their type and however many rows they pass."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.operations.databases import connected, contents, create, execute
from toolkit.config import Config
from toolkit.engines.duckdb.table import DuckDBRepository
from toolkit.errors import UniqueConflictError
from toolkit.operations.diff.compare import diff
from toolkit.operations.sync import sync
from toolkit.operations.transfer.options import Mode, Options

METADATA = sa.MetaData()
SEAT = sa.Table(
    "seat",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("label", sa.String(20), nullable=False, unique=True),
    sa.Column("guest", sa.Text, unique=True),
    sa.Column("row", sa.Integer, nullable=False),
    sa.Column("place", sa.SmallInteger, nullable=False),
    sa.Column("token", sa.Uuid, nullable=False, unique=True),
    sa.Column("badge", sa.LargeBinary, nullable=False, unique=True),
    sa.UniqueConstraint("row", "place"),
)
NOTE = sa.Table(
    "note",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("seat_id", sa.ForeignKey("seat.id", ondelete="CASCADE"), nullable=False),
)
CARDS = sa.MetaData()
sa.Table("owner", CARDS, sa.Column("id", sa.Integer, primary_key=True))
sa.Table(
    "card",
    CARDS,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("owner_id", sa.ForeignKey("owner.id"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.UniqueConstraint("owner_id", "number"),
)
TARGETS = ["sqlite2", "postgres", "duckdb"]
# What each row holds before and after, without a row or a value in common; 9 is NULL in one of the columns.
EXCHANGES: dict[str, tuple[dict[int, int], dict[int, int]]] = {
    "swap": ({11: 11, 12: 12}, {11: 12, 12: 11}),
    "cycle of three": ({21: 21, 22: 22, 23: 23}, {21: 22, 22: 23, 23: 21}),
    "cycle with NULL": ({1: 1, 2: 2, 3: 9}, {1: 9, 2: 1, 3: 2}),
    # A new row takes the value of one that moves on.
    "taken by a new row": ({35: 31}, {31: 31, 35: 32}),
}


def seat(number: int, value: int) -> dict[str, Any]:
    """A row whose unique values are all those of one number."""
    return {
        "id": number,
        "label": f"L{value}",
        "guest": None if value == 9 else f"guest {value}",
        "row": 1,
        "place": value,
        "token": uuid.UUID(int=value),
        "badge": bytes([value]),
    }


@pytest.fixture
def seats(shop: Config) -> Config:
    return replace(shop, metadata=f"{__name__}:METADATA")


@pytest.fixture
def row_by_row() -> Iterator[None]:
    """Let DuckDB take each row by a statement of its own."""
    usual, DuckDBRepository.row_group = DuckDBRepository.row_group, 1
    yield
    DuckDBRepository.row_group = usual


def put(config: Config, name: str, values: dict[int, int]) -> None:
    """Fill a database anew with these seats, with a note to each that only stays if the seat does."""
    with connected(config.database(name)) as connection:
        if sa.inspect(connection).get_table_names():
            connection.execute(NOTE.delete())
            connection.execute(SEAT.delete())
        else:
            METADATA.create_all(connection, checkfirst=False)
    # Another transaction: DuckDB has no room for a key that was deleted in the same one.
    with connected(config.database(name)) as connection:
        if values:
            connection.execute(SEAT.insert(), [seat(number, value) for number, value in values.items()])
            connection.execute(NOTE.insert(), [{"id": number, "seat_id": number} for number in values])


@pytest.mark.parametrize(
    ("names", "commit_every", "target"),
    [
        *((list(EXCHANGES), None, target) for target in TARGETS),
        (["cycle with NULL"], 1, "postgres"),
        (["taken by a new row"], 1, "duckdb"),
    ],
    ids=[*(f"at once-{target}" for target in TARGETS), "cycle in parts", "taken in parts"],
)
def test_unique_values_that_rows_exchange_arrive(
    seats: Config, row_by_row: None, target: str, names: list[str], commit_every: int | None
) -> None:
    put(seats, target, {row: value for name in names for row, value in EXCHANGES[name][0].items()})
    put(seats, "sqlite", {row: value for name in names for row, value in EXCHANGES[name][1].items()})
    result = sync(seats, "sqlite", target, options=Options(commit_every=commit_every))
    assert [(table.table, table.verified) for table in result.tables] == [("seat", True), ("note", True)]
    assert contents(seats.database(target), METADATA) == contents(seats.database("sqlite"), METADATA)
    assert not sum(table.inserted + table.updated for table in sync(seats, "sqlite", target).tables)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["postgres", "duckdb"])
@settings(deadline=None, max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_values_in_any_rows_become_those_of_the_source(
    seats: Config, row_by_row: None, target: str, data: st.DataObject
) -> None:
    sides = st.integers(0, 6).flatmap(
        lambda count: st.tuples(
            st.lists(st.integers(1, 8), min_size=count, max_size=count, unique=True),
            st.lists(st.integers(1, 9), min_size=count, max_size=count, unique=True),
        )
    )
    before, after = (dict(zip(*data.draw(sides), strict=True)) for _ in range(2))
    put(seats, target, before)
    put(seats, "sqlite", after or {1: 1})
    sync(seats, "sqlite", target, options=Options(mode=Mode.REPLACE))
    assert diff(seats, "sqlite", target).equal


@pytest.mark.parametrize("target", ["duckdb"])
def test_a_row_that_goes_gives_its_value_up_even_while_others_still_point_at_it(seats: Config, target: str) -> None:
    put(seats, target, {2: 1})
    put(seats, "sqlite", {1: 1})
    for name, seat_id in ((target, 2), ("sqlite", 1)):
        execute(seats.database(name), "DELETE FROM note", f"INSERT INTO note VALUES (7, {seat_id})")
    sync(seats, "sqlite", target, options=Options(mode=Mode.REPLACE))
    assert contents(seats.database(target), METADATA) == contents(seats.database("sqlite"), METADATA)


@pytest.mark.parametrize(("target", "commit_every"), [("duckdb", None), ("sqlite2", 1)])
def test_a_value_that_a_row_of_the_target_keeps_is_still_a_conflict_and_nothing_is_written(
    seats: Config, target: str, commit_every: int | None
) -> None:
    put(seats, target, {1: 1, 2: 2, 3: 3})
    put(seats, "sqlite", {1: 2, 2: 3})
    before = contents(seats.database(target), METADATA)
    with pytest.raises(UniqueConflictError) as caught:
        sync(seats, "sqlite", target, options=Options(commit_every=commit_every))
    assert "id=3" in str(caught.value)
    assert contents(seats.database(target), METADATA) == before


def test_a_swap_that_a_check_constraint_has_no_room_for_is_told_and_nothing_is_written(seats: Config) -> None:
    put(seats, "postgres", {1: 1, 2: 2})
    execute(seats.database("postgres"), "ALTER TABLE seat ADD CHECK (label LIKE 'L%%')")
    put(seats, "sqlite", {1: 2, 2: 1})
    before = contents(seats.database("postgres"), METADATA)
    with pytest.raises(Exception, match="seat_label_check"):
        sync(seats, "sqlite", "postgres")
    assert contents(seats.database("postgres"), METADATA) == before


@pytest.mark.parametrize("target", ["postgres"])
def test_numbers_pass_by_others_that_no_row_has_or_is_given_and_no_foreign_key_does(shop: Config, target: str) -> None:
    cards = replace(shop, metadata=f"{__name__}:CARDS")
    for name, rows in (("sqlite", "(0, 1, 3), (1, 1, 2), (2, 1, 1)"), (target, "(1, 1, 1), (2, 1, 2)")):
        create(cards.database(name), CARDS)
        execute(cards.database(name), "INSERT INTO owner VALUES (1)", f"INSERT INTO card VALUES {rows}")
    assert sync(cards, "sqlite", target).verified
    assert contents(cards.database(target), CARDS) == contents(cards.database("sqlite"), CARDS)
