"""Types that the toolkit does not know go through their own processors, where engines store them differently."""

from __future__ import annotations

import itertools
import uuid
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from tests.contracts.test_matrix import copy
from tests.operations.databases import connected
from toolkit.config import Config
from toolkit.core.tables import select_tables

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


metadata = sa.MetaData()
price = sa.Table(
    "price", metadata, sa.Column("id", TextualUuid, primary_key=True), sa.Column("amount", Cents)
)
ROWS: list[dict[str, Any]] = [{"id": uuid.UUID(int=n), "amount": n * 100 if n else None} for n in range(5)]


@pytest.mark.parametrize(("source", "target"), list(itertools.permutations(ENGINES, 2)))
def test_the_application_finds_its_own_values_in_every_engine(config: Config, source: str, target: str) -> None:
    (spec,) = select_tables(metadata)
    for name, rows in ((source, ROWS), (target, [{"id": uuid.UUID(int=1), "amount": 7}])):
        with connected(config.database(name)) as connection:
            metadata.create_all(connection)
            connection.execute(price.insert(), rows)

    assert copy(config, source, target, spec) == (4, 1, 0)
    assert copy(config, source, target, spec) == (0, 0, 5)

    with connected(config.database(target)) as connection:
        found = connection.execute(sa.select(price).order_by(price.c.amount.is_not(None), price.c.id)).mappings().all()
        one = connection.execute(sa.select(price.c.amount).where(price.c.id == uuid.UUID(int=3))).scalar_one()
    assert [dict(row) for row in found] == ROWS
    assert one == 300
