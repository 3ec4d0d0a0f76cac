"""Whatever a name, a value, a file or a server holds: shown it moves no cursor, and in JSON it is the same value."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import select
import sqlite3
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import click
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from rich.console import Console
from rich.progress import Progress

from tests.cli.test_names import offered
from tests.operations.databases import create, execute
from toolkit.cli import run
from toolkit.cli.output import ask, let_libraries_through, print_json, say, say_at_once
from toolkit.cli.progress import Bars, Lines, progress_on_stderr
from toolkit.cli.render import show_error
from toolkit.config import Config
from toolkit.errors import FixtureProblemsError, ToolkitError
from toolkit.shown_text import printable

ROOT = Path(__file__).parent.parent.parent
EVIL = "\x1b]0;PWNED\x07\x9b31m\u202e\nVerified:[/red]"
SHOWN = r"\x1b]0;PWNED\x07\x9b31m\u202e\nVerified:"
metadata = sa.MetaData()
named = sa.Table(f"t{EVIL}", metadata, sa.Column("id", sa.Integer, primary_key=True))
valued = sa.Table("valued", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("v", sa.Text))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose table has a name that moves a cursor."""
    (tmp_path / "toolkit.toml").write_text(f'metadata = "{__name__}:metadata"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def require_quiet(text: str) -> None:
    """Only signs that show, and no line that somebody else began."""
    assert all(printable(line) == line for line in text.split("\n")), text
    assert not any(line.startswith("Verified:[") for line in text.split("\n"))


def told(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command says."""
    capfd.readouterr()
    run(list(arguments))
    shown = capfd.readouterr()
    require_quiet(shown.out + shown.err)
    return shown.out + shown.err


def test_names_and_values_of_a_database_are_shown_with_escapes_and_are_the_same_in_json(
    urls: Mapping[str, str], capfd: pytest.CaptureFixture[str], config: Config
) -> None:
    (config.root / "toolkit.toml").write_text(f'metadata = "{__name__}:metadata"\n')
    for name in ("sqlite", "sqlite2"):
        create(config.database(name), metadata)
    with closing(sqlite3.connect(str(config.database("sqlite").file))) as connection:
        connection.execute("INSERT INTO valued VALUES (1, ?)", (EVIL,))
        connection.commit()
    ends = ("--from", urls["sqlite"], "--to", urls["sqlite2"])
    shown = told(capfd, "diff", *ends, "--rows", "5")
    assert f"t{SHOWN}" in shown
    assert r'v: "\u001b]0;PWNED\u0007\u009b31m\u202e\nVerified:[/red]"' in shown
    capfd.readouterr()
    run(["diff", *ends, "--json"])
    document = capfd.readouterr().out
    require_quiet(document)
    tables = {table["table"]: table for table in json.loads(document)["tables"]}
    assert tables["valued"]["rows"][0]["columns"]["v"][1] == EVIL
    assert f"t{EVIL}" in tables
    run(["diff", *ends, "--json-lines"])
    lines = capfd.readouterr().out
    require_quiet(lines)
    assert [json.loads(line)["columns"]["v"][1] for line in lines.splitlines() if '"columns"' in line] == [EVIL]
    for arguments in (
        ("status", urls["sqlite"]),
        ("sync", *ends),
        ("dump-data", "--from", urls["sqlite"]),
        ("diff", *ends, "--where", f"valued:{EVIL}"),
        ("sync", *ends, f"x{EVIL}"),
    ):
        assert SHOWN in told(capfd, *arguments)


def test_a_servers_message_is_shown_with_escapes(
    urls: Mapping[str, str], capfd: pytest.CaptureFixture[str], config: Config
) -> None:
    (config.root / "toolkit.toml").write_text(f'metadata = "{__name__}:metadata"\n')
    create(config.database("sqlite"), metadata)
    create(config.database("postgres"), metadata)
    execute(config.database("sqlite"), "INSERT INTO valued VALUES (1, 'x')")
    execute(
        config.database("postgres"),
        "CREATE FUNCTION evil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING MESSAGE = "
        r"E'\x1b]0\;PWNED\x07\nVerified:[', ERRCODE = '23514'; END $$".replace(r"\;", ";"),
        "CREATE TRIGGER evil BEFORE INSERT ON valued FOR EACH ROW EXECUTE FUNCTION evil()",
    )
    shown = told(capfd, "sync", "--from", urls["sqlite"], "--to", urls["postgres"], "valued")
    assert r"\x1b]0;PWNED\x07" in shown


def test_a_line_of_a_file_and_an_archives_lock_are_shown_with_escapes(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (here / "d").mkdir()
    (here / "d" / "valued.json").write_text(f'[{{"id": "a{EVIL}\0"}}]')
    assert r"\x1b" in told(capfd, "load-data", "--to", "sqlite:///x.db", "--dir", "d", "valued")
    (here / "toolkit.toml").write_text('metadata = "toolkit.models.todo:metadata"\n')
    (here / ".toolkit" / "archive" / "locks").mkdir(parents=True)
    lock = {"kind": "prune", "host": EVIL, "pid": 1, "began": "2026-01-01T00:00:00Z"}
    (here / ".toolkit" / "archive" / "locks" / "prune-x").write_text(json.dumps(lock))
    assert run(["load-data", "--dir", str(ROOT / "fixtures"), "--no-attachments"]) == 0
    assert f"on {SHOWN}" in told(capfd, "archive", "push")


def test_a_question_a_note_and_a_usage_are_shown_with_escapes(capfd: pytest.CaptureFixture[str]) -> None:
    asked = CliRunner().invoke(_asking, input="n\n")
    assert SHOWN in asked.output
    require_quiet(asked.output)
    assert SHOWN in told(capfd, "database", "drop-all", "--database", f"sqlite:///{EVIL}")
    assert r"\x1b" in told(capfd, EVIL)
    with progress_on_stderr() as progress:
        progress.note(EVIL)
    say_at_once(EVIL)
    assert capfd.readouterr().err.count(SHOWN) == 2


def test_every_problem_of_fixtures_has_a_line_and_no_problem_two(capfd: pytest.CaptureFixture[str]) -> None:
    show_error(FixtureProblemsError([f"a{EVIL}", "b"]))
    first, problem, other, advice = capfd.readouterr().err.splitlines()
    assert first == "Error: 2 problems in the fixtures:"
    assert (problem, other) == (f"       a{SHOWN}[/red]", "       b")
    assert advice.startswith("       Correct")
    show_error(ToolkitError(f"a{EVIL}", f"b{EVIL}"))
    assert len(capfd.readouterr().err.splitlines()) == 2


def _written_to(terminal: int) -> str:
    """All that waits there: one read gives what the kernel has handed on by then."""
    parts = []
    while select.select([terminal], [], [], 0.2)[0]:
        parts.append(os.read(terminal, 65536))
    return b"".join(parts).decode()


def test_a_progress_bar_shows_a_label_with_escapes_and_takes_none_for_markup(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parent, child = pty.openpty()
    with os.fdopen(child, "w") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        patch.setenv("TERM", "xterm")
        patch.setenv("COLUMNS", "200")
        with progress_on_stderr() as progress:
            progress.step(f"read {EVIL}", 1)
            progress.files(f"send {EVIL}", 1, 1)
            progress.note(EVIL)
        terminal.flush()
        shown = _written_to(parent)
    os.close(parent)
    assert f"read {SHOWN}[/red]" in shown
    assert f"send {SHOWN}[/red]" in shown
    assert "PWNED\x07" not in shown
    assert "\x9b" not in shown


def test_a_progress_bar_shows_the_share_of_all_rows_above_that_of_the_step() -> None:
    with Progress(console=Console(file=io.StringIO(), width=80)) as bar:
        bars = Bars(bar)
        bars.step("compare a", 7)
        bars.whole(200)
        bars.step("load a: rows", 100)
        bars.advance(50)
        bars.step("load b: rows", 100)
        bars.advance(20)
        shown = [(task.description, task.fields["share"]) for task in bar.tasks]
    assert shown == [("200 rows in all", "35 %"), ("load b: rows", "20 %")]


@pytest.fixture
def _whole_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What holds for a process of the command line, for one test."""
    for place, name in (
        (warnings, "showwarning"),
        (logging, "lastResort"),
        (threading, "excepthook"),
        (sys, "unraisablehook"),
    ):
        monkeypatch.setattr(place, name, getattr(place, name))
    engines = logging.getLogger("sqlalchemy.engine.Engine")
    before = list(engines.handlers)
    let_libraries_through()
    yield
    engines.handlers[:] = before


@pytest.mark.usefixtures("_whole_process")
def test_the_statements_of_an_engine_are_not_among_the_results(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with (here / "toolkit.toml").open("a") as settings:
        settings.write('[databases.loud]\nurl = "sqlite:///x.db"\necho = true\n')
    (here / "x.db").touch()
    assert run(["status", "loud", "--json"]) == 3
    shown = capfd.readouterr()
    assert json.loads(shown.out)["databases"][0]["name"] == "loud"
    assert "BEGIN" in shown.err
    require_quiet(shown.err)


@pytest.mark.usefixtures("_whole_process")
def test_what_libraries_say_goes_through_the_gate(capfd: pytest.CaptureFixture[str]) -> None:
    secret = "postgresql://me:hunter2@host/db"
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.warn(f"{secret} {EVIL}", stacklevel=1)
    assert logging.lastResort is not None
    logging.lastResort.handle(logging.makeLogRecord({"msg": f"{secret} {EVIL}", "levelno": logging.ERROR}))
    thread = threading.Thread(target=_fail, args=(f"{secret} {EVIL}",))
    thread.start()
    thread.join()
    shown = capfd.readouterr().err
    assert shown.count(r"\x1b]0;PWNED\x07") == 3
    assert "hunter2" not in shown
    assert all(printable(line) == line for line in shown.split("\n"))


def test_a_shell_is_offered_no_name_that_it_would_take_for_two(here: Path) -> None:
    (here / "toolkit.toml").write_text(
        f'metadata = "{__name__}:metadata"\n[databases]\n"a\\nb" = "sqlite:///x"\n"a\\u001b" = "sqlite:///y"\n'
    )
    (here / "fixtures").mkdir()
    (here / "fixtures" / "valued.json").write_text("[]")
    (here / "fixtures" / "val\nued.json").write_text("[]")
    assert offered("sync", "--from", "a") == []
    assert offered("sync", "") == ["valued"]


def test_a_lone_surrogate_is_shown_and_ends_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    say("name \udc80")
    assert capfd.readouterr().out == "name \\udc80\n"


def test_an_encoding_that_lacks_a_sign_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii", write_through=True))
    say("a → é")
    print_json({"a": "→ é\x9b"}, indent=None)
    text, document = written.getvalue().decode("ascii").splitlines()
    assert text == r"a \u2192 \xe9"
    assert json.loads(document) == {"a": "→ é\x9b"}


def test_a_database_whose_name_has_two_lines_puts_no_statement_into_a_script(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["--metadata", "toolkit.models.todo:metadata", "database", "init"]) == 0
    run(["database", "make-migrations", "--database", "sqlite:///x.db"])
    capfd.readouterr()
    assert run(["database", "upgrade", "--sql", "--database", "sqlite:///x\nDROP TABLE t;"]) == 0
    script = capfd.readouterr().out
    assert script.startswith(r"-- x\nDROP TABLE t;" + "\n")
    assert "\nDROP" not in script


def _fail(text: str) -> None:
    raise ValueError(text)


@click.command()
def _asking() -> None:
    ask(f"Drop {EVIL}?")


def test_a_log_shows_the_steps_of_a_run_that_takes_a_while(capsys: pytest.CaptureFixture[str]) -> None:
    brief, long = Lines(patience=3600), Lines(patience=0)
    for progress in (brief, long):
        progress.step("compare item")
        progress.step("load item", 1000)
        progress.advance(1000)
        progress.files("copy files", 2, 3000)
    assert capsys.readouterr().err == "compare item\nload item: 1,000 rows\ncopy files: 2 files, 3,000 bytes\n"
    late = Lines(patience=0.05)
    late.step("load item", 1000)
    time.sleep(0.06)
    late.advance(1)
    assert capsys.readouterr().err == "load item: 1,000 rows\n"


def test_steps_are_told_to_machines_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(sqlite3.connect("a.db")) as connection, connection:
        connection.execute("CREATE TABLE item (id INTEGER PRIMARY KEY)")
        connection.execute("INSERT INTO item VALUES (1)")
    sync = ["sync", "--reflect", "--from", "sqlite:///a.db", "--to", "sqlite:///b.db"]
    assert run([*sync, "--log-json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert {"verify item", "commit"} <= {each.get("step") for each in lines}
    assert all("at" in each for each in lines)
    assert run([*sync, "-q"]) == 0
    assert capsys.readouterr().err == ""
