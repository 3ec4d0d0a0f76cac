"""Keys of models that stand as characters, in other forms than they are written in: one value, two to a database."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa

from tests.operations.databases import connected, execute
from toolkit.config import Config, Database
from toolkit.errors import UnrepresentableValueError
from toolkit.operations.sync import sync

UUIDS, MOMENTS, NUMBERS = sa.MetaData(), sa.MetaData(), sa.MetaData()
sa.Table("t", UUIDS, sa.Column("k", sa.Uuid, primary_key=True), sa.Column("v", sa.Text))
sa.Table("t", MOMENTS, sa.Column("k", sa.DateTime, primary_key=True), sa.Column("v", sa.Text))
sa.Table("t", NUMBERS, sa.Column("k", sa.Numeric(10, 3), primary_key=True), sa.Column("v", sa.Text))


@pytest.mark.parametrize(
    ("metadata", "stored", "database"),
    [
        *(("UUIDS", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A{:02}", name) for name in ("sqlite2", "duckdb")),
        *(("MOMENTS", "2024-01-02T03:04:{:02}", name) for name in ("sqlite2", "postgres")),
        ("NUMBERS", "{}.50", "sqlite2"),
    ],
)
def test_a_changed_row_is_found_by_its_key_and_not_written_beside_itself(
    shop: Config, metadata: str, stored: str, database: str
) -> None:
    config = replace(shop, metadata=f"{__name__}:{metadata}", migrations=shop.root / "none")
    rows = ", ".join(f"('{stored.format(number)}', 'old')" for number in range(40))
    table = "CREATE TABLE t (k VARCHAR(36) PRIMARY KEY, v TEXT)"
    execute(config.database(database), table, f"INSERT INTO t VALUES {rows}")
    sync(config, database, "sqlite")
    execute(config.database(database), f"UPDATE t SET v = 'new' WHERE k = '{stored.format(9)}'")
    (found,) = sync(config, database, "sqlite").tables
    assert (found.updated, found.unchanged) == (1, 39)
    execute(config.database("sqlite"), "UPDATE t SET v = 'newer' WHERE v = 'new'")
    with pytest.raises(UnrepresentableValueError, match="would come a second time"):
        sync(config, "sqlite", database)
    with connected(config.database(database)) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM t").scalar() == 40


def test_a_uuid_of_capitals_is_found_in_mariadb_and_not_written_beside_itself(shop: Config, mariadb_url: str) -> None:
    database = Database("mariadb", mariadb_url, shop.root)
    databases = {**shop.databases, "mariadb": database}
    config = replace(shop, databases=databases, metadata=f"{__name__}:UUIDS", migrations=shop.root / "none")
    table = "CREATE TABLE t (k VARCHAR(36) COLLATE utf8mb4_bin PRIMARY KEY, v TEXT)"
    rows = ", ".join(f"('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A{number:02}', 'old')" for number in range(40))
    execute(database, table, f"INSERT INTO t VALUES {rows}")
    sync(config, "mariadb", "sqlite")
    execute(
        database, "UPDATE t SET k = lower(k) WHERE k REGEXP '03$'", "UPDATE t SET v = 'new' WHERE k REGEXP '0[37]$'"
    )
    (found,) = sync(config, "mariadb", "sqlite").tables
    assert (found.updated, found.unchanged) == (2, 38)
    execute(config.database("sqlite"), "UPDATE t SET v = 'newer' WHERE v = 'new'")
    with pytest.raises(UnrepresentableValueError, match="would come a second time"):
        sync(config, "sqlite", "mariadb")
    execute(database, "UPDATE t SET k = lower(k)")
    (found,) = sync(config, "sqlite", "mariadb").tables
    assert found.updated == 2
