"""A TCP port in front of a server's socket that forwards so many bytes, and then cuts the connection or is silent."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

_PIECE = 4096
_TICK_SECONDS = 0.02


class Proxy:
    """What a client sees of a network: how much passes, and what happens then.

    After the bytes that `limit` allows, every connection is reset, or stays open without a byte more in either
    direction.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(_TICK_SECONDS)
        self.port: int = self._listener.getsockname()[1]
        self._closed = False
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        self.limit(None)

    def limit(self, allowance: int | None, *, to_server: bool = True, silent: bool = False) -> None:
        """Count so many bytes from now on in this direction, over all connections; None is no limit.

        `passed` counts those of both directions.
        """
        self._to_server, self._silent, self._left = to_server, silent, allowance
        self.is_exhausted = False
        self.passed = 0

    def close(self) -> None:
        """Cut what is open, and take no more connections."""
        self._closed = True
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._closed:
            with suppress(TimeoutError):
                client, _ = self._listener.accept()
                # Zero seconds to linger: the client gets a reset, not an orderly end.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self._threads.append(threading.Thread(target=self._serve, args=(client,)))
                self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        with closing(client), closing(server), selectors.DefaultSelector() as ready, suppress(OSError):
            server.connect(self._path)
            ready.register(client, selectors.EVENT_READ, (client, server))
            ready.register(server, selectors.EVENT_READ, (server, client))
            while not self._closed and (self._silent or not self.is_exhausted):
                if self.is_exhausted:
                    time.sleep(_TICK_SECONDS)
                    continue
                for key, _ in ready.select(_TICK_SECONDS):
                    source, target = key.data
                    if not self._forward(source, target, target is server):
                        return
                    if self.is_exhausted:
                        break

    def _forward(self, source: socket.socket, target: socket.socket, to_server: bool) -> bool:
        """Pass a piece on; whether there was one."""
        data = source.recv(_PIECE)
        if self._left is not None and to_server is self._to_server:
            data = data[: self._left]
            self._left -= len(data)
            self.is_exhausted = self._left == 0
        self.passed += len(data)
        target.sendall(data)
        return bool(data)


@contextmanager
def in_front_of(path: str) -> Iterator[Proxy]:
    """A proxy in front of a Unix socket."""
    with closing(Proxy(path)) as proxy:
        yield proxy
