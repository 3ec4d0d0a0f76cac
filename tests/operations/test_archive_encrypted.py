"""An archive that is encrypted before it is sent: all works as ever, and whoever has no key learns nothing."""

from __future__ import annotations

import os
import secrets
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.operations.archive_example import Gallery
from tests.operations.outcomes import files_in
from tests.servers.unreliable import Fault, UnreliableProxy
from toolkit.config import Config, Store, load_config
from toolkit.errors import ConfigurationError, EncryptionError, NotRemovedError, StoreError
from toolkit.operations.archive.erasing import forget
from toolkit.operations.archive.outcomes import Outcome
from toolkit.operations.archive.rotating import rotate_key
from toolkit.operations.fixtures.dump import dump_data
from toolkit.stores.archive_locks import LockKind
from toolkit.stores.client import ObjectStoreClient
from toolkit.stores.encrypted import EncryptedStore, open_objects
from toolkit.stores.objects import ObjectInfo, ObjectStore
from toolkit.stores.sealing import keys_of

ONE, TWO = "01" * 32, "02" * 32


def with_keys(config: Config, *keys: str, store: str = "archive") -> Config:
    """The configuration whose archive has these keys; without any, it has none."""
    old = config.stores[store]
    options = {name: value for name, value in old.options.items() if name != "encryption_key"}
    if keys:
        options["encryption_key"] = "\n".join(keys)
    return replace(config, stores={**config.stores, store: replace(old, options=options)})


def key_id(config: Config) -> str:
    return keys_of(config.stores["archive"])[0].id


@pytest.fixture
def sealed(world: Gallery) -> Gallery:
    """A gallery with an encrypted archive in a directory, two of its files alike."""
    world.config = with_keys(world.config, ONE)
    for number, content in enumerate((b"the secret text " * 500, b"the secret text " * 500, b"", os.urandom(200_000))):
        world.photo(number, f"hidden-name-{number}", content)
    return world


def raw(world: Gallery) -> dict[str, bytes]:
    return files_in(world.folder)


