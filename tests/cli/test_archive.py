"""What `toolkit archive` shows, in text and as JSON, and the exit codes."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from advanced_alchemy.types.file_object import storages

from toolkit.archive import ArchiveBackend
from toolkit.cli import run

ROOT = Path(__file__).parent.parent.parent
SECRET = "wJalrXUtnFEMI-secret"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the bundled rows and their files."""
    folder = tmp_path_factory.mktemp("filled")
    (folder / "toolkit.toml").write_text(
        f'metadata = "toolkit.models.todo:metadata"\nmigrations = "{ROOT}/migrations"\nfixtures = "{ROOT}/fixtures"\n'
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(["load-data"]) == 0
    return folder


@pytest.fixture
def here(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of its own that is like it."""
    place = tmp_path / "here"
    shutil.copytree(filled, place)
    monkeypatch.chdir(place)
    return place


def out(capfd: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """What a command prints."""
    capfd.readouterr()
    assert run(["archive", *arguments]) == code, capfd.readouterr().err
    return capfd.readouterr().out


@pytest.mark.slow
def test_attachments_are_archived_lost_proved_and_restored(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    plan = out(capfd, "push", "--dry-run")
    assert "dry run: nothing was written" in plan
    assert not (here / ".toolkit/archive").exists()
    pushed = out(capfd, "push", "--to", "archive")
    assert "attachment.file      5" in pushed
    snapshot = pushed.rpartition("Snapshot ")[2].split(".")[0]
    listed = out(capfd, "list")
    assert snapshot in listed
    shown = out(capfd, "show", snapshot)
    assert "attachments:2024/02/design.pdf" in shown
    assert "All is well" in out(capfd, "verify", "--all", "--read-data")
    (here / ".toolkit/attachments/2024/02/design.pdf").unlink()
    told = out(capfd, "verify", code=3)
    assert "dangling row: attachment.file id=018df57c-98c0-7645-bb90-53809df74caf" in told
    assert "dangling row" in out(capfd, "audit", code=3)
    assert "1 written" in out(capfd, "restore", "latest")
    assert "Every row has its file" in out(capfd, "audit")
    out(capfd, "push")
    removed = out(capfd, "prune", "--keep-last", "1")
    assert "Removed 1 snapshot and 0 objects" in removed
    assert "last 1 of 1" in removed


def test_a_snapshot_that_lacks_a_file_is_marked_and_a_restore_of_it_names_the_one_that_has_it(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out(capfd, "push")
    assert "lacks" not in out(capfd, "list")
    (here / ".toolkit/attachments/2024/02/design.pdf").unlink()
    out(capfd, "push", code=3)
    listed = json.loads(out(capfd, "list", "--json"))["snapshots"]
    assert [each["lacking"] for each in listed] == [0, 1]
    whole, later = (each["id"] for each in listed)
    shown = [line.split()[-2:] for line in out(capfd, "list").splitlines()]
    assert shown == [["lacks", "of"], ["3,674", "sqlite"], ["1", "sqlite"]]
    assert "it lacks 1 file that rows point at" in out(capfd, "show", later)
    assert json.loads(out(capfd, "show", later, "--json"))["lacking"][0]["path"] == "2024/02/design.pdf"
    assert f"snapshot {whole} has it" in out(capfd, "restore", "latest", code=3)
    assert f"has 1 file that {later} lacks" in out(capfd, "prune", "--keep-last", "1")
    assert "1 written" in out(capfd, "restore", whole)


def test_the_json_of_each_verb_is_one_document_with_all_of_it(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pushed = json.loads(out(capfd, "push", "--move", "--json"))
    assert (pushed["files"], pushed["moved"], pushed["removed"], pushed["findings"]) == (5, 5, 5, [])
    listed = json.loads(out(capfd, "list", "--json"))
    assert [each["id"] for each in listed["snapshots"]] == [pushed["snapshot"]]
    shown = json.loads(out(capfd, "show", "latest", "--json"))
    assert shown["snapshot"]["files"] == len(shown["files"]) == 5
    entry = next(each for each in shown["files"] if each["name"] == "design.pdf")
    assert entry["reference"]["metadata"] == {"pages": "17", "author": "soren"}
    assert entry["key"] == {"id": "018df57c-98c0-7645-bb90-53809df74caf"}
    plan = json.loads(out(capfd, "restore", "latest", "--dry-run", "--json"))
    done = json.loads(out(capfd, "restore", "latest", "--json"))
    assert plan["repairs"] == done["repairs"]
    assert json.loads(done["repairs"][0]["new"])["backend"] == "attachments"
    assert json.loads(out(capfd, "verify", "--json"))["ok"] == 5
    assert json.loads(out(capfd, "audit", "--json"))["findings"] == []
    assert json.loads(out(capfd, "prune", "--keep-daily", "1", "--json"))["snapshots"][0]["reasons"] == ["daily 1 of 1"]


def test_what_a_snapshot_is_of_is_said_where_it_is_restored(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert "no row points at a file that is there and old enough" in out(capfd, "push", "--older-than", "9000d")
    out(capfd, "push", "--where", "attachment:name = 'design.pdf'")
    assert "of sqlite (attachment where name = 'design.pdf') -> " in out(capfd, "restore", "latest")


def test_one_file_is_written_to_stdout_as_it_is(here: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(["archive", "push"]) == 0
    content = (here / ".toolkit/attachments/2024/02/design.pdf").read_bytes()
    capfdbinary.readouterr()
    assert run(["archive", "cat", "latest", "design.pdf"]) == 0
    assert capfdbinary.readouterr().out == content


def test_snapshots_are_compared_searched_and_removed(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    first = json.loads(out(capfd, "push", "--json"))["snapshot"]
    (here / ".toolkit/attachments/2024/02/design.pdf").unlink()
    second = json.loads(out(capfd, "push", "--json", code=3))["snapshot"]
    assert "removed: attachment.file" in out(capfd, "diff", first, second, code=3)
    assert json.loads(out(capfd, "diff", first, second, "--json", code=3))["changes"][0]["new"] is None
    assert out(capfd, "find", "design.*").count(first) == 1
    assert "No snapshot of" in out(capfd, "find", "nothing", code=3)
    assert first in out(capfd, "list", "--of", "sqlite")
    out(capfd, "remove", first, code=3)
    assert "Would remove 1 snapshot" in out(capfd, "remove", first, "--force", "--dry-run")
    assert json.loads(out(capfd, "remove", first, "--force", "--json"))["snapshots"][0]["reasons"] == []


def test_the_files_of_one_row_are_erased(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out(capfd, "push")
    plan = out(capfd, "forget", "--row", "attachment:name = 'design.pdf'", "--dry-run")
    assert "Would erase 1 file of 1 row in 1 snapshot: 1 object" in plan
    assert "In the database still: 1 row" in plan
    result = json.loads(out(capfd, "forget", "--row", "attachment:name = 'design.pdf'", "--json"))
    assert (result["rows"], result["files"], result["removed_objects"]) == (1, 1, 1)
    assert "erased" in out(capfd, "list")
    assert "No row" in out(capfd, "forget", "--row", "attachment:name = 'nothing'", code=3)


def test_files_go_to_a_directory_without_a_database(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out(capfd, "push")
    (here / "toolkit.sqlite3").unlink()
    text = out(capfd, "restore", "latest", "--to", "out")
    assert "5 written" in text
    assert len((here / "out/attachments/2024/02/design.pdf").read_bytes()) == 1686
    mapping = next((here / "out").glob("*.jsonl")).read_text().splitlines()
    assert json.loads(mapping[0])["restored_to"].startswith("attachments/2024/")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["push", "--older-than", "soon"], 2, "not a duration"),
        (["push", "role"], 2, "no column of files"),
        (["push", "--to", "nowhere"], 2, "There is no store 'nowhere'"),
        (["push", "--move", "--to", "./elsewhere"], 2, "has a name"),
        (["push", "--where", "attachment"], 2, "TABLE:"),
        (["push", "--where", "attachment:naem = 1"], 2, "todo_id, name, file"),
        (["show", "2"], 2, "2 snapshots begin with '2'"),
        (["show", ""], 2, "There is no snapshot ''"),
        (["show", "20240101"], 2, "There is no snapshot '20240101'"),
        (["restore", "latest", "--to", "x", "--to-backend", "y"], 2, "not both"),
        (["restore", "latest", "--to-backend", "nobody"], 2, "nobody"),
        (["restore", "latest", "--only", "todo:true"], 2, "There is no table 'todo'"),
        (["prune"], 2, "what to keep"),
        (["prune", "--keep-within", "0d"], 3, "would be left"),
        (["verify", "latest", "--all"], 2, "or give --all"),
    ],
)
def test_what_cannot_be_done_is_said_with_its_exit_code(
    here: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    out(capfd, "push")
    out(capfd, "push")
    assert run(["archive", *arguments]) == code
    shown = capfd.readouterr()
    assert said in shown.err
    assert shown.out == ""


def test_a_move_says_that_no_backend_is_registered_for_the_archive(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    said = "No storage backend is registered as 'archive'"
    assert said in out(capfd, "push", "--move", "--dry-run")
    assert said not in out(capfd, "push")
    storages.register_backend(ArchiveBackend(key="archive", fs=(here / ".toolkit/archive").as_uri()))
    try:
        assert said not in out(capfd, "push", "--move", "--dry-run")
    finally:
        storages.unregister_backend("archive")
    assert said in out(capfd, "push", "--move")
    assert len(json.loads(out(capfd, "push", "--move", "--json"))["notes"]) == 1


def test_a_file_whose_row_is_gone_is_told_with_the_option_that_restores_it(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out(capfd, "push")
    with closing(sqlite3.connect("toolkit.sqlite3")) as connection:
        connection.execute("DELETE FROM attachment WHERE name = 'design.pdf'")
        connection.commit()
    (here / ".toolkit/attachments/2024/02/design.pdf").unlink()
    assert "left in the archive (--rowless restores it, too)" in out(capfd, "restore", "latest", code=3)
    told = out(capfd, "restore", "latest", "--rowless", code=3)
    assert "row gone" in told
    assert "--rowless" not in told
    assert (here / ".toolkit/attachments/2024/02/design.pdf").is_file()


def test_files_are_too_young_only_for_a_push_that_asks_for_their_age(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert "too young" in out(capfd, "push", "--older-than", "1d", "--dry-run")
    shown = out(capfd, "push")
    assert "too young" not in shown
    assert "attachment.file      5" in shown


def test_what_was_moved_elsewhere_is_kept_and_the_line_says_how_to_adopt_it(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out(capfd, "push", "--move")
    place = json.loads(out(capfd, "list", "--json"))["snapshots"][0]["place"]
    assert place not in out(capfd, "list")
    Path("toolkit.sqlite3").rename("moved.sqlite3")
    with Path("toolkit.toml").open("a") as file:
        file.write('[databases]\nsqlite = "sqlite:///moved.sqlite3"\n')
    out(capfd, "push", "--move")
    kept = out(capfd, "prune", "--keep-last", "1", "--from", "sqlite")
    assert f"Kept what 1 push moved from a database of this name at another place ({place})" in kept
    assert f"sqlite at {place}" in kept
    assert f"sqlite  {place}" in out(capfd, "list")
    assert "Removed 1 snapshot" in out(capfd, "prune", "--keep-last", "1", "--from", "sqlite", "--adopt", place)


def test_names_of_files_move_no_cursor(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with closing(sqlite3.connect("toolkit.sqlite3")) as connection:
        evil = json.dumps({"filename": "\x1b[2Jgone\nnew line", "backend": "attachments"})
        connection.execute("UPDATE attachment SET file = ? WHERE name = 'design.pdf'", (evil,))
        connection.commit()
    shown = out(capfd, "push", code=3)
    assert "\x1b" not in shown
    assert "\\x1b[2Jgone" in shown


def test_no_secret_is_shown_whatever_goes_wrong(
    here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    (here / "toolkit.toml").write_text(
        (here / "toolkit.toml").read_text()
        + '[stores.s3]\nurl = "s3://bucket"\nendpoint = "http://127.0.0.1:1"\nallow_http = true\nretries = 0\n'
        + f'secret_access_key = "{SECRET}"\n'
    )
    for arguments in (["push"], ["list"], ["verify"], ["prune", "--keep-last", "1"], ["restore", "latest"]):
        capfd.readouterr()
        assert run(["archive", *arguments, "--store", "s3", "--debug"]) == 1
        shown = capfd.readouterr()
        assert SECRET not in shown.out + shown.err
        assert "nothing answers there" in shown.err


def test_an_encrypted_archive_is_verified_without_its_key_and_gets_another(
    here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOLKIT_ARCHIVE_KEY", "01" * 32)
    out(capfd, "push")
    assert "All is well" in out(capfd, "verify", "--all", "--read-data")
    monkeypatch.delenv("TOOLKIT_ARCHIVE_KEY")
    shown = out(capfd, "verify", "--all", "--read-data")
    assert ": encrypted, 7 objects" in shown
    assert "rows were not checked, and missing objects are found only with the key.\nAll else is well." in shown
    assert out(capfd, "push", code=1) == ""
    monkeypatch.setenv("TOOLKIT_ARCHIVE_KEY", f"{'02' * 32} {'01' * 32}")
    assert "to be encrypted with key" in out(capfd, "rotate-key", "--dry-run")
    rotated = out(capfd, "rotate-key")
    assert "Not needed any more: key" in rotated
    assert "02" * 32 not in rotated
    document = json.loads(out(capfd, "rotate-key", "--json"))
    assert (document["objects"], len(document["old_keys"])) == (0, 1)
    monkeypatch.setenv("TOOLKIT_ARCHIVE_KEY", "02" * 32)
    assert "All is well" in out(capfd, "verify", "--all")
