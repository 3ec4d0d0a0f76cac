"""Whatever happens to both sides between them, a sync leaves what its options promise, and a second one writes nothing.

Each rule is done to real databases and to plain dictionaries beside them, which say what has to be there.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.operations.databases import connected, contents
from toolkit.compute.changes import compare
from toolkit.config import Config, load_config
from toolkit.engines.duckdb.table import DuckDBRepository
from toolkit.errors import DeleteGuardError, UniqueConflictError
from toolkit.operations.diff.compare import diff
from toolkit.operations.sync import sync
from toolkit.operations.transfer.deletes import DeleteLimit
from toolkit.operations.transfer.options import Mode, Options

METADATA = sa.MetaData()
OWNER = sa.Table(
    "owner",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("code", sa.String(40), nullable=False, unique=True),
    sa.Column("name", sa.Text),
    sa.Column("is_deleted", sa.Boolean, nullable=False),
)
PET = sa.Table(
    "pet",
    METADATA,
    sa.Column("name", sa.String(20), primary_key=True),
    sa.Column("owner_id", sa.ForeignKey("owner.id", ondelete="CASCADE"), nullable=False),
    sa.Column("next", sa.ForeignKey("pet.name")),
    sa.Column("facts", sa.JSON),
)
TARGETS = ("sqlite2", "postgres", "duckdb")
EVERYTHING = DeleteLimit(0, 1.0)

ids, codes = st.integers(1, 6), st.sampled_from(["a", "A", "b ", "b", "é"])
names = st.sampled_from(["Rex", "rex", "Rex ", "Ümit", "🐟"])
facts: st.SearchStrategy[Any] = st.sampled_from([None, {"a": [1, None]}, [], "text", 0.5])

Owners = dict[int, tuple[str, str | None, bool]]
Pets = dict[str, tuple[int, str | None, Any]]


class Side:
    """One database as it should be."""

    def __init__(self) -> None:
        self.owners: Owners = {}
        self.pets: Pets = {}

    def set_owner(self, key: int, code: str, name: str | None) -> bool:
        """Insert or change an owner, unless another has the code."""
        if any(held[0] == code for other, held in self.owners.items() if other != key):
            return False
        self.owners[key] = (code, name, False)
        return True

    def set_pet(self, name: str, owner: int, following: str | None, about: Any) -> bool:
        """Insert or change a pet, unless its owner or the next pet is not there."""
        if owner not in self.owners or (following is not None and following not in {*self.pets, name}):
            return False
        self.pets[name] = (owner, following, about)
        return True

    def remove_pet(self, name: str) -> None:
        self.pets.pop(name, None)
        self.pets = {key: (o, None if n == name else n, f) for key, (o, n, f) in self.pets.items()}

    def remove_owner(self, key: int) -> None:
        for name in [name for name, pet in self.pets.items() if pet[0] == key]:
            self.remove_pet(name)
        self.owners.pop(key, None)

    def copy(self) -> Side:
        other = Side()
        other.owners, other.pets = dict(self.owners), dict(self.pets)
        return other

    @property
    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        found: dict[str, list[tuple[Any, ...]]] = {
            "owner": [(key, *held) for key, held in self.owners.items()],
            "pet": [(key, *held) for key, held in self.pets.items()],
        }
        return {table: sorted(rows, key=repr) for table, rows in found.items()}


class Syncing(RuleBasedStateMachine):
    """A source, three targets, and what should be in each."""

    config: Config

    @initialize()
    def empty(self) -> None:
        self.sides = {name: Side() for name in ("sqlite", *TARGETS)}
        for name in self.sides:
            with connected(self.config.database(name)) as connection:
                METADATA.drop_all(connection)
                METADATA.create_all(connection)

    def _change(self, name: str, change: Callable[[Side], Any]) -> None:
        change(self.sides[name])
        self._write(name)

    def _write(self, name: str) -> None:
        """Make the database what the side is; in the order in which no constraint minds."""
        with connected(self.config.database(name)) as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql('TRUNCATE "owner", "pet"')
            else:
                connection.execute(PET.delete())
                connection.execute(OWNER.delete())
            owners = [dict(zip(OWNER.c.keys(), row, strict=True)) for row in self.sides[name].rows["owner"]]
            pets = [dict(zip(PET.c.keys(), row, strict=True)) for row in self.sides[name].rows["pet"]]
            if owners:
                connection.execute(OWNER.insert(), owners)
            if pets:
                # One statement: a pet may follow one that comes later.
                connection.execute(PET.insert().values(pets))

    @rule(name=st.sampled_from(["sqlite", "sqlite", *TARGETS]), data=st.data())
    def change(self, name: str, data: st.DataObject) -> None:
        def some(side: Side) -> None:
            for _ in range(data.draw(st.integers(1, 4))):
                side.set_owner(data.draw(ids), data.draw(codes), data.draw(st.sampled_from([None, "x", ""])))
                if side.owners:
                    following = data.draw(st.none() | names)
                    side.set_pet(
                        data.draw(names), data.draw(st.sampled_from(sorted(side.owners))), following, data.draw(facts)
                    )

        self._change(name, some)

    @rule(name=st.sampled_from(["sqlite", *TARGETS]), key=ids, pet=names)
    def remove(self, name: str, key: int, pet: str) -> None:
        def both(side: Side) -> None:
            side.remove_pet(pet)
            side.remove_owner(key)

        self._change(name, both)

    @rule(one=ids, other=ids, third=ids)
    def exchange_codes(self, one: int, other: int, third: int) -> None:
        side = self.sides["sqlite"]
        if len({one, other, third} & side.owners.keys()) == 3:
            turned = dict(zip((one, other, third), (other, third, one), strict=True))
            held = dict(side.owners)
            side.owners |= {key: (held[giver][0], *held[key][1:]) for key, giver in turned.items()}
            self._write("sqlite")

    @rule(
        to=st.sampled_from(TARGETS),
        mode=st.sampled_from([Mode.UPSERT, Mode.REPLACE, Mode.SOFT_DELETE]),
        commit_every=st.sampled_from([None, None, 1, 2]),
        batch_rows=st.sampled_from([1, 2, 1000]),
        segments=st.booleans(),
        verify=st.booleans(),
    )
    def sync(
        self, to: str, mode: Mode, commit_every: int | None, batch_rows: int, segments: bool, verify: bool
    ) -> None:
        options = Options(verify, batch_rows, commit_every, mode, EVERYTHING)
        before = contents(self.config.database(to), METADATA)
        with ExitStack() as stack:
            stack.enter_context(patch.object(DuckDBRepository, "row_group", 1 if batch_rows == 1 else 122_880))
            if segments:
                stack.enter_context(patch("toolkit.compute.segments._FEWEST_SEGMENTS", 1))
                stack.enter_context(patch.dict(compare.__kwdefaults__, segment_rows=1))
            try:
                result = sync(self.config, "sqlite", to, options=options)
            except (DeleteGuardError, UniqueConflictError) as error:
                assert type(error) is self._expected_error(to, mode)  # noqa: PT017 - whether depends on the history
                if commit_every is None:
                    assert contents(self.config.database(to), METADATA) == before
                else:
                    self._take_over(to)
                return
            assert self._expected_error(to, mode) is None
            self.sides[to] = self._expected(to, mode)
            assert contents(self.config.database(to), METADATA) == self.sides[to].rows
            again = sync(self.config, "sqlite", to, options=options)
        assert not sum(t.inserted + t.updated + t.deleted + t.marked for t in again.tables)
        assert all(t.verified is verify and t.source_digest == t.target_digest for t in result.tables)
        if mode is Mode.REPLACE:
            assert diff(self.config, "sqlite", to).equal

    def _expected(self, target: str, mode: Mode) -> Side:
        source, after = self.sides["sqlite"], self.sides[target].copy()
        if mode is Mode.REPLACE:
            return source.copy()
        if mode is Mode.SOFT_DELETE:
            gone = after.owners.keys() - source.owners.keys()
            after.owners |= {key: (*after.owners[key][:2], True) for key in gone}
        after.owners |= source.owners
        after.pets |= source.pets
        return after

    def _expected_error(self, target: str, mode: Mode) -> type[Exception] | None:
        source, held = self.sides["sqlite"], self.sides[target]
        nothing_left = (held.owners and not source.owners) or (held.pets and not source.pets)
        if mode is Mode.REPLACE and nothing_left:
            return DeleteGuardError
        # Rows that are marked already are not marked again.
        unmarked = [owner for owner in held.owners.values() if not owner[2]]
        if mode is Mode.SOFT_DELETE and unmarked and not source.owners:
            return DeleteGuardError
        after = [owner[0] for owner in self._expected(target, mode).owners.values()]
        return UniqueConflictError if len(set(after)) < len(after) else None

    def _take_over(self, target: str) -> None:
        """Whole batches were kept: what they are does not matter here, only what the next sync makes of them."""
        rows = contents(self.config.database(target), METADATA)
        side = self.sides[target]
        side.owners = {row[0]: row[1:] for row in rows["owner"]}
        side.pets = {row[0]: row[1:] for row in rows["pet"]}


@pytest.mark.slow
def test_after_any_history_a_sync_leaves_what_its_options_promise(postgres_url: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "toolkit.toml").write_text(f'metadata = "{__name__}:METADATA"\nmigrations = "none"\n')
        urls = {
            "sqlite": f"sqlite:///{folder}/1.db",
            "sqlite2": f"sqlite:///{folder}/2.db",
            "duckdb": f"duckdb:///{folder}/3.db",
            "postgres": postgres_url,
        }
        environment = {f"TOOLKIT_{name.upper()}_URL": url for name, url in urls.items()}

        class Here(Syncing):
            config = load_config(Path(folder), environment)

        run_state_machine_as_test(
            # A failure takes ten minutes to shrink; the steps that led to it are told anyway.
            Here,
            settings=settings(
                deadline=None,
                max_examples=6,
                stateful_step_count=12,
                print_blob=True,
                phases=(Phase.explicit, Phase.reuse, Phase.generate),
                suppress_health_check=list(HealthCheck),
            ),
        )
