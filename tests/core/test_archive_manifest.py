"""Manifests of snapshots: what is written comes back, and whatever is damaged is told."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.core.archive_manifest import (
    FORMAT,
    Address,
    FileEntry,
    Header,
    Lacking,
    ManifestError,
    Scope,
    address_of,
    decode_header,
    decode_manifest,
    encode_manifest,
    new_snapshot_id,
    one_line,
    snapshot_key,
    snapshot_of,
)

NOW = dt.datetime(2024, 2, 29, 15, 30, 0, 123456, dt.UTC)
HASH = hashlib.sha256(b"x").hexdigest()


def header(**changes: Any) -> Header:
    values = {
        "id": "20240229T153000Z-0123abcd",
        "created_at": NOW,
        "database": "sqlite",
        "revision": "0001",
        "scope": Scope(("attachment",), {"attachment": "size > 3"}, "90d"),
        "files": 1,
        "objects": 1,
        "bytes": 5,
    }
    return Header(**{**values, **changes})


def entry(**changes: Any) -> FileEntry:
    values = {
        "table": "attachment",
        "column": "file",
        "key": {"id": "018df57c"},
        "index": None,
        "backend": "attachments",
        "path": "2024/a.pdf",
        "name": "a.pdf",
        "content_type": "application/pdf",
        "size": 5,
        "sha256": HASH,
        "stored": None,
        "modified": 1709220599.25,
        "etag": '"e"',
        "metadata": msgspec.Raw(b'{"pages": "17"}'),
        "reference": msgspec.Raw(b'{"filename": "2024/a.pdf"}'),
    }
    return FileEntry(**{**values, **changes})


def written(*entries: FileEntry) -> bytes:
    return b"".join(encode_manifest(header(files=len(entries)), entries))


def cut(content: bytes, size: int) -> Iterator[bytes]:
    return (content[at : at + size] for at in range(0, len(content), size))


texts = st.text(max_size=40)
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
entries = st.builds(
    entry,
    table=texts,
    key=st.dictionaries(texts, st.none() | st.integers(-(2**63), 2**63 - 1) | texts, max_size=3),
    index=st.none() | st.integers(0, 9),
    backend=texts,
    path=texts,
    name=texts,
    content_type=st.none() | texts,
    size=st.integers(0, 2**60),
    stored=st.none() | st.integers(0, 2**60),
    modified=st.none() | st.floats(0, 2**33),
    etag=st.none() | texts,
    metadata=documents.map(lambda each: one_line(json.dumps(each, indent=1))),
)


@given(st.lists(entries, max_size=5), st.integers(1, 300))
def test_what_is_written_comes_back_however_it_is_cut(found: list[FileEntry], size: int) -> None:
    content = written(*found)
    assert list(decode_manifest(cut(content, size))) == [header(files=len(found)), *found]
    assert written(*found) == content


def test_a_manifest_that_lacks_files_says_which_and_is_of_a_format_of_its_own() -> None:
    lacking = [
        Lacking(table="t", column="c", key={"id": 1}, outcome="dangling row", reason="gone", backend="b", path="p"),
        Lacking(table="t", column="c", key={"id": 2}, outcome="malformed reference"),
    ]
    head = header(format=2, lacking=2)
    assert list(decode_manifest([*encode_manifest(head, [entry()], lacking)])) == [head, *lacking, entry()]
    assert FORMAT == 2
    assert header().format == 1


@given(st.data())
def test_no_change_of_a_byte_goes_unnoticed(data: st.DataObject) -> None:
    content = bytearray(written(entry(), entry(index=1)))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(ManifestError):
        list(decode_manifest([bytes(content)]))


@given(st.data())
def test_no_missing_end_goes_unnoticed(data: st.DataObject) -> None:
    content = written(entry(), entry(index=1))
    length = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(ManifestError):
        list(decode_manifest([content[:length]]))


def test_a_missing_line_is_told() -> None:
    lines = written(entry(), entry(index=1)).splitlines(keepends=True)
    del lines[1]
    with pytest.raises(ManifestError, match="digest"):
        list(decode_manifest(lines))


def test_a_later_format_is_refused_by_its_number() -> None:
    content = b"".join(encode_manifest(header(format=3), ()))
    with pytest.raises(ManifestError, match="format 3"):
        list(decode_manifest([content]))
    with pytest.raises(ManifestError, match="format 3"):
        decode_header([content])


def test_the_header_is_read_without_the_rest() -> None:
    first, rest = written(entry()).split(b"\n", 1)

    def chunks() -> Iterator[bytes]:
        yield first + b"\n" + rest[:5]
        pytest.fail("more was read than the header")

    assert decode_header(chunks()).files == 1


def test_numbers_of_a_reference_stay_to_the_letter() -> None:
    raw = one_line('{"big": 123456789012345678901234567890,\n "exact": 1.10}')
    (_, found) = decode_manifest([written(entry(reference=raw))])
    assert isinstance(found, FileEntry)
    assert bytes(found.reference) == b'{"big": 123456789012345678901234567890,  "exact": 1.10}'
    assert '"exact": 1.10' in found.document


def test_an_object_is_named_after_its_content_alone() -> None:
    assert Address(HASH).key == f"objects/{HASH[:2]}/{HASH}"
    assert Address(HASH, compressed=True).key == f"objects/{HASH[:2]}/{HASH}.zst"


@pytest.mark.parametrize("compressed", [False, True])
def test_an_address_is_read_from_its_key(compressed: bool) -> None:
    assert address_of(Address(HASH, compressed).key) == Address(HASH, compressed)


@pytest.mark.parametrize(
    "key", ["", f"objects/00/{HASH}", f"objects/{HASH}", f"objects/{HASH[:2]}/{HASH}.gz", f"x/{Address(HASH).key}"]
)
def test_what_is_no_object_has_no_address(key: str) -> None:
    assert address_of(key) is None


def test_ids_sort_by_time_and_differ() -> None:
    first, second = new_snapshot_id(NOW), new_snapshot_id(NOW)
    later = new_snapshot_id(NOW + dt.timedelta(seconds=1))
    assert first != second
    assert max(first, second) < later
    assert first.startswith("20240229T153000Z-")
    assert snapshot_of(snapshot_key(first)) == first
    assert snapshot_of("snapshots/other.jsonl.zst") is None


_FIRST_IN_THREADS = """
import sys, threading
from toolkit.core.archive_manifest import decode_header, decode_manifest
content = bytes.fromhex(sys.argv[1])
sys.setswitchinterval(1e-6)
start = threading.Barrier(8)
def work():
    start.wait()
    decode_header([content])
    list(decode_manifest([content]))
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_several_threads_may_be_the_first_to_read_a_manifest() -> None:
    """msgspec makes a type's decoder when it is first used; done by two threads at once, that was a crash."""
    content = written(entry()).hex()
    for _ in range(3):
        subprocess.run([sys.executable, "-c", _FIRST_IN_THREADS, content], check=True)


