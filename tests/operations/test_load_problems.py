"""What is wrong with fixtures is told by file, line and column, all of it at once, and nothing is written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.operations.club import Types, metadata
from tests.operations.databases import contents, create, execute
from toolkit.cli import run
from toolkit.config import Config, load_config
from toolkit.stores import fixture_files, json_rows

ENGINES = ["sqlite", "postgres", "duckdb"]
EVERY_ENGINE = pytest.mark.parametrize("engine", ENGINES)
M1, M2, M3 = (f"00000000-0000-4000-8000-{number:012d}" for number in (1, 2, 3))


@dataclass(frozen=True)
class Told:
    """What `toolkit load-data` told its user."""

    code: int
    out: str
    err: str

    @property
    def problems(self) -> list[str]:
        """The lines between `Error:` and the advice."""
        *lines, advice = self.err.splitlines()
        assert advice.strip().startswith("Correct the file")
        return [line.removeprefix("Error:").strip() for line in lines]


Load = Callable[..., Told]


@pytest.fixture
def club(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A project with the club's tables and a directory for their fixtures; PostgreSQL only where it is asked for."""
    urls = {"sqlite": f"sqlite:///{tmp_path}/one.sqlite3", "duckdb": f"duckdb:///{tmp_path}/one.duckdb"}
    if request.node.name.endswith("postgres]") or "postgres-" in request.node.name:
        urls["postgres"] = request.getfixturevalue("postgres_url")
    for name in os.environ:
        if name.startswith("TOOLKIT_"):
            monkeypatch.delenv(name)
    lines = ['metadata = "tests.operations.club:metadata"', 'migrations = "none"']
    for name, url in urls.items():
        lines += [f"[databases.{name}]", f'url = "{url}"']
    (tmp_path / "toolkit.toml").write_text("\n".join(lines))
    (tmp_path / "fixtures").mkdir()
    monkeypatch.chdir(tmp_path)
    return load_config(tmp_path, {})


@pytest.fixture
def load(club: Config, capsys: pytest.CaptureFixture[str]) -> Load:
    """Run `toolkit load-data` in this process."""

    def told(*arguments: str) -> Told:
        capsys.readouterr()
        code = run(["load-data", *arguments])
        return Told(code, *capsys.readouterr())

    return told


def put(name: str, content: bytes | str | list[Any]) -> None:
    """Write a fixture file; a list as JSON, one row a line."""
    if isinstance(content, list):
        content = "[\n" + ",\n".join(json.dumps(row) for row in content) + "\n]\n"
    (Path("fixtures") / name).write_bytes(content.encode() if isinstance(content, str) else content)


def member(number: int, **values: Any) -> dict[str, Any]:
    key = f"00000000-0000-4000-8000-{number:012d}"
    return {"id": key, "email": f"m{number}@x", **values}


def refused(load: Load, *arguments: str) -> list[str]:
    """The problems that are told; nothing else is, and no database is made."""
    told = load(*arguments)
    require_refusal(told)
    assert not list(Path().glob("*.sqlite3")) + list(Path().glob("*.duckdb"))
    return told.problems


def require_refusal(told: Told) -> None:
    assert told.code == 1, told
    assert told.out == ""
    assert "Traceback" not in told.err
    assert "unexpected" not in told.err
    assert told.err.startswith("Error: ")


# -- one problem -----------------------------------------------------------------------------------------------------

