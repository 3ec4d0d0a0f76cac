"""What a store is asked for by its settings, and what is told where it does not know that."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.servers.swift import S3Server
from tests.servers.unreliable import UnreliableProxy
from toolkit.config import Store
from toolkit.errors import ArchiveBusyError, StoreError
from toolkit.stores.archive_locks import LockKind, take_lock
from toolkit.stores.objects import ObjectStore
from toolkit.stores.opening import opened

_OF_X = base64.b64encode(hashlib.sha256(b"x").digest()).decode()


@pytest.fixture(scope="session")
def bucket(s3_server: S3Server) -> Store:
    s3_server.create_bucket("settings")
    return Store("s3", "s3://settings", options=s3_server.options)


@pytest.fixture
def behind(bucket: Store, unreliable_s3: UnreliableProxy) -> Store:
    """A store behind the proxy, a prefix of its own, without repetitions of what is refused for good."""
    options = {**bucket.options, "endpoint": unreliable_s3.endpoint, "retries": 0}
    return replace(bucket, address=f"{bucket.address}/{secrets.token_hex(8)}", options=options)


def without_conditions(request: str, headers: Mapping[str, str]) -> tuple[int, str] | None:
    return (501, "NotImplemented") if "if-none-match" in headers else None


def test_a_store_without_conditional_writes_is_told_with_the_setting_that_gets_past_it(
    behind: Store, unreliable_s3: UnreliableProxy
) -> None:
    unreliable_s3.refuses = without_conditions
    with pytest.raises(StoreError, match=r"does not support the request \(501") as caught:
        ObjectStore(behind).create("a", b"x")
    assert caught.value.advice == "Set conditional_put = false for the store, then run again."
    assert str(caught.value).count("\n") == 1
    set_so = ObjectStore(replace(behind, options={**behind.options, "conditional_put": False}))
    assert [set_so.create("a", b"x"), set_so.create("a", b"y")] == [True, False]
    assert b"".join(set_so.read("a")) == b"x"
    with take_lock(set_so, LockKind.PUSH), pytest.raises(ArchiveBusyError), take_lock(set_so, LockKind.PRUNE):
        pass


@pytest.mark.parametrize(
    ("setting", "value"),
    [("server_side_encryption", "AES256"), ("checksum_algorithm", "CRC64NVME"), ("request_payer", True)],
)
def test_what_else_a_store_does_not_know_is_told_with_the_setting_that_asked_for_it(
    behind: Store, unreliable_s3: UnreliableProxy, setting: str, value: str | bool
) -> None:
    unreliable_s3.refuses = lambda request, headers: (501, "NotImplemented")
    with pytest.raises(StoreError) as caught:
        ObjectStore(replace(behind, options={**behind.options, setting: value})).write("a", [b"x"])
    assert caught.value.advice == f"Take away {setting}, then run again."


def test_swift_knows_no_server_side_encryption_and_that_is_told(bucket: Store) -> None:
    store = replace(bucket, options={**bucket.options, "server_side_encryption": "AES256", "retries": 0})
    with pytest.raises(StoreError, match="does not support the request") as caught:
        ObjectStore(store).write("a", [b"x"])
    assert "server_side_encryption" in caught.value.advice


@pytest.mark.parametrize(
    ("settings", "header", "value"),
    [
        ({"request_payer": True}, "x-amz-request-payer", "requester"),
        ({"server_side_encryption": "AES256"}, "x-amz-server-side-encryption", "AES256"),
        (
            {"server_side_encryption": "aws:kms", "sse_kms_key_id": "k1", "sse_bucket_key_enabled": True},
            "x-amz-server-side-encryption-aws-kms-key-id",
            "k1",
        ),
        (
            {"server_side_encryption": "sse-c", "sse_customer_key_base64": "c2VjcmV0"},
            "x-amz-server-side-encryption-customer-key",
            "c2VjcmV0",
        ),
        (
            {"checksum_algorithm": "SHA256"},
            "x-amz-checksum-sha256",
            _OF_X,
        ),
        ({"unsigned_payload": True}, "x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
    ],
)
def test_a_setting_reaches_the_store(
    behind: Store, unreliable_s3: UnreliableProxy, settings: dict[str, str | bool], header: str, value: str
) -> None:
    unreliable_s3.refuses = lambda request, headers: (403, "AccessDenied")
    with pytest.raises(StoreError):
        ObjectStore(replace(behind, options={**behind.options, **settings})).write("a", [b"x"])
    assert unreliable_s3.headers[-1][header] == value


def test_checksums_that_the_store_compares_are_sent_and_taken(bucket: Store) -> None:
    for algorithm in ("SHA256", "CRC64NVME"):
        objects = ObjectStore(replace(bucket, options={**bucket.options, "checksum_algorithm": algorithm}))
        objects.write(algorithm, [b"x" * 1000])
        assert b"".join(objects.read(algorithm)) == b"x" * 1000


def test_a_customers_key_is_in_no_message(bucket: Store) -> None:
    options = {**bucket.options, "server_side_encryption": "nonsense", "sse_customer_key_base64": "hunter2hunter2"}
    with pytest.raises(StoreError) as caught:
        opened(replace(bucket, options=options))
    assert "hunter2" not in f"{caught.value} {caught.value.advice}"


@pytest.mark.parametrize("path", ["file", "file/in/it"])
def test_what_is_no_directory_is_told_as_such_and_is_no_empty_store(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"something other than a directory has its name|Not a directory"):
        opened(Store("archive", str(tmp_path / path), tmp_path))
