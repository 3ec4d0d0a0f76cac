"""Every form in which a fixture file may come, and what a directory of them says of itself."""

from __future__ import annotations

import bz2
import gzip
import itertools
import json
import lzma
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from advanced_alchemy.utils.fixtures import open_fixture
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.core.fixture_manifest import FixtureFile, FixtureManifest, decode_manifest
from toolkit.core.problems import Problems
from toolkit.core.progress import Silent
from toolkit.core.tables import TableSpec, select_tables
from toolkit.errors import FixtureError, FixtureProblemsError
from toolkit.stores import csv_rows, json_rows
from toolkit.stores.directories import LocalDirectory
from toolkit.stores.fixture_files import FORMS, Compression, FileForm, Format
from toolkit.stores.fixtures import FixtureDirectory
from toolkit.stores.json_rows import JsonRows, RowsError

metadata = sa.MetaData()
state = sa.Table(
    "us_state",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("code", sa.String(8)),
    sa.Column("name", sa.Text),
    sa.Column("area", sa.Numeric(12, 2)),
    sa.Column("is_coastal", sa.Boolean),
    sa.Column("facts", sa.JSON),
)
ROWS: list[dict[str, Any]] = [
    {"id": 1, "code": "AL", "name": "Alabama", "area": "135767.00", "is_coastal": True, "facts": '{"a": [1, "}"]}'},
    {"id": 2, "code": "", "name": 'é "q"\n,🎉', "area": "-0.01", "is_coastal": False, "facts": "[]"},
    {"id": 3, "code": None, "name": None, "area": None, "is_coastal": None, "facts": None},
]


def spec() -> TableSpec:
    return select_tables(metadata)[0]


def as_json(rows: list[dict[str, Any]] = ROWS, **layout: Any) -> bytes:
    return json.dumps([{**row, "facts": row["facts"] and json.loads(row["facts"])} for row in rows], **layout).encode()


def as_lines() -> bytes:
    return b"\n".join(as_json([row])[1:-1] for row in ROWS) + b"\n"


def as_csv(separator: str = ",") -> bytes:
    """Text is quoted, NULL is nothing at all."""
    lines = [separator.join(ROWS[0])]
    for row in ROWS:
        cells = ["" if value is None else f'"{str(value).replace(chr(34), chr(34) * 2)}"' for value in row.values()]
        lines.append(separator.join(cells))
    return "\r\n".join(lines).encode() + b"\r\n"


def as_tsv() -> bytes:
    return as_csv("\t")


YAML = """\
# What needs no quotes has none.
- id: 1
  code: AL
  name: Alabama
  area: 135767.00
  is_coastal: true
  facts: {a: [1, "}"]}
- {id: 2, code: "", name: "é \\"q\\"\\n,🎉", area: -0.01, is_coastal: False, facts: []}
- id: 3
  code:
  name: ~
  area: null
  is_coastal:
  facts:
"""
CONTENTS = {
    Format.JSON: as_json,
    Format.JSONL: as_lines,
    Format.CSV: as_csv,
    Format.NDJSON: as_lines,
    Format.TSV: as_tsv,
    Format.YAML: YAML.encode,
    Format.YML: YAML.encode,
}


def compressed(content: bytes, compression: Compression, member: str = "us_state.json") -> bytes:
    if compression is Compression.GZIP:
        return gzip.compress(content)
    if compression is Compression.ZSTD:
        return bytes(pa.Codec("zstd").compress(content)) if not content else zstd(content)
    if compression is Compression.BZIP2:
        return bz2.compress(content[:50]) + bz2.compress(content[50:])
    if compression is Compression.XZ:
        # Several streams, with the zeros between them that their format allows.
        return lzma.compress(content[:50]) + bytes(8) + lzma.compress(content[50:])
    if compression is Compression.ZIP:
        import io

        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(member, content)
        return file.getvalue()
    return content


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return bytes(sink.getvalue())


