"""What lies in an archive, and the manifest of fixtures, as somebody might write it who means harm."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import time
from collections.abc import Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import msgspec
from hypothesis import strategies as st

from tests.operations.archive_example import gallery
from toolkit.cli import run
from toolkit.config import load_config
from toolkit.operations.fixtures.dump import dump_data
from toolkit.stores.archive_locks import _host
from toolkit.stores.zstd import compress, decompress

COMMANDS = (
    "archive list",
    "archive list --json",
    "archive show latest",
    "archive show latest --json",
    "archive verify --all --read-data --from sqlite",
    "archive restore latest --to restored",
    "archive restore latest --from sqlite",
    "archive restore latest --from sqlite --overwrite --rowless",
    "archive restore latest --from sqlite --to-backend spare",
    "archive restore latest --from sqlite --to-backend pages=spare --overwrite --rowless",
    "sync --from sqlite --to sqlite:///new.sqlite3 --attachments attachments=spare --attachments pages=other",
    "archive audit --from sqlite",
    "archive audit --from sqlite --remove-orphans --older-than 1d",
    "archive restore latest --from sqlite --fill-from-older",
    "archive restore latest --from sqlite --only photo:id=2 --to only",
    "archive find a.txt",
    "archive cat latest a.txt",
    "archive diff FIRST latest",
    "archive diff latest latest --json",
    "archive remove FIRST --force",
    "archive forget --from sqlite --row photo:id=1",
    "archive forget --from sqlite --row photo:id=9 --json",
    "archive prune --keep-daily 1 --from sqlite",
    "archive prune --keep-within 1d --dry-run",
    "archive push --from sqlite",
    "load-data --to sqlite:///new.sqlite3 --dir dumped",
)
VALUES = (
    "-1",
    "0",
    "1",
    "2147483648",
    "9223372036854775807",
    "9223372036854775808",
    "1" * 400,
    "9" * 5000,
    "1e308",
    "1e999999",
    "-0.0",
    "1.5",
    "NaN",
    '""',
    '".."',
    '"../../x"',
    '"/etc/passwd"',
    '"\\u0000"',
    '"\\u001b[2J"',
    '"\\ud800"',
    f'"{"a" * 5000}"',
    '"attachments"',
    '"a.txt"',
    '"archive"',
    f'"{"0" * 64}"',
    '"photo"',
    '"file"',
    '"0001-01-01T00:00:00+14:00"',
    '"9999-12-31T23:59:59-14:00"',
    '"2024-01-01T00:00:00"',
    '"1970-01-01T00:00:00Z"',
    '"9998-12-31T23:59:59.999999Z"',
    "null",
    "true",
    "[]",
    "{}",
    '{"id": 1}',
    '{"id": [1]}',
    '{"id": 1e400}',
    "[" * 1200 + "]" * 1200,
    '{"filename": "a.txt", "backend": "attachments"}',
    '{"filename": 5}',
    '{"mode": 2541}',
    '{"mode": 0, "attributes": {"Content-Type": "x\\ny", "": "", "\u00e4": "\u00e4"}}',
    '{"attributes": {"a": 5}}',
    '{"filename": "a.txt", "metadata": {"archived_from": 5}}',
    f'{{"filename": "x", "size": {"9" * 99}}}',
    '{"filename": "b.txt", "metadata": {"archived_from": {"backend": "..", "filename": ".."}}}',
)
values = st.one_of(st.sampled_from(VALUES), st.integers().map(str), st.text(max_size=3).map(json.dumps))
# No command has more to do here than this.
_SECONDS = 20


@dataclass(frozen=True)
class World:
    """A project with an archive that one of its rows was moved into, a lock, and a dump with attachments.

    Two of its live stores have files of one name, and one of them was replaced since it was archived.
    """

    root: Path

    @property
    def _whole(self) -> Path:
        return self.root.with_name("whole")

    def restore(self) -> None:
        """Make it as it was."""
        if not self._whole.exists():
            shutil.copytree(self.root, self._whole)
        shutil.rmtree(self.root)
        shutil.copytree(self._whole, self.root)

    def files(self) -> list[Path]:
        """Those that others may write."""
        archive = self.root / ".toolkit" / "archive"
        locks = sorted(archive.glob("locks/*"))
        return [*sorted(archive.rglob("*.jsonl.zst")), *locks, self.root / "dumped" / "manifest.json"]

    def run(self, command: str) -> str:
        """What a command says on its error output."""
        said = io.StringIO()
        first = min((self.root / ".toolkit" / "archive" / "snapshots").iterdir()).name.partition(".")[0]
        # With a buffer: content is written there as it is.
        with chdir(self.root), redirect_stdout(io.TextIOWrapper(io.BytesIO(), "utf-8")), redirect_stderr(said):
            run([*command.replace("FIRST", first).split(), "--debug"])
        return said.getvalue()


def make_world(folder: Path) -> World:
    """Make one in a directory of its own."""
    root = folder / "project"
    root.mkdir()
    (root / "toolkit.toml").write_text(
        'metadata = "tests.operations.gallery:metadata"\nmigrations = "none"\n'
        '[databases.sqlite]\nurl = "sqlite:///one.sqlite3"\n[stores]\n'
        + "".join(f'{name} = "live/{name}"\n' for name in ("pages", "spare", "other"))
    )
    config = load_config(root, {})
    found = gallery(config, "sqlite")
    found.photo(1, "a.txt", b"a" * 2000)
    found.photo(2, "b.txt", b"b" * 10)
    found.photo(3, "a.txt", None, backend="pages")
    (root / "live" / "pages").mkdir(parents=True)
    (root / "live" / "pages" / "a.txt").write_bytes(b"another's")
    assert found.push(move=True, where={"photo": "id = 2"}).complete
    assert found.push(compress=True).complete
    dump_data(found.config, "sqlite", directory=root / "dumped", attachments=True)
    found.put("a.txt", b"A" * 2000, fresh=True)
    # Of a process that is no more: it stands in nobody's way.
    holder = {"kind": "push", "host": _host(), "pid": 2**22 - 1, "began": "2026-01-01T00:00:00Z"}
    (found.folder / "locks").mkdir(exist_ok=True)
    (found.folder / "locks" / "push-0123456789abcdef").write_text(json.dumps(holder))
    return World(root)


@dataclass(frozen=True)
class Harm:
    """One of the files with a value of its document, or a byte, that is another."""

    file: int
    place: tuple[int, ...]
    value: str
    is_raw: bool

    def do(self, world: World) -> None:
        """Write it."""
        files = world.files()
        path = files[self.file % len(files)]
        content = path.read_bytes()
        if self.is_raw:
            at = self.place[0] % len(content)
            path.write_bytes(content[:at] + self.value.encode()[:20] + content[at + 1 :])
        elif path.suffix == ".zst":
            path.write_bytes(b"".join(compress([self._signed(b"".join(decompress([content])).decode())])))
        else:
            path.write_text(self._put(content.decode(), self.place))

    def _signed(self, manifest: str) -> bytes:
        """The manifest with the value in one of its lines, and a digest that says that nothing is wrong."""
        lines = manifest.splitlines()[:-1]
        number = self.place[0] % len(lines)
        lines[number] = self._put(lines[number], self.place[1:])
        body = "".join(f"{line}\n" for line in lines).encode()
        trailer = json.dumps({"sha256": hashlib.sha256(body).hexdigest(), "lines": len(lines)})
        return body + trailer.encode() + b"\n"

    def _put(self, document: str, place: Sequence[int]) -> str:
        """The document with the value in a member of it, or of one in it."""
        members = msgspec.json.decode(document, type=dict[str, msgspec.Raw])
        names = list(members)
        if not names or not place:
            return self.value
        chosen = names[place[0] % len(names)]
        texts = {name: bytes(raw).decode() for name, raw in members.items()}
        is_object = texts[chosen].lstrip().startswith("{")
        texts[chosen] = self._put(texts[chosen], place[1:]) if is_object else self.value
        return "{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in texts.items()) + "}"


harms = st.builds(
    Harm,
    st.integers(0, 9),
    st.lists(st.integers(0, 20), min_size=1, max_size=4).map(tuple),
    values,
    st.sampled_from((False, False, False, False, True)),
)


def make_encrypted_world(folder: Path) -> World:
    """One whose archive is encrypted: nobody without the key can put a value into a document of it."""
    root = folder / "project"
    root.mkdir()
    (root / "key").write_text("01" * 32)
    (root / "toolkit.toml").write_text(
        'metadata = "tests.operations.gallery:metadata"\nmigrations = "none"\n'
        '[databases.sqlite]\nurl = "sqlite:///one.sqlite3"\n'
        '[stores.archive]\nencryption_key_file = "key"\n'
    )
    found = gallery(load_config(root, {}), "sqlite")
    found.photo(1, "a.txt", b"a" * 2000)
    found.photo(2, "b.txt", b"b" * 200_000)
    assert found.push().complete
    assert found.push(compress=True, rehash=True).complete
    (root / ".toolkit" / "attachments").rename(root / "kept")
    return World(root)


@dataclass(frozen=True)
class Damage:
    """What can be done to objects without their key: one cut off, changed, or in the place of another."""

    file: int
    other: int
    place: int
    content: bytes
    is_swap: bool

    def do(self, world: World) -> None:
        """Do it."""
        files = [path for path in sorted((world.root / ".toolkit" / "archive").rglob("*")) if path.is_file()]
        path, other = files[self.file % len(files)], files[self.other % len(files)]
        content, others = path.read_bytes(), other.read_bytes()
        if self.is_swap:
            path.write_bytes(others)
            other.write_bytes(content)
        else:
            at = self.place % (len(content) + 1)
            path.write_bytes(content[:at] + self.content + content[at + self.place % 3 * len(self.content) :])


damages = st.builds(
    Damage, st.integers(0, 20), st.integers(0, 20), st.integers(0, 300_000), st.binary(max_size=40), st.booleans()
)


def require_no_other_content(world: World, damage: Damage, command: str) -> None:
    """See that a command ends with what is known to it, and that whatever it restores is what it was."""
    require_word_of_ours(world, damage, command)
    for folder in ("restored", ".toolkit/attachments"):
        for path in (world.root / folder).rglob("*.txt"):
            assert path.read_bytes() in (b"a" * 2000, b"b" * 200_000), path


def require_word_of_ours(world: World, harm: Harm | Damage, command: str) -> None:
    """See that a command ends in time, and with nothing that is not known to it."""
    world.restore()
    harm.do(world)
    began = time.monotonic()
    said = world.run(command)
    assert "unexpected" not in said, said
    assert time.monotonic() - began < _SECONDS, f"{command} took too long"
