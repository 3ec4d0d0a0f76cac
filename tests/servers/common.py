"""What servers of the tests have in common: installing them once, finding ports, waiting until they answer."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

from toolkit.config import Database, Store


def installed_once(name: str, install: Callable[[Path], None]) -> Path:
    """A folder of this user's cache that `install` fills once, whichever of several processes comes first."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "toolkit-tests"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / name
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            install(folder)
            (folder / "complete").touch()
    return folder


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens at now."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_for(port: int, log: Path) -> None:
    """Return as soon as somebody listens at a port."""
    for _ in range(600):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"the object store does not start: {log.read_text()[-2000:]}")


@contextmanager
def one_for_all(folder: Path, running: Callable[[Path], AbstractContextManager[str]]) -> Iterator[str]:
    """The address of a server that all processes of a run share: to start Swift takes 7 s of the processor.

    Whoever comes first starts it in a folder of its own, and stops it when nobody else uses it any more.
    """
    folder.mkdir(exist_ok=True)
    told = folder / "address"
    with (folder / "turn").open("w") as turn, (folder / "users").open("w") as users, ExitStack() as stack:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if told.exists():
            address = told.read_text()
        else:
            address = stack.enter_context(running(Path(tempfile.mkdtemp(dir=folder))))
            told.write_text(address)
            stack.callback(_withdraw, told, turn.fileno(), users.fileno())
        fcntl.flock(users, fcntl.LOCK_SH)
        fcntl.flock(turn, fcntl.LOCK_UN)
        yield address


def _withdraw(told: Path, turn: int, users: int) -> None:
    """Tell nobody else of the server, and wait for those who were told."""
    fcntl.flock(turn, fcntl.LOCK_EX)
    told.unlink()
    fcntl.flock(turn, fcntl.LOCK_UN)
    fcntl.flock(users, fcntl.LOCK_EX)


def settings(databases: Mapping[str, Database], stores: Iterable[Store] = ()) -> str:
    """What a `toolkit.toml` says of these, for workers."""
    lines = (f"{name} = {json.dumps(each.address)}\n" for name, each in databases.items())
    return "[databases]\n" + "".join(lines) + "".join(map(_table, stores))


def _table(store: Store) -> str:
    given = {"url": store.address, **store.options}
    return f"[stores.{store.name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in given.items())
