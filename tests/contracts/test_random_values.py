"""Random rows: written to each engine, they are read back as they were, and have one digest everywhere."""

from __future__ import annotations

import datetime as dt
import json
import math
from decimal import Context, Decimal

import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.contracts import schema
from tests.contracts.test_matrix import exact
from tests.operations.databases import create
from toolkit.config import Database, load_config
from toolkit.core.adapters.native import TimetzAdapter, duration_text
from toolkit.core.canonical_json import (
    canonical_document,
    canonical_documents,
    has_duplicate_keys,
    without_duplicate_keys,
)
from toolkit.core.digest import digest_batches
from toolkit.core.types import Kind, LogicalType
from toolkit.engines import connect

SPEC = schema.spec()
SETTINGS = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

# Neither engine keeps U+0000 in text that PostgreSQL has to keep too, nor a half of a surrogate pair.
texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
numbers = st.one_of(
    st.integers(-(10**30), 10**30),
    st.decimals(allow_nan=False, allow_infinity=False, places=5, min_value=-1000, max_value=1000).map(str),
    st.sampled_from(["1e400", "-0.0", "1.50", "1E-7", "0.000", "-0", "12e-1", "123456789.987654321e3"]),
)


class Literal(str):
    """A number as it is to stand in the document."""

    __slots__ = ()


def render(value: object) -> str:
    """JSON text with literal numbers, and with the spaces of no particular program."""
    if isinstance(value, Literal):
        return str(value)
    if isinstance(value, dict):
        return "{ " + " ,".join(f"{json.dumps(k, ensure_ascii=False)}:{render(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(render, value)) + " ]"
    return json.dumps(value, ensure_ascii=False)


documents = st.recursive(
    st.one_of(st.none(), st.booleans(), texts, numbers.map(Literal)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=5)),
    max_leaves=12,
).map(render)


def moment_text(value: dt.datetime) -> str:
    """As PostgreSQL writes it."""
    return value.isoformat(" ").rstrip("0") if value.microsecond else value.isoformat(" ")


EXACT = Context(prec=60)
decimals = st.integers(-(10**38) + 1, 10**38 - 1).map(lambda n: Decimal(n).scaleb(-10, context=EXACT))
money = st.integers(-(10**12) + 1, 10**12 - 1).map(lambda n: Decimal(n).scaleb(-2, context=EXACT))
whole = st.integers
COLUMNS = {
    "uuid": st.binary(min_size=16, max_size=16),
    "timestamp": st.datetimes(),
    "timestamptz": st.datetimes(timezones=st.just(dt.UTC)),
    "date": st.dates(),
    "time": st.times(),
    "interval": st.timedeltas(dt.timedelta(days=-700_000), dt.timedelta(days=2_900_000)),
    "bool": st.booleans(),
    "int16": whole(-(2**15), 2**15 - 1),
    "int32": whole(-(2**31), 2**31 - 1),
    "int64": whole(-(2**63), 2**63 - 1),
    "float32": st.floats(width=32),
    "float64": st.floats(),
    "decimal": decimals,
    "money": money,
    schema.TEXT: texts,
    "bytes": st.binary(max_size=20),
    "json": documents,
    "jsonb": documents,
    "enum": st.sampled_from(["RED", "GREEN"]),
    "native_enum": st.sampled_from(["RED", "GREEN"]),
    "array": st.lists(st.one_of(st.none(), whole(-(2**31), 2**31 - 1)), max_size=4),
    "text_array": st.lists(st.one_of(st.none(), texts), max_size=4),
    "timetz": st.builds(
        lambda time, offset: TimetzAdapter(LogicalType(Kind.TIMETZ)).parse_json(f"{time.isoformat()}{offset}"),
        st.times(),
        st.sampled_from(["+00", "+14", "-12:00", "+05:30", "-00:30", "+00:00:01", "-15:59:59"]),
    ),
    "calendar_interval": st.builds(
        duration_text, whole(-(10**6), 10**6), whole(-(10**6), 10**6), whole(-(10**15), 10**15)
    ),
    "grid": whole(1, 3).flatmap(
        lambda width: st.lists(
            st.lists(st.one_of(st.none(), whole(-(2**31), 2**31 - 1)), min_size=width, max_size=width), max_size=3
        ).map(lambda rows: canonical_document(json.dumps(rows)))
    ),
    "moments": st.lists(st.one_of(st.none(), st.datetimes().map(moment_text)), max_size=3).map(
        lambda parts: canonical_document(json.dumps(parts))
    ),
    "range": st.tuples(whole(-(2**31), 0), whole(1, 2**31 - 1)).map(lambda pair: f"[{pair[0]},{pair[1]})"),
    "ciphertext": texts,
    "file": st.just('{"backend": "nowhere"}'),
}


