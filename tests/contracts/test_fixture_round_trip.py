"""Fixtures carry every value: dumped from one engine, loaded into another, dumped again, they are the same bytes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given

from tests.contracts import schema
from tests.contracts.test_matrix import exact, read, write
from tests.contracts.test_random_values import SETTINGS, batches
from toolkit.config import Config
from toolkit.core.canonical_json import canonical_documents
from toolkit.core.problems import Problems
from toolkit.core.types import JSON_KINDS
from toolkit.operations.fixtures.dump import FileForm, Format, dump_data
from toolkit.operations.fixtures.load import load_data
from toolkit.stores.fixture_files import Compression
from toolkit.stores.fixture_reader import FixtureReader
from toolkit.stores.fixture_writer import format_rows

SPEC = schema.spec()
FORMS = [
    FileForm(format_, compression)
    for format_ in (Format.JSON, Format.JSONL)
    for compression in (Compression.NONE, Compression.GZIP, Compression.ZSTD)
]


@pytest.fixture
def matrix(config: Config, tmp_path: Path) -> Config:
    """The configuration for the table of every type, which has no migrations."""
    return replace(config, metadata="tests.contracts.schema:metadata", migrations=tmp_path / "no migrations")


def dump(config: Config, source: str, directory: Path, form: FileForm | None = None) -> dict[str, bytes]:
    """Dump a database; the files by name."""
    dump_data(config, source, directory=directory, form=form)
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.parametrize(("source", "target"), [("postgres", "duckdb")])
def test_what_is_dumped_loaded_and_dumped_again_is_the_same_bytes(
    matrix: Config, tmp_path: Path, source: str, target: str
) -> None:
    write(matrix, source, SPEC, schema.batch())
    first = dump(matrix, source, tmp_path / "first")
    result = load_data(matrix, target, directory=tmp_path / "first")
    again = load_data(matrix, target, directory=tmp_path / "first")

    assert dump(matrix, target, tmp_path / "second") == first
    assert (result.tables[0].inserted, result.verified) == (schema.batch().num_rows, True)
    assert (again.tables[0].inserted, again.tables[0].updated) == (0, 0)


def test_every_value_comes_back_exactly(matrix: Config, tmp_path: Path) -> None:
    write(matrix, "duckdb", SPEC, schema.batch())
    dump(matrix, "duckdb", tmp_path / "fixtures")
    load_data(matrix, "duckdb2", directory=tmp_path / "fixtures")
    expected, arrived = read(matrix, "duckdb", SPEC), read(matrix, "duckdb2", SPEC)
    for column in SPEC.columns:
        sent, got = (side.column(column.name).combine_chunks() for side in (expected, arrived))
        if column.type.kind in JSON_KINDS:
            sent, got = canonical_documents(sent), canonical_documents(got)
        assert exact(got) == exact(sent), column.name


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.suffix)
def test_every_form_is_the_same_from_run_to_run_and_loads(matrix: Config, tmp_path: Path, form: FileForm) -> None:
    write(matrix, "sqlite", SPEC, schema.batch())
    first = dump(matrix, "sqlite", tmp_path / "first", form)
    assert dump(matrix, "sqlite", tmp_path / "second", form) == first
    load_data(matrix, "duckdb", directory=tmp_path / "first")
    assert dump(matrix, "duckdb", tmp_path / "third", form) == first


def test_rows_are_in_the_order_of_their_keys_bytes_whatever_the_collation(matrix: Config, tmp_path: Path) -> None:
    write(matrix, "postgres", SPEC, schema.batch().take(pa.array([3, 1, 2, 0])))
    (content,) = [c for n, c in dump(matrix, "postgres", tmp_path / "fixtures").items() if n != "manifest.json"]
    keys = [row["key"] for row in json.loads(content)]
    assert keys == sorted(keys)
    assert len(keys) == 4


@SETTINGS
@given(batch=batches())
def test_random_rows_are_read_as_they_were_written(batch: pa.RecordBatch) -> None:
    lines = ",\n".join(format_rows(SPEC, batch).to_pylist()).encode()
    for content in (b"[" + lines + b"]", b"[\n" + lines + b"\n]\n"):
        problems = Problems()
        reader = FixtureReader(SPEC, "every.json", problems)
        (found,) = list(reader.batches(iter([content]), FileForm()))
        problems.raise_if_any()
        for column in SPEC.columns:
            sent, got = batch.column(column.name), found.column(column.name)
            if column.type.kind in JSON_KINDS:
                sent, got = canonical_documents(sent), canonical_documents(got)
            assert exact(got) == exact(sent), column.name
