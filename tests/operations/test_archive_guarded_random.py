"""The same sequences where the archive is encrypted, its keys change, and its store now and then removes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from tests.operations.test_archive_random import Sequences
from toolkit.errors import ConfigurationError, DeleteRefusedError
from toolkit.stores.client import ObjectStoreClient


@contextmanager
def nothing_is_removed(archive: str) -> Iterator[None]:
    """The store of an archive that is read and written only; live stores are others."""
    usual = ObjectStoreClient.delete

    def delete(client: ObjectStoreClient, keys: Iterable[str]) -> None:
        if client.name == archive and list(keys):
            raise DeleteRefusedError(client.name)
        usual(client, keys)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ObjectStoreClient, "delete", delete)
        yield


class Guarded(Sequences):
    """Sequences with a store that may refuse to remove."""

    @rule(compress=st.booleans())
    def push_where_nothing_is_removed(self, compress: bool) -> None:
        with nothing_is_removed(self.world.archive.name):
            self._push(compress=compress)

    @precondition(lambda self: self.snapshots)
    @rule()
    def prune_where_nothing_is_removed(self) -> None:
        before = {header.id for header in self.world.archive.snapshots()[0]}
        with nothing_is_removed(self.world.archive.name), suppress(DeleteRefusedError):
            self.world.prune(last=1)
        assert {header.id for header in self.world.archive.snapshots()[0]} == before
        assert self.world.verify(read_data=True, source=None).snapshots


class Encrypted(Guarded):
    """The same with an encrypted archive, whose keys change."""

    @initialize()
    def begin(self) -> None:
        super().begin()
        self.keys: list[str] = []
        self.another_key()

    @rule()
    def another_key(self) -> None:
        """New objects are written with a new key; the old ones are read."""
        self.keys.insert(0, f"{len(self.keys):02x}" * 32)
        config = self.world.config
        store = config.stores["archive"]
        keyed = replace(store, options={**store.options, "encryption_key": " ".join(self.keys)})
        self.world.config = replace(config, stores={**config.stores, "archive": keyed})

    @rule()
    def move(self) -> None:
        with pytest.raises(ConfigurationError):
            self.world.push(move=True)


TestGuarded = pytest.mark.slow(Guarded.TestCase)
TestEncrypted = pytest.mark.slow(Encrypted.TestCase)
TestGuarded.settings = TestEncrypted.settings = settings(
    max_examples=7, stateful_step_count=14, deadline=None, suppress_health_check=list(HealthCheck)
)