GOOD = json.dumps(member(1))


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("json", "", "line 1: the file is empty; a JSON array is expected"),
        ("json", GOOD, "line 1: a JSON array of objects is expected"),
        ("json", f"[\n{GOOD}", "line 2: the file ends before its end"),
        ("json", f"[\n{GOOD},\n]", "line 3: an object is expected: the comma behind the last"),
        ("json", f"[\n{GOOD}\n{GOOD}\n]", "line 3: a comma or the end of the array is expected"),
        ("json", f"[\n{GOOD}\n]\n[]", "line 4: there is something behind the end of the array"),
        ("json", "[\n1]", "line 2: an object is expected"),
        ("json", f'[\n{GOOD},\n{{"id": "x]\n', "line 3: the row that begins here has no end"),
        ("json", f"[\n{GOOD},\n{{'id': 1}}]", "line 3: is not a JSON object"),
        ("json", f'[\n{GOOD},\n{{"visits": NaN}}]', "line 3: is not a JSON object"),
        ("json", f'[\n{GOOD},\n{{"settings": {"[" * 9000}{"]" * 9000}}}]', "line 3: is not a JSON object"),
        ("jsonl", f"{GOOD}\n\n[1]\n", "line 3: is not a JSON object"),
        ("jsonl", f"{GOOD}\n{GOOD[:-9]}", "line 2: is not a JSON object"),
        ("csv", "email,email\n", "line 1: two columns have the same name"),
        ("csv", "email,emial\na,b\n", "line 1: member has no column 'emial' (did you mean 'email'?)"),
        ("csv", f"id,email\n{M1}\n", "line 2: has 1 field, the header 2"),
        ("csv", f"id,email,settings\n{M1},a,{{x\n", "line 2: column 'settings': '{x' is not JSON"),
        ("csv", f"id,email,visits\n{M1},a,{'9' * 5000}\n", "line 2: column 'visits': '999"),
        ("csv", f"id,email,referrer\n{M1},a,b\n", "line 2: column 'referrer': 'b' is not JSON"),
        # Rows were read into the value before: nothing else was wrong with the file.
        ("csv", 'email\n"a\nb\n', "line 2: the quoted field that begins here has no end"),
        ("csv", 'email\n"a\n"b"\nc\n', "line 2: the quoted field that begins here goes on behind the quote"),
        ("csv", 'email\na""\n"b"c\n', "line 3: the quoted field that begins here goes on behind the quote"),
    ],
)
def test_a_file_that_is_broken_is_told_by_its_line(load: Load, name: str, content: str, problem: str) -> None:
    put(f"member.{name}", content)
    (told,) = refused(load)
    assert told.startswith(f"member.{name}, {problem}")


CANNOT_BE: list[tuple[dict[str, Any], str]] = [
    ({"emial": "x"}, "member has no column 'emial' (did you mean 'email'?)"),
    ({"email": None}, "column 'email' is null, which it may not be"),
    ({"email": "x" * 41}, "column 'email': 'xxx…' has 41 characters; 40 fit"),
    ({"rank": "LWO"}, "column 'rank': 'LWO' is none of its names (did you mean 'LOW'?)"),
    ({"rank": "?"}, "column 'rank': '?' is none of its names (LOW, HIGH)"),
    ({"rank": 7}, "column 'rank': '7' is none of its names (LOW, HIGH)"),
    ({"referrer_id": M3}, f"referrer_id={M3} points at no row of member"),
    ({"referrer": {"email": "nobody"}}, '\'referrer\': {"email":"nobody"} is no row of member'),
    ({"referrer": {"emial": "nobody"}}, "'referrer': member has no column 'emial'"),
    ({"referrer": "m1@x"}, "'referrer' is not an object of columns of member"),
    ({"referrer": {"id": "1"}}, "'referrer', column 'id': '1' is not a UUID"),
]


@pytest.mark.parametrize(
    ("engine", "values", "problem"),
    [*(("sqlite", *each) for each in CANNOT_BE), ("postgres", *CANNOT_BE[0]), ("duckdb", *CANNOT_BE[-1])],
)
def test_a_row_that_cannot_be_is_told_and_no_schema_is_made(
    club: Config, load: Load, engine: str, values: dict[str, Any], problem: str
) -> None:
    put("member.json", [member(1), {**member(2), **values}])
    told = load("--to", engine)
    require_refusal(told)
    assert told.problems == [f"member.json, line 3: {problem}".replace("xxx…", "x" * 41)]
    if engine == "postgres":
        execute(
            club.database(engine),
            "DO $$ BEGIN ASSERT (SELECT count(*) = 0 FROM pg_tables WHERE schemaname = 'public'); END $$",
        )
    assert not list(Path().glob("*.sqlite3")) + list(Path().glob("*.duckdb"))


