"""What is left when an archive's verb is killed at any moment, or has no room: nothing that lies, nothing lost."""

from __future__ import annotations

import json
import os
import random
import secrets
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import pytest

from tests.operations.archive_example import Gallery
from tests.operations.processes import Toolkit, toolkit
from toolkit.config import Store
from toolkit.core.archive_manifest import SNAPSHOTS, Address
from toolkit.core.parallel import Stop
from toolkit.errors import EXIT_FAILURE, LockLostError
from toolkit.operations.archive.backends import Backends
from toolkit.operations.archive.moving import Mover
from toolkit.operations.archive.outcomes import Outcome
from toolkit.stores.archive import Archive
from toolkit.stores.archive_locks import LOCK_TTL
from toolkit.stores.objects import ObjectInfo

FILES = 24
KILLS = 4
# Of three verbs each, in a bucket; 20 once.
ROUNDS = 2
ORPHANS = {Outcome.ORPHAN}
NO_SNAPSHOT = {Outcome.MISSING}


@pytest.fixture
def project(world: Gallery) -> Gallery:
    """A gallery whose settings are those of a project, for processes of their own."""
    root = world.config.root
    (root / "toolkit.toml").write_text(
        f'metadata = "tests.operations.gallery:metadata"\nmigrations = "none"\n'
        f'[databases.sqlite]\nurl = "{world.config.database("sqlite").address}"\n'
    )
    return world


