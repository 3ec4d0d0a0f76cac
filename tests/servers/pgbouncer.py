"""PgBouncer in front of a server's socket: each transaction of a client may be on another of its connections."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.common import free_ports, wait_for

# Debian's, which is on no user's PATH but root's.
_PLACES = f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin"
_SETTINGS = """
[databases]
* = host={directory} port=5432 user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
logfile = {log}
"""


@contextmanager
def running(socket: str, **settings: str | int) -> Iterator[int]:
    """The port of a PgBouncer with these settings, in the mode `transaction` unless they say otherwise.

    Raises:
        RuntimeError: it is not installed.
    """
    program = shutil.which("pgbouncer", path=_PLACES)
    if program is None:
        raise RuntimeError("These tests need PgBouncer: apt-get install pgbouncer")
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="tk-") as name:
        folder = Path(name)
        lines = (f"{key} = {value}\n" for key, value in {"pool_mode": "transaction", **settings}.items())
        given = _SETTINGS.format(directory=Path(socket).parent, port=port, log=folder / "log") + "".join(lines)
        (folder / "pgbouncer.ini").write_text(given)
        (folder / "log").touch()
        # It refuses to be root; and the socket's directory is its owner's alone.
        user = Path(socket).parent.owner() if os.geteuid() == 0 else None
        if user is not None:
            for path in (folder, folder / "log"):
                shutil.chown(path, user)
        process = subprocess.Popen([program, "-q", folder / "pgbouncer.ini"], user=user)
        try:
            wait_for(port, folder / "log")
            yield port
        finally:
            process.kill()
            process.wait()
