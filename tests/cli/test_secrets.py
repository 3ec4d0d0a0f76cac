"""No secret that was given to the toolkit comes out of it: of no command, in no form, whether it succeeds or fails."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
import sqlalchemy as sa

from tests.servers.swift import SECRET as STORE_SECRET
from tests.servers.swift import S3Server
from toolkit.cli import run
from toolkit.cli import toolkit as root

ROOT = Path(__file__).parent.parent.parent
SECRET = "hunter2"
BUCKET = "secretive"
QUERY = f"sslpassword={SECRET}1&application_name=tk&options=-c%20tk.x%3D{SECRET}2"
STORE_QUERY = f"token={SECRET}3&secret%5Faccess%5Fkey={SECRET}4&X-Amz-Signature={SECRET}5&sig=a b {SECRET}6"
STORED = f"s3://AK:{SECRET}8@{BUCKET}/prefix?{STORE_QUERY}"


def commands(group: click.Group = root, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that there is, by the words that call it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


# The tables are made first and dropped last. A command that is new runs between them.
_FIRST = [("database", "upgrade"), ("load-data",), ("archive", "push"), ("sync",)]
_LAST = [("database", "downgrade"), ("database", "drop-all")]
COMMANDS = dict(commands())
# Of these, one shows what the others do, and the others tell nothing of any project.
_OF_NO_PROJECT = {("demo",), ("help",), ("schema",)}
IN_ORDER = [*_FIRST, *sorted(set(COMMANDS) - {*_FIRST, *_LAST} - _OF_NO_PROJECT), *_LAST]
# What has to be said for a command to run at all, beside databases and stores. A new one fails here by its name.
VALUES = {
    "snapshot": "latest",
    "revision": "head",
    "directory": "new",
    "keep_last": "1",
    "file": "design.pdf",
    "text": "design.pdf",
    "old": "latest",
    "new": "latest",
    "snapshots": "2",
    "row": "attachment:name = 'design.pdf'",
}


@dataclass(frozen=True)
class Place:
    """What is said where a database and where a store is wanted."""

    database: str
    store: str
    other: str = "other"

    def arguments(self, words: tuple[str, ...]) -> list[str]:
        """A call of a command that names these places wherever it can."""
        given: list[str] = []
        for parameter in COMMANDS[words].params:
            value = self._value(parameter, words)
            if value is not None:
                given += [parameter.opts[0], value] if isinstance(parameter, click.Option) else [value]
        return [*words, *given]

    def _value(self, parameter: click.Parameter, words: tuple[str, ...]) -> str | None:
        wanted = getattr(parameter._custom_shell_complete, "__name__", None)
        if wanted == "database_names":
            return self.other if "--to" in parameter.opts and words != ("load-data",) else self.database
        if wanted == "store_names":
            return self.store
        if parameter.name == "directory" and "--dir" in parameter.opts:
            return self.store if words == ("dump-data",) else str(ROOT / "fixtures")
        if parameter.name == "workers" and words == ("workers", "check"):
            return "local:1"
        if parameter.required or parameter.name in VALUES:
            return VALUES[str(parameter.name)]
        return None


NOWHERE = Place(f"postgresql://me:{SECRET}@127.0.0.1:1/db?{QUERY}", "nowhere")
FAILING = {
    "not reached": NOWHERE,
    "misspelled": Place(f"postgresql://me:a@{SECRET}@host/db", f"http://me:{SECRET}@host?{STORE_QUERY}"),
    "no address": Place(f"host=h password = {SECRET} token={SECRET}", f"AccountName=a;AccountKey={SECRET};x=y"),
}


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that holds secrets wherever one can be."""
    shutil.copytree(ROOT / "migrations", tmp_path / "migrations")
    (tmp_path / "toolkit.toml").write_text(
        f"""
        metadata = "toolkit.models.todo:metadata"
        [databases]
        other = "sqlite:///other.sqlite3"
        [stores.nowhere]
        url = "{STORED}"
        endpoint = "http://127.0.0.1:1"
        allow_http = true
        retries = 0
        access_key_id = "AK"
        secret_access_key = "{SECRET}9"
        token = "{SECRET}10"
        """
    )
    (tmp_path / "unimportable.py").write_text(
        f"url = 'postgresql://me:{SECRET}@host'\n"
        f'raise ValueError(\'1 error for Settings\\ndb\\n  missing [input_value={{"db_password": "{SECRET}"}}]\')'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PGPASSWORD", f"{SECRET}11")
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    return tmp_path


@pytest.fixture
def reached(project: Path, postgres_url: str, s3_server: S3Server) -> Place:
    """Real servers, with secrets beside what they take."""
    s3_server.create_bucket(BUCKET)
    with (project / "toolkit.toml").open("a") as settings:
        settings.write(f'[stores.there]\nurl = "{STORED}"\n')
        for key, value in s3_server.options.items():
            settings.write(f"{key} = {json.dumps(value)}\n")
    url = sa.make_url(postgres_url).set(username="postgres", password=f"{SECRET}7")
    return Place(f"{url.render_as_string(hide_password=False)}&{QUERY}", "there")


def told(capfd: pytest.CaptureFixture[str], arguments: Sequence[str]) -> tuple[int, str]:
    """What a command says, wherever, in which no secret may be; and its exit code."""
    capfd.readouterr()
    code = run(list(arguments))
    shown = capfd.readouterr()
    text = shown.out + shown.err
    assert SECRET not in text, (arguments, text)
    assert STORE_SECRET not in text, (arguments, text)
    assert text or code == 0
    return code, text


def forms(words: tuple[str, ...]) -> list[list[str]]:
    """Without an option, and with all that change what is said; the questions are left out only then."""
    options = {option for parameter in COMMANDS[words].params for option in parameter.opts}
    return [[], [each for each in ("--json", "--debug", "--no-prompt", "--verbose") if each in options]]


# SQLite has no files of earlier versions; a history without branches has nothing to merge; a question is not answered;
# a directory is made but once; an archive that is not encrypted has no key.
_UNDONE = {"merge-migrations", "downgrade", "drop-all", "init", "rotate-key", "vacuum"}


@pytest.mark.slow
def test_no_command_that_succeeds_tells_a_secret(reached: Place, capfd: pytest.CaptureFixture[str]) -> None:
    failed = set()
    for words in IN_ORDER:
        for options in reversed(forms(words)):
            code, _ = told(capfd, [*reached.arguments(words), *options])
            if code not in (0, 3):
                failed.add(words[-1])
    assert failed <= _UNDONE


@pytest.mark.parametrize("place", FAILING)
def test_no_command_that_fails_tells_a_secret(capfd: pytest.CaptureFixture[str], place: str) -> None:
    succeeded = set()
    for words in IN_ORDER:
        for options in forms(words):
            code, _ = told(capfd, [*FAILING[place].arguments(words), *options])
            if code == 0:
                succeeded.add(words[-1])
    assert succeeded <= {"heads", "branches", "history", "show", "init", "status"}


@pytest.mark.slow
def test_no_command_tells_more_of_a_module_that_fails_than_its_first_line(capfd: pytest.CaptureFixture[str]) -> None:
    for words in IN_ORDER:
        arguments = [*NOWHERE.arguments(words), "--metadata", "unimportable:metadata"]
        for options in ([], ["--debug"]):
            told(capfd, [*arguments, *options])
    code, text = told(capfd, ["status", "--metadata", "unimportable:metadata"])
    assert code == 2
    assert "could not be imported: ValueError: 1 error for Settings.\n" in text


def test_no_help_and_no_usage_tells_a_secret(capfd: pytest.CaptureFixture[str]) -> None:
    url = NOWHERE.database
    for words in IN_ORDER:
        for arguments in ([*words, "--help"], [*words, f"--{url}"], [*words, url, url, url, url]):
            told(capfd, arguments)