class Notes(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def read(directory: Path, notes: Notes | None = None) -> list[dict[str, Any]]:
    """The rows of the table's file in a directory, raising what is wrong with them."""
    spool = directory / "spool"
    spool.mkdir(exist_ok=True)
    problems = Problems()
    rows = FixtureDirectory(LocalDirectory(directory)).read(spec(), spool, problems, notes or Notes())
    problems.raise_if_any()
    found = [row for batch in rows.read(100) for row in batch.to_pylist()]
    return [{**row, "area": None if row["area"] is None else str(row["area"])} for row in found]


def problems_of(directory: Path) -> tuple[str, ...]:
    with pytest.raises(FixtureProblemsError) as caught:
        read(directory)
    return caught.value.problems


# -- forms -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.suffix)
def test_every_form_is_read_under_names_of_every_case(tmp_path: Path, form: FileForm) -> None:
    content = compressed(CONTENTS[form.format](), form.compression, f"us_state.{form.format}")
    for case in (str.lower, str.upper, str.title):
        (tmp_path / case("here")).mkdir()
        (tmp_path / case("here") / case(f"us_state{form.suffix}")).write_bytes(content)
        assert read(tmp_path / case("here")) == ROWS


ALCHEMY = [
    "us_state.json",
    "US_STATE.json.gz",
    "us_state.json.gz",
    "US_STATE.json.zip",
    "us_state.json.zip",
    "us_state.csv",
    "US_STATE.csv",
    "US_STATE.csv.gz",
    "us_state.csv.gz",
    "US_STATE.csv.zip",
    "us_state.csv.zip",
]


def _simple(name: str, number: int) -> bytes:
    """One row, by whose number a file is known."""
    is_csv = ".csv" in name
    content = f"id,name\n{number},x\n" if is_csv else f'[{{"id": {number}, "name": "x"}}]'
    compression = Compression({"gz": "gz", "zip": "zip"}.get(name.rpartition(".")[2], "none"))
    return compressed(content.encode(), compression, f"us_state.{'csv' if is_csv else 'json'}")


@pytest.mark.parametrize("name", ALCHEMY)
def test_every_file_that_advanced_alchemy_reads_gives_the_same_rows(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(_simple(name, 7))
    theirs = [{"id": int(row["id"]), "name": row["name"]} for row in open_fixture(tmp_path, "us_state")]
    assert [{"id": row["id"], "name": row["name"]} for row in read(tmp_path)] == theirs == [{"id": 7, "name": "x"}]


def test_of_two_files_for_a_table_the_one_that_advanced_alchemy_prefers_is_read(tmp_path: Path) -> None:
    for number, pair in enumerate(itertools.combinations(ALCHEMY, 2)):
        directory = tmp_path / str(number)
        directory.mkdir()
        for position, name in enumerate(pair):
            (directory / name).write_bytes(_simple(name, position))
        ((theirs,), (ours,)) = open_fixture(directory, "us_state"), read(directory)
        assert int(theirs["id"]) == ours["id"], pair


def test_of_an_archive_the_member_with_the_table_s_name_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "us_state.json.zip", "w") as archive:
        archive.writestr("README.txt", "hello")
        archive.writestr("other.json", "[]")
        archive.writestr("us_state.json", as_json())
    assert read(tmp_path) == ROWS


def test_a_gzip_file_of_several_members_is_read_to_its_end(tmp_path: Path) -> None:
    content = as_json()
    (tmp_path / "us_state.json.gz").write_bytes(gzip.compress(content[:50]) + gzip.compress(content[50:]))
    assert read(tmp_path) == ROWS


# -- layouts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "layout", [{}, {"indent": 2}, {"indent": "\t", "ensure_ascii": False}, {"separators": (",", ":")}]
)
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_json_in_any_layout_and_with_a_bom_is_read(tmp_path: Path, layout: dict[str, Any], bom: bytes) -> None:
    (tmp_path / "us_state.json").write_bytes(bom + as_json(**layout).replace(b"\n", b"\r\n"))
    assert [{**row, "facts": row["facts"] and json.loads(row["facts"])} for row in read(tmp_path)] == [
        {**row, "facts": row["facts"] and json.loads(row["facts"])} for row in ROWS
    ]


@pytest.mark.parametrize("content", [as_lines, as_csv])
def test_lines_and_csv_with_a_bom_are_read(tmp_path: Path, content: Any) -> None:
    (tmp_path / f"us_state.{'csv' if content is as_csv else 'jsonl'}").write_bytes(b"\xef\xbb\xbf" + content())
    assert read(tmp_path) == ROWS


