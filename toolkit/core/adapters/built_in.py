"""What the adapters of the built-in types have in common: most values look the same to Python, JSON and Arrow."""

from __future__ import annotations

import binascii
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.core.logical import TypeAdapter

_DIGITS = 100


class Parser:
    """A parser of decoded JSON values of some classes, whose errors say what is expected."""

    def __init__(self, parse: Callable[[Any], Any], expected: str, *accepted: type) -> None:
        self._parse, self._expected, self._accepted = parse, expected, accepted

    def __call__(self, value: Any) -> Any:
        """What Arrow takes for the value.

        Raises:
            ValueError: it is none of the type.
        """
        if not isinstance(value, self._accepted) or (isinstance(value, bool) and bool not in self._accepted):
            raise ValueError(f"is not {self._expected}")
        try:
            return self._parse(value)
        except OverflowError as error:
            raise ValueError("does not fit into its column") from error
        except (ValueError, binascii.Error) as error:
            raise ValueError(f"is not {self._expected}") from error


class BuiltIn(TypeAdapter):
    """A type that is its own carrier, or stands as the carrier does in everything, and has one Arrow type."""

    storage: ClassVar[pa.DataType]
    parser: ClassVar[Parser]

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type in which the values travel."""
        return self.storage

    def json_value(self, value: Any) -> Any:
        """The value itself."""
        return value

    def parse_json(self, value: Any) -> Any:
        """A value of the type, or what is wrong with it."""
        return self.parser(value)

    def from_csv(self, text: str) -> Any:
        """As in JSON."""
        return text

    def from_python(self, value: Any) -> Any:
        """The value itself."""
        return value

    def to_python(self, value: Any) -> Any:
        """The value itself."""
        return value


def same(value: Any) -> Any:
    """A value as it is."""
    return value


# Arrow takes 36 µs to make one of these of a Python text: more than to join a thousand rows.
QUOTE, NOTHING = pa.scalar('"'), pa.scalar("")


def text_bytes(texts: pa.Array) -> np.ndarray:
    """The bytes of all texts, one behind the other: to look for a sign in them takes a tenth of Arrow's time."""
    _, offsets, data = texts.buffers()
    if data is None or not len(texts):
        return np.empty(0, np.uint8)
    bounds = np.frombuffer(offsets, np.int32, len(texts) + 1, texts.offset * 4)
    return np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]]


def quoted(text: pa.Array) -> pa.Array:
    """Texts without special characters as JSON strings."""
    return pc.binary_join_element_wise(QUOTE, text, QUOTE, NOTHING)


def whole_number(text: str) -> int | str:
    """A CSV field as a number, if it is a whole one."""
    # No column holds a number of so many digits, and Python refuses to read one of thousands.
    return int(text) if text.removeprefix("-").isdecimal() and len(text) < _DIGITS else text
