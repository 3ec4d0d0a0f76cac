"""Fixtures that are not whole: keys found or made, parents found by what they are called, defaults filled in."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.cli.privileges import file_permissions_hold
from tests.operations.club import Level, Rank, Team, Ticket, metadata
from tests.operations.databases import connected, contents, create
from tests.operations.outcomes import counts
from tests.operations.processes import toolkit
from toolkit.config import Config, Database, load_config
from toolkit.core.plan import SyncResult
from toolkit.engines.postgresql.connection import PostgresConnection
from toolkit.engines.sqlite.connection import SqliteConnection
from toolkit.errors import (
    DatabaseUnavailableError,
    ExistingRowsError,
    FixtureProblemsError,
    ReferencedRowsError,
    StoreError,
    ToolkitError,
    UniqueConflictError,
)
from toolkit.operations.fixtures.load import load_data
from toolkit.operations.transfer.options import Mode, Options

ROWS = 150


@pytest.fixture(params=["sqlite", "postgres", "duckdb"])
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn, where tests do not name those that matter to them."""
    return str(request.param)


@pytest.fixture
def club(tmp_path: Path, request: pytest.FixtureRequest) -> Config:
    """The configuration for the club's tables; PostgreSQL only where it is asked for."""
    urls = {"sqlite": f"sqlite:///{tmp_path}/one.sqlite3", "duckdb": f"duckdb:///{tmp_path}/one.duckdb"}
    if "engine" in request.fixturenames and request.getfixturevalue("engine") == "postgres":
        urls["postgres"] = request.getfixturevalue("postgres_url")
    (tmp_path / "fixtures").mkdir()
    (tmp_path / "toolkit.toml").write_text('metadata = "tests.operations.club:metadata"\nmigrations = "none"\n')
    return load_config(tmp_path, {f"TOOLKIT_{name.upper()}_URL": url for name, url in urls.items()})


@pytest.fixture
def database(club: Config, engine: str) -> Database:
    """An empty database of each engine in turn."""
    return club.database(engine)


Load = Callable[..., SyncResult]


@pytest.fixture
def load(club: Config, database: Database) -> Load:
    """Write fixtures, given by table, and load them into each engine in turn."""

    def loaded(mode: Mode = Mode.UPSERT, dry_run: bool = False, match: Any = None, **tables: Any) -> SyncResult:
        folder = Path(str(club.fixtures))
        for file in folder.iterdir():
            file.unlink()
        for name, rows in tables.items():
            (folder / f"{name}.json").write_text(json.dumps(rows))
        return load_data(club, database.name, match=match, dry_run=dry_run, options=Options(mode=mode))

    return loaded


def written(result: SyncResult) -> int:
    return sum(t.inserted + t.updated + (t.deleted or 0) for t in result.tables)


def rows_of(database: Database, table: str) -> list[dict[str, Any]]:
    with connected(database) as connection:
        return [dict(row) for row in connection.execute(metadata.tables[table].select()).mappings()]


def by(database: Database, table: str, column: str) -> dict[Any, dict[str, Any]]:
    return {row[column]: row for row in rows_of(database, table)}


def problems(load: Load, **tables: Any) -> tuple[str, ...]:
    with pytest.raises(FixtureProblemsError) as caught:
        load(**tables)
    return caught.value.problems


# -- keys and defaults -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exists", [True, False])
def test_columns_that_are_not_given_are_filled_in_as_the_model_and_the_database_would(
    load: Load, database: Database, exists: bool
) -> None:
    if exists:
        create(database, metadata)
    before = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=2)
    load(member=[{"email": "a"}, {"email": "b", "numbers": None or [], "visits": 5}, {"email": "c", "level": 2}])
    found = by(database, "member", "email")
    one, two, three = found["a"], found["b"], found["c"]
    assert len({row["id"] for row in found.values()}) == 3
    assert all(isinstance(row["id"], uuid.UUID) and row["id"].version == 4 for row in found.values())
    assert (one["rank"], one["level"], three["level"]) == (Rank.LOW, None, Level.SECOND)
    assert (one["is_active"], one["is_paid"], one["visits"], two["visits"]) == (True, False, 3, 5)
    assert (one["fee"], one["settings"], one["labels"]) == (Decimal("0.10"), {}, {})
    assert (one["numbers"], two["numbers"], one["name"]) == ([1, 2], [], None)
    for column in ("created_at", "joined_at"):
        at = one[column] if one[column].tzinfo else one[column].replace(tzinfo=dt.UTC)
        assert before < at < dt.datetime.now(dt.UTC) + dt.timedelta(seconds=2)


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_the_same_files_once_more_write_nothing(load: Load, database: Database) -> None:
    files = {
        "member": [{"email": "a"}, {"email": "b", "referrer": {"email": "a"}}],
        "team": [{"slug": "x"}, {"slug": "y", "parent": {"slug": "x"}}],
        "post": [{"title": "t", "author": {"email": "b"}, "editor": None, "team": {"slug": "y"}}],
    }
    assert written(load(**files)) == 5
    before = contents(database, metadata)
    assert counts(load(**files)) == {"member": (0, 0, 2, 0), "team": (0, 0, 2, 0), "post": (0, 0, 1, 0)}
    assert contents(database, metadata) == before


