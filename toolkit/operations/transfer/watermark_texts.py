"""What `--since` keeps of a table between two syncs, as texts for the rows of its table in the target.

All of it lies in the one table that the watermarks always lay in, so that a role needs no other right: a row has room
for a few words, and there are as many rows as it takes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import pyarrow as pa
from msgspec import Struct
from msgspec.structs import replace

from toolkit.core.digest import DIGEST_FIELD

if TYPE_CHECKING:
    from toolkit.operations.transfer.sources import RowSource

# Of so many rows of a table at most, in 1,000 rows of the state: of more, none are known.
SEEN_ROWS = 5_000
# What a row of the state has room for.
TEXT_LENGTH = 64
# Of a row's digest: with 5,000 of them, that another row has one of these is as likely as 1 to 10**15.
_DIGEST_BYTES = 8
_LATER, _SEEN = "later", "seen"


class Kept(Struct, frozen=True):
    """How far a table came. `seen` are the digests of rows that the next sync will look at again.

    `later` takes the watermark's place when a sync has seen all rows of the transactions `waits_for`: until they are
    over, they may commit rows before it.
    """

    mark: int | None = None
    later: int | None = None
    waits_for: frozenset[str] = frozenset()
    seen: frozenset[str] = frozenset()

    def reaching(self, mark: int, holders: frozenset[str], *, is_over: bool) -> Kept:
        """What is to be kept by a sync that looked at rows from this watermark on, up to a mark.

        `holders` may commit rows before the mark; `is_over`: the rows of all that was waited for were there to be seen.
        """
        if not holders:
            return Kept(mark)
        if self.later is None or is_over:
            return Kept(self.mark if self.later is None else self.later, mark, holders)
        return replace(self, seen=frozenset())

    def texts(self, narrowing: str) -> dict[str, str]:
        """What is written, by what tells the rows of the state apart; `narrowing` is what the watermark's own has."""
        found = {} if self.mark is None else {narrowing: str(self.mark)}
        notes = {_SEEN: sorted(self.seen)}
        if self.later is not None:
            notes[_LATER] = [str(self.later), *sorted(self.waits_for)]
        for kind, words in notes.items():
            found |= {f"{_prefix(kind, narrowing)}{n}": text for n, text in enumerate(_lines(words))}
        return found

    @classmethod
    def read(cls, narrowing: str, texts: Mapping[str, str]) -> Kept:
        """What was written; `texts` has that of other conditions, too."""
        later, seen = (_words(_prefix(kind, narrowing), texts) for kind in (_LATER, _SEEN))
        mark = int(texts[narrowing]) if narrowing in texts else None
        return cls(mark, int(later[0]) if later else None, frozenset(later[1:]), frozenset(seen))


def is_of(narrowed_by: str, narrowing: str) -> bool:
    """Whether a row of the state is one of those that `Kept.texts` gives."""
    return narrowed_by == narrowing or narrowed_by.startswith((_prefix(_LATER, narrowing), _prefix(_SEEN, narrowing)))


def _prefix(kind: str, narrowing: str) -> str:
    return f"{kind}:{hashlib.sha256(narrowing.encode()).hexdigest()} "


def _words(prefix: str, texts: Mapping[str, str]) -> list[str]:
    numbers = sorted(int(name.removeprefix(prefix)) for name in texts if name.startswith(prefix))
    return [word for number in numbers for word in texts[f"{prefix}{number}"].split()]


def _lines(words: Iterable[str]) -> Iterator[str]:
    line = ""
    for word in words:
        if line and len(line) + 1 + len(word) > TEXT_LENGTH:
            yield line
            line = ""
        line = f"{line} {word}" if line else word
    if line:
        yield line


def seen_rows(rows: RowSource) -> frozenset[str]:
    """The digests of these rows, if there are few enough."""
    if rows.count() > SEEN_ROWS:
        return frozenset()
    return frozenset(word for batch in rows.row_digests() for word in _shortened(batch))


class UnseenRows:
    """The digests of rows without those that were seen before; `known` counts these as they are passed over."""

    def __init__(self, rows: RowSource, seen: frozenset[str]) -> None:
        self._rows, self.seen = rows, seen
        self.known = 0

    def row_digests(self) -> Iterator[pa.RecordBatch]:
        """Key columns and digest of every other row."""
        for batch in self._rows.row_digests():
            mask = [word not in self.seen for word in _shortened(batch)]
            self.known += len(mask) - sum(mask)
            yield batch.filter(pa.array(mask, pa.bool_()))


def _shortened(batch: pa.RecordBatch) -> list[str]:
    digests = batch.column(DIGEST_FIELD).to_pylist()
    return [base64.urlsafe_b64encode(digest[:_DIGEST_BYTES]).decode().rstrip("=") for digest in digests]
