"""An HTTP proxy before an object store that fails as networks and stores do: now and then, on purpose.

Requests go on as they came, Host included, so that signatures stay right.
"""

from __future__ import annotations

import enum
import http.client
import itertools
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

_COPIED = 1 << 16
_WRITES = frozenset({"PUT", "POST", "DELETE", "PATCH"})


class Fault(enum.Enum):
    """What happens to a request that fails."""

    UNAVAILABLE = "answered 503, the store never sees it"
    CUT = "the connection is cut, the store never sees it"
    LOST_ANSWER = "done by the store, then the connection is cut before the answer"
    HALF_ANSWER = "done by the store, then the connection is cut in the middle of the answer"
    DENIED = "answered 403"
    SWALLOWED = "answered 200, the store never sees it"


class UnreliableProxy:
    """What the proxy does next; to be changed at any time."""

    def __init__(self, upstream: str, endpoint: str) -> None:
        self.upstream = urlsplit(upstream)
        self.endpoint = endpoint
        self.every = 0
        """Every so many requests one fails; 0: none does."""
        self.faults: tuple[Fault, ...] = (Fault.UNAVAILABLE,)
        """Which fault each of them meets, in turn."""
        self.only = ""
        """Count only requests whose line (`PUT /bucket/key?query`) holds this."""
        self.delay = 0.0
        """Seconds before each answer."""
        self.read_only = False
        self.refuses: Callable[[str, Mapping[str, str]], tuple[int, str] | None] = _nothing
        """Status and code that answer a request (`PUT /bucket/key?query`) with these headers (lower case) for good."""
        self.failed = 0
        self.requests: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        """Those of each request, their names in lower case."""
        self._lock, self.conditional = threading.Lock(), threading.Lock()

    def reliable(self) -> None:
        """Fail no more, and forget what was."""
        self.every, self.only, self.delay, self.read_only = 0, "", 0.0, False
        self.faults, self.failed, self.requests, self.headers = (Fault.UNAVAILABLE,), 0, [], []
        self.refuses = _nothing
        self._counted: Iterator[float] = itertools.count(1)
        self._turns = itertools.count()

    def fault_of(self, method: str, path: str) -> Fault | None:
        """What happens to a request; None: nothing bad."""
        with self._lock:
            self.requests.append(f"{method} {path}")
            if self.read_only and method in _WRITES:
                return Fault.DENIED
            if not self.every or self.only not in f"{method} {path}" or next(self._counted) % self.every:
                return None
            self.failed += 1
            return self.faults[next(self._turns) % len(self.faults)]


@contextmanager
def running(upstream: str) -> Iterator[UnreliableProxy]:
    """A proxy for the block, reliable at first."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.proxy = UnreliableProxy(upstream, f"http://127.0.0.1:{server.server_port}")
    server.proxy.reliable()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def elsewhere(upstream: str) -> Iterator[str]:
    """The address of a proxy in a process of its own: libraries wait for an answer and let no other thread run."""
    command = [sys.executable, "-m", __name__, upstream]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.kill()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    proxy: UnreliableProxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that went away are nobody's business."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _pass_on(self) -> None:
        proxy = self.server.proxy
        fault = proxy.fault_of(self.command, self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        proxy.headers.append(headers)
        length = int(self.headers.get("Content-Length") or 0)
        if proxy.delay:
            time.sleep(proxy.delay)
        if refusal := proxy.refuses(f"{self.command} {self.path}", headers):
            self.rfile.read(length)
            self._answer(*refusal)
        elif fault in (Fault.UNAVAILABLE, Fault.DENIED):
            self.rfile.read(length)
            self._answer(*_REFUSALS[fault])
        elif fault is Fault.SWALLOWED:
            self.rfile.read(length)
            self.send_response_only(200)
            self.send_header("ETag", '"swallowed"')
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif fault is Fault.CUT:
            self._cut()
        elif self.headers.get("If-None-Match"):
            # Swift lets in all who come before the first of them has written; S3 lets in one.
            with proxy.conditional:
                self._forward(length, fault)
        else:
            self._forward(length, fault)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass_on  # noqa: N815 - the base class looks for these names.

    def _forward(self, length: int, fault: Fault | None) -> None:
        address = self.server.proxy.upstream
        upstream = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                upstream.putheader(name, value)
            upstream.endheaders()
            while length > 0:
                piece = self.rfile.read(min(length, _COPIED))
                if not piece:
                    return
                upstream.send(piece)
                length -= len(piece)
            response = upstream.getresponse()
            if fault is Fault.LOST_ANSWER:
                response.read()
                self._cut()
                return
            self._send(response, half=fault is Fault.HALF_ANSWER)
        finally:
            upstream.close()

    def _send(self, response: http.client.HTTPResponse, half: bool) -> None:
        content = iter(lambda: response.read(_COPIED), b"")
        size = response.getheader("Content-Length")
        if size is None or half:
            whole = response.read()
            content, size = iter([whole]), size if self.command == "HEAD" and size else str(len(whole))
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", size)
        self.end_headers()
        if half:
            whole = next(content)
            self.wfile.write(whole[: len(whole) // 2])
            self._cut()
            return
        for piece in content:
            self.wfile.write(piece)

    def _answer(self, status: int, code: str) -> None:
        content = b"" if self.command == "HEAD" else f"<Error><Code>{code}</Code></Error>".encode()
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _cut(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def _nothing(request: str, headers: Mapping[str, str]) -> None:
    """Refuse nothing."""


def no_removal(request: str, headers: Mapping[str, str]) -> tuple[int, str] | None:
    """As a store does whose credentials may write and read, but remove nothing."""
    removes = request.startswith("DELETE ") or (request.startswith("POST ") and request.endswith("delete"))
    return (403, "AccessDenied") if removes and "uploadId=" not in request else None


_REFUSALS = {Fault.UNAVAILABLE: (503, "SlowDown"), Fault.DENIED: (403, "AccessDenied")}


if __name__ == "__main__":
    with running(sys.argv[1]) as own:
        sys.stdout.write(f"{own.endpoint}\n")
        sys.stdout.flush()
        sys.stdin.read()
