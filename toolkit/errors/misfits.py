"""Values that do not fit into what they are to be carried through or stored in: all that were found, in one report."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from shlex import quote as shell
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from toolkit.errors.rows import UnrepresentableValueError

# The report takes twenty lines: one that counts, so many groups, one for the rest, the advice.
_SHOWN_GROUPS = 16
_SHOWN_ROWS = 3
_SHOWN_ADVICE = 3
_SENTENCE_END = re.compile(r"(?<=\.) (?=[A-Z])")


class MisfitRow(Struct, frozen=True):
    """One value that does not fit, with its row's key; both as text."""

    key: str
    value: str


class Misfit(Struct, frozen=True):
    """The values of one column that do not fit for one reason: how many, and the first hundred of them at most."""

    table: str
    column: str
    reason: str
    count: int
    rows: tuple[MisfitRow, ...]
    advice: str

    @property
    def line(self) -> str:
        """All that is known of it but the advice."""
        first = ", ".join(f"{row.value} ({row.key})" for row in self.rows[:_SHOWN_ROWS])
        more = ", …" if self.count > min(len(self.rows), _SHOWN_ROWS) else ""
        values = f"{self.count:,} value{'' if self.count == 1 else 's'}"
        return f"{self.table}.{self.column}: {values}, {self.reason}: {first}{more}"


class MisfitsError(UnrepresentableValueError):
    """All values that do not fit, grouped by table, column and reason; it stands for the `first` that was met."""

    def __init__(self, misfits: Sequence[Misfit], first: UnrepresentableValueError) -> None:
        super().__init__(first.table, first.key, first.column, first.problem, first.advice)
        self.misfits = tuple(misfits)
        values = sum(each.count for each in misfits)
        columns = len({(each.table, each.column) for each in misfits})
        self.fact = f"{values:,} values of {columns:,} column{'' if columns == 1 else 's'} do not fit."
        advice = list(dict.fromkeys(each.advice for each in misfits))[:_SHOWN_ADVICE]
        sentences = dict.fromkeys(sentence for each in advice for sentence in _SENTENCE_END.split(each) if sentence)
        tables = list(dict.fromkeys(each.table for each in misfits))
        leave = f"--exclude {shell(tables[0])}" if len(tables) == 1 else "--exclude TABLE for each"
        self.advice = " ".join([*sentences, f"Or leave out what cannot be carried: {leave}."])
        self.args = ("\n".join((*self.facts, self.advice)),)

    @property
    def facts(self) -> Sequence[str]:
        """The count, and a line for each group; twenty lines at most with the advice."""
        shown = [each.line for each in self.misfits[:_SHOWN_GROUPS]]
        rest = self.misfits[_SHOWN_GROUPS:]
        more = [f"and {sum(each.count for each in rest):,} values in {len(rest):,} more lines (--json has all)"]
        return (self.fact, *shown, *(more if rest else ()))

    @property
    def details(self) -> Mapping[str, Any]:
        """For `--json`: every group, with its first hundred rows."""
        return {"misfits": [{**asdict(each), "rows": [*map(asdict, each.rows)]} for each in self.misfits]}