def raw_objects(world: Gallery) -> list[str]:
    return sorted(name for name in raw(world) if name.startswith("objects/"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["directory", "unreliable"])
def test_files_go_into_an_encrypted_archive_and_come_back(
    sealed: Gallery, kind: str, request: pytest.FixtureRequest
) -> None:
    if kind == "unreliable":
        bucket: Store = request.getfixturevalue("archive_bucket")
        proxy: UnreliableProxy = request.getfixturevalue("unreliable_s3")
        options = {**bucket.options, "endpoint": proxy.endpoint}
        store = replace(bucket, address=f"{bucket.address}/{secrets.token_hex(8)}", options=options)
        sealed.config = with_keys(replace(sealed.config, stores={**sealed.config.stores, "archive": store}), ONE)
        proxy.every, proxy.faults = 5, (Fault.CUT, Fault.HALF_ANSWER)
    sealed.photo(9, "large", os.urandom(6_000_000))
    contents, rows = sealed.live_files(), sealed.rows()
    first = sealed.push(compress=True)
    assert (first.sent, first.findings) == (4, ())
    again = sealed.push()
    assert (again.read, again.sent) == (0, 0)
    assert sealed.push(rehash=True).sent == 0
    assert sealed.verify(read_data=True, source="sqlite").whole
    assert sealed.audit().clean
    assert sealed.prune(last=1).removed_snapshots == 2
    for path in contents:
        (sealed.live / path).unlink()
    assert sealed.restore().findings == ()
    assert (sealed.live_files(), sealed.rows()) == (contents, rows)
    assert not list(sealed.archive.store.list("locks"))


def test_neither_names_nor_contents_nor_hashes_are_in_the_store(sealed: Gallery) -> None:
    sealed.push()
    known = {key.rpartition("/")[2].encode() for key in sealed.objects()} | {b"hidden-name", b"secret text", b"photo"}
    stored = raw(sealed)
    assert stored
    for name, content in stored.items():
        assert not [each for each in known if each in content or each in name.encode()]
    assert {name.partition("/")[0] for name in stored} == {"encryption", "objects", "snapshots"}


def test_another_key_or_none_is_told_and_nothing_is_written(sealed: Gallery) -> None:
    sealed.push()
    before, own = raw(sealed), key_id(sealed.config)
    calls: tuple[Callable[[], Any], ...] = (
        sealed.push,
        sealed.verify,
        sealed.restore,
        sealed.audit,
        lambda: sealed.prune(last=1),
        lambda: sealed.archive,
    )
    for keys, message in (((TWO,), f"is encrypted with key {own}, and the given one is"), ((), "no key is given")):
        sealed.config = with_keys(sealed.config, *keys)
        for call in calls:
            if not keys and call == sealed.verify:
                continue
            with pytest.raises(EncryptionError, match=message) as caught:
                call()
            assert ONE not in str(caught.value)
            assert TWO not in str(caught.value)
            assert caught.value.advice
    assert raw(sealed) == before


def test_what_is_not_encrypted_takes_no_key(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    world.push()
    before, world.config = raw(world), with_keys(world.config, ONE)
    with pytest.raises(EncryptionError, match="what lies there is not encrypted"):
        world.push()
    assert raw(world) == before


def test_a_dry_run_and_a_look_leave_an_empty_archive_empty(sealed: Gallery) -> None:
    sealed.push(dry_run=True)
    assert [each.object for each in sealed.verify().findings] == ["snapshots/"]
    assert not sealed.folder.exists()


def test_a_new_key_writes_and_the_old_one_is_read(sealed: Gallery) -> None:
    sealed.push()
    before, old = raw_objects(sealed), sealed.config
    sealed.config = with_keys(old, TWO, ONE)
    sealed.photo(7, "more", b"more")
    pushed = sealed.push()
    assert (pushed.sent, pushed.findings) == (1, ())
    assert set(raw_objects(sealed)) > set(before)
    assert sealed.verify(read_data=True).whole
    assert len(sealed.archive.snapshots()[0]) == 2
    sealed.config = with_keys(old, TWO)
    with pytest.raises(EncryptionError, match=f"some of it is encrypted with key {key_id(old)}, which is not given"):
        sealed.prune(last=1)
    with pytest.raises(EncryptionError, match="which is not given"):
        Gallery(old, "sqlite").push()


def harm(world: Gallery, how: str) -> None:
    names = [name for name in raw_objects(world) if len(raw(world)[name]) > 200]
    first, second = (world.folder / name for name in names[:2])
    content = first.read_bytes()
    if how == "swapped":
        first.write_bytes(second.read_bytes())
        second.write_bytes(content)
    elif how == "cut off":
        first.write_bytes(content[:-5])
    elif how == "gone":
        first.unlink()
    else:
        first.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])


@pytest.mark.parametrize("how", ["swapped", "cut off", "gone", "flipped"])
def test_what_is_done_to_objects_is_found_and_repaired(sealed: Gallery, how: str) -> None:
    sealed.push()
    harm(sealed, how)
    found = sealed.verify(read_data=True)
    assert {finding.outcome for finding in found.findings} <= {
        Outcome.CORRUPT,
        Outcome.SIZE_DIFFERS,
        Outcome.MISSING,
    }
    assert found.findings
    assert sealed.restore(directory=sealed.config.root / "out").findings
    assert sealed.push().sent >= 1
    assert sealed.verify(read_data=True).whole


def test_a_manifest_in_the_place_of_another_is_told(sealed: Gallery) -> None:
    sealed.push()
    sealed.push()
    first, second = sorted(name for name in raw(sealed) if name.startswith("snapshots/"))
    (sealed.folder / first).write_bytes((sealed.folder / second).read_bytes())
    headers, problems = sealed.archive.snapshots()
    assert len(headers) == len(problems) == 1
    with pytest.raises(StoreError, match="nothing was removed"):
        sealed.prune(last=1)


