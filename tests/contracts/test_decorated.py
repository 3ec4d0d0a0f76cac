"""Types that the toolkit does not know go through their own processors, where engines store them differently."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from tests.contracts.test_matrix import RING, copy
from tests.operations.clients import for_clients, run_script
from tests.operations.databases import connected, execute
from toolkit.config import Config
from toolkit.core.tables import select_tables
from toolkit.errors import UnrepresentableValueError
from toolkit.operations.diff.script import diff_sql

ENGINES = ("sqlite", "postgres", "duckdb")


class TextualUuid(sa.types.TypeDecorator[uuid.UUID]):
    """The recipe of many applications: PostgreSQL's own type there, hyphenated upper-case text elsewhere."""

    impl = sa.String
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        native = dialect.name == "postgresql"
        return dialect.type_descriptor(postgresql.UUID() if native else sa.String(36))

    def process_bind_param(self, value: uuid.UUID | None, dialect: sa.Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return str(value).upper()

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> uuid.UUID | None:
        return value if value is None or isinstance(value, uuid.UUID) else uuid.UUID(value)


class Cents(sa.types.TypeDecorator[int]):
    """An amount: an integer in PostgreSQL, text elsewhere."""

    impl = sa.String
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        native = dialect.name == "postgresql"
        return dialect.type_descriptor(sa.BigInteger() if native else sa.String(20))

    def process_bind_param(self, value: int | None, dialect: sa.Dialect) -> Any:
        return value if value is None or dialect.name == "postgresql" else f"{value} ct"

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> int | None:
        return value if value is None or isinstance(value, int) else int(value.removesuffix(" ct"))


class Token(sa.types.TypeDecorator[str]):
    """A strongly typed identifier, stored as a UUID everywhere."""

    impl = sa.Uuid
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> uuid.UUID | None:
        return None if value is None else uuid.UUID(value.removeprefix("token_"))

    def process_result_value(self, value: uuid.UUID | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else f"token_{value.hex}"


class Stored(sa.types.TypeDecorator[Any]):
    """One type in PostgreSQL, another elsewhere; values are turned into what each of them takes."""

    impl = sa.String
    cache_ok = True

    def __init__(self, native: Any, other: Any, to_native: Any, to_other: Any) -> None:
        super().__init__()
        self.native, self.other, self.to_native, self.to_other = native, other, to_native, to_other

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        return dialect.type_descriptor(self.native if dialect.name == "postgresql" else self.other)

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        return value if value is None or dialect.name == "postgresql" else self.to_other(value)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Any:
        return value if value is None or dialect.name == "postgresql" else self.to_native(value)


def day_of(number: int) -> dt.date:
    return dt.date.fromordinal(number)


def seconds_of(moment: dt.datetime) -> int:
    return int(moment.replace(tzinfo=dt.UTC).timestamp())


def moment_of(seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).replace(tzinfo=None)


metadata = sa.MetaData()
price = sa.Table(
    "price",
    metadata,
    sa.Column("id", TextualUuid, primary_key=True),
    sa.Column("amount", Cents),
    sa.Column("token", Token),
    sa.Column("moment", Stored(sa.DateTime(), sa.BigInteger(), moment_of, seconds_of)),
    sa.Column("seconds", Stored(sa.BigInteger(), sa.DateTime(), seconds_of, moment_of)),
    sa.Column("day", Stored(sa.Integer(), sa.Date(), dt.date.toordinal, day_of)),
    sa.Column("cost", Stored(sa.Numeric(30, 10), sa.String(40), Decimal, str)),
    sa.Column("extra", Stored(postgresql.JSONB(none_as_null=True), sa.Text(), json.loads, json.dumps)),
    sa.Column("rate", sa.Numeric()),
)
MOMENT = dt.datetime(2024, 2, 29, 12, 30, 1)
FULL = {
    "token": f"token_{7:032x}",
    "moment": MOMENT,
    "seconds": seconds_of(MOMENT),
    "day": MOMENT.toordinal(),
    "cost": Decimal("12345678901234567890.1234567890"),
    "extra": {"a": [1, "C:\\u0000"]},
    "rate": None,
}
EMPTY = dict.fromkeys(FULL)
ROWS: list[dict[str, Any]] = [
    {"id": uuid.UUID(int=n), "amount": n * 100 if n else None, **(FULL if n else EMPTY)} for n in range(5)
]


@pytest.mark.parametrize(("source", "target"), RING)
def test_the_application_finds_its_own_values_in_every_engine(config: Config, source: str, target: str) -> None:
    (spec,) = select_tables(metadata)
    fill(config, source, target)

    assert copy(config, source, target, spec) == (4, 1, 0)
    assert copy(config, source, target, spec) == (0, 0, 5)

    require_arrived(config, target)


@pytest.mark.parametrize("target", ENGINES)
def test_a_script_writes_them_as_the_application_does(config: Config, tmp_path: Path, target: str) -> None:
    for_clients(config)
    fill(config, "sqlite2", target)
    config = replace(config, metadata=f"{__name__}:metadata")
    diff_sql(config, "sqlite2", target, tmp_path / "script.sql")
    assert run_script(config.database(target), tmp_path / "script.sql").returncode == 0
    require_arrived(config, target)


@pytest.mark.parametrize(("source", "target"), [("sqlite", "duckdb"), ("duckdb", "sqlite")])
def test_a_value_that_its_type_does_not_take_is_told_by_row_and_column(
    config: Config, source: str, target: str
) -> None:
    (spec,) = select_tables(metadata)
    fill(config, source, target)
    key = str(ROWS[3]["id"]).upper()
    execute(config.database(source), f"UPDATE price SET amount = 'much' WHERE id = '{key}'")
    with pytest.raises(UnrepresentableValueError, match=r"column 'amount' holds 'much', which its type") as caught:
        copy(config, source, target, spec)
    assert str(ROWS[3]["id"]) in caught.value.fact


def fill(config: Config, source: str, target: str) -> None:
    """The rows in the source; one of them, with another amount, in the target."""
    for name, rows in ((source, ROWS), (target, [{**ROWS[1], "amount": 7}])):
        with connected(config.database(name)) as connection:
            metadata.create_all(connection)
            connection.execute(price.insert(), rows)


def require_arrived(config: Config, target: str) -> None:
    """See that an application finds the rows there."""
    with connected(config.database(target)) as connection:
        found = connection.execute(sa.select(price).order_by(price.c.amount.is_not(None), price.c.id)).mappings().all()
        one = connection.execute(sa.select(price.c.amount).where(price.c.id == uuid.UUID(int=3))).scalar_one()
    assert [dict(row) for row in found] == ROWS
    assert one == 300
