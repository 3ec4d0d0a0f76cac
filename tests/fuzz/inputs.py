"""Files as somebody might write them who means harm: right ones with values and bytes that are not."""

from __future__ import annotations

import csv
import io

from hypothesis import strategies as st

from tests.fuzz.tables import CHILD

# JSON text of values that each column takes, the awkward ones among them.
_TIMES = ('"2024-02-29T12:00:00.000001"', '"+294247-01-10T04:00:54.775807"', '"-4712-01-01T00:00:00"', '"infinity"')
_INTEGERS = ("0", "-1", "32767")
_FLOATS = ("1.5", "-0.0", "1e38", '"NaN"', '"-Infinity"', "1e-400", '"1e-400"', "3")
_TEXTS = ('""', '"a"', '"é\ud83d\ude00"', '"\\u0000"', '"\\""', '"\\n\\t"', '"{}"', '"NULL"')
_NUMBERS = ("1.50", '"1.50"', "0", '"-0.0"', "1e2", "0e999999999", f"1.{'0' * 77}", '" 5 "', "1000000000000000e-13")
_DOCUMENTS = (
    '{"a": [1.10, 1e5], "bb": {}}',
    '{"$json": null}',
    '{"$json": {"$json": 1}}',
    "9" * 5000,
    "1e400",
    "-0e9",
    "[]",
    "[" * 490 + "]" * 490,
    '{"a":' * 300 + "1.0" + "}" * 300,
    "1e999999999",
    '"null"',
    '{"$json": "x", "a": 1}',
    "true",
)
_DESCRIBED = (
    '"FileObject(filename=a, backend=b, size=1, content_type=c, etag=None, last_modified=1e9, version_id=None)"'
)
RIGHT = {
    "parent_id": ("1", "null"),
    "uuid": ('"018df57c-0000-7000-8000-000000000001"', f'"{"0" * 32}"'),
    "timestamp": _TIMES,
    "timestamptz": (*_TIMES, '"0001-01-01T00:00:00+14:00"', '"9999-12-31T23:00:00-14:00"'),
    "date": ('"2024-02-29"', '"-4712-01-01"', '"infinity"', '"+9999-01-01"'),
    "time": ('"23:59:59.999999"', '"12:00"'),
    "interval": ("-1", "86400000000", "1000000000000000000"),
    "bool": ("true", "false"),
    "int16": _INTEGERS,
    "int64": (*_INTEGERS, "9223372036854775807", "-9223372036854775808"),
    "float32": _FLOATS,
    "float64": _FLOATS,
    "decimal": _NUMBERS,
    "wide": ("0", f"0.{'9' * 38}", "1e-38"),
    "text": _TEXTS,
    "cipher": _TEXTS,
    "short": _TEXTS,
    "free": (*_NUMBERS, '"NaN"', "1e131071", "1e-16383", f"0.{'1' * 16383}", '"inf"', "9" * 5000),
    "bytes": ('"AAE="',),
    "json": _DOCUMENTS,
    "enum": ('"RED"', '"g"'),
    "array": ("[]", "[1, null, -2147483648]"),
    "file": ('{"backend": "b", "filename": "f"}', _DESCRIBED),
    "parent": ('{"code": "a"}', "null"),
}
USUAL = ("null", "true", "0", "1.5", '""', '"a"', "[]", "{}", '"2024-02-29"', *(each[0] for each in RIGHT.values()))
HOSTILE = (
    "1e-99999999",
    '"1e-99999999"',
    "1e999999",
    '"1e999999999999999999"',
    "1e-77",
    f"1.{'0' * 77}",
    f'"1.{"0" * 77}"',
    "0e999999999",
    '"-0e-999999999"',
    "1e400",
    '"1e400"',
    '"1e-400"',
    "9" * 5000,
    f'"{"9" * 5000}"',
    f"-0.{'9' * 5000}",
    "1" * 140_000,
    f"1e{'9' * 400}",
    '"sNaN"',
    '"-nan"',
    '"NaN1"',
    '"1_000"',
    '" 5 "',
    '"٣"',
    "9223372036854775808",
    "-9223372036854775809",
    "1e308",
    "3.5e38",
    "[" * 1200 + "]" * 1200,
    '{"a":' * 400 + "1" + "}" * 400,
    "[" * 5000,
    '"\\ud800"',
    '"\\u0000"',
    '"\\\\u0000"',
    '"\\ud83d\\ude00"',
    '"0001-01-01T00:00:00+14:00"',
    '"9999-12-31T23:59:59.999999-14:00"',
    '"+294247-01-10T04:00:54.775807"',
    '"-290308-01-01"',
    '"+9999999-12-31"',
    '"infinity"',
    '"-infinity"',
    '"2024-02-30"',
    '"24:00:00"',
    '"12:00:00+01:00"',
    '"2024-W01-1"',
    '"20240229T12"',
    '"2024-02-29 12:00"',
    '"urn:uuid:018df57c-0000-7000-8000-000000000001"',
    '"{018df57c00007000800000000000001}"',
    '{"$json": {"$json": 1e999999}}',
    '{"$json": 1, "b": 2}',
    '{"code": 1e999}',
    '{"code": ' + "9" * 5000 + "}",
    '"FileObject(filename=a, backend=b, size=' + "9" * 5000 + ", content_type=c, etag=d, last_modified=1e999, "
    'version_id=e)"',
    "NaN",
    "-",
    "01",
    "1.",
    ".5",
    "+1",
    "'a'",
    '"a\nb"',
    '"\t"',
    "{",
    "]",
    '"',
    ",",
    "\x00",
    "//",
)
NAMES = (*CHILD.column_names, "parent", "unknown", "", "ID", "free\\u0000", "\\u0069d")
LINES = ("\n", "\r\n", "", " ", "\n\n", "\t")