@pytest.mark.parametrize("engine", ["postgres"])
def test_what_a_row_does_not_give_stays_as_it_is_in_the_database(load: Load, database: Database) -> None:
    load(member=[{"email": "a", "name": "Ada", "visits": 9, "numbers": [7]}])
    before = by(database, "member", "email")["a"]
    assert counts(load(member=[{"email": "a", "rank": "HIGH"}]))["member"] == (0, 1, 0, 0)
    assert by(database, "member", "email")["a"] == {**before, "rank": Rank.HIGH}


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_row_with_its_key_is_recognised_by_it_whatever_stands_beside_it(load: Load, database: Database) -> None:
    """One row of a file without a key must not change how the others are recognised."""
    load(member=[{"email": "old", "name": "Ada", "visits": 9}])
    before = by(database, "member", "email")["old"]
    load(member=[{"id": str(before["id"]), "email": "new"}, {"email": "other"}])
    found = by(database, "member", "email")
    assert found["new"] == {**before, "email": "new"}
    assert set(found) == {"new", "other"}


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["postgres"])
def test_two_keys_for_one_unique_value_are_refused_and_not_merged(load: Load, database: Database) -> None:
    load(member=[{"email": "a"}])
    before = contents(database, metadata)
    with pytest.raises(UniqueConflictError):
        load(member=[{"id": str(uuid.uuid4()), "email": "a"}, {"email": "b"}])
    assert contents(database, metadata) == before


def test_keys_are_counted_up_past_those_of_the_files_and_the_database(load: Load, database: Database) -> None:
    load(team=[{"id": 7, "slug": "seven"}, {"slug": "a"}, {"slug": "b"}])
    assert {slug: row["id"] for slug, row in by(database, "team", "slug").items()} == {"seven": 7, "a": 8, "b": 9}
    load(team=[{"slug": "c"}, {"id": 20, "slug": "twenty"}, {"slug": "a"}])
    assert {slug: row["id"] for slug, row in by(database, "team", "slug").items()} == {
        "seven": 7,
        "a": 8,
        "b": 9,
        "twenty": 20,
        "c": 21,
    }
    with connected(database) as connection:
        connection.execute(sa.insert(Team).values(slug="the application's"))
    assert by(database, "team", "slug")["the application's"]["id"] == 22


def test_keys_of_advanced_alchemy_s_own_sequence_are_counted_up(club: Config, database: Database) -> None:
    club = replace(club, metadata="tests.operations.club:Counted")
    for subjects in (["a", "b"], ["a", "c"]):
        content = json.dumps([{"subject": subject} for subject in subjects])
        Path(str(club.fixtures), "ticket.json").write_text(content)
        load_data(club, database.name)
    with connected(database) as connection:
        connection.execute(sa.insert(Ticket).values(subject="the application's"))
        found = {row.subject: row.id for row in connection.execute(sa.select(Ticket.subject, Ticket.id))}
    assert sorted(found.values()) == [1, 2, 3, 4], found
    assert found["the application's"] == 4