def test_what_somebody_laid_there_is_no_object_whatever_its_name(sealed: Gallery) -> None:
    sealed.push()
    (key, *_) = sealed.objects()
    path = sealed.folder / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"in the clear")
    assert [f.outcome for f in sealed.verify().findings] == [Outcome.UNRECOGNISED]
    other = with_keys(sealed.config, TWO)
    assert keys_of(other.stores["archive"])[0].name_of(key) not in raw(sealed)


def test_without_the_key_a_verification_checks_what_can_be(sealed: Gallery) -> None:
    sealed.push()
    count, keyed = len(raw(sealed)), sealed.config
    sealed.config = with_keys(keyed)
    found = sealed.verify(read_data=True)
    assert (found.whole, found.without_key, found.objects, found.ok, found.snapshots) == (True, True, count, count, ())
    for how in ("flipped", "cut off"):
        harm(sealed, how)
        assert [f.outcome for f in sealed.verify(read_data=True).findings] == [Outcome.CORRUPT]
        sealed.config = keyed
        assert not sealed.verify(read_data=True).whole
        assert sealed.push().repaired == 1
        assert sealed.verify(read_data=True).whole
        sealed.config = with_keys(keyed)
    (path, *_) = raw_objects(sealed)
    content = (sealed.folder / path).read_bytes()
    (sealed.folder / path).write_bytes(content[:40])
    assert [f.outcome for f in sealed.verify().findings] == [Outcome.SIZE_DIFFERS]
    (sealed.folder / path).write_bytes(content)
    (sealed.folder / "objects" / "readme.txt").write_text("who is this")
    assert [f.outcome for f in sealed.verify().findings] == [Outcome.UNRECOGNISED]
    with pytest.raises(EncryptionError, match="no key is given"):
        sealed.verify("latest")
    assert sealed.verify(source="sqlite").rows_of is None


def test_rows_are_not_pointed_at_what_an_application_cannot_read(sealed: Gallery) -> None:
    with pytest.raises(ConfigurationError, match="could not read files that were encrypted"):
        sealed.push(move=True)
    assert not sealed.folder.exists()


def test_live_files_and_dumps_do_not_go_in_the_clear_where_a_key_was_given(sealed: Gallery, tmp_path: Path) -> None:
    config = with_keys(sealed.config, ONE, store="attachments")
    pushed = Gallery(config, "sqlite").push()
    assert {finding.outcome for finding in pushed.findings} == {Outcome.UNREADABLE}
    assert "only an archive is encrypted" in (pushed.findings[0].reason or "")
    with pytest.raises(StoreError, match="only an archive is encrypted"):
        dump_data(config, "sqlite", directory=config.stores["attachments"])


def test_a_key_comes_from_a_file_or_the_environment_and_is_shown_nowhere(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"# new\n{TWO}\n# old\n{ONE}\n")
    (tmp_path / "toolkit.toml").write_text(
        'metadata = "x"\n[stores.archive]\nencryption_key_file = "keys"\n[stores.off-site]\nurl = "s3://b"\n'
    )
    by_file = load_config(tmp_path, {}).store("archive")
    first, second = keys_of(by_file)
    assert (first.secret.hex(), second.secret.hex()) == (TWO, ONE)
    config = load_config(tmp_path, {"TOOLKIT_ARCHIVE_KEY": ONE, "TOOLKIT_OFF_SITE_KEY": "A" * 43 + "="})
    assert [key.secret.hex() for key in keys_of(config.store("archive"))] == [ONE]
    assert keys_of(config.store("off-site"))[0].secret == bytes(32)
    assert ONE not in f"{config!r} {config.store('archive')!r} {keys_of(config.store('archive'))!r}"
    elsewhere = load_config(tmp_path, {"TOOLKIT_ARCHIVE_STORE": "s3://elsewhere"}).store("archive")
    assert keys_of(elsewhere) == (first, second)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no key"),
        ("# only a comment", "holds no key"),
        (f"{ONE}\nhunter2", "no. 2 of its keys is not valid"),
        ("hunter2" * 9 + "h", "no. 1 of its keys is not valid"),
        ("\u00fc", "it is no text"),
    ],
)
def test_a_key_that_is_none_is_told_without_it(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "keys").write_text(text)
    with pytest.raises(ConfigurationError, match=message) as caught:
        keys_of(Store("archive", "x", tmp_path, {"encryption_key_file": "keys"}))
    assert "hunter2" not in str(caught.value)