def test_an_array_without_rows_and_lines_and_csv_without_any_are_no_rows(tmp_path: Path) -> None:
    for number, (name, content) in enumerate(
        [("json", b"[]"), ("json", b" [\n ] \n"), ("jsonl", b""), ("jsonl", b"\n\n"), ("csv", b"id,name\n")]
    ):
        directory = tmp_path / str(number)
        directory.mkdir()
        (directory / f"us_state.{name}").write_bytes(content)
        assert read(directory) == []


@pytest.mark.parametrize("name", ["us_state.json", "us_state.csv"])
@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b" \n"])
def test_an_empty_file_of_a_form_that_is_never_empty_is_told(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    (problem,) = problems_of(tmp_path)
    assert "the file is empty" in problem


def test_empty_and_null_fields_and_line_breaks_of_csv_are_kept_apart(tmp_path: Path) -> None:
    (tmp_path / "us_state.csv").write_text('name,id,code\n"",1,\n,2,""\n"a\nb, ""c""",3,NULL\n\n')
    found = [(row["id"], row["name"], row["code"]) for row in read(tmp_path)]
    assert found == [(1, "", None), (2, None, ""), (3, 'a\nb, "c"', "NULL")]


documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=8) | st.sampled_from('{}[]",:\\'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
rows = st.lists(st.dictionaries(st.text(max_size=4), documents, max_size=3), max_size=6)
blank = st.text(alphabet=" \t\r\n", max_size=3)


@st.composite
def arrays(draw: st.DrawFn) -> bytes:
    """An array of objects, each in a layout of its own."""
    parts = []
    for row in draw(rows):
        text = json.dumps(row, indent=draw(st.sampled_from([None, 1, "\t"])), ensure_ascii=draw(st.booleans()))
        parts.append(draw(blank) + text + draw(blank))
    body = ",".join(parts)
    return (draw(st.sampled_from(["", "\ufeff"])) + draw(blank) + f"[{body or draw(blank)}]" + draw(blank)).encode()


def chunks(content: bytes, size: int) -> Iterator[bytes]:
    return (content[at : at + size] for at in range(0, len(content), size))


def many(content: bytes) -> list[Any]:
    found: list[Any] = json.loads(content)
    return found


def refuse(line: int, text: bytes, error: Exception) -> None:
    raise AssertionError((line, text)) from error


@pytest.mark.slow
@given(content=arrays(), size=st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_rows_of_any_layout_in_chunks_of_any_size_are_those_that_json_reads(content: bytes, size: int) -> None:
    found = list(JsonRows(chunks(content, size), json.loads, refuse, many).array())
    assert [row for _, row in found] == json.loads(content.decode("utf-8-sig"))
    text = content.decode("utf-8-sig").encode()
    starts = [where % (1 << 32) for where, _ in found]
    numbers = [where >> 32 for where, _ in found]
    assert all(number in (0, expected) for expected, number in enumerate(numbers, 1))
    assert starts == sorted(starts)
    assert all(1 <= line <= text.count(b"\n") + 1 for line in starts)


@given(rows=rows, size=st.integers(1, 40), ends=st.sampled_from(["\n", "\r\n", "\n\n", "\n \n"]))
@settings(max_examples=40, deadline=None)
def test_lines_in_chunks_of_any_size_are_those_that_json_reads(
    rows: list[dict[str, Any]], size: int, ends: str
) -> None:
    content = "".join(json.dumps(row) + ends for row in rows).encode()
    found = list(JsonRows(chunks(content, size), json.loads, refuse, many).lines())
    assert [row for _, row in found] == rows
    assert [line for line, _ in found] == [1 + number * ends.count("\n") for number in range(len(rows))]


@given(content=arrays(), cut=st.integers(1, 400), size=st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_an_array_that_is_cut_off_anywhere_is_refused(content: bytes, cut: int, size: int) -> None:
    content = content.rstrip()[: -min(cut, len(content.rstrip()))]
    with pytest.raises(RowsError):
        list(JsonRows(chunks(content, size), json.loads, lambda *_: None).array())


def test_a_string_of_many_megabytes_takes_neither_much_memory_nor_much_time() -> None:
    import tracemalloc

    content = b'[{"a": "' + b"x\\n" * 5_000_000 + b'"}]'
    tracemalloc.start()
    ((_, row),) = JsonRows(chunks(content, 1 << 20), json.loads, refuse).array()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(row["a"]) == 10_000_000
    assert peak < 10 * len(content)


def test_lines_of_csv_are_told_as_an_editor_counts_them(tmp_path: Path) -> None:
    (tmp_path / "us_state.csv").write_bytes(
        b'id,name\n1,"two\nlines"\n2\n3,"x\n",y\n4,\xe9\nfive,z\n6,z\n' + b"7,a\n" * 20000 + b"8\n9,\xe9\n"
    )
    assert problems_of(tmp_path) == (
        "us_state.csv, line 4: has 1 field, the header 2",
        "us_state.csv, line 5: has 3 fields, the header 2",
        "us_state.csv, line 7: is not UTF-8 text (is it Latin-1? save it as UTF-8)",
        "us_state.csv, line 8: column 'id': 'five' is not an integer",
        "us_state.csv, line 20010: has 1 field, the header 2",
        "us_state.csv, line 20011: is not UTF-8 text (is it Latin-1? save it as UTF-8)",
    )


def test_a_csv_row_of_several_megabytes_is_read_and_one_above_the_limit_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "us_state.csv").write_bytes(b"id,name\n1," + b"x" * (5 << 20) + b"\n")
    assert len(read(tmp_path)[0]["name"]) == 5 << 20
    monkeypatch.setattr(csv_rows, "_BLOCK", 1 << 20)
    (problem,) = problems_of(tmp_path)
    assert problem.endswith("a row of more than 1 MB is not read, or a quote is missing")


# -- the manifest ----------------------------------------------------------------------------------------------------


def _listed(directory: Path, name: str, content: bytes, rows: int = 3) -> Path:
    import hashlib

    file = FixtureFile(name, rows, len(content), hashlib.sha256(content).hexdigest())
    (directory / "manifest.json").write_bytes(FixtureManifest(None, {"us_state": file}).encode())
    (directory / name).write_bytes(content)
    return directory / name


@pytest.mark.parametrize("name", ["us_state.json", "us_state.jsonl"])
def test_a_file_that_was_edited_is_loaded_with_a_note(tmp_path: Path, name: str) -> None:
    file = _listed(tmp_path, name, as_json() if name.endswith("json") else as_lines())
    notes = Notes()
    assert read(tmp_path, notes) == ROWS
    assert notes.notes == []
    file.write_bytes(file.read_bytes().replace(b"Alabama", b"Sweet Home"))
    assert read(tmp_path, notes)[0]["name"] == "Sweet Home"
    assert notes.notes == [f"{name} was changed since it was dumped; it is loaded as it is now."]


def test_lines_of_which_some_are_missing_are_refused(tmp_path: Path) -> None:
    file = _listed(tmp_path, "us_state.jsonl", as_lines())
    file.write_bytes(b"".join(as_lines().splitlines(keepends=True)[:2]))
    with pytest.raises(FixtureError, match="has 2 rows of the 3 that were dumped"):
        read(tmp_path)


def test_lines_that_are_cut_off_within_a_row_are_refused(tmp_path: Path) -> None:
    file = _listed(tmp_path, "us_state.jsonl", as_lines())
    file.write_bytes(as_lines()[:-9])
    with pytest.raises(FixtureError):
        read(tmp_path)


@pytest.mark.parametrize("compression", [Compression.GZIP, Compression.ZSTD, Compression.ZIP])
@pytest.mark.parametrize("format_", list(Format))
def test_a_compressed_file_that_is_cut_off_or_has_a_wrong_byte_is_refused(
    tmp_path: Path, compression: Compression, format_: Format
) -> None:
    name = f"us_state.{format_}.{compression}"
    whole = compressed(CONTENTS[format_]() * 1, compression, f"us_state.{format_}")
    for damaged in (whole[: len(whole) // 2], whole[:60] + bytes([whole[60] ^ 255]) + whole[61:], b"PK", b"\x1f\x8b"):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises((FixtureError, FixtureProblemsError), match=r"us_state.*(damaged|line)"):
            read(tmp_path)


def test_an_empty_compressed_file_is_no_rows_lost_in_silence(tmp_path: Path) -> None:
    (tmp_path / "us_state.jsonl.gz").write_bytes(b"")
    with pytest.raises(FixtureError, match="damaged"):
        read(tmp_path)


def test_a_file_of_the_manifest_that_is_not_there_is_refused(tmp_path: Path) -> None:
    _listed(tmp_path, "us_state.json", as_json()).rename(tmp_path / "us_state.csv")
    with pytest.raises(FixtureError, match="is in the manifest, but not in the directory"):
        read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{}x", b"[]", b'{"format": 99}', b"\xff"])
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    _listed(tmp_path, "us_state.json", as_json())
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(FixtureError, match="manifest"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["../outside.json", "/etc/passwd", "a/b.json", "..", ""])
def test_a_manifest_that_names_a_file_elsewhere_is_refused(name: str) -> None:
    content = FixtureManifest(None, {"t": FixtureFile(name, 1, 1, "0" * 64)}).encode()
    with pytest.raises(ValueError, match="which is no file of the directory"):
        decode_manifest(content)


# -- what means harm -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_that_could_not_be_unpacked_in_bounds_is_refused(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "us_state.json.zip", "w", method) as archive:
        archive.writestr("us_state.json", as_json())
    with pytest.raises(FixtureError, match="method that is not supported"):
        read(tmp_path)


@pytest.mark.parametrize("spoilt", [b"\x80s_state.json", b"us_state.jso\xff"])
def test_a_zip_with_a_name_that_is_no_text_is_damaged(tmp_path: Path, spoilt: bytes) -> None:
    content = compressed(as_json(), Compression.ZIP).replace(b"us_state.json", spoilt)
    flags = content.rindex(b"PK\x01\x02") + 8
    (tmp_path / "us_state.json.zip").write_bytes(content[:flags] + b"\x00\x08" + content[flags + 2 :])
    with pytest.raises(FixtureError, match="is damaged"):
        read(tmp_path)


def test_a_row_of_many_pieces_is_read_in_time() -> None:
    """Each piece was joined to all before it, and the row searched from its beginning again."""
    content = b'[{"name": "' + b"x" * (4 << 20) + b'"}]'
    pieces = (content[at : at + 64] for at in range(0, len(content), 64))
    began = time.monotonic()
    ((line, row),) = JsonRows(pieces, json.loads, lambda *_: None).array()
    assert (line, len(row["name"])) == (1, 4 << 20)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("brackets", "problem"), [(b"[", "nested deeper than 10,000 levels"), (b"[],", "more than 50,000 strings and")]
)
def test_brackets_without_end_are_refused_before_all_are_counted(
    monkeypatch: pytest.MonkeyPatch, brackets: bytes, problem: str
) -> None:
    monkeypatch.setattr(json_rows, "_MOST_PARTS", 50_000)
    rows = JsonRows(iter([b'[{"facts": ['] + [brackets * (1 << 20)] * 100), json.loads, lambda *_: None)
    began = time.monotonic()
    with pytest.raises(RowsError, match=problem):
        list(rows.array())
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("size", [1, 7])
def test_a_header_in_pieces_is_read_whole(size: int) -> None:
    content = b"id,code\r\n1,AL\r\n"
    rows = csv_rows.CsvRows((content[at : at + size] for at in range(0, len(content), size)), lambda *_: None)
    assert [row for _, row in rows.rows(lambda _, fields: dict(fields))] == [{"id": "1", "code": "AL"}]


def test_a_header_that_cannot_be_told_apart_is_refused(tmp_path: Path) -> None:
    (tmp_path / "us_state.csv").write_bytes(b'id,"code\n",na\x80me\n1,AL,x\n')
    assert "names of columns cannot be told apart" in "".join(problems_of(tmp_path))


def test_a_row_of_another_width_that_is_no_text_prints_no_traceback(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "us_state.csv").write_bytes(b"id,code\n1,AL\n2,\xc1,x\n3,AK\n")
    (problem,) = problems_of(tmp_path)
    assert "line 2: cannot be read on" in problem
    assert "Traceback" not in capfd.readouterr().err


# -- yaml ------------------------------------------------------------------------------------------------------------


def test_yaml_is_the_text_that_is_written_but_for_numbers_true_false_and_null(tmp_path: Path) -> None:
    texts = ["no", "on", "0x1F", "1_000", "012", "2024-01-01", "1:30", ".inf", "=", "'12'", '"null"']
    content = "".join(f"- {{id: {number}, name: {text}}}\n" for number, text in enumerate(texts))
    (tmp_path / "us_state.yaml").write_text(content)
    assert [row["name"] for row in read(tmp_path)] == [text.strip("'\"") for text in texts]


def test_what_stands_in_documents_of_yaml_is_text_if_nobody_takes_it_for_a_number(tmp_path: Path) -> None:
    texts = ["no", "01234", "2024-01-01", "1:30", "1.2.3", "+", "v1", "'.inf'", "'0x1F'"]
    content = f"- {{id: 1, facts: [{', '.join(texts)}, 1.50, -2e5]}}\n"
    (tmp_path / "us_state.yaml").write_text(content)
    (row,) = read(tmp_path)
    assert row["facts"] == json.dumps([text.strip("'") for text in texts])[:-1] + ", 1.50, -2e5]"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("- &a {id: 1}\n- *a\n", "line 1: references (& and *) are not read: write out what is meant"),
        ("- id: 1\n  name: !!binary eA==\n", "line 2: the tag 'tag:yaml.org,2002:binary' is not read"),
        ("- id: 1\n- {? [a] : 1}\n", "line 2: a name of text is expected"),
        ("id: 1\n", "line 1: a list of rows is expected, each behind a dash"),
        ("# none\n", "line 1: the file is empty; a list of rows is expected"),
        ("- id: 1\n- {id: 2\n", "is not YAML in a supported form"),
        ("- id: 1\n-  name: 7\n", "line 2: column 'name': 7 is not a string"),
        ("- id: 1\n- facts: {a: .inf}\n", "line 2: is .inf a number? Write it as JSON does, or text in quotes"),
        ("- id: 1\n- facts: [0x1F]\n", "line 2: is 0x1F a number?"),
        ("- facts: [{a: +5}]\n", "line 1: is +5 a number?"),
        ("- facts: " + "[" * 300 + "]" * 300 + "\n", "line 1: a row is nested deeper than 200 levels"),
    ],
)
def test_yaml_that_is_not_read_is_told_with_its_line(tmp_path: Path, content: str, problem: str) -> None:
    (tmp_path / "us_state.yml").write_text(content)
    assert problem in "\n".join(problems_of(tmp_path))


def test_without_what_reads_yaml_it_is_named_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    (tmp_path / "us_state.yaml").write_text("[]")
    (problem,) = problems_of(tmp_path)
    assert "where PyYAML is installed (pip install 'toolkit[yaml]')" in problem


@pytest.mark.parametrize(("name", "text"), [("csv", "id,code\n1,AL\n"), ("json", "[]"), ("jsonl", '{"id": 1}\n')])
def test_a_file_of_utf_16_is_told_as_such(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / f"us_state.{name}").write_text(text, encoding="utf-16")
    assert problems_of(tmp_path) == (f"us_state.{name}, line 1: the file is UTF-16 text: save it as UTF-8",)


@pytest.mark.parametrize(("name", "between"), [("csv", ";"), ("csv", "\t"), ("tsv", ",")])
def test_a_table_of_text_with_another_separator_is_told_as_such(tmp_path: Path, name: str, between: str) -> None:
    (tmp_path / f"us_state.{name}").write_text(between.join(["id", "name"]) + "\n" + between.join("1x"))
    (problem,) = problems_of(tmp_path)
    assert "between its fields, where" in problem


@pytest.mark.parametrize("compression", [Compression.BZIP2, Compression.XZ])
def test_a_bzip2_or_xz_file_that_is_cut_off_is_refused(tmp_path: Path, compression: Compression) -> None:
    (tmp_path / f"us_state.json.{compression}").write_bytes(compressed(as_json(), compression)[:-9])
    with pytest.raises(FixtureError, match="is damaged"):
        read(tmp_path)