@st.composite
def batches(draw: st.DrawFn) -> pa.RecordBatch:
    """A few rows of the table of every type."""
    count = draw(whole(1, 4))
    keys = draw(st.lists(st.binary(min_size=16, max_size=16), min_size=count, max_size=count, unique=True))
    columns = [pa.array(keys, pa.binary(16))]
    for column in SPEC.columns[1:]:
        cells = draw(st.lists(st.one_of(st.none(), COLUMNS[column.name]), min_size=count, max_size=count))
        columns.append(pa.array(cells, column.type.arrow))
    return pa.record_batch(columns, schema=SPEC.schema)


@pytest.fixture(scope="module")
def databases(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> list[Database]:
    """One database of each engine for the module; every example rolls back."""
    folder = tmp_path_factory.mktemp("random")
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE random_values")
    config = load_config(
        folder,
        {
            "TOOLKIT_POSTGRES_URL": postgres_server.replace("/postgres?", "/random_values?"),
            "TOOLKIT_SQLITE_URL": f"sqlite:///{folder}/random.sqlite3",
            "TOOLKIT_DUCKDB_URL": f"duckdb:///{folder}/random.duckdb",
        },
    )
    databases = [config.database(name) for name in ("sqlite", "duckdb", "postgres")]
    for database in databases:
        create(database, schema.metadata)
    return databases


@SETTINGS
@given(batch=batches())
def test_random_rows_survive_every_engine(databases: list[Database], batch: pa.RecordBatch) -> None:
    expected = digest_batches(SPEC, [batch])
    wanted = batch.sort_by("key")
    for database in databases:
        with connect(database, write=True) as connection:
            repository = connection.repository(SPEC)
            repository.load([batch], batch.num_rows)
            assert repository.digest() == expected, database.name
            if database.name != "postgres":
                found = pa.Table.from_batches(repository.read()).combine_chunks().to_batches()[0].sort_by("key")
                for name in SPEC.column_names:
                    assert exact(found.column(name)) == exact(wanted.column(name)), (database.name, name)


@SETTINGS
@given(document=documents)
@example(document='{"b": 1, "a": 2, "a": 3}')
@example(document='"\\u00e9\\ud83c\\udf89\\/"')
@example(document=" [ ] ")
def test_the_canonical_form_of_json_is_what_postgres_prints(postgres_server: str, document: str) -> None:
    with psycopg.connect(postgres_server) as connection:
        row = connection.execute("SELECT %s::jsonb::text", (document,)).fetchone()
    assert row is not None
    assert without_duplicate_keys(document) == row[0]
    assert canonical_document(document) == (document if has_duplicate_keys(document) else row[0])


@pytest.mark.parametrize("text", ["", "{", "[1]]", "1,2", "NaN", "{'a': 1}", '"\ud800"', "1e999999", "[" * 5000])
def test_what_is_no_json_is_left_as_it_is(text: str) -> None:
    try:
        array = pa.array([text, None, "[ 1]"])
    except UnicodeEncodeError:
        array = pa.array(['"\\ud800"', None, "[ 1]"])
        text = '"\\ud800"'
    assert canonical_documents(array).to_pylist() == [text, None, "[1]"]


def test_a_float_is_the_same_in_every_bit(databases: list[Database]) -> None:
    extremes = [0.1, -0.0, 5e-324, math.nextafter(1, 2), -math.inf, math.nan, 2.0**63]
    columns = [pa.array([bytes(15) + bytes([n]) for n in range(len(extremes))], pa.binary(16))]
    for column in SPEC.columns[1:]:
        values = extremes if column.name == "float64" else [None] * len(extremes)
        columns.append(pa.array(values, column.type.arrow))
    batch = pa.record_batch(columns, schema=SPEC.schema)
    for database in databases:
        with connect(database, write=True) as connection:
            repository = connection.repository(SPEC)
            repository.load([batch], batch.num_rows)
            assert repository.digest() == digest_batches(SPEC, [batch])