values = st.one_of(
    st.sampled_from(USUAL),
    st.sampled_from(HOSTILE),
    st.sampled_from(HOSTILE),
    st.floats().map(str),
    st.integers().map(str),
    st.decimals().map(str),
    st.text(max_size=5).map(lambda text: f'"{text}"'),
)
names = st.one_of(*[st.sampled_from(CHILD.column_names)] * 9, st.sampled_from(NAMES))
members = st.one_of(
    *[st.sampled_from([(name, token) for name, tokens in RIGHT.items() for token in tokens])] * 6,
    st.tuples(names, values),
)


@st.composite
def rows(draw: st.DrawFn) -> str:
    """An object with an id, if nothing hides it, and some members more."""
    found = draw(st.lists(members, max_size=6))
    number = draw(st.integers(0, 5))
    return "{" + ", ".join(f'"{name}": {value}' for name, value in [("id", str(number)), *found]) + "}"


@st.composite
def changed(draw: st.DrawFn, content: st.SearchStrategy[bytes]) -> bytes:
    """Bytes of which, every third time, some are cut out, put elsewhere, or others."""
    found = draw(content)
    for _ in range(draw(st.sampled_from((0, 0, 0, 0, 1, 2)))):
        start, end = sorted(draw(st.tuples(*[st.integers(0, len(found))] * 2)))
        piece = draw(
            st.one_of(
                st.binary(max_size=4),
                st.just(found[start : start + 50]),
                st.sampled_from([token.encode() for token in HOSTILE]),
            )
        )
        found = found[:start] + piece + found[min(end, start + 20) :]
    return found


def _joined(parts: list[str], between: str, line: str) -> bytes:
    return line.join(f"{part}{between}" for part in parts).encode(errors="surrogatepass")


@st.composite
def arrays(draw: st.DrawFn) -> bytes:
    """A JSON array in some layout."""
    line = draw(st.sampled_from(LINES))
    body = f",{line}".join(draw(st.lists(rows(), max_size=4)))
    return f"[{line}{body}{line}]".encode(errors="surrogatepass")


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """JSON lines."""
    return _joined(draw(st.lists(rows(), max_size=4)), "\n", draw(st.sampled_from(("", "\n", "\r"))))


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """CSV, with its values as JSON has them or without their quotes."""
    header = ["id", *draw(st.lists(names.filter("id".__ne__), max_size=5, unique=True))]
    body = draw(st.lists(st.tuples(*[_cells(name) for name in header]), max_size=4))
    file = io.StringIO()
    writer = csv.writer(file, quoting=draw(st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))), escapechar="\\")
    writer.writerows([header, *body])
    return file.getvalue().encode(errors="surrogatepass")


def _cells(name: str) -> st.SearchStrategy[str]:
    right = st.sampled_from(("0", "1") if name == "id" else RIGHT.get(name, USUAL))
    bare = right.map(lambda text: text.strip('"'))
    return st.one_of(right, bare, bare, bare, bare, st.just(""), values)
