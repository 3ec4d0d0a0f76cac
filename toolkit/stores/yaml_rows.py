"""The rows of a YAML file, each as the JSON that it stands for: numbers, `true`, `false` and `null`; all else is text.

But in documents and lists, a number in a form that JSON lacks (`.inf`, `0x1F`, `+5`) is refused: it would become text.

So a date stays the text that it is, a decimal keeps its digits, and `no` is Norway. References and tags, by which a
file of a few bytes may be one of any size and kind, are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from toolkit.stores.json_rows import LARGEST_ROW, REFUSALS, RowsError

T = TypeVar("T")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
# What YAML has for numbers in forms that JSON lacks; 01234 is a code rather than one.
_ODD_NUMBER = re.compile(
    r"(?!0[0-9]+$)[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?0[xob][0-9A-Fa-f_]+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_WORDS = {form: word for word in ("null", "true", "false") for form in (word, word.capitalize(), word.upper())}
_WORDS |= {"": "null", "~": "null"}
# Each is a call of a function, of which Python allows about a thousand.
_MOST_LEVELS = 200


def yaml_rows(
    chunks: Iterator[bytes], decode: Callable[[bytes], T], refused: Callable[[int, bytes, Exception], None]
) -> Iterator[tuple[int, T]]:
    """The line and the row of each element of a list; what `decode` refuses is given to `refused`, and passed over.

    Raises:
        RowsError: it is no list, or nothing that reads YAML is installed.
    """
    try:
        import yaml
    except ImportError as error:
        lacking = "YAML is read only where PyYAML is installed (pip install 'toolkit[yaml]'); or convert it to JSON"
        raise RowsError(1, lacking) from error
    file = _File(chunks)
    try:
        events = yaml.parse(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        for line, text in _Elements(iter(events)).all():
            file.size = 0
            try:
                row = decode(text)
            except REFUSALS as error:
                refused(line, text, error)
            else:
                yield line, row
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise RowsError(mark.line + 1 if mark else 1, f"is not YAML in a supported form: {problem}") from error


class _Elements(msgspec.Struct):
    """The elements of the lists of a file, from the events of its parser."""

    events: Iterator[Any]

    def all(self) -> Iterator[tuple[int, bytes]]:
        """The line of each element, and the element as JSON."""
        import yaml

        lists = 0
        around = (yaml.StreamStartEvent, yaml.StreamEndEvent, yaml.DocumentStartEvent, yaml.DocumentEndEvent)
        for event in self.events:
            if isinstance(event, around):
                continue
            lists += 1
            if not isinstance(event, yaml.SequenceStartEvent):
                raise RowsError(_line(event), "a list of rows is expected, each behind a dash")
            for element in self._until(yaml.SequenceEndEvent):
                yield _line(element), self._json(element, 0)
        if not lists:
            raise RowsError(1, "the file is empty; a list of rows is expected, [] for no rows")

    def _until(self, end: type) -> Iterator[Any]:
        for event in self.events:
            if isinstance(event, end):
                return
            yield event

    def _json(self, event: Any, level: int) -> bytes:
        import yaml

        line = _line(event)
        if level > _MOST_LEVELS:
            raise RowsError(line, f"a row is nested deeper than {_MOST_LEVELS} levels")
        if getattr(event, "anchor", None) is not None or isinstance(event, yaml.AliasEvent):
            raise RowsError(line, "references (& and *) are not read: write out what is meant")
        if getattr(event, "tag", None) not in (None, "!"):
            raise RowsError(line, f"the tag {event.tag!r} is not read: write the value without it, text in quotes")
        if isinstance(event, yaml.ScalarEvent):
            # Of a column's own value, its type says what it is.
            return _scalar(event, is_inner=level > 1)
        if isinstance(event, yaml.SequenceStartEvent):
            return b"[%b]" % b", ".join([self._json(each, level + 1) for each in self._until(yaml.SequenceEndEvent)])
        return b"{%b}" % b", ".join([self._member(each, level) for each in self._until(yaml.MappingEndEvent)])

    def _member(self, name: Any, level: int) -> bytes:
        import yaml

        if not isinstance(name, yaml.ScalarEvent) or name.value == "<<":
            raise RowsError(_line(name), "a name of text is expected")
        return msgspec.json.encode(name.value) + b": " + self._json(next(self.events), level + 1)


def _scalar(event: Any, *, is_inner: bool) -> bytes:
    text: str = event.value
    # Neither quoted nor a block.
    if not event.style:
        if text in _WORDS:
            return _WORDS[text].encode()
        if _NUMBER.fullmatch(text):
            return text.encode()
        if is_inner and _ODD_NUMBER.fullmatch(text):
            raise RowsError(_line(event), f"is {text} a number? Write it as JSON does, or text in quotes")
    return msgspec.json.encode(text)


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


@dataclass
class _File:
    """Chunks as a file to read from."""

    chunks: Iterator[bytes]
    size: int = 0
    """The bytes read since a row was."""
    _rest: bytes = field(default=b"", init=False)

    def read(self, size: int = 1 << 20, /) -> bytes:
        """So many bytes, or less."""
        self._rest = self._rest or next(self.chunks, b"")
        content, self._rest = self._rest[:size], self._rest[size:]
        self.size += len(content)
        if self.size > LARGEST_ROW:
            raise RowsError(1, f"a row of more than {LARGEST_ROW >> 20} MB is not read")
        return content