def test_a_row_without_a_column_that_has_no_default_is_told(load: Load) -> None:
    row = member(2)
    del row["email"]
    put("member.json", [member(1), row])
    assert refused(load) == ["member.json, line 3: lacks 'email', which has no default and may not be null"]


def test_a_row_that_nothing_recognises_is_told(load: Load) -> None:
    put("member.json", [{"name": "x"}, member(2)])
    _, told, _ = refused(load)
    assert told.startswith("member.json, line 2: lacks id, and no unique key of member is given to recognise it by")
    assert "--match member:COLUMN" in told


def test_rows_that_share_a_line_are_told_by_their_number(load: Load) -> None:
    rows = [f'{{"slug": "{number}"}}' for number in range(1, 5)]
    put("team.json", "[" + ", ".join([*rows, '{"slug": 5, "titel": "x"}', '{"slug": "2"}']) + ",\n" + rows[0] + "]")
    assert refused(load) == [
        "2 problems in the fixtures:",
        "team.json, row 5 (line 1): column 'slug': 5 is not a string",
        "team.json, row 5 (line 1): team has no column 'titel' (did you mean 'title'?)",
    ]
    put("team.json", "[" + ", ".join([*rows, '{"slug": "2"}']) + ",\n" + rows[0] + "]")
    assert refused(load) == [
        "2 problems in the fixtures:",
        "team.json, row 5 (line 1): slug=2 is in row 2 (line 1) already",
        "team.json, line 2: slug=1 is in row 1 (line 1) already",
    ]


@pytest.mark.parametrize("beside", ["", '"title": "a \\":b",', '"parent": {"slug": "x"},'])
def test_a_member_that_a_row_gives_twice_is_told(load: Load, beside: str) -> None:
    put("team.json", f'[{{"slug": "x"}},\n{{{beside} "slug": "a", "id" : 9, "slug": "b"}},\n{{"slug": "c"}}]')
    problems = [line for line in refused(load) if line.startswith("team.json, line 2: ")]
    assert problems == ["team.json, line 2: gives 'slug' twice"]


def test_a_member_that_a_natural_key_gives_twice_is_told(load: Load) -> None:
    put("team.json", '[{"slug": "x"},\n{"slug": "y", "parent": {"slug": "y", "slug": "x"}}]')
    told = 'team.json, line 2: column \'parent\': {"slug": "y", "slug": "x"} gives \'slug\' twice'
    assert refused(load) == [told]


def test_a_key_that_is_in_a_file_twice_is_told_with_both_lines(load: Load) -> None:
    put("member.json", [member(1), member(2), member(1, email="other")])
    assert refused(load) == ["member.json, line 4: has the same id as line 2"]


def test_a_natural_key_that_is_in_a_file_twice_is_told_with_both_lines(load: Load) -> None:
    put("team.json", [{"slug": "a"}, {"slug": "b"}, {"slug": "a"}])
    assert refused(load) == ["team.json, line 4: slug=a is in line 2 already"]


@pytest.mark.parametrize("engine", ["sqlite"])
def test_the_first_row_that_points_nowhere_is_told_for_each_key(club: Config, load: Load, engine: str) -> None:
    create(club.database(engine), metadata)
    put("member.json", [member(1)])
    put(
        "post.json",
        [
            {"id": M1, "title": "a", "author_id": M1},
            {"id": M2, "title": "b", "author_id": M2},
            {"id": M3, "title": "c", "author_id": M2, "team_id": 9},
        ],
    )
    before = contents(club.database(engine), metadata)
    told = load("--to", engine)
    require_refusal(told)
    assert told.problems == [
        "2 problems in the fixtures:",
        f"post.json, line 3: author_id={M2} points at no row of member",
        "post.json, line 4: team_id=9 points at no row of team",
    ]
    assert contents(club.database(engine), metadata) == before


# -- types -----------------------------------------------------------------------------------------------------------