# -- parents ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["postgres"])
def test_parents_are_found_in_the_files_and_in_the_database(load: Load, database: Database) -> None:
    load(member=[{"email": "old"}], team=[{"slug": "root"}])
    load(
        member=[{"email": "new", "referrer": {"email": "old"}}, {"email": "third", "referrer": {"email": "new"}}],
        team=[{"slug": "leaf", "parent": {"slug": "twig"}}, {"slug": "twig", "parent": {"slug": "root"}}],
        post=[
            {"title": "t", "author": {"email": "old"}, "editor": {"email": "third"}, "team": {"slug": "leaf"}},
            {"title": "t", "author": {"email": "new"}, "editor": None},
        ],
    )
    members, teams = by(database, "member", "email"), by(database, "team", "slug")
    assert members["new"]["referrer_id"] == members["old"]["id"]
    assert members["third"]["referrer_id"] == members["new"]["id"]
    assert teams["leaf"]["parent_id"] == teams["twig"]["id"]
    assert teams["twig"]["parent_id"] == teams["root"]["id"]
    posts = by(database, "post", "author_id")
    assert posts[members["old"]["id"]]["editor_id"] == members["third"]["id"]
    assert posts[members["old"]["id"]]["team_id"] == teams["leaf"]["id"]
    assert posts[members["new"]["id"]]["editor_id"] is None


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_parent_that_is_missing_or_is_several_rows_is_named(load: Load, database: Database) -> None:
    member = [{"email": "a", "name": "same"}, {"email": "b", "name": "same"}, {"email": "c"}]
    told = problems(
        load,
        member=member,
        post=[
            {"title": "1", "author": {"name": "same"}},
            {"title": "2", "author": {"email": "z"}},
            {"title": "3", "author": {"name": None}},
            {"title": "4", "author": {}},
            {"title": "5", "author": None},
        ],
    )
    assert sorted(line.partition(": ")[2] for line in told) == [
        "'author' is not an object of columns of member",
        "'author' is null, but 'author_id' may not be",
        '\'author\': {"email":"z"} is no row of member',
        '\'author\': {"name":"same"} is several rows of member',
        "'author': {\"name\":null} is no row of member",
    ]


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_null_in_place_of_a_parent_that_must_be_is_named(load: Load) -> None:
    told = problems(load, member=[{"email": "a"}], post=[{"title": "1", "author": None}])
    assert told == ("post.json, line 1: 'author' is null, but 'author_id' may not be",)


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_rows_recognised_by_chosen_columns_take_their_children_with_them(load: Load, database: Database) -> None:
    """Keys of the files that are given up may be those of quite different rows in the database."""
    load(team=[{"id": 1, "slug": "other"}, {"id": 2, "slug": "root"}, {"id": 3, "slug": "leaf"}])
    ada, bob = (str(uuid.UUID(int=number)) for number in (1, 2))
    load(member=[{"id": ada, "email": "bob"}, {"id": bob, "email": "ada"}])
    load(
        match={"team": ["slug"], "member": ["email"]},
        team=[
            {"id": 1, "slug": "root"},
            {"id": 2, "slug": "leaf", "parent_id": 1},
            {"id": 9, "slug": "new", "parent_id": 2},
            {"slug": "named", "parent": {"slug": "root"}},
        ],
        member=[{"id": ada, "email": "ada"}, {"id": bob, "email": "bob", "referrer_id": ada}],
        post=[
            {"id": ada, "title": "a", "author_id": ada, "team_id": 2},
            {"id": bob, "title": "b", "author": {"email": "bob"}, "team_id": 9},
        ],
    )
    members, teams = by(database, "member", "email"), by(database, "team", "slug")
    posts = by(database, "post", "title")
    assert {slug: teams[slug]["id"] for slug in ("other", "root", "leaf", "new")} == {
        "other": 1,
        "root": 2,
        "leaf": 3,
        "new": 9,
    }
    assert {slug: teams[slug]["parent_id"] for slug in ("root", "leaf", "new", "named")} == {
        "root": None,
        "leaf": 2,
        "new": 3,
        "named": 2,
    }
    assert members["bob"]["referrer_id"] == members["ada"]["id"] == uuid.UUID(bob)
    assert (posts["a"]["author_id"], posts["a"]["team_id"]) == (members["ada"]["id"], 3)
    assert (posts["b"]["author_id"], posts["b"]["team_id"]) == (members["bob"]["id"], 9)


def test_tables_that_refer_to_each_other_are_resolved(club: Config, database: Database) -> None:
    club = replace(club, metadata="tests.operations.shop:Cyclic")
    folder = Path(str(club.fixtures))
    (folder / "author.json").write_text('[{"id": 1, "best_book": {"id": 5}}, {"id": 2, "best_book_id": 6}]')
    (folder / "book.json").write_text('[{"id": 5, "author": {"id": 1}}, {"id": 6, "author_id": 2}]')
    load_data(club, database.name)
    from tests.operations.shop import Cyclic

    found = contents(database, Cyclic.metadata)
    assert found == {"author": [(1, 5), (2, 6)], "book": [(5, 1), (6, 2)], "review": []}


