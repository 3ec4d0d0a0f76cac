"""`sync --match`: the same row under two keys stays one row, with the target's key, and its children follow it."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.operations.databases import connected, contents
from toolkit.cli import run
from toolkit.config import Config
from toolkit.errors import AmbiguousMatchError, ConfigurationError, UniqueConflictError, UnknownNameError
from toolkit.operations.deletes import DeleteLimit
from toolkit.operations.sync import sync
from toolkit.operations.transfer import Mode, Options

METADATA = sa.MetaData()
PERSON = sa.Table(
    "person", METADATA, sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("email", sa.String(50), unique=True), sa.Column("boss_id", sa.ForeignKey("person.id")),
    sa.Column("name", sa.Text),
)
TAG = sa.Table(
    "tag", METADATA, sa.Column("id", sa.Uuid, primary_key=True), sa.Column("person_id", sa.ForeignKey("person.id")),
    sa.Column("name", sa.Text, nullable=False), sa.UniqueConstraint("person_id", "name"),
)
LINK = sa.Table(
    "link", METADATA, sa.Column("person_id", sa.ForeignKey("person.id"), primary_key=True),
    sa.Column("tag_id", sa.ForeignKey("tag.id"), primary_key=True), sa.Column("note", sa.Text),
)
EVERY_TARGET = pytest.mark.parametrize("target", ["sqlite2", "postgres", "duckdb"])
MATCH = {"person": ("email",), "tag": ("person_id", "name")}
A, B, C = (uuid.UUID(int=number) for number in (1, 2, 3))


@pytest.fixture
def people(shop: Config) -> Config:
    return replace(shop, metadata=f"{__name__}:METADATA")


def put(config: Config, name: str, **rows: list[tuple[Any, ...]]) -> None:
    """Fill a database anew."""
    with connected(config.database(name)) as connection:
        METADATA.drop_all(connection)
        METADATA.create_all(connection)
        for table in METADATA.sorted_tables:
            for row in rows.get(table.name, []):
                connection.execute(table.insert().values(row))


def written(config: Config, target: str, **options: Any) -> int:
    result = sync(config, "sqlite", target, match=MATCH, **options)
    return sum(t.inserted + t.updated + t.deleted for t in result.tables)


@EVERY_TARGET
def test_without_it_the_same_natural_key_under_another_key_is_a_named_error(people: Config, target: str) -> None:
    put(people, "sqlite", person=[(1, "a@x", None, "A")])
    put(people, target, person=[(7, "a@x", None, "old")])
    with pytest.raises(UniqueConflictError, match="email = a@x belongs to different rows: id=1 and id=7") as caught:
        sync(people, "sqlite", target)
    assert caught.value.advice.endswith("--match person:email.")


@EVERY_TARGET
def test_the_targets_keys_stay_and_foreign_keys_follow_them(people: Config, target: str) -> None:
    put(
        people, "sqlite",
        person=[(1, "a@x", None, "A"), (2, "b@x", 1, "B"), (3, None, 1, "no mail"), (4, "d@x", 2, "D")],
        tag=[(A, 1, "red"), (B, 2, "red"), (C, 1, "new")],
        link=[(1, A, "one"), (2, A, "two"), (2, B, None)],
    )
    theirs = uuid.UUID(int=99)
    put(people, target, person=[(2, "a@x", None, "old"), (9, "z@x", 2, "only here"), (4, "y@x", None, "other")],
        tag=[(theirs, 2, "red")], link=[(2, theirs, "old")])
    assert written(people, target) > 0
    found = contents(people.database(target), METADATA)
    keys = {row[1]: row[0] for row in found["person"]}
    # 2 and 4 belong to others in the target, so that the newcomers b@x and d@x are given keys of their own.
    assert keys["a@x"] == 2
    assert len({keys["b@x"], keys["d@x"], 2, 3, 4, 9}) == 6
    people_found = {row[1]: row[2:] for row in found["person"]}
    assert people_found == {
        "a@x": (None, "A"), "b@x": (2, "B"), None: (2, "no mail"), "d@x": (keys["b@x"], "D"),
        "z@x": (2, "only here"), "y@x": (None, "other"),
    }
    assert {row[:3] for row in found["tag"]} == {(theirs, 2, "red"), (B, keys["b@x"], "red"), (C, 2, "new")}
    assert set(found["link"]) == {(2, theirs, "one"), (keys["b@x"], theirs, "two"), (keys["b@x"], B, None)}
    assert written(people, target) == 0
    assert contents(people.database(target), METADATA) == found


@EVERY_TARGET
def test_deleting_goes_by_the_matched_keys_too(people: Config, target: str) -> None:
    put(people, "sqlite", person=[(1, "a@x", None, "A")])
    put(people, target, person=[(5, "a@x", None, "A"), (1, "b@x", None, "B")])
    everything = Options(mode=Mode.REPLACE, max_delete=DeleteLimit(0, 1.0))
    assert written(people, target, options=everything, dry_run=True) == 1
    assert written(people, target, options=everything) == 1
    assert contents(people.database(target), METADATA)["person"] == [(5, "a@x", None, "A")]


@pytest.mark.parametrize("side", ["sqlite", "postgres"])
def test_values_that_several_rows_have_recognise_none(people: Config, side: str) -> None:
    put(people, "sqlite", person=[(1, "a@x", None, "A"), (2, "b@x", None, "A" if side == "sqlite" else "B")])
    put(people, "postgres", person=[(3, "c@x", None, "A"), (4, "d@x", None, "B" if side == "sqlite" else "A")])
    before = contents(people.database("postgres"), METADATA)
    with pytest.raises(AmbiguousMatchError, match="person: several rows have name=A"):
        sync(people, "sqlite", "postgres", match={"person": ("name",)})
    assert contents(people.database("postgres"), METADATA) == before


def test_what_cannot_be_matched_is_refused(people: Config) -> None:
    put(people, "sqlite")
    put(people, "sqlite2")
    with pytest.raises(UnknownNameError):
        sync(people, "sqlite", "sqlite2", match={"persons": ("email",)})
    with pytest.raises(UnknownNameError):
        sync(people, "sqlite", "sqlite2", match={"person": ("mail",)})


def test_keys_that_cannot_be_made_up_are_refused_by_name(people: Config) -> None:
    put(people, "sqlite", person=[(1, "a@x", None, "A")], tag=[(A, 1, "t")], link=[(1, A, "mine")])
    put(people, "sqlite2", person=[(1, "a@x", None, "A")], tag=[(A, 1, "t")], link=[(1, A, "theirs")])
    with pytest.raises(ConfigurationError, match="link: 1 rows are new by the columns to match by"):
        sync(people, "sqlite", "sqlite2", match={"link": ("note",)})


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ours=st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 8), max_size=6),
    theirs=st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 8), max_size=6),
)
def test_whatever_keys_both_sides_gave_each_row_is_there_once_and_a_second_run_writes_nothing(
    people: Config, ours: dict[str, int], theirs: dict[str, int]
) -> None:
    sides = [{key: name for name, key in side.items()} for side in (ours, theirs)]
    for name, side in zip(("sqlite", "sqlite2"), sides, strict=True):
        put(people, name, person=[(key, f"{mail}@x", key, mail) for key, mail in side.items()])
    written(people, "sqlite2")
    found = contents(people.database("sqlite2"), METADATA)["person"]
    assert sorted(row[1] for row in found) == sorted({f"{mail}@x" for side in sides for mail in side.values()})
    held = {mail: key for key, mail in sides[1].items()}
    assert all(row[0] == held[row[3]] for row in found if row[3] in held)
    assert all(row[2] == row[0] for row in found)
    assert written(people, "sqlite2") == 0


def test_the_command_matches(
    people: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put(people, "sqlite", person=[(1, "a@x", None, "A")])
    put(people, "duckdb", person=[(7, "a@x", None, "old")])
    urls = "\n".join(f'{name} = "{people.database(name).address}"' for name in ("sqlite", "duckdb"))
    settings_ = f'metadata = "{people.metadata}"\nmigrations = "none"\n[databases]\n{urls}\n'
    (tmp_path / "toolkit.toml").write_text(settings_)
    monkeypatch.chdir(tmp_path)
    assert run(["sync", "--from", "sqlite", "--to", "duckdb", "--match", "person:email", "--json"]) == 0
    assert [t["updated"] for t in json.loads(capsys.readouterr().out)["tables"] if t["table"] == "person"] == [1]
    assert contents(people.database("duckdb"), METADATA)["person"] == [(7, "a@x", None, "A")]
