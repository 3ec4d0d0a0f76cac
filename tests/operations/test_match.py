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

from tests.operations.databases import connected, contents, execute
from toolkit.cli import run
from toolkit.config import Config
from toolkit.errors import AmbiguousMatchError, ConfigurationError, UniqueConflictError, UnknownNameError
from toolkit.operations.sync import sync
from toolkit.operations.transfer.deletes import DeleteLimit
from toolkit.operations.transfer.options import Mode, Options

METADATA = sa.MetaData()
PERSON = sa.Table(
    "person",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("email", sa.String(50), unique=True),
    sa.Column("boss_id", sa.ForeignKey("person.id")),
    sa.Column("name", sa.Text),
)
TAG = sa.Table(
    "tag",
    METADATA,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("person_id", sa.ForeignKey("person.id")),
    sa.Column("name", sa.Text, nullable=False),
    sa.UniqueConstraint("person_id", "name"),
)
LINK = sa.Table(
    "link",
    METADATA,
    sa.Column("person_id", sa.ForeignKey("person.id"), primary_key=True),
    sa.Column("tag_id", sa.ForeignKey("tag.id"), primary_key=True),
    sa.Column("note", sa.Text),
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


@pytest.mark.parametrize("target", ["sqlite2"])
def test_without_it_the_same_natural_key_under_another_key_is_a_named_error(people: Config, target: str) -> None:
    put(people, "sqlite", person=[(1, "a@x", None, "A")])
    put(people, target, person=[(7, "a@x", None, "old")])
    with pytest.raises(UniqueConflictError, match="email = a@x belongs to different rows: id=1 and id=7") as caught:
        sync(people, "sqlite", target)
    assert "--match person:email." in caught.value.advice


@EVERY_TARGET
def test_the_targets_keys_stay_and_foreign_keys_follow_them(people: Config, target: str) -> None:
    put(
        people,
        "sqlite",
        person=[(1, "a@x", None, "A"), (2, "b@x", 1, "B"), (3, None, 1, "no mail"), (4, "d@x", 2, "D")],
        tag=[(A, 1, "red"), (B, 2, "red"), (C, 1, "new")],
        link=[(1, A, "one"), (2, A, "two"), (2, B, None)],
    )
    theirs = uuid.UUID(int=99)
    put(
        people,
        target,
        person=[(2, "a@x", None, "old"), (9, "z@x", 2, "only here"), (4, "y@x", None, "other")],
        tag=[(theirs, 2, "red")],
        link=[(2, theirs, "old")],
    )
    assert written(people, target) > 0
    found = contents(people.database(target), METADATA)
    keys = {row[1]: row[0] for row in found["person"]}
    # 2 and 4 belong to others in the target, so that the newcomers b@x and d@x are given keys of their own.
    assert keys["a@x"] == 2
    assert len({keys["b@x"], keys["d@x"], 2, 3, 4, 9}) == 6
    people_found = {row[1]: row[2:] for row in found["person"]}
    assert people_found == {
        "a@x": (None, "A"),
        "b@x": (2, "B"),
        None: (2, "no mail"),
        "d@x": (keys["b@x"], "D"),
        "z@x": (2, "only here"),
        "y@x": (None, "other"),
    }
    assert {row[:3] for row in found["tag"]} == {(theirs, 2, "red"), (B, keys["b@x"], "red"), (C, 2, "new")}
    assert set(found["link"]) == {(2, theirs, "one"), (keys["b@x"], theirs, "two"), (keys["b@x"], B, None)}
    assert written(people, target) == 0
    assert contents(people.database(target), METADATA) == found


@pytest.mark.parametrize("target", ["sqlite2"])
def test_deleting_goes_by_the_matched_keys_too(people: Config, target: str) -> None:
    put(people, "sqlite", person=[(1, "a@x", None, "A")])
    put(people, target, person=[(5, "a@x", None, "A"), (1, "b@x", None, "B")])
    everything = Options(mode=Mode.REPLACE, max_delete=DeleteLimit(0, 1.0))
    assert written(people, target, options=everything, dry_run=True) == 1
    assert written(people, target, options=everything) == 1
    assert contents(people.database(target), METADATA)["person"] == [(5, "a@x", None, "A")]


@pytest.mark.parametrize("side", ["sqlite"])
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


@EVERY_TARGET
def test_a_key_that_is_made_up_is_nobodys_even_where_a_sequence_was_never_used(people: Config, target: str) -> None:
    put(people, "sqlite", person=[(1, "a@x", None, "A")])
    put(people, target, person=[(1, "b@x", None, "B")])
    assert written(people, target) == 1
    assert contents(people.database(target), METADATA)["person"] == [(1, "b@x", None, "B"), (2, "a@x", None, "A")]
    assert written(people, target) == 0


TENANTS = sa.MetaData()
sa.Table(
    "tenant",
    TENANTS,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("slug", sa.Text, unique=True),
)
sa.Table(
    "project",
    TENANTS,
    sa.Column("tenant_id", sa.ForeignKey("tenant.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("code", sa.Text, unique=True),
)
# It points at its tenant through its project alone, by columns in another order than the key's, of a narrower type.
sa.Table(
    "step",
    TENANTS,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("number", sa.Integer),
    sa.Column("tenant", sa.Integer),
    sa.Column("label", sa.Text),
    sa.ForeignKeyConstraint(["number", "tenant"], ["project.number", "project.tenant_id"]),
    sa.UniqueConstraint("tenant", "label"),
)
# The key of what this points at is only a part of the foreign key.
sa.Table(
    "note",
    TENANTS,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("step_id", sa.Integer),
    sa.Column("step_label", sa.Text),
    sa.ForeignKeyConstraint(["step_id", "step_label"], ["step.id", "step.label"]),
)
TENANTS.tables["step"].append_constraint(sa.UniqueConstraint("id", "label"))


def put_tenants(config: Config, name: str, **rows: list[tuple[Any, ...]]) -> Config:
    tenants = replace(config, metadata=f"{__name__}:TENANTS")
    with connected(config.database(name)) as connection:
        TENANTS.create_all(connection)
        for table in TENANTS.sorted_tables:
            for row in rows.get(table.name, []):
                connection.execute(table.insert().values(row))
    return tenants


@pytest.mark.parametrize("target", ["sqlite2"])
def test_keys_are_followed_through_any_number_of_tables_and_columns(shop: Config, target: str) -> None:
    put_tenants(
        shop,
        "sqlite",
        tenant=[(1, "one"), (2, "two")],
        project=[(1, 1, "a"), (2, 1, "b"), (2, 2, "c")],
        step=[(1, 1, 1, "x"), (2, 1, 2, "x"), (3, 2, 2, "y")],
        note=[(1, 1, "x"), (2, 2, "x"), (3, 3, "y")],
    )
    tenants = put_tenants(
        shop,
        target,
        tenant=[(2, "one"), (3, "two")],
        project=[(2, 5, "a"), (3, 1, "b")],
        step=[(1, 1, 3, "x"), (2, 5, 2, "x")],
        note=[(9, 1, "x")],
    )
    match = {"tenant": ["slug"], "project": ["code"], "step": ["tenant", "label"]}
    sync(tenants, "sqlite", target, match=match)
    assert contents(tenants.database(target), TENANTS) == {
        "tenant": [(2, "one"), (3, "two")],
        "project": [(2, 5, "a"), (3, 1, "b"), (3, 2, "c")],
        "step": [(1, 1, 3, "x"), (2, 5, 2, "x"), (3, 2, 3, "y")],
        "note": [(1, 2, "x"), (2, 1, "x"), (3, 3, "y"), (9, 1, "x")],
    }
    again = sync(tenants, "sqlite", target, match=match)
    assert sum(t.inserted + t.updated for t in again.tables) == 0


CODES = sa.MetaData()
sa.Table(
    "part",
    CODES,
    sa.Column("plant", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False, unique=True),
    sa.Column("name", sa.Text),
)
sa.Table("use", CODES, sa.Column("id", sa.Integer, primary_key=True), sa.Column("n", sa.ForeignKey("part.number")))


def test_a_foreign_key_to_a_part_of_a_matched_key_is_refused(shop: Config) -> None:
    codes = replace(shop, metadata=f"{__name__}:CODES")
    for name, number in (("sqlite", 1), ("sqlite2", 2)):
        with connected(codes.database(name)) as connection:
            CODES.create_all(connection)
            connection.execute(CODES.tables["part"].insert().values((1, number, "nut")))
    with pytest.raises(ConfigurationError, match="use points at a part of the key of part"):
        sync(codes, "sqlite", "sqlite2", match={"part": ["name"]})


@pytest.mark.parametrize(("target", "verify"), [("sqlite2", True), ("postgres", False)])
def test_a_row_without_a_value_does_not_take_the_place_of_one_that_has(
    people: Config, target: str, verify: bool
) -> None:
    put(people, "sqlite", person=[(3, None, None, "no mail"), (8, "z@x", None, "Z")])
    put(people, target, person=[(3, "z@x", None, "old"), (4, None, None, "old")])
    before = contents(people.database(target), METADATA)
    with pytest.raises(ConfigurationError, match="person: the source's row id=3 has NULL in the columns to match by"):
        written(people, target, options=Options(verify=verify))
    assert contents(people.database(target), METADATA) == before
    put(people, "sqlite", person=[(4, None, None, "no mail"), (8, "z@x", None, "Z")])
    assert written(people, target) == 2
    assert contents(people.database(target), METADATA)["person"] == [(3, "z@x", None, "Z"), (4, None, None, "no mail")]


def test_new_rows_that_share_their_values_are_refused_at_once_not_by_the_next_sync(people: Config) -> None:
    put(people, "sqlite", person=[(1, "a@x", None, "A"), (2, "b@x", None, "A")])
    put(people, "sqlite2")
    with pytest.raises(AmbiguousMatchError, match="person: several rows have name=A"):
        sync(people, "sqlite", "sqlite2", match={"person": ["name"]})


@pytest.mark.slow
@pytest.mark.parametrize("target", ["duckdb"])
def test_without_models_children_follow_where_the_target_has_no_foreign_keys(people: Config, target: str) -> None:
    bare = replace(people, metadata="", migrations=people.root / "none")
    execute(
        bare.database("sqlite"),
        "CREATE TABLE a (id INTEGER PRIMARY KEY, code TEXT, aunt INTEGER REFERENCES a (id))",
        "CREATE TABLE b (id INTEGER PRIMARY KEY, a_id INTEGER REFERENCES a, gone INTEGER REFERENCES nowhere)",
        "INSERT INTO a VALUES (1, 'x', 2), (2, 'y', NULL)",
        "INSERT INTO b VALUES (1, 2, NULL), (2, 1, NULL)",
    )
    execute(
        bare.database(target),
        "CREATE TABLE alpha (id INTEGER PRIMARY KEY, code VARCHAR(9) UNIQUE, aunt INTEGER)",
        "CREATE TABLE b (id INTEGER PRIMARY KEY, alpha_id INTEGER, gone INTEGER)",
        "INSERT INTO alpha VALUES (2, 'x', NULL), (7, 'y', NULL)",
    )
    options: dict[str, Any] = {"match": {"a": ("code",)}, "rename": {"a": "alpha", "b.a_id": "b.alpha_id"}}
    sync(bare, "sqlite", target, **options)
    with connected(bare.database(target)) as connection:
        found = [sorted(map(tuple, connection.exec_driver_sql(f"SELECT * FROM {each}"))) for each in ("alpha", "b")]
    assert found == [[(2, "x", 7), (7, "y", None)], [(1, 7, None), (2, 2, None)]]
    assert not any(each.inserted + each.updated for each in sync(bare, "sqlite", target, **options).tables)


def test_columns_that_point_at_rows_yet_to_be_matched_are_refused_and_one_named_twice_counts_once(
    people: Config,
) -> None:
    put(people, "sqlite", person=[(1, "a@x", 1, "A")])
    put(people, "sqlite2", person=[(2, "a@x", 2, "A")])
    with pytest.raises(ConfigurationError, match="person cannot be matched by boss_id"):
        sync(people, "sqlite", "sqlite2", match={"person": ["boss_id", "name"]})
    assert sync(people, "sqlite", "sqlite2", match={"person": ["email", "email"]}).tables[0].unchanged == 1


@pytest.mark.slow
@settings(deadline=None, max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
