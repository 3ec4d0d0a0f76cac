"""Fixtures for a database whose migrations insert rows: they are completed and checked when those are there."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.operations.databases import connected
from tests.operations.outcomes import counts
from toolkit.config import Config, Database, load_config
from toolkit.errors import FixtureProblemsError, ToolkitError
from toolkit.operations.fixtures.load import load_data
from toolkit.operations.transfer.options import Mode, Options
from toolkit.testing.seeds import Seed

OWN_ENVIRONMENT = "from toolkit.migration_environment import run_migrations\n\nrun_migrations()\n"
APPLICATIONS_ENVIRONMENT = "raise RuntimeError('it connects to what the application names')\n"
MIGRATION = """
from alembic import op
import sqlalchemy as sa
from tests.operations.club import metadata

revision, down_revision = "0001", None

def upgrade():
    metadata.create_all(op.get_bind())
    team = sa.table("team", sa.column("id", sa.Integer), sa.column("slug", sa.String))
    op.bulk_insert(team, [{"id": 1, "slug": "admin"}, {"id": 2, "slug": "guest"}])
"""
# With the one env.py and with the other.
EVERY_ENGINE = pytest.mark.parametrize(
    ("club", "database"),
    [
        (OWN_ENVIRONMENT, "sqlite"),
        (OWN_ENVIRONMENT, "postgres"),
        (APPLICATIONS_ENVIRONMENT, "duckdb"),
    ],
    indirect=True,
    ids=["own-sqlite", "own-postgres", "application's-duckdb"],
)
POSTS: dict[str, Any] = {
    "member": [{"email": "a"}],
    "post": [{"title": "by name", "author": {"email": "a"}, "team": {"slug": "guest"}}],
}


@pytest.fixture(params=[OWN_ENVIRONMENT, APPLICATIONS_ENVIRONMENT], ids=["own", "application's"])
def club(request: pytest.FixtureRequest, config: Config, tmp_path: Path) -> Config:
    """The club's tables, made by a migration that inserts two teams."""
    for name, text in {"env.py": request.param, "script.py.mako": "", "versions/0001.py": MIGRATION}.items():
        (tmp_path / "history" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "history" / name).write_text(text)
    (tmp_path / "seed").mkdir()
    reference = "tests.operations.club:metadata"
    return replace(config, metadata=reference, migrations=tmp_path / "history", fixtures=tmp_path / "seed")


def put(config: Config, tables: dict[str, Any]) -> None:
    """Write fixtures, a row a line."""
    for name, rows in tables.items():
        text = "[\n" + ",\n".join(map(json.dumps, rows)) + "\n]"
        (Path(str(config.fixtures)) / f"{name}.json").write_text(text)


def read(database: Database, statement: str) -> list[tuple[Any, ...]]:
    with connected(database) as connection:
        return [tuple(row) for row in connection.exec_driver_sql(statement)]


def tables_in(database: Database) -> Iterable[str]:
    """The tables of a database, and that its file is there at all."""
    if database.file is not None and not database.file.exists():
        return []
    with connected(database) as connection:
        return ["", *sa.inspect(connection).get_table_names()]


@pytest.mark.slow
@EVERY_ENGINE
def test_rows_meet_those_that_migrations_insert_on_an_empty_target(club: Config, database: Database) -> None:
    keyed = {"id": "00000000-0000-0000-0000-00000000000a", "title": "by key", "author": {"email": "a"}, "team_id": 1}
    teams = [{"slug": "admin", "title": "Told"}, {"slug": "new", "parent": {"slug": "guest"}}]
    put(club, POSTS | {"team": teams, "post": [*POSTS["post"], keyed]})
    told = counts(load_data(club, database.name))
    assert told == {"member": (1, 0, 0, 0), "team": (1, 1, 0, 0), "post": (2, 0, 0, 0)}
    # Keys that migrations took are not given again.
    assert read(database, "SELECT id, slug, title, parent_id FROM team ORDER BY id") == [
        (1, "admin", "Told", None),
        (2, "guest", None, None),
        (3, "new", None, 2),
    ]
    assert read(database, "SELECT title, team_id FROM post ORDER BY 1") == [("by key", 1), ("by name", 2)]


@EVERY_ENGINE
def test_what_fails_then_leaves_an_empty_target_as_it_was(club: Config, database: Database) -> None:
    put(club, POSTS | {"post": [*POSTS["post"], {"title": "lost", "author": {"email": "a"}, "team_id": 9}]})
    with pytest.raises(FixtureProblemsError) as caught:
        load_data(club, database.name)
    assert caught.value.facts == ("post.json, line 3: team_id=9 points at no row of team",)
    assert set(tables_in(database)) <= {""}


def test_what_is_refused_as_it_is_written_leaves_the_tables_and_only_then_says_so(club: Config, tmp_path: Path) -> None:
    migration = tmp_path / "history" / "versions" / "0001.py"
    migration.write_text(MIGRATION + '    op.execute("CREATE UNIQUE INDEX unknown ON team (title)")\n')
    put(club, {"team": [{"slug": "one", "title": "same"}, {"slug": "two", "title": "same"}]})
    with pytest.raises(ToolkitError, match="those that were made stay, and the next run loads into them"):
        load_data(club, "sqlite")
    assert read(club.database("sqlite"), "SELECT slug FROM team ORDER BY id") == [("admin",), ("guest",)]
    # A template of tests is removed then.
    with pytest.raises(ToolkitError) as caught:
        Seed(club, Path(str(club.fixtures))).fill(club.database(f"sqlite:///{tmp_path}/template.sqlite3"))
    assert "stay" not in str(caught.value)