@pytest.mark.parametrize("engine", ["sqlite"])
def test_columns_to_match_by_that_are_several_rows_are_named(load: Load, database: Database) -> None:
    load(member=[{"email": "a", "name": "same"}, {"email": "b", "name": "same"}])
    before = contents(database, metadata)
    with pytest.raises(FixtureProblemsError, match="name=same is several rows of member in the database"):
        load(match={"member": ["name"]}, member=[{"email": "c", "name": "same"}])
    assert contents(database, metadata) == before


# -- modes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["postgres"])
def test_insert_refuses_rows_that_are_there(load: Load, database: Database) -> None:
    load(team=[{"slug": "a"}])
    before = contents(database, metadata)
    with pytest.raises(ExistingRowsError, match="team: 1 of the rows is in"):
        load(Mode.INSERT, team=[{"slug": "a", "title": "changed"}, {"slug": "b"}])
    assert contents(database, metadata) == before
    assert counts(load(Mode.INSERT, team=[{"slug": "b"}, {"slug": "c"}]))["team"] == (2, 0, 0, 0)


def _three_of_each(load: Load) -> None:
    load(
        member=[{"email": "a"}, {"email": "b", "referrer": {"email": "a"}}, {"email": "c", "referrer": {"email": "b"}}],
        team=[{"slug": "a"}, {"slug": "b", "parent": {"slug": "a"}}, {"slug": "c", "parent": {"slug": "b"}}],
        post=[{"title": each, "author": {"email": each}, "team": {"slug": each}} for each in "abc"],
    )


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_replace_deletes_what_is_not_in_the_files_children_first(load: Load, database: Database) -> None:
    _three_of_each(load)
    kept = {"member": [{"email": "a"}], "team": [{"slug": "a", "title": "t"}], "post": []}
    assert counts(load(Mode.REPLACE, dry_run=True, **kept)) == (
        expected := {
            "member": (0, 0, 1, 2),
            "team": (0, 1, 0, 2),
            "post": (0, 0, 0, 3),
        }
    )
    assert len(rows_of(database, "post")) == 3
    assert counts(load(Mode.REPLACE, **kept)) == expected
    assert [row["email"] for row in rows_of(database, "member")] == ["a"]
    assert [row["title"] for row in rows_of(database, "team")] == ["t"]
    assert rows_of(database, "post") == []


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["postgres", "duckdb"])
def test_replace_refuses_to_delete_rows_that_other_tables_point_at(load: Load, database: Database) -> None:
    _three_of_each(load)
    before = contents(database, metadata)
    with pytest.raises(ReferencedRowsError, match="post"):
        load(Mode.REPLACE, team=[{"slug": "a"}])
    with pytest.raises(FixtureProblemsError, match="points at no row of team"):
        load(Mode.REPLACE, team=[{"id": 3, "slug": "c", "parent_id": 2}], post=[])
    assert contents(database, metadata) == before


def test_replace_changes_a_table_that_points_at_itself(load: Load, database: Database) -> None:
    _three_of_each(load)
    load(Mode.REPLACE, post=[], team=[{"slug": "c", "parent_id": None}, {"slug": "d", "parent": {"slug": "c"}}])
    teams = by(database, "team", "slug")
    assert set(teams) == {"c", "d"}
    assert (teams["c"]["parent_id"], teams["d"]["parent_id"]) == (None, teams["c"]["id"])


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_replace_deletes_no_row_of_a_table_that_is_not_named(club: Config, database: Database, tmp_path: Path) -> None:
    """A user goes, whose todos were given to another; the todos' attachments are not among the files."""
    bundled = Path(__file__).parent.parent.parent / "fixtures"
    todos = replace(club, metadata="toolkit.models.todo:metadata", fixtures=bundled)
    load_data(todos, database.name)
    files = {path.stem: json.loads(path.read_text()) for path in bundled.glob("*.json") if path.stem != "manifest"}
    attachments = files.pop("attachment")
    (goes,) = {todo["user_id"] for todo in files["todo"] if todo["id"] == attachments[0]["todo_id"]}
    files["user_account"] = [user for user in files["user_account"] if user["id"] != goes]
    files["user_role"] = [row for row in files["user_role"] if row["user_id"] != goes]
    files["tag"] = [tag for tag in files["tag"] if tag["user_id"] != goes]
    tags = {tag["id"] for tag in files["tag"]}
    files["todo_tag"] = [row for row in files["todo_tag"] if row["tag_id"] in tags]
    for todo in files["todo"]:
        if todo["user_id"] == goes:
            todo["user_id"] = files["user_account"][0]["id"]
    for table, rows in files.items():
        (tmp_path / "fixtures" / f"{table}.json").write_text(json.dumps(rows))
    with suppress(ToolkitError):
        load_data(replace(todos, fixtures=tmp_path / "fixtures"), database.name, options=Options(mode=Mode.REPLACE))
    with connected(database) as connection:
        found = connection.exec_driver_sql("SELECT count(*) FROM attachment").scalar_one()
    assert found == len(attachments)


