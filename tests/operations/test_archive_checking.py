"""A file that is not what its row says, or that changes while it is read, is not archived as good."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

import pytest

from tests.operations.archive_example import Gallery
from toolkit.operations.archive import uploading
from toolkit.operations.archive.outcomes import Outcome
from toolkit.stores.live import ObstoreBackend

OLD, NEW = b"A" * 1000, b"B" * 1000


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_a_file_that_has_not_the_checksum_of_its_row_is_told_until_it_has(world: Gallery, algorithm: str) -> None:
    checksum = hashlib.new(algorithm, OLD).hexdigest()
    world.photo(1, "a", OLD, checksum=checksum)
    world.photo(2, "b", OLD, checksum="an application's own kind")
    whole = world.push().snapshot
    world.put("a", NEW, fresh=True)
    world.put("a", NEW)
    os.utime(world.live / "a", (1, 1))
    for _ in range(2):
        result = world.push()
        (told,) = result.findings
        assert (told.outcome, told.key) == (Outcome.CHECKSUM_DIFFERS, {"id": 1})
        assert told.reason == (f"{algorithm} {hashlib.new(algorithm, NEW).hexdigest()}, but the row says {checksum}")
    assert world.push(move=True).moved == 1
    assert world.rows()[1]["backend"] == "attachments"
    # The only copy of what the row has stays, for none of the later ones has it.
    assert whole in [v.snapshot.id for v in world.prune(last=1).snapshots if v.kept]
    reasons = [str(f.reason) for f in world.restore("latest").findings if f.outcome is Outcome.LACKING]
    assert [f"snapshot {whole} has it" in reason for reason in reasons] == [True]
    world.put("a", OLD)
    assert world.push().complete


@pytest.fixture(params=["kept", "streamed"])
def meanwhile(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Have something happen each time that a live file was read, whether it fits into memory or not."""
    if request.param == "streamed":
        monkeypatch.setattr(uploading, "_KEPT_BYTES", 10)

    def arrange(happens: Callable[[], None]) -> None:
        for name in ("beginning", "read"):
            usual = getattr(ObstoreBackend, name)

            def read(self: ObstoreBackend, *of: object, usual: Callable[..., object] = usual) -> object:
                found = usual(self, *of)
                found = found if isinstance(found, memoryview) else iter([b"".join(found)])  # type: ignore[arg-type]
                if self.key == "attachments":
                    happens()
                return found

            monkeypatch.setattr(ObstoreBackend, name, read)

    return arrange


def test_a_file_that_is_written_to_while_it_is_read_is_read_again(
    world: Gallery, meanwhile: Callable[[Callable[[], None]], None]
) -> None:
    world.photo(1, "a", OLD)
    left = [True]

    def once() -> None:
        if left:
            left.clear()
            world.put("a", NEW, fresh=True)

    meanwhile(once)
    result = world.push()
    assert result.complete
    assert list(world.contents(str(result.snapshot)).values()) == [NEW]


def test_a_file_that_is_written_to_each_time_that_it_is_read_is_told(
    world: Gallery, meanwhile: Callable[[Callable[[], None]], None]
) -> None:
    world.photo(1, "a", OLD)
    world.photo(2, "b", b"")
    times = iter(range(1000))
    meanwhile(lambda: world.put("a", b"%d" % (next(times) % 10) * 1000, fresh=True))
    result = world.push()
    (told,) = result.findings
    assert (told.outcome, told.path) == (Outcome.CHANGING, "a")
    assert list(world.contents(str(result.snapshot)).values()) == [b""]


def test_a_write_within_one_tick_of_the_clock_is_noticed(
    world: Gallery, meanwhile: Callable[[Callable[[], None]], None]
) -> None:
    world.photo(1, "a", None)
    world.put("a", OLD, fresh=True)
    found = (world.live / "a").stat()
    left = [True]

    def once() -> None:
        if left:
            left.clear()
            (world.live / "a").write_bytes(NEW)
            os.utime(world.live / "a", ns=(found.st_atime_ns, found.st_mtime_ns))

    meanwhile(once)
    result = world.push()
    assert result.complete
    assert list(world.contents(str(result.snapshot)).values()) == [NEW]