@EVERY_ENGINE
def test_a_dry_run_knows_what_migrations_insert_or_says_that_it_does_not(club: Config, database: Database) -> None:
    put(club, POSTS | {"team": [{"slug": "admin", "title": "Told"}]})
    if database.file is None:
        with pytest.raises(FixtureProblemsError, match="Rows that migrations insert are not there before postgres"):
            load_data(club, database.name, dry_run=True)
    else:
        told = load_data(club, database.name, dry_run=True)
        assert told.schema_from == "1 migration to revision 0001"
        assert counts(told) == {"member": (1, 0, 0, 0), "team": (0, 1, 0, 0), "post": (1, 0, 0, 0)}
    assert set(tables_in(database)) <= {""}


NESTED = sa.MetaData()
COUNTRY = sa.Table("country", NESTED, sa.Column("id", sa.Integer, primary_key=True), sa.Column("code", sa.String(2)))
AUTHOR = sa.Table(
    "author",
    NESTED,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(20)),
    sa.Column("country_id", sa.ForeignKey("country.id")),
    sa.Column("teacher_id", sa.ForeignKey("author.id")),
)
BOOK = sa.Table(
    "book",
    NESTED,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("title", sa.String(20)),
    sa.Column("author_id", sa.ForeignKey("author.id")),
)
A_REVIEW = sa.Table(
    "a_review", NESTED, sa.Column("id", sa.Integer, primary_key=True), sa.Column("book_id", sa.ForeignKey("book.id"))
)


@pytest.mark.slow
@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_natural_keys_hold_natural_keys_of_any_depth(config: Config, database: Database, tmp_path: Path) -> None:
    reference = "tests.operations.test_load_migrated:NESTED"
    shelf = replace(config, metadata=reference, migrations=tmp_path / "none", fixtures=tmp_path)
    countries = [{"id": 1, "code": "fr"}, {"id": 2, "code": "ca"}]
    authors = [{"id": n, "name": "Ada", "country": {"code": code}} for n, code in ((1, "fr"), (2, "ca"))]
    books = [
        {"id": n, "title": "One", "author": {"name": "Ada", "country": {"code": c}}} for n, c in ((5, "fr"), (6, "ca"))
    ]
    named = {"title": "One", "author": {"name": "Ada", "country": {"code": "ca"}}}
    put(shelf, {"country": countries, "author": authors, "book": books, "a_review": [{"id": 1, "book": named}]})
    load_data(shelf, database.name)
    assert read(database, "SELECT book_id FROM a_review") == [(6,)]
    # Whatever is not in the files is in the database.
    (tmp_path / "book.json").unlink()
    lost = [
        {"id": 2, "book": {"title": "One", "author": {"name": "Ada"}}},
        {"id": 3, "book": {"title": "One", "author": {"name": "Bo"}}},
        {"id": 4, "book": {"title": "One", "author": {"name": "Ada", "country": {"code": "fr"}}}},
        {"id": 5, "book": {"title": "One", "author": {"name": "Ada", "teacher": {"name": "Bo"}}}},
    ]
    put(shelf, {"a_review": lost})
    with pytest.raises(FixtureProblemsError) as caught:
        load_data(shelf, database.name)
    assert caught.value.problems == (
        'a_review.json, line 2: \'book.author\': {"name":"Ada"} is several rows of author',
        'a_review.json, line 3: \'book.author\': {"name":"Bo"} is no row of author',
        (
            "a_review.json, line 5: 'book.author.teacher': rows that point at one another are not found so; "
            "give 'teacher_id'"
        ),
    )
    put(shelf, {"a_review": lost[2:3]})
    load_data(shelf, database.name)
    assert read(database, "SELECT book_id FROM a_review WHERE id = 4") == [(5,)]


def test_settings_say_how_fixtures_are_loaded_where_a_load_does_not(club: Config, tmp_path: Path) -> None:
    settings = '[load]\nmode = "replace"\nexclude = ["post"]\nmatch.team = ["slug"]\n'
    (tmp_path / "toolkit.toml").write_text(settings)
    config = replace(club, load=load_config(tmp_path, {}).load)
    put(config, POSTS | {"team": [{"id": 9, "slug": "guest", "title": "Told"}]})
    told = counts(load_data(config, "sqlite"))
    assert told == {"member": (1, 0, 0, 0), "team": (0, 1, 0, 1)}
    assert read(config.database("sqlite"), "SELECT id, slug, title FROM team") == [(2, "guest", "Told")]
    told = counts(load_data(config, "sqlite", ["post"], options=Options(mode=Mode.INSERT)))
    assert told == {"post": (1, 0, 0, 0)}


@pytest.mark.parametrize(
    "line", ["mode = 'soft'", "mode = 1", "matches = {}", "match = 1", "match.a = 'b'", "exclude = 'a'"]
)
def test_a_setting_of_loads_that_is_none_is_told(tmp_path: Path, line: str) -> None:
    (tmp_path / "toolkit.toml").write_text(f"[load]\n{line}\n")
    with pytest.raises(ToolkitError, match=r"toolkit\.toml"):
        load_config(tmp_path, {})