WRONG: list[tuple[str, str, str]] = [
    ("c_uuid", '"0000"', "is not a UUID"),
    ("c_uuid", "1", "is not a UUID"),
    ("c_timestamp", '"yesterday"', "is not an ISO 8601 timestamp without offset"),
    ("c_timestamp", '"2024-01-01T00:00:00+01:00"', "is not an ISO 8601 timestamp without offset"),
    ("c_timestamp", '"2024-02-30T00:00:00"', "is not an ISO 8601 timestamp without offset"),
    ("c_timestamp", '"2024-01-01T00:00:00.1234567"', "is not an ISO 8601 timestamp without offset"),
    ("c_timestamptz", "1700000000", "is not an ISO 8601 timestamp"),
    ("c_date", '"2024-13-01"', "is not an ISO 8601 date"),
    ("c_date", '"+9999999-01-01"', "does not fit into its column"),
    ("c_time", '"25:00"', "is not an ISO 8601 time without offset"),
    ("c_interval", '"1 day"', "is not a number of microseconds, or an ISO 8601 duration like P1DT2H"),
    ("c_interval", "1" + "0" * 30, "does not fit into its column"),
    ("c_bool", "1", "is not true or false"),
    ("c_int16", "32768", "does not fit into its column"),
    ("c_int32", "1.5", "is not an integer"),
    ("c_int32", "true", "is not an integer"),
    ("c_int64", "9223372036854775808", "does not fit into its column"),
    ("c_int64", "1" * 5000, "does not fit into its column"),
    ("c_float32", "1e39", "does not fit into its column"),
    ("c_float64", "1e999", "does not fit into its column"),
    ("c_float64", "1e-400", "does not fit into its column"),
    ("c_float64", "-0." + "0" * 330 + "1", "does not fit into its column"),
    ("c_float32", "1e-400", "does not fit into its column"),
    ("c_float32", "16777217", "does not fit into its column"),
    ("c_float64", "9007199254740993", "does not fit into its column"),
    ("c_float64", '"much"', "is not a number"),
    ("c_decimal", "1.239", "does not fit into its column"),
    ("c_decimal", "1e30", "does not fit into its column"),
    ("c_decimal", '"a"', "is not a decimal number"),
    ("c_decimal", "[1]", "is not a decimal number"),
    ("c_free", '"a"', "is not a decimal number"),
    ("c_text", "5", "is not a string"),
    ("c_bytes", '"é"', "is not base64 text"),
    ("c_array", '"1,2"', "is not a list"),
    ("c_array", '[1, "a"]', "is not an integer"),
    ("c_array", "[99999999999]", "does not fit into its column"),
    ("c_array", "[1e999]", "does not fit into its column"),
]


@pytest.mark.parametrize(("column", "value", "expected"), WRONG)
@pytest.mark.parametrize("beside", ["1", '"x"'])
def test_a_value_of_a_wrong_type_is_told_with_its_column(
    load: Load, column: str, value: str, expected: str, beside: str
) -> None:
    """Whether it is found as JSON is read or when the column is made must not matter."""
    other = "" if beside == "1" else ', "c_text": 1' if column != "c_text" else ', "c_date": 1'
    put("everything.json", f'[{{"id": 1}},\n{{"id": 2, "{column}": {value}{other}}}]')
    told = refused(load, "--metadata", "tests.operations.club:Types")
    assert any(
        line.startswith(f"everything.json, line 2: column {column!r}: ") and line.endswith(expected) for line in told
    ), told


def test_a_value_of_a_wrong_type_in_csv_is_told_with_its_column(load: Load) -> None:
    columns = {column: json.loads(value) for column, value, _ in WRONG if '"' in value and column != "c_array"}
    for column, text in columns.items():
        put("everything.csv", f'id,{column}\n1,\n2,"{text}"\n')
        (told,) = refused(load, "--metadata", "tests.operations.club:Types")
        assert told.startswith(f"everything.csv, line 3: column {column!r}: ")
    assert len(Types.metadata.tables["everything"].columns) > len(columns) > 8


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("member.json", b'[\n{"email": "caf\xe9"}]'),
        ("member.jsonl", b'\n{"email": "caf\xe9"}'),
        ("member.csv", b"email\ncaf\xe9\n"),
        ("member.json", b'[\n{"email": "a", "settings": {"a": "\xe9"}}]'),
        ("member.json", b'[\n{"email": "a", "referrer": {"email": "\xe9"}}]'),
        ("member.csv", b'email,referrer\na,"{""email"": ""\xe9""}"\n'),
    ],
)
def test_latin_1_is_told_with_its_line(load: Load, name: str, content: bytes) -> None:
    put(name, content)
    (told,) = refused(load)
    assert told.startswith(f"{name}, line 2: ")
    assert told.endswith("is not UTF-8 text (is it Latin-1? save it as UTF-8)")