# -- dry runs --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["sqlite", "duckdb"])
def test_a_dry_run_makes_no_database_and_tells_the_same_counts(load: Load, database: Database, tmp_path: Path) -> None:
    files: dict[str, Any] = {"member": [{"email": "a"}, {"email": "b"}], "team": [{"slug": "a"}]}
    told = load(dry_run=True, **files)
    assert not list(tmp_path.glob("*.sqlite3")) + list(tmp_path.glob("*.duckdb"))
    assert counts(told) == counts(load(**files)) == {"member": (2, 0, 0, 0), "team": (1, 0, 0, 0)}
    before = contents(database, metadata)
    files["team"] += [{"slug": "b"}, {"slug": "a2"}]
    files["member"][0]["visits"] = 8
    told = load(dry_run=True, **files)
    assert contents(database, metadata) == before
    assert counts(told) == counts(load(**files)) == {"member": (0, 1, 1, 0), "team": (2, 0, 1, 0)}
    assert sorted(row["id"] for row in rows_of(database, "team")) == [1, 2, 3]


# -- in the middle of it ---------------------------------------------------------------------------------------------


@pytest.fixture
def project(club: Config, tmp_path: Path) -> Path:
    """The directory of a project with these settings, for processes of their own."""
    lines = [f'metadata = "{club.metadata}"', 'migrations = "none"', 'fixtures = "fixtures"']
    for name in ("sqlite", "duckdb", "postgres"):
        with suppress(ToolkitError):
            lines += [f"[databases.{name}]", f'url = "{club.database(name).address}"']
    (tmp_path / "toolkit.toml").write_text("\n".join(lines))
    return tmp_path


def _put_many(project: Path, title: str) -> None:
    """Rows without keys: teams, members, and posts of theirs."""
    names = [f"n{number}" for number in range(ROWS)]
    files = {
        "team": [{"slug": name, "title": title} for name in names],
        "member": [{"email": name, "name": title} for name in names],
        "post": [{"title": name, "author": {"email": name}, "team": {"slug": name}} for name in names],
    }
    for table, rows in files.items():
        (project / "fixtures" / f"{table}.json").write_text(json.dumps(rows))


def _titles(database: Database) -> Mapping[str, set[str]]:
    return {
        "team": {row["title"] for row in rows_of(database, "team")},
        "member": {row["name"] for row in rows_of(database, "member")},
    }


@pytest.mark.slow
def test_interrupted_at_any_moment_the_target_is_as_before_or_as_after(database: Database, project: Path) -> None:
    """Of a load that is killed, test_faults_kill.py shows it."""
    _put_many(project, "round 0")
    assert toolkit(project, "load-data", "--to", database.name).end() == 0
    _put_many(project, "round 1")
    began = time.monotonic()
    assert toolkit(project, "load-data", "--to", database.name).end() == 0
    usual = time.monotonic() - began
    last = "round 1"
    codes: list[int] = []
    for number, share in enumerate((0.5, 0.8, 0.4, 0.2, 0.1), 2):
        if len(codes) > 1 and set(codes) != {0}:
            break
        # The later ones are for a process that was faster than when it was timed.
        _put_many(project, f"round {number}")
        running = toolkit(project, "load-data", "--to", database.name)
        time.sleep(usual * share)
        running.interrupt()
        codes.append(running.end(30))
        found = _titles(database)
        assert found in [{"team": {name}, "member": {name}} for name in (last, f"round {number}")]
        last = found["team"].pop()
    assert set(codes) in ({130}, {0, 130})
    assert toolkit(project, "load-data", "--to", database.name).end() == 0
    assert {table: len(rows_of(database, table)) for table in ("team", "member", "post")} == dict.fromkeys(
        ("team", "member", "post"), ROWS
    )


def _die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_before_the_commit() -> None:
    for kind in (SqliteConnection, PostgresConnection):
        pytest.MonkeyPatch().setattr(kind, "commit", _die)