def signed(*documents: str) -> bytes:
    """Lines that say of themselves that nothing is wrong with them."""
    body = "".join(f"{document}\n" for document in documents).encode()
    trailer = {"sha256": hashlib.sha256(body).hexdigest(), "lines": len(documents)}
    return body + json.dumps(trailer).encode() + b"\n"


HEADER, ENTRY = (line.decode() for line in written(entry()).splitlines()[:2])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("size", "99999999999999999999999999"),
        ("size", "-1"),
        ("size", "1.5"),
        ("size", "NaN"),
        ("size", "9" * 5000),
        ("stored", str(2**63)),
        ("index", "-1"),
        ("sha256", '"../../../../../etc/hostname"'),
        ("sha256", f'"{HASH}\\n"'),
        ("modified", "1e999"),
        ("reference", "5"),
        ("reference", '{"filename": 5}'),
        ("reference", "[" * 3000),
        ("key", "[" * 1200 + "]" * 1200),
    ],
)
def test_a_file_that_no_archive_could_have_is_refused_when_it_is_read(name: str, value: str) -> None:
    fields = {**json.loads(ENTRY), name: "@"}
    line = json.dumps(fields).replace('"@"', value)
    with pytest.raises(ManifestError, match="is damaged"):
        list(decode_manifest([signed(HEADER, line)]))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", "../../x"),
        ("id", ""),
        ("created_at", "0001-01-01T00:00:00+14:00"),
        ("created_at", "2024-01-01T00:00:00"),
        ("created_at", "9999-12-31T23:59:59-14:00"),
        ("files", -1),
        ("bytes", 2**63),
        ("objects", 1e300),
        ("format", "x"),
    ],
)
def test_a_snapshot_that_nobody_could_have_made_is_refused_when_it_is_read(name: str, value: object) -> None:
    with pytest.raises(ManifestError, match="is damaged"):
        decode_header([signed(json.dumps({**json.loads(HEADER), name: value}))])
