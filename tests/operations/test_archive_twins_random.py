"""Two backends with equal names, files replaced under them, names used again: no row ever reads another row's bytes."""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.operations import databases
from tests.operations.archive_example import LONG_AGO, Gallery, gallery, reference
from tests.operations.gallery import metadata
from tests.operations.outcomes import files_in
from toolkit.config import load_config
from toolkit.errors import CollidingFilesError, UnknownNameError
from toolkit.operations.archive.backends import Backends
from toolkit.operations.sync import sync

BACKENDS = ("attachments", "pages")
numbers = st.integers(0, 2)
backends = st.sampled_from(BACKENDS)
# Few, so that they meet; one spelt in two ways.
names = st.sampled_from(["x", "x", "/x", "y"])
Place = tuple[str, str]


class Twins(RuleBasedStateMachine):
    """Rows whose files say whose they are: each content begins with the number of its row."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="tk-twins-")
        root = Path(self.folder.name)
        (root / "toolkit.toml").write_text('metadata = "toolkit.models.todo:metadata"\n')
        config = load_config(root, {"TOOLKIT_SQLITE_URL": f"sqlite:///{root}/one.sqlite3"})
        stores = {name: f".toolkit/{name}" for name in ("pages", "spare", "other", "mirror", "mirror2")}
        self.world: Gallery = gallery(config, "sqlite", **stores)
        self.two = f"sqlite:///{root}/two.sqlite3"
        databases.create(self.world.config.database(self.two), metadata)
        self.generation = 0
        self.archived: dict[str, dict[int, bytes]] = {}

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()

    # -- what an application does ----------------------------------------------------------------------------------

    @rule(number=numbers, name=names)
    def write_twins(self, number: int, name: str) -> None:
        """Two rows with files of one name in two backends."""
        for each, backend in enumerate(BACKENDS, number):
            self.write(each % 3, backend, name)

    @rule(number=numbers, backend=backends, name=names)
    def write(self, number: int, backend: str, name: str) -> None:
        """A row with a file of its own, under a name that no other row has at the time, but may have had."""
        if (backend, name.strip("/")) in {place for n, place in self.places().items() if n != number}:
            return
        self.world.run(f"DELETE FROM photo WHERE id = {number}")
        content = self.put(number, backend, name)
        file = reference(name, content, backend, last_modified=self.generation + 0.5)
        self.world.row(number, json.dumps(file), LONG_AGO)

    @rule(number=numbers)
    def replace(self, number: int) -> None:
        """Another content of the same size where a row's file is; the row does not know of it."""
        place = self.places().get(number)
        if place is not None and place[0] in BACKENDS:
            self.put(number, *place)

    @rule(number=numbers, to=numbers)
    def take_over(self, number: int, to: int) -> None:
        """A row goes, and another has a file under its name."""
        place = self.places().get(number)
        self.world.run(f"DELETE FROM photo WHERE id = {number}")
        if place is not None and place[0] in BACKENDS:
            self.write(to, *place)

    def lose(self) -> None:
        """All live files go."""
        for name in (*BACKENDS, "spare", "other"):
            shutil.rmtree(self.world.config.root / ".toolkit" / name, ignore_errors=True)

    def put(self, number: int, backend: str, name: str) -> bytes:
        self.generation += 1
        content = b"%d|%06d" % (number, self.generation)
        Backends(self.world.config).get(backend).write(name, [content])
        return content

    # -- what is done about it -------------------------------------------------------------------------------------

    @rule(move=st.booleans())
    def push(self, move: bool) -> None:
        before = {number: content for number, content in self.readable().items() if content is not None}
        result = self.world.push(move=move)
        assert (result.snapshot is None) == (not before)
        if result.snapshot is not None:
            self.archived[result.snapshot] = before
        after = {number: content for number, content in self.readable().items() if content is not None}
        assert after == before

    @precondition(lambda self: self.archived)
    @rule(
        data=st.data(),
        lose=st.booleans(),
        overwrite=st.booleans(),
        rowless=st.booleans(),
        backend=st.sampled_from([None, "spare", "spare", {"attachments": "spare", "pages": "other"}]),
    )
    def restore(
        self,
        data: st.DataObject,
        lose: bool,
        overwrite: bool,
        rowless: bool,
        backend: str | dict[str, str] | None,
    ) -> None:
        snapshot = data.draw(st.sampled_from(sorted(self.archived)))
        if lose:
            self.lose()
        before = self.readable()
        # A snapshot may have no file of a backend that is named.
        with suppress(UnknownNameError):
            self.world.restore(snapshot, overwrite=overwrite, rowless=rowless, backend=backend)
        for number, content in self.readable().items():
            # What could be read still can, and is the same unless it was to be overwritten.
            assert before[number] is None or content is not None
            assert overwrite or before[number] in (None, content)

    @rule(overwrite=st.booleans(), apart=st.booleans())
    def mirror(self, overwrite: bool, apart: bool) -> None:
        config = self.world.config
        stores = {"attachments": "mirror", "": "mirror2"} if apart else {"": "mirror"}
        folders = {name: config.root / ".toolkit" / name for name in ("mirror", "mirror2")}
        before = {name: files_in(folder) for name, folder in folders.items()}
        try:
            found = sync(config, "sqlite", self.two, attachments=stores, overwrite_attachments=overwrite).attachments
        except CollidingFilesError:
            assert {name: files_in(folder) for name, folder in folders.items()} == before
            return
        assert found is not None
        after, places, readable = {n: files_in(f) for n, f in folders.items()}, self.places(), self.readable()
        wrong = [
            number
            for number, (backend, name) in places.items()
            if backend != "archive" and after[stores.get(backend, stores[""])].get(name) != readable[number]
        ]
        # What is not there as it is here was told; nothing is in the place of another row's.
        assert bool(wrong) == bool(found.problems) or any(readable[number] is None for number in places)
        if overwrite:
            assert all(readable[number] is None for number in wrong)

    # -- what is always so -----------------------------------------------------------------------------------------

    def places(self) -> dict[int, Place]:
        return {n: (row["backend"], row["filename"].strip("/")) for n, row in self.world.rows().items()}

    def readable(self) -> dict[int, bytes | None]:
        """By row, the content that an application finds where it points; None where there is nothing."""
        known = Backends(self.world.config, "archive")
        found: dict[int, bytes | None] = {}
        for number, (backend, name) in self.places().items():
            live = known.get(backend)
            found[number] = b"".join(live.read(name)) if live.info(name) else None
        return found

    @invariant()
    def every_row_reads_its_own(self) -> None:
        if hasattr(self, "world"):
            for number, content in self.readable().items():
                assert content is None or content.startswith(b"%d|" % number)

    @invariant()
    def nothing_archived_is_lost(self) -> None:
        for snapshot, expected in getattr(self, "archived", {}).items():
            found = {key[0]: content for (_, key, _), content in self.world.contents(snapshot).items()}
            assert found == expected


TestTwins = pytest.mark.slow(Twins.TestCase)
TestTwins.settings = settings(
    max_examples=7, stateful_step_count=14, deadline=None, suppress_health_check=list(HealthCheck)
)
