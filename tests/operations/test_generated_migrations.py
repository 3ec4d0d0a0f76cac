"""A migration that is generated on any engine goes up and down on all of them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.operations import many_types
from tests.operations.databases import connected
from tests.operations.schema_changes import CHANGES, CONVENTION, PARENTS
from tests.operations.test_schema_changes import catalogue
from toolkit.config import Config, Database
from toolkit.operations.migrations import history, migrate

ENGINES = ("sqlite", "postgres", "duckdb")
GENERATED = tuple(change for change in CHANGES if change.is_generated or change.name in {"check", "no_check"})
# Words of one engine, which no other reads or reads as the same.
_OWN_WORDS = re.compile(r"postgresql|sqlite|duckdb|DATETIME|TIMESTAMP|VARCHAR|BLOB|BYTEA|::|nextval")


def _metadata(*, is_after: bool) -> sa.MetaData:
    metadata = sa.MetaData(naming_convention=CONVENTION)
    sa.Table("parent", metadata, sa.Column("id", sa.Integer, primary_key=True))
    for change in GENERATED:
        change.table(metadata, is_after=is_after)
    return metadata


BEFORE, AFTER = _metadata(is_after=False), _metadata(is_after=True)


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
@pytest.mark.parametrize("origin", ENGINES)
def test_a_migration_generated_on_any_engine_is_the_same_on_all(config: Config, tmp_path: Path, origin: str) -> None:
    before, after = (
        replace(config, root=tmp_path, migrations=tmp_path / "m", metadata=f"{__name__}:{name}")
        for name in ("BEFORE", "AFTER")
    )
    history.init(before.migrations)
    history.make_migrations(config.database(origin), before, "before")
    for name in ENGINES:
        migrate.upgrade(config.database(name), before)
        assert migrate.check(config.database(name), before).changes == ()
        _fill(config.database(name))
    made = history.make_migrations(config.database(origin), after, "after")
    assert made is not None
    assert not _OWN_WORDS.search(made.path.read_text())
    for name in ENGINES:
        _there_and_back(config.database(name), after)


def _fill(database: Database) -> None:
    with connected(database) as connection:
        connection.execute(BEFORE.tables["parent"].insert(), [{"id": number} for (number,) in PARENTS])
        for change in GENERATED:
            table = BEFORE.tables[change.name]
            names = [each.name for each in table.columns if each.computed is None]
            connection.execute(table.insert(), [dict(zip(names, row, strict=False)) for row in change.rows])


def _catalogue(database: Database) -> dict[tuple[str, str], str]:
    return {place: re.sub(r"<[^>]* at 0x\w+>", "", text) for place, text in catalogue(database).items()}


def _there_and_back(database: Database, project: Config) -> None:
    first = catalogue(database)
    migrate.upgrade(database, project)
    _require_rows(database, AFTER, "after")
    assert migrate.check(database, project).changes == ()
    second = catalogue(database)
    migrate.downgrade(database, project)
    _require_rows(database, BEFORE, "back")
    assert catalogue(database) == first
    migrate.upgrade(database, project)
    assert catalogue(database) == second


def _require_rows(database: Database, metadata: sa.MetaData, stage: str) -> None:
    with connected(database) as connection:
        for change in GENERATED:
            found = connection.execute(sa.select(metadata.tables[change.name]).order_by(sa.literal_column("id")))
            assert [tuple(row) for row in found] == change.rows_at(stage), change.name


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
@pytest.mark.parametrize("origin", ENGINES)
def test_what_engines_tell_in_their_own_words_or_not_at_all_goes_both_ways(
    config: Config, tmp_path: Path, origin: str
) -> None:
    before, after = (
        replace(config, root=tmp_path, migrations=tmp_path / "m", metadata=f"tests.operations.many_types:{name}")
        for name in ("MANY_BEFORE", "MANY_AFTER")
    )
    history.init(before.migrations)
    history.make_migrations(config.database(origin), before, "before")
    found = {}
    for name in ENGINES:
        migrate.upgrade(config.database(name), before)
        checked = migrate.check(config.database(name), before)
        assert (checked.changes, checked.not_compared) == ((), ())
        found[name] = _catalogue(config.database(name))
    made = history.make_migrations(config.database(origin), after, "after")
    assert made is not None
    assert many_types.KEY not in made.path.read_text()
    for name in ENGINES:
        database = config.database(name)
        migrate.upgrade(database, after)
        assert migrate.check(database, after).changes == ()
        second = _catalogue(database)
        migrate.downgrade(database, after)
        assert _catalogue(database) == found[name]
        migrate.upgrade(database, after)
        assert _catalogue(database) == second
        migrate.downgrade(database, after, "base")
    with connected(config.database("postgres")) as connection:
        assert connection.scalars(sa.text("SELECT typname FROM pg_type WHERE typtype = 'e'")).all() == []