def test_a_key_that_was_not_filled_in_is_not_taken_for_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="encryption key of store 'archive' is empty"):
        load_config(tmp_path, {"TOOLKIT_ARCHIVE_KEY": " "})
    with pytest.raises(ConfigurationError, match="cannot be read"):
        keys_of(Store("archive", "x", tmp_path, {"encryption_key_file": "no-such-file"}))


def test_a_large_file_goes_through_in_little_memory(sealed: Gallery) -> None:
    objects = open_objects(sealed.config.stores["archive"])
    piece = bytes(1 << 20)
    tracemalloc.start()
    try:
        objects.write("objects/large", (piece for _ in range(64)), size=64 << 20)
        assert sum(map(len, objects.read("objects/large"))) == 64 << 20
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()
    info = objects.info("objects/large")
    assert info is not None
    assert info.size == 64 << 20
    assert isinstance(objects, ObjectStore)


# -- another key -------------------------------------------------------------------------------------------


def test_a_key_is_not_given_up_while_the_store_has_what_it_encrypted(
    sealed: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed.push()
    old, before = sealed.config, set(raw(sealed))
    sealed.config = with_keys(old, TWO, ONE)
    with monkeypatch.context() as patch:
        delete = ObjectStoreClient.delete
        patch.setattr(
            ObjectStoreClient, "delete", lambda self, keys: delete(self, [key for key in keys if key not in before])
        )
        with pytest.raises(NotRemovedError, match=r"it is still there, and so are \d+ more"):
            rotate_key(sealed.config)
    assert before <= set(raw(sealed))
    assert rotate_key(sealed.config).complete
    assert not before & set(raw(sealed))


def test_an_archive_that_was_rotated_needs_its_new_key_alone(sealed: Gallery) -> None:
    sealed.push()
    old = sealed.config
    before, contents = set(raw(sealed)), sealed.contents(sealed.archive.find("latest").id)
    sealed.config = with_keys(old, TWO, ONE)
    planned = rotate_key(sealed.config, dry_run=True)
    assert set(raw(sealed)) == before
    done = rotate_key(sealed.config)
    assert (done.objects, done.bytes, done.complete) == (planned.objects, planned.bytes, True)
    assert done.objects == len(before) - 1
    assert not before & set(raw(sealed))
    assert rotate_key(sealed.config).objects == 0
    sealed.config = with_keys(old, TWO)
    assert sealed.contents(sealed.archive.find("latest").id) == contents
    assert sealed.verify(read_data=True).whole
    assert sealed.push().sent == 0
    with pytest.raises(EncryptionError, match="is encrypted with key"):
        Gallery(old, "sqlite").push()


def test_a_rotation_that_was_interrupted_is_continued(sealed: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed.push()
    old = sealed.config
    sealed.config = with_keys(old, TWO, ONE)
    usual, left = EncryptedStore.rewrite, [2]

    def rewrite(store: EncryptedStore, info: ObjectInfo) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise StoreError(store.name, "it is out of order")
        usual(store, info)

    with monkeypatch.context() as patch:
        patch.setattr(EncryptedStore, "rewrite", rewrite)
        with pytest.raises(StoreError, match="out of order"):
            rotate_key(sealed.config, jobs=1)
    assert sealed.verify(read_data=True).whole
    assert len(sealed.archive.snapshots()[0]) == 1
    rotate_key(sealed.config)
    sealed.config = with_keys(old, TWO)
    assert sealed.verify(read_data=True).whole


def test_a_push_that_was_opened_before_a_rotation_is_refused(sealed: Gallery) -> None:
    sealed.push()
    old = sealed.config
    opened = sealed.archive
    rotate_key(with_keys(old, TWO, ONE))
    with pytest.raises(EncryptionError, match="is encrypted with key"), opened.locked(LockKind.PUSH):
        pass
    sealed.config = with_keys(old, TWO)
    assert sealed.verify(read_data=True).whole


def test_a_prune_that_was_opened_before_somebody_wrote_with_another_key_removes_nothing(sealed: Gallery) -> None:
    sealed.push()
    old = sealed.config
    opened = sealed.archive
    Gallery(with_keys(old, TWO, ONE), "sqlite").push()
    before = raw(sealed)
    with pytest.raises(EncryptionError, match="which is not given"), opened.locked(LockKind.PRUNE):
        pass
    assert raw(sealed) == before


@pytest.mark.parametrize("damage", ["flipped", "cut to no size"])
def test_what_is_damaged_keeps_its_old_key(sealed: Gallery, damage: str) -> None:
    sealed.push()
    old = sealed.config
    sealed.config = with_keys(old, TWO, ONE)
    if damage == "flipped":
        harm(sealed, damage)
    else:
        largest = max(raw(sealed), key=lambda name: len(raw(sealed)[name]))
        # Two whole chunks, and less of the third than any has.
        (sealed.folder / largest).write_bytes(raw(sealed)[largest][: 48 + 2 * 65_552 + 5 + 32])
        assert "it is cut off, but 200000 should be" in str(sealed.verify().findings[0].reason)
    result = rotate_key(sealed.config)
    assert [finding.outcome for finding in result.findings] == [Outcome.CORRUPT]
    with pytest.raises(EncryptionError, match="which is not given"):
        _ = Gallery(with_keys(old, TWO), "sqlite").archive
    assert not sealed.verify(read_data=True).whole
    assert sealed.push().repaired == 1
    assert rotate_key(sealed.config).complete
    sealed.config = with_keys(old, TWO)
    assert sealed.verify(read_data=True).whole


def test_what_is_written_anew_leaves_nothing_that_an_old_key_reads(sealed: Gallery) -> None:
    sealed.push()
    old = sealed.config
    sealed.config = with_keys(old, TWO, ONE)
    forgotten = forget(sealed.config, "sqlite", {"photo": ("id = 0",)})
    assert forgotten.files == 1
    left = [path for path in raw(sealed) if path.startswith("snapshots/")]
    assert len(left) == 1
    sealed.config = with_keys(old, TWO, ONE)
    assert sealed.verify(read_data=True).whole
    (header,) = sealed.archive.snapshots()[0]
    assert {entry.key["id"] for entry in sealed.archive.entries(header.id)} == {1, 2, 3}


def test_what_has_no_key_is_not_rotated(world: Gallery) -> None:
    with pytest.raises(EncryptionError, match="it is not encrypted"):
        rotate_key(world.config)


def test_an_archive_that_lost_the_word_on_its_key_is_read_with_it_and_written_to_in_the_clear_by_nobody(
    sealed: Gallery,
) -> None:
    sealed.push()
    for each in (sealed.folder / "encryption").iterdir():
        each.unlink()
    own, before = sealed.config, raw(sealed)
    assert sealed.verify(read_data=True).whole
    sealed.config = with_keys(own)
    for use in (sealed.push, sealed.verify):
        with pytest.raises(EncryptionError, match="it is encrypted, and no key is given"):
            use()
    sealed.config = with_keys(own, TWO)
    with pytest.raises(EncryptionError, match="not encrypted, or with another key"):
        sealed.push()
    assert raw(sealed) == before
    sealed.config = own
    sealed.push()
    assert any(name.startswith("encryption/") for name in raw(sealed))