@pytest.fixture
def in_bucket(project: Gallery, archive_bucket: Store) -> Gallery:
    """The same with its archive in a bucket, behind a server that checks signatures."""
    store = replace(archive_bucket, address=f"{archive_bucket.address}/{secrets.token_hex(8)}")
    settings = {"url": store.address, **store.options}
    with (project.config.root / "toolkit.toml").open("a") as file:
        file.write("[stores.archive]\n")
        file.writelines(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
    return replace(project, config=replace(project.config, stores={**project.config.stores, "archive": store}))


def fill(world: Gallery, name: str, files: int = FILES) -> dict[int, bytes]:
    """Rows with a file each, some of the same content; by row, what it holds."""
    contents = {}
    for number in range(files):
        content = f"{name} {number // 2}".encode() * 400
        contents[number] = content
        world.put(f"{name}/{number}", content)
    world.photos({number: f"{name}/{number}" for number in range(files)})
    return contents


def readable(world: Gallery) -> dict[int, bytes]:
    """By row, the content that an application finds where it points."""
    backends = Backends(world.config, "archive")
    return {
        number: b"".join(backends.get(row["backend"]).read(row["filename"])) for number, row in world.rows().items()
    }


def start(world: Gallery, *arguments: str) -> Toolkit:
    return toolkit(world.config.root, "archive", *arguments)


def killed(world: Gallery, moments: random.Random, usual: float, *arguments: str) -> None:
    """Run a verb, and kill it somewhere on its way."""
    running = start(world, *arguments)
    time.sleep(moments.uniform(0, usual))
    running.process.kill()
    running.end()


def seconds(world: Gallery, *arguments: str) -> float:
    """How long a verb takes that ends well."""
    began = time.monotonic()
    running = start(world, *arguments)
    assert running.end() == 0, running.err
    return time.monotonic() - began


def no_snapshot_lies(world: Gallery) -> None:
    """Every snapshot's objects are all there, and whole; there may be others."""
    found = world.verify(read_data=True).findings
    assert {each.outcome for each in found if each.object != SNAPSHOTS} <= ORPHANS


def time_passes(world: Gallery) -> None:
    """Let files that somebody was killed writing be so old that nobody can be at it still."""
    before = time.time() - LOCK_TTL.total_seconds() - 60
    for path in world.config.root.joinpath(".toolkit").rglob("*#*"):
        os.utime(path, (before, before))


def is_tidy(world: Gallery) -> None:
    """Nothing is left of those who were killed."""
    names = [path.name for path in world.config.root.joinpath(".toolkit").rglob("*") if path.is_file()]
    assert not [name for name in names if "#" in name or name.startswith((".toolkit-", "push-", "prune-"))]


@pytest.mark.slow
def test_a_push_that_is_killed_leaves_no_snapshot_that_lies_and_the_next_goes_on(project: Gallery) -> None:
    contents = fill(project, "first")
    usual = seconds(project, "push")
    moments = random.Random(1)
    for number in range(KILLS):
        contents = fill(project, f"round {number}")
        killed(project, moments, usual, "push")
        no_snapshot_lies(project)
    there = len(project.objects())
    result = project.push()
    assert (result.files, len(project.objects())) == (FILES, there + result.sent)
    assert {key[0]: found for (_, key, _), found in project.contents(result.snapshot or "").items()} == contents
    project.prune(last=1)
    assert project.verify(read_data=True).whole
    assert len(project.objects()) == FILES / 2


@pytest.mark.slow
def test_a_move_that_is_killed_loses_no_file_and_the_next_completes_it(project: Gallery) -> None:
    fill(project, "first")
    usual = seconds(project, "push", "--move")
    moments = random.Random(2)
    for number in range(KILLS):
        contents = fill(project, f"round {number}")
        killed(project, moments, usual, "push", "--move")
        assert readable(project) == contents
        no_snapshot_lies(project)
        result = project.push(move=True)
        assert result.complete
        assert readable(project) == contents
        assert {row["backend"] for row in project.rows().values()} == {"archive"}
        assert project.live_files() == {}
    time_passes(project)
    project.prune(last=1, source="sqlite")
    assert readable(project) == contents
    is_tidy(project)


@pytest.mark.slow
def test_a_restore_that_is_killed_leaves_whole_files_and_rows_that_find_them(project: Gallery) -> None:
    contents = fill(project, "first")
    rows = project.rows()
    project.push(move=True)
    usual = seconds(project, "restore", "latest")
    moments = random.Random(3)
    for _ in range(KILLS):
        project.push(move=True)
        killed(project, moments, usual, "restore", "latest")
        assert readable(project) == contents
        assert all(
            content == contents[int(path.partition("/")[2])]
            for path, content in project.live_files().items()
            if "#" not in path
        )
        assert project.restore().complete
        assert project.rows() == rows
        assert readable(project) == contents


@pytest.mark.slow
def test_a_prune_that_is_killed_takes_no_object_of_a_snapshot_that_is_there(project: Gallery) -> None:
    moments = random.Random(4)
    usual = 0.0
    for number in range(KILLS):
        for part in ("a", "b"):
            contents = fill(project, f"round {number}{part}")
            project.push()
        if not usual:
            usual = seconds(project, "prune", "--keep-last", "1")
            project.push()
        killed(project, moments, usual, "prune", "--keep-last", "1")
        no_snapshot_lies(project)
    time_passes(project)
    project.prune(last=1)
    assert project.verify(read_data=True).whole
    assert len(project.objects()) == FILES / 2
    assert {
        key[0]: found for (_, key, _), found in project.contents(project.archive.find("latest").id).items()
    } == contents
    is_tidy(project)


@pytest.mark.slow
@pytest.mark.long
def test_nothing_is_lost_in_a_bucket_whenever_a_verb_is_killed(in_bucket: Gallery) -> None:
    world, moments = in_bucket, random.Random(5)
    usual = 1.0
    for number in range(ROUNDS):
        contents = fill(world, f"round {number}", 10)
        # In parts, of which some may have arrived when the end comes.
        contents[10] = os.urandom(11 << 20)
        world.photo(10, f"round {number}/large", contents[10])
        move = ["--move"] if number % 2 else []
        began = time.monotonic()
        killed(world, moments, usual, "push", *move)
        assert readable(world) == contents
        no_snapshot_lies(world)
        result = world.push(move=bool(move))
        assert (result.complete, result.files) == (True, 11)
        usual = min(usual, time.monotonic() - began)
        killed(world, moments, usual, "restore", "latest")
        assert readable(world) == contents
        killed(world, moments, usual, "prune", "--keep-last", "1", "--from", "sqlite")
        no_snapshot_lies(world)
        assert readable(world) == contents
    world.prune(last=1, source="sqlite")
    assert world.verify(read_data=True, source="sqlite").whole
    assert world.restore().complete
    assert readable(world) == contents
    assert not list(world.archive.store.list("locks"))


def stop_at_the_first_object() -> None:
    """Let the process stand still as soon as it has written one."""
    real = Archive.write

    def write(archive: Archive, address: Address, chunks: Iterable[bytes] | memoryview, size: int) -> int:
        written = real(archive, address, chunks, size)
        os.kill(os.getpid(), signal.SIGSTOP)
        return written

    Archive.write = write  # type: ignore[assignment, method-assign]


def test_objects_of_a_push_at_work_are_no_orphans_and_those_of_a_killed_one_are(project: Gallery) -> None:
    fill(project, "first")
    running = toolkit(project.config.root, "archive", "push", before=stop_at_the_first_object)
    _until(lambda: bool(project.objects()), running)
    try:
        assert not list(project.archive.snapshot_ids())
        meanwhile = project.verify()
        assert ({finding.outcome for finding in meanwhile.findings}, len(meanwhile.pushes)) == (NO_SNAPSHOT, 1)
        assert str(running.process.pid) in meanwhile.pushes[0]
    finally:
        running.process.kill()
    running.end()
    after = project.verify()
    assert after.pushes == ()
    assert {finding.outcome for finding in after.findings} == ORPHANS | NO_SNAPSHOT


def test_objects_of_a_push_that_came_and_went_during_a_verification_are_no_orphans(
    world: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.photo(1, "a", b"A")
    world.push()
    listed = Archive.objects

    def objects(archive: Archive) -> Iterator[ObjectInfo]:
        monkeypatch.undo()
        world.photo(2, "b", b"B")
        world.push()
        return listed(archive)

    monkeypatch.setattr(Archive, "objects", objects)
    found = world.verify()
    assert (found.objects, found.pushes, found.findings) == (1, (), ())


def interrupt_the_first_read() -> None:
    """Let Ctrl-C be pressed while a file is read, which goes on when that was heard."""
    real = Stop.watched

    def watched(stop: Stop, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for number, chunk in enumerate(real(stop, chunks)):
            yield chunk
            if not number:
                os.kill(os.getpid(), signal.SIGINT)
                assert stop._event.wait(60)

    Stop.watched = watched  # type: ignore[assignment, method-assign]


def test_an_interrupted_push_says_so_and_gives_its_lock_back(project: Gallery) -> None:
    # So large that it is read in pieces; nothing of it is on the disk.
    project.photo(1, "large", b"")
    os.truncate(project.live / "large", 65 << 20)
    running = toolkit(project.config.root, "archive", "push", before=interrupt_the_first_read)
    assert running.end() == 130, running.err
    assert list(project.archive.store.list("locks")) == []
    assert list(project.archive.snapshot_ids()) == []
    assert project.objects() == {}


def _until(condition: Callable[[], bool], running: Toolkit) -> None:
    while not condition():
        assert running.process.is_alive(), running.err
        time.sleep(0.001)


def test_a_push_without_room_fails_and_the_next_goes_on(project: Gallery) -> None:
    for number, size in enumerate((10, 1000, 300_000)):
        project.photo(number, f"{number}", os.urandom(size))
    running = toolkit(project.config.root, "archive", "push", largest_file=100_000)
    assert running.end() == EXIT_FAILURE
    assert "File too large" in running.err
    assert list(project.archive.snapshot_ids()) == []
    result = project.push()
    assert (result.files, project.verify(read_data=True).whole) == (3, True)


def test_a_restore_without_room_tells_each_file_and_changes_no_row_of_it(project: Gallery) -> None:
    for number, size in enumerate((10, 300_000)):
        project.photo(number, f"{number}", os.urandom(size))
    contents = readable(project)
    project.push(move=True)
    running = toolkit(project.config.root, "archive", "restore", "latest", "--json", largest_file=100_000)
    assert running.end() == 3
    assert [f["outcome"] for f in running.result["findings"]] == [Outcome.UNWRITABLE]
    assert readable(project) == contents
    assert project.restore().complete


def test_a_restore_to_a_directory_tells_each_file_also_if_it_cannot_say_which_was_which(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    world.photo(2, "b", b"B")
    snapshot = world.push().snapshot
    out = world.config.root / "out"
    # What stands in the way of both: as a full disk would.
    for name in (f"{snapshot}.jsonl", "attachments/b"):
        (out / name / "in the way").mkdir(parents=True)
    result = world.restore(directory=out)
    assert (result.written, result.mapping) == (1, None)
    assert [(each.outcome, each.path) for each in result.findings] == [
        (Outcome.UNWRITABLE, f"{snapshot}.jsonl"),
        (Outcome.UNWRITABLE, "attachments/b"),
    ]


def test_a_move_whose_lock_was_taken_for_void_while_it_changed_rows_removes_no_live_file(
    world: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.photo(1, "a", b"A")
    usual = Mover._point_rows

    def frozen(self: Mover) -> None:
        usual(self)
        # A prune that came meanwhile saw no row that points at the archive, and may have removed what this one does.
        self.archive.store.delete([self.lock.key])

    monkeypatch.setattr(Mover, "_point_rows", frozen)
    with pytest.raises(LockLostError):
        world.push(move=True)
    assert world.live_files() == {"a": b"A"}
