"""Checks of models that MariaDB has no place for are named before anything is made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.operations.databases import create
from toolkit.config import Config, load_config
from toolkit.errors import SchemaMismatchError
from toolkit.operations.sync import sync

plain, elsewhere = sa.MetaData(), sa.MetaData()
for metadata in (plain, elsewhere):
    item = sa.Table(
        "item",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("n", sa.Integer),
        sa.Column("word", sa.Text),
        # A text that is no column.
        sa.CheckConstraint("n > 0 AND word <> 'id'", name="harmless"),
    )
    part = sa.Table(
        "part",
        metadata,
        sa.Column("code", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("item_id", sa.Integer, sa.ForeignKey("item.id", ondelete="SET NULL")),
        sa.CheckConstraint("code > 0", name="of its own"),
    )
    checks = [
        (item, sa.CheckConstraint("id > 0", name="positive")),
        (item, sa.CheckConstraint(item.c.n > item.c.id)),
        (part, sa.CheckConstraint('"item_id" <> 13', name="no luck")),
    ]
    for table, check in checks:
        engines: Any = ("postgresql", "sqlite")
        table.append_constraint(check if metadata is plain else check.ddl_if(dialect=engines))


@pytest.fixture
def config(tmp_path: Path, mariadb_url: str) -> Config:
    """A file with these tables, and an empty database of MariaDB."""
    environ = {"TOOLKIT_ONE_URL": f"sqlite:///{tmp_path}/one.sqlite3", "TOOLKIT_TWO_URL": mariadb_url}
    config = load_config(tmp_path, environ, f"{__name__}:plain")
    create(config.database("one"), plain)
    return replace(config, migrations=Path("none"))


@pytest.mark.parametrize("dry_run", [True, False])
def test_checks_over_what_the_server_changes_by_itself_are_named_all_at_once(config: Config, dry_run: bool) -> None:
    with pytest.raises(SchemaMismatchError) as caught:
        sync(config, "one", "two", dry_run=dry_run)
    told = [problem.replace(" in two: MariaDB has none over a column that", ":") for problem in caught.value.problems]
    assert sorted(told) == [
        "item cannot have the check (item.n > item.id): numbers itself, as id does",
        "item cannot have the check positive (id > 0): numbers itself, as id does",
        'part cannot have the check no luck ("item_id" <> 13): its foreign key\'s action changes, as it does item_id',
    ]
    assert "ddl_if" in caught.value.advice


def test_made_elsewhere_alone_they_are_in_nobody_s_way(config: Config) -> None:
    assert sync(config.with_metadata(f"{__name__}:elsewhere"), "one", "two").created_schema
