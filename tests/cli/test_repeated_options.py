"""Every option and argument that may be repeated, given twice: both values count, or they are refused by name."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import pytest

from toolkit.cli import run, toolkit

ROOT = Path(__file__).parent.parent.parent
TWO = ["todo:importance = 'HIGH'", "todo:is_deleted = 0"]
FILES = ["attachment:name like '%e%'", "attachment:name not like '%.md'"]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the bundled rows, of which some that are important are deleted."""
    folder = tmp_path_factory.mktemp("filled")
    (folder / "toolkit.toml").write_text(
        f'metadata = "toolkit.models.todo:metadata"\nmigrations = "{ROOT}/migrations"\nfixtures = "{ROOT}/fixtures"\n'
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(["load-data"]) == 0
    query("UPDATE todo SET is_deleted = 1 WHERE id IN (SELECT id FROM todo WHERE importance = 'HIGH' LIMIT 2)", folder)
    shutil.copyfile(folder / "toolkit.sqlite3", folder / "other.sqlite3")
    return folder


@pytest.fixture
def here(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of its own that is like it."""
    place = tmp_path / "here"
    shutil.copytree(filled, place)
    monkeypatch.chdir(place)
    return place


def query(statement: str, folder: Path = Path(), file: str = "toolkit.sqlite3") -> list[tuple[Any, ...]]:
    """Run a statement on one of the files."""
    with closing(sqlite3.connect(folder / file)) as connection, connection:
        return connection.execute(statement).fetchall()


class Told:
    """Runs a command and gives its document."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd

    def __call__(self, *arguments: str, code: int = 0) -> Any:
        self._capfd.readouterr()
        assert run([*arguments, "--json"]) == code
        return json.loads(self._capfd.readouterr().out)

    def error(self, *arguments: str, code: int = 2) -> str:
        self._capfd.readouterr()
        assert run([*arguments]) == code
        return self._capfd.readouterr().err

    def tables(self, *arguments: str, code: int = 0) -> list[str]:
        return [table["table"] for table in self(*arguments, code=code)["tables"]]


def pairs(name: str, values: list[str]) -> list[str]:
    return [word for value in values for word in (name, value)]


SYNC = ["sync", "--from", "sqlite", "--to", "sqlite:///other.sqlite3"]
DIFF = ["diff", "--from", "sqlite", "--to", "sqlite:///other.sqlite3"]


def sync_where(told: Told) -> None:
    query("UPDATE todo SET item = 'changed'")
    (table,) = told(*SYNC, "todo", *pairs("--where", TWO))["tables"]
    assert (table["updated"], table["unchanged"]) == (8, 0)


def sync_where_source(told: Told) -> None:
    query("UPDATE todo SET item = 'changed'")
    (table,) = told(*SYNC, "todo", *pairs("--where-source", TWO))["tables"]
    assert (table["updated"], table["target_only"]) == (8, 32)
    (table,) = told(*SYNC, "todo", "--where", TWO[0], "--where-source", TWO[1], "--dry-run")["tables"]
    assert (table["unchanged"], table["target_only"]) == (8, 2)


def diff_where(told: Told) -> None:
    query("UPDATE todo SET item = 'changed'")
    (table,) = told(*DIFF, "todo", *pairs("--where", TWO), code=3)["tables"]
    assert (table["changed"], table["unchanged"]) == (8, 0)


def diff_where_source(told: Told) -> None:
    query("UPDATE todo SET item = 'changed'")
    (table,) = told(*DIFF, "todo", *pairs("--where-source", TWO), code=3)["tables"]
    assert (table["changed"], table["removed"]) == (8, 32)
    (table,) = told("sync", *DIFF[1:], "todo", "--verify-only", *pairs("--where-source", TWO), code=3)["tables"]
    assert (table["changed"], table["removed"]) == (8, 32)


def dump_where(told: Told) -> None:
    assert [t["rows"] for t in told("dump-data", "todo", "--dir", "d", *pairs("--where", TWO))["tables"]] == [8]


def push_where(told: Told) -> None:
    pushed = told("archive", "push", *pairs("--where", FILES))
    again = told("archive", "push", *pairs("--where", FILES[::-1]))
    assert (pushed["files"], again["files"]) == (3, 3)
    scopes = [each["scope"]["where"] for each in told("archive", "list")["snapshots"]]
    conditions = [each.partition(":")[2] for each in FILES]
    assert scopes == [{"attachment": f"({conditions[0]}) AND ({conditions[1]})"}] * 2


def restore_only(told: Told) -> None:
    told("archive", "push")
    assert told("archive", "restore", "latest", "--to", "out", *pairs("--only", FILES))["written"] == 3


def sync_exclude(told: Told) -> None:
    assert not {"todo_tag", "attachment"} & set(told.tables(*SYNC, *pairs("--exclude", ["todo_tag", "attachment"])))


def diff_exclude(told: Told) -> None:
    assert not {"todo_tag", "attachment"} & set(told.tables(*DIFF, *pairs("--exclude", ["todo_tag", "attachment"])))


def dump_exclude(told: Told) -> None:
    arguments = ["dump-data", "--dir", "d", *pairs("--exclude", ["todo_tag", "attachment"])]
    assert not {"todo_tag", "attachment"} & set(told.tables(*arguments))


def load_exclude(told: Told) -> None:
    arguments = ["load-data", "--dry-run", *pairs("--exclude", ["todo_tag", "attachment"])]
    assert not {"todo_tag", "attachment"} & set(told.tables(*arguments))


def sync_match(told: Told) -> None:
    twice = ["--match", "user_account:email", "--match", "user_account:name,email"]
    assert "--match is given twice for user_account (email and name,email)" in told.error(*SYNC, *twice)
    query("UPDATE user_account SET id = randomblob(16) WHERE email LIKE 'soren%'")
    query("UPDATE role SET id = randomblob(16) WHERE name = 'Auditor'")
    once = ["user_account", "role", "--match", "user_account:email", "--match", "role:name", "--match", "role:name"]
    assert [table["inserted"] for table in told(*SYNC, *once)["tables"]] == [0, 0]


def load_match(told: Told) -> None:
    twice = ["--match", "user_account:email", "--match", "user_account:name,email"]
    assert "--match is given twice for user_account (email and name,email)" in told.error("load-data", *twice)


def wider_target() -> None:
    for name in ("one", "two"):
        query(f"ALTER TABLE tag ADD COLUMN {name} TEXT", file="other.sqlite3")
    query("DELETE FROM tag", file="other.sqlite3")


def rename_twice(*command: str) -> Callable[[Told], None]:
    def check(told: Told) -> None:
        twice = ["tag=one", "tag=two"]
        assert "--rename is given twice for tag, with two names" in told.error(*command, *pairs("--rename", twice))
        query("ALTER TABLE tag RENAME TO label", file="other.sqlite3")
        query("ALTER TABLE label RENAME COLUMN name TO title", file="other.sqlite3")
        names = ["tag=label", "tag.name=title", "tag=label"]
        assert told(*command, "tag", *pairs("--rename", names))["renamed"] == {
            "tag": "label",
            "tag.name": "label.title",
        }

    return check


def set_twice(*command: str) -> Callable[[Told], None]:
    def check(told: Told) -> None:
        twice = ["tag.one=1", "tag.one=2"]
        assert "--set is given twice for tag.one, with two values" in told.error(*command, *pairs("--set", twice))
        wider_target()
        told(*command, *pairs("--set", ["tag.one=1", "tag.two=a=b", "tag.one=1"]))
        assert query("SELECT DISTINCT one, two FROM tag", file="other.sqlite3") == [("1", "a=b")]

    return check


def exclude_columns_twice(*command: str) -> Callable[[Told], None]:
    def check(told: Told) -> None:
        query("UPDATE tag SET name = name || '!', updated_at = created_at")
        names = ["tag.name", "tag.updated_at"]
        left = told(*command, "tag", *pairs("--exclude-column", names))["tables"]
        if command[0] == "sync":
            assert (left[0]["inserted"], left[0]["updated"]) == (0, 0)
        elif command[0] == "diff":
            assert left[0]["status"] == "same"
        else:
            assert not {"name", "updated_at"} & set(json.loads(Path("d/tag.json").read_text())[0])

    return check


def key_twice(*command: str) -> Callable[[Told], None]:
    def check(told: Told) -> None:
        twice = ["role:name", "role:id,name"]
        assert "--key is given twice for role (name and id,name)" in told.error(*command, *pairs("--key", twice))
        told(*command, *pairs("--key", ["user_account:email", "role:name", "role:name"]))

    return check


def diff_set(told: Told) -> None:
    assert "it needs --sql" in told.error(*DIFF, "--set", "tag.one=1")
    twice = ["tag.one=1", "tag.one=2"]
    arguments = [*DIFF, "tag", "--sql", "script.sql"]
    assert "--set is given twice for tag.one, with two values" in told.error(*arguments, *pairs("--set", twice))
    wider_target()
    told(*arguments, *pairs("--set", ["tag.one=1", "tag.two=a=b", "tag.one=1"]), code=3)
    with closing(sqlite3.connect("other.sqlite3")) as connection:
        connection.executescript(Path("script.sql").read_text(encoding="utf-8"))
    assert query("SELECT DISTINCT one, two FROM tag", file="other.sqlite3") == [("1", "a=b")]


def inspect_exclude(told: Told) -> None:
    left = [
        each["name"] for each in told("inspect", "sqlite", *pairs("--exclude", ["todo_tag", "attachment"]))["tables"]
    ]
    assert "todo" in left
    assert not {"todo_tag", "attachment"} & set(left)


def inspect_tables(told: Told) -> None:
    assert [each["name"] for each in told("inspect", "sqlite", "tag", "role", "tag")["tables"]] == ["role", "tag"]


def diff_columns(told: Told) -> None:
    query("UPDATE todo SET item = 'changed', importance = 'LOW', is_deleted = 1")
    rows = told(*DIFF, "todo", *pairs("--columns", ["item", "is_deleted"]), code=3)["tables"][0]["rows"]
    assert set().union(*(row["columns"] for row in rows)) == {"item", "is_deleted"}


def prune_adopt(told: Told) -> None:
    told("archive", "push", "--move")
    place = told("archive", "list")["snapshots"][0]["place"]
    for places in (["nowhere", place], [place, "nowhere"]):
        arguments = ["archive", "prune", "--keep-last", "1", "--from", "sqlite", *pairs("--adopt", places)]
        assert "'nowhere'" in told.error(*arguments)


def converted(*command: str, code: int = 0) -> Callable[[Told], None]:
    def check(told: Told) -> None:
        query("UPDATE todo SET description = '', start_time = 1700000000")
        both = ["todo.description:empty-as-null", "todo.start_time:epoch-s"]
        warnings = told(*command, "todo", *pairs("--convert", both), code=code)["warnings"]
        assert [each["column"] for each in warnings if each["outcome"] == "converted"] == ["description"]
        twice = ["todo.start_time:epoch-s", "todo.start_time:epoch-ms"]
        assert "todo.start_time: epoch-s and epoch-ms" in told.error(*command, *pairs("--convert", twice))

    return check


def inspect_converted(told: Told) -> None:
    query("UPDATE todo SET description = '', start_time = 1700000000")
    both = ["todo.description:empty-as-null", "todo.start_time:epoch-s"]
    (todo,) = told("inspect", "sqlite", "todo", "--for", "duckdb", *pairs("--convert", both))["tables"]
    why = {each["name"]: each["why"] for each in todo["columns"]}
    assert why["description"] == why["start_time"] == "Its values are converted."
    twice = ["todo.start_time:epoch-s", "todo.start_time:epoch-ms"]
    assert "todo.start_time: epoch-s and epoch-ms" in told.error("inspect", "sqlite", *pairs("--convert", twice))


def named_tables(*command: str) -> Callable[[Told], None]:
    def check(told: Told) -> None:
        assert told.tables(*command, "tag", "role", "tag") == ["role", "tag"]

    return check


def push_tables(told: Told) -> None:
    for tables in (["attachment"], ["attachment", "attachment"]):
        told("archive", "push", *tables)
    assert [each["scope"]["tables"] for each in told("archive", "list")["snapshots"]] == [["attachment"]] * 2


def push_exclude(told: Told) -> None:
    assert "all of them are excluded" in told.error(
        "archive", "push", *pairs("--exclude", ["attachment", "attachment"])
    )
    for names in (["attachment", "nowhere"], ["nowhere", "attachment"]):
        assert "'nowhere'" in told.error("archive", "push", *pairs("--exclude", names))


def remove_snapshots(told: Told) -> None:
    ids = [told("archive", "push")["snapshot"] for _ in range(3)]
    told("archive", "remove", ids[0], ids[1], ids[0])
    assert [each["id"] for each in told("archive", "list")["snapshots"]] == ids[2:]


def forget_row(told: Told) -> None:
    told("archive", "push")
    one = "attachment:name = 'design.pdf'"
    for other, rows in (("attachment:name <> ''", 1), ("attachment:name = ''", 0), (one, 1)):
        for both in ([one, other], [other, one]):
            code = 0 if rows else 3
            assert told("archive", "forget", "--dry-run", *pairs("--row", both), code=code)["rows"] == rows


def status_databases(told: Told) -> None:
    found = told("status", "sqlite", "sqlite:///other.sqlite3", "sqlite")["databases"]
    assert [each["name"] for each in found] == ["sqlite", "other.sqlite3"]


def workers_databases(told: Told) -> None:
    command = ("workers", "check", "--workers", "local:1", "sqlite", "sqlite:///other.sqlite3", "sqlite")
    (worker,) = told(*command)["workers"]
    assert [each["database"] for each in worker["databases"]] == ["sqlite", "other.sqlite3"]


def sync_attachments(told: Told) -> None:
    twice = ["--attachments", "one=first", "--attachments", "one=second"]
    assert "one" in told.error(*SYNC, *twice)
    told(*SYNC, "--attachments", "./first", "--attachments", "attachments=./second")
    assert (list(Path("first").glob("**/*")) if Path("first").exists() else []) == []
    assert sum(each.is_file() for each in Path("second").glob("**/*")) == 5


def restore_to_backend(told: Told) -> None:
    told("archive", "push")
    twice = ["--to-backend", "attachments=a", "--to-backend", "attachments=b"]
    assert "attachments" in told.error("archive", "restore", "latest", *twice)


def help_topic(told: Told) -> None:
    told._capfd.readouterr()
    assert run(["help", "archive", "push"]) == 0
    assert told._capfd.readouterr().out.startswith("Usage: toolkit archive push")
    assert "neither a topic nor a command 'safety sync'" in told.error("help", "safety", "sync")


def workers_stores(told: Told) -> None:
    found = told("workers", "check", "--workers", "local:1", *pairs("--store", ["attachments", "archive"]))
    assert [each["store"] for each in found["workers"][0]["stores"]] == ["attachments", "archive"]


CHECKS: Mapping[str, Callable[[Told], None]] = {
    "help topic": help_topic,
    "sync --where": sync_where,
    "sync --where-source": sync_where_source,
    "sync --exclude": sync_exclude,
    "sync --exclude-column": exclude_columns_twice(*SYNC),
    "diff --exclude-column": exclude_columns_twice(*DIFF),
    "dump-data --exclude-column": exclude_columns_twice("dump-data", "--dir", "d"),
    "sync --key": key_twice(*SYNC),
    "diff --key": key_twice(*DIFF),
    "dump-data --key": key_twice("dump-data", "--dir", "d"),
    "load-data --key": key_twice("load-data"),
    "inspect --exclude": inspect_exclude,
    "inspect --convert": inspect_converted,
    "inspect tables": inspect_tables,
    "sync --match": sync_match,
    "sync --convert": converted(*SYNC),
    "sync tables": named_tables(*SYNC),
    "diff --where": diff_where,
    "diff --where-source": diff_where_source,
    "diff --set": diff_set,
    "diff --exclude": diff_exclude,
    "diff --columns": diff_columns,
    "diff --convert": converted(*DIFF, code=3),
    "diff tables": named_tables(*DIFF),
    "dump-data --where": dump_where,
    "dump-data --exclude": dump_exclude,
    "dump-data --convert": converted("dump-data", "--dir", "d"),
    "dump-data tables": named_tables("dump-data", "--dir", "d"),
    "load-data --exclude": load_exclude,
    "load-data --match": load_match,
    "sync --rename": rename_twice(*SYNC),
    "diff --rename": rename_twice(*DIFF),
    "sync --set": set_twice(*SYNC, "tag"),
    "load-data --set": set_twice("load-data", "tag", "--to", "sqlite:///other.sqlite3"),
    "load-data tables": named_tables("load-data", "--dry-run"),
    "archive push --where": push_where,
    "archive push tables": push_tables,
    "archive push --exclude": push_exclude,
    "archive remove snapshots": remove_snapshots,
    "archive forget --row": forget_row,
    "archive restore --only": restore_only,
    "archive prune --adopt": prune_adopt,
    "status databases": status_databases,
    "workers check databases": workers_databases,
    "workers check --store": workers_stores,
    "sync --attachments": sync_attachments,
    "archive restore --to-backend": restore_to_backend,
}


def repeatable(command: click.Command = toolkit, path: str = "") -> Iterator[str]:
    """All that may be repeated, by the names of command and option."""
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            each = command.get_command(click.Context(command), name)
            assert each is not None
            yield from repeatable(each, f"{path} {name}".strip())
        return
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.multiple:
            yield f"{path} {parameter.opts[0]}"
        elif isinstance(parameter, click.Argument) and parameter.nargs == -1:
            yield f"{path} {parameter.name}"


@pytest.mark.parametrize("name", sorted({*repeatable(), *CHECKS}))
def test_what_may_be_repeated_counts_each_time_or_is_refused_by_name(
    here: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    assert name in CHECKS, "this may be repeated: add a check that gives it twice"
    assert name in set(repeatable()), "this may not be repeated any more"
    CHECKS[name](Told(capfd))


def test_no_row_outside_of_either_condition_is_deleted(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    keep = "SELECT count(*) FROM todo WHERE NOT (importance = 'HIGH' AND is_deleted = 0)"
    for table in ("todo_tag", "attachment"):
        query(f"DELETE FROM {table}", file="other.sqlite3")
    query("DELETE FROM todo WHERE id NOT IN (SELECT id FROM todo WHERE importance = 'HIGH' AND is_deleted = 0 LIMIT 1)")
    result = Told(capfd)(*SYNC, "todo", "--delete", *pairs("--where", TWO))
    assert result["tables"][0]["deleted"] == 7
    assert query(keep, file="other.sqlite3") == [(32,)]


@pytest.mark.parametrize(
    "conditions",
    [
        ["todo:1=1) OR (1=1", "todo:is_deleted = 0"],
        ["todo:is_deleted = 0", "todo:1=1) OR (1=1"],
        ["todo:(is_deleted = 0", "todo:is_deleted = 0)"],
    ],
)
def test_each_of_several_conditions_is_whole_in_itself(
    here: Path, capfd: pytest.CaptureFixture[str], conditions: list[str]
) -> None:
    assert "is refused" in Told(capfd).error(*SYNC, *pairs("--where", conditions))


def test_a_later_condition_may_begin_behind_a_comment_of_an_earlier_one(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    conditions = ["todo:importance = 'HIGH' -- but", "todo:is_deleted = 0 OR 0"]
    (table,) = Told(capfd)(*DIFF, "todo", *pairs("--where", conditions))["tables"]
    assert table["unchanged"] == 8