def _die_after_the_commit() -> None:
    for kind in (SqliteConnection, PostgresConnection):
        pytest.MonkeyPatch().setattr(kind, "commit", lambda self, commit=kind.commit: _die(commit(self)))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_killed_at_its_commit_a_load_that_updates_rows_without_keys_leaves_them_as_before_or_as_after(
    database: Database, project: Path
) -> None:
    """test_faults_kill.py kills one that only inserts, at any moment."""
    _put_few(project, "before")
    assert toolkit(project, "load-data", "--to", database.name).end() == 0
    keys = _keys(database)
    _put_few(project, "after")
    for moment, title in ((_die_before_the_commit, "before"), (_die_after_the_commit, "after")):
        assert toolkit(project, "load-data", "--to", database.name, before=moment).end() == -signal.SIGKILL
        assert _titles(database) == {"team": {title}, "member": {title}}
    again = toolkit(project, "load-data", "--to", database.name, "--json")
    assert again.end() == 0, again.err
    assert not sum(table["inserted"] + table["updated"] for table in again.result["tables"])
    assert _keys(database) == keys


def _put_few(project: Path, title: str) -> None:
    for table, row in (("team", {"slug": "a", "title": title}), ("member", {"email": "a", "name": title})):
        (project / "fixtures" / f"{table}.json").write_text(json.dumps([row]))


def _keys(database: Database) -> list[Any]:
    return [row["id"] for table in ("team", "member") for row in rows_of(database, table)]


@pytest.mark.slow
def test_two_loads_at_once_give_the_same_as_one(database: Database, project: Path) -> None:
    _put_many(project, "both")
    create(database, metadata)
    both = [toolkit(project, "load-data", "--to", database.name, "--json") for _ in range(2)]
    codes = sorted(each.end() for each in both)
    assert codes in ([[0, 0], [0, 1]] if database.name == "duckdb" else [[0, 0]]), [each.err for each in both]
    assert all("Traceback" not in each.err for each in both)
    found = contents(database, metadata)
    assert [len(found[name]) for name in ("team", "member", "post")] == [ROWS] * 3


def test_a_directory_that_may_only_be_read_is_enough(club: Config) -> None:
    folder = Path(str(club.fixtures))
    (folder / "team.json").write_text('[{"slug": "a"}]')
    folder.chmod(0o500)
    with file_permissions_hold():
        assert written(load_data(club, "sqlite")) == 1
        (folder / "team.json").chmod(0)
        with pytest.raises(StoreError, match=r"team\.json: Permission denied"):
            load_data(club, "sqlite")
    folder.chmod(0o700)


def test_a_database_that_may_only_be_read_is_told(club: Config) -> None:
    sqlite = club.database("sqlite")
    create(sqlite, metadata)
    assert sqlite.file is not None
    sqlite.file.chmod(0o400)
    Path(str(club.fixtures), "team.json").write_text('[{"slug": "a"}]')
    with file_permissions_hold(), pytest.raises(DatabaseUnavailableError, match="cannot be written to"):
        load_data(club, "sqlite")


@pytest.mark.parametrize("engine", ["sqlite", "postgres", "duckdb"])
def test_parents_with_dates_as_keys_are_found_in_the_database(config: Config, tmp_path: Path, engine: str) -> None:
    (tmp_path / "diary.py").write_text(
        "import sqlalchemy as sa\n"
        "metadata = sa.MetaData()\n"
        "day = sa.Table('day', metadata, sa.Column('day', sa.Date, primary_key=True))\n"
        "entry = sa.Table('entry', metadata, sa.Column('id', sa.Integer, primary_key=True, autoincrement=False),\n"
        "                 sa.Column('day', sa.ForeignKey('day.day')))\n"
    )
    diary = replace(config, metadata="diary:metadata", migrations=tmp_path / "none", root=tmp_path)
    folder = tmp_path / "diary"
    folder.mkdir()
    (folder / "day.json").write_text('[{"day": "2024-02-29"}]')
    load_data(diary, engine, directory=folder)
    (folder / "day.json").unlink()
    (folder / "entry.json").write_text('[{"id": 1, "day": "2024-02-29"}, {"id": 2, "day": null}]')
    assert load_data(diary, engine, directory=folder).tables[0].inserted == 2
    (folder / "entry.json").write_text('[{"id": 1, "day": "2024-03-01"}]')
    with pytest.raises(FixtureProblemsError, match="points at no row of day"):
        load_data(diary, engine, directory=folder)