def test_utf_16_is_told(load: Load) -> None:
    for name, text in (("json", "[]"), ("jsonl", "{}"), ("csv", "email\n")):
        put(f"member.{name}", text.encode("utf-16"))
        assert refused(load)
        (Path("fixtures") / f"member.{name}").unlink()


# -- enumerations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["postgres"])
def test_members_of_enumerations_by_name_by_value_and_by_number_are_stored_by_name(
    club: Config, load: Load, engine: str
) -> None:
    put(
        "member.json",
        [
            member(1, rank="the lowest of all ranks", level=1),
            member(2, rank="h", level="SECOND"),
            member(3, rank="HIGH", level="2"),
            member(4, rank="LOW", level=None),
        ],
    )
    assert load("--to", engine).code == 0
    put("member.json", "")
    put("member.csv", f"id,email,rank,level\n{member(5)['id']},five,the lowest of all ranks,2\n")
    (Path("fixtures") / "member.json").unlink()
    assert load("--to", engine).code == 0
    found = sorted(
        (row[1], row[3].name, row[4] and row[4].name) for row in contents(club.database(engine), metadata)["member"]
    )
    assert found == [
        ("five", "LOW", "SECOND"),
        ("m1@x", "LOW", "FIRST"),
        ("m2@x", "HIGH", "SECOND"),
        ("m3@x", "HIGH", "SECOND"),
        ("m4@x", "LOW", None),
    ]


