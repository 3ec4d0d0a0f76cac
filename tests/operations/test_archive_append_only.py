"""An archive whose credentials may write and read, but remove nothing: protection from whoever steals them."""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.operations.archive_example import Gallery, gallery
from tests.servers.unreliable import UnreliableProxy, no_removal
from toolkit.config import Config, Store
from toolkit.errors import ArchiveBusyError, DeleteRefusedError, StoreError
from toolkit.stores import archive_locks
from toolkit.stores.archive_locks import LockKind, take_lock


@pytest.fixture
def append_only(alone: Config, archive_bucket: Store, unreliable_s3: UnreliableProxy) -> Gallery:
    """A gallery whose archive refuses every removal."""
    options = {**archive_bucket.options, "endpoint": unreliable_s3.endpoint, "retries": 0}
    store = replace(archive_bucket, address=f"{archive_bucket.address}/{secrets.token_hex(8)}", options=options)
    unreliable_s3.refuses = no_removal
    return gallery(replace(alone, stores={**alone.stores, "archive": store}), "sqlite")


@pytest.mark.slow
def test_pushes_go_on_and_their_locks_say_that_they_ended(append_only: Gallery) -> None:
    for number in range(3):
        append_only.photo(number, f"{number}", b"%d" % number)
        assert append_only.push().complete
    assert append_only.verify(read_data=True).whole
    store = append_only.archive.store
    locks = [json.loads(b"".join(store.read(info.key))) for info in store.list("locks/")]
    assert [lock["ended"] for lock in locks] == [True] * 3
    assert append_only.archive.at_work(LockKind.PUSH) == []


def test_an_old_lock_that_cannot_be_removed_is_not_even_read(
    append_only: Gallery, unreliable_s3: UnreliableProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = append_only.archive.store
    for number in range(3):
        store.write(f"locks/prune-{number}", [b"no process of ours"])
    with pytest.raises(ArchiveBusyError):
        append_only.push()
    monkeypatch.setattr(archive_locks, "LOCK_TTL", dt.timedelta(seconds=-5))
    unreliable_s3.requests.clear()
    with take_lock(store, LockKind.PRUNE):
        pass
    assert not [each for each in unreliable_s3.requests if each.startswith("GET ") and "/locks/" in each]


@pytest.mark.slow
def test_a_prune_says_which_permission_and_which_objects_it_would_need_and_removes_nothing(
    append_only: Gallery, unreliable_s3: UnreliableProxy
) -> None:
    append_only.photo(1, "a", b"A")
    first = append_only.push().snapshot
    append_only.run("DELETE FROM photo")
    append_only.photo(2, "b", b"BB")
    append_only.push()
    before = {info.key for info in append_only.archive.store.list()}
    assert append_only.prune(last=1, dry_run=True).removed_objects == 1
    with pytest.raises(DeleteRefusedError) as caught:
        append_only.prune(last=1)
    assert f"1 under snapshots/ ({first}) and 1 under objects/ (1 bytes) were to go" in str(caught.value)
    assert "s3:DeleteObject" in caught.value.advice
    assert str(caught.value).count("\n") == 1
    assert {info.key for info in append_only.archive.store.list()} >= before
    assert append_only.verify(read_data=True).whole
    unreliable_s3.reliable()
    assert append_only.prune(last=1).removed_objects == 1
    assert not list(append_only.archive.store.list("locks/"))


@pytest.mark.slow
def test_what_was_damaged_and_repaired_is_not_sent_again(append_only: Gallery) -> None:
    append_only.photo(1, "a", b"A")
    append_only.push()
    archive = append_only.archive
    (info,) = archive.objects()
    archive.store.write(info.key, [b"B"])
    assert not append_only.verify(read_data=True).whole
    assert append_only.push().repaired == 1
    assert append_only.push().sent == 0
    assert list(archive.damaged()) == []
    assert append_only.verify(read_data=True).whole


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ((400, "ExpiredToken"), "the credentials have expired"),
        ((400, "TokenRefreshRequired"), "the credentials have expired"),
        ((403, "RequestTimeTooSkewed"), "the clock here differs too much"),
        ((403, "AccessDenied"), "access is denied"),
        ((403, "RetentionPolicyNotMet"), "access is denied"),
        ((403, "InvalidAccessKeyId"), "the credentials are refused"),
    ],
)
def test_what_credentials_lack_is_told_as_what_it_is(
    append_only: Gallery, unreliable_s3: UnreliableProxy, code: tuple[int, str], message: str
) -> None:
    def refuses(request: str, headers: Mapping[str, str]) -> tuple[int, str] | None:
        return code if request.startswith("PUT") and "/objects/" in request else None

    append_only.photo(1, "a", b"A")
    unreliable_s3.refuses = refuses
    with pytest.raises(StoreError, match=message) as caught:
        append_only.push()
    assert str(caught.value).count("\n") == 1
    assert list(append_only.archive.snapshot_ids()) == []