# -- too much --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["member.json", "member.jsonl", "member.json.gz"])
def test_a_row_that_is_too_long_is_told(load: Load, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    import gzip

    monkeypatch.setattr(json_rows, "LARGEST_ROW", 1 << 20)
    row = json.dumps(member(1, name="x" * (5 << 20))).encode()
    content = row if name.endswith("l") else b"[" + row + b"]"
    put(name, gzip.compress(content) if name.endswith("gz") else content)
    assert refused(load) == [f"{name}, line 1: a row of more than 1 MB is not read"]


@pytest.mark.parametrize("name", ["member.json.gz", "member.jsonl.zip", "member.csv.gz", "member.json.zst"])
def test_a_file_that_decompresses_to_far_too_much_is_told(
    load: Load, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from tests.stores.test_fixture_forms import compressed

    monkeypatch.setattr(fixture_files, "_FREE_BYTES", 1 << 20)
    content = (b"[" if ".json." in name else b"") + b" \n" * (20 << 20)
    content = b"email\n" * (5 << 20) if ".csv" in name else content
    stem, _, end = name.rpartition(".")
    put(name, compressed(content, fixture_files.Compression(end), stem))
    told = load()
    require_refusal(told)
    assert f"{name}: decompresses to more than" in told.err
    assert "decompress it yourself" in told.err
    assert not list(Path().glob("*.sqlite3"))


@pytest.mark.parametrize("name", ["member.json.gz", "member.csv.gz", "member.jsonl.zst", "member.csv.zip"])
def test_a_file_that_does_not_decompress_is_told(load: Load, name: str) -> None:
    put(name, b"Dear reader")
    told = load()
    require_refusal(told)
    assert f"{name}: is damaged: it does not decompress" in told.err


def test_an_archive_without_the_file_is_told(load: Load) -> None:
    from tests.stores.test_fixture_forms import compressed

    put("member.json.zip", compressed(b"[]", fixture_files.Compression.ZIP, "letter.txt"))
    told = load()
    require_refusal(told)
    assert "member.json.zip: holds no .json file" in told.err


# -- many at once ----------------------------------------------------------------------------------------------------


def test_problems_of_several_files_are_told_together(load: Load) -> None:
    put("member.json", [member(1, visits="x", name=5, nmae=1), member(2, rank="?")])
    put("team.csv", "id,slug\nx,a\n")
    put("post.jsonl", '{"id": 1}\n{"id": 2\n')
    assert refused(load) == [
        "7 problems in the fixtures:",
        "member.json, line 2: column 'visits': \"x\" is not an integer",
        "member.json, line 2: column 'name': 5 is not a string",
        "member.json, line 2: member has no column 'nmae' (did you mean 'name'?)",
        "member.json, line 3: column 'rank': '?' is none of its names (LOW, HIGH)",
        "team.csv, line 2: column 'id': 'x' is not an integer",
        "post.jsonl, line 1: column 'id': 1 is not a UUID",
        'post.jsonl, line 2: is not a JSON object (Input data was truncated): {"id": 2',
    ]


@pytest.mark.parametrize("rows", [20, 21, 500])
def test_twenty_problems_are_told_and_that_there_are_more(load: Load, rows: int) -> None:
    put("member.json", [member(number, visits="x") for number in range(rows // 2)])
    put("team.json", [{"id": number, "slug": None} for number in range(rows - rows // 2)])
    first, *others = refused(load)
    assert first == ("20 problems in the fixtures:" if rows == 20 else "At least 20 problems in the fixtures:")
    assert len(others) == 20


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["postgres"])
def test_a_problem_in_the_last_file_leaves_a_full_database_as_it_was(club: Config, load: Load, engine: str) -> None:
    put("team.json", [{"id": 1, "slug": "a"}])
    put("member.json", [member(1)])
    assert load("--to", engine).code == 0
    before = contents(club.database(engine), metadata)
    put("team.json", [{"id": 1, "slug": "changed"}, {"id": 2, "slug": "new"}])
    put("post.json", [{"id": M1, "title": "a", "author_id": M2}])
    for mode in ("upsert", "replace"):
        require_refusal(load("--to", engine, "--mode", mode))
        assert contents(club.database(engine), metadata) == before


# -- directories -----------------------------------------------------------------------------------------------------


def test_a_directory_that_is_not_there_or_holds_no_table_is_told(load: Load) -> None:
    put("letter.json", [])
    told = load("--dir", "nowhere")
    require_refusal(told)
    assert told.err.startswith("Error: nowhere: there is no such directory.\n")
    told = load()
    require_refusal(told)
    assert "there is no file for any table; letter.json is left out: there is no table 'letter'" in told.err
    assert "<table>.json" in told.err


def test_files_of_no_table_are_noted_with_the_nearest(load: Load) -> None:
    put("member.json", [member(1)])
    put("taem.json", [])
    put("member.csv", "email\n")
    put("01_team.json", [])
    for name in ("member.jsn", "Teams.xlsx", "sub/team.csv", "member.json.bak", "attachments/team.json", "README.md"):
        (Path("fixtures") / name).parent.mkdir(exist_ok=True)
        (Path("fixtures") / name).write_text("")
    told = load()
    assert told.code == 0
    for name, why in {
        "01_team.json": "did you mean 'team'?",
        "member.jsn": "its format is not supported",
        "Teams.xlsx": "its",
    }.items():
        assert any(name in line and why in line for line in told.err.splitlines())
    assert "sub/team.csv is left out: folders are not read" in told.err
    assert not any(name in told.err for name in ("member.json.bak", "attachments", "README"))
    assert "taem.json is left out: there is no table 'taem'; did you mean 'team'?" in told.err
    assert "member.csv is left out: member.json is there for the same table." in told.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["membr"], "There is no table 'membr'"),
        (["--match", "membr:email"], "There is no table 'membr'"),
        (["--match", "member:emial"], "There is no column 'emial' in member"),
        (["--match", "member"], "--match"),
        (["--mode", "delete"], "--mode"),
    ],
)
def test_wrong_names_and_options_are_exit_code_2(load: Load, arguments: list[str], message: str) -> None:
    put("member.json", [member(1)])
    told = load(*arguments)
    assert (told.code, told.out) == (2, "")
    assert message in told.err
