"""What was measured, against what was promised: Markdown for the README, and everything as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tests.benchmarks.contenders import FLOOR
from tests.benchmarks.machine import Sample

MEGABYTE = 1_000_000

Results = Mapping[str, Mapping[str, Sequence[Sample]]]
"""Group -> contender -> runs."""


@dataclass(frozen=True, slots=True)
class Target:
    """A promise about the medians of two contenders of a group."""

    group: str
    contender: str
    reference: str
    factor: float
    faster: bool = False
    """At least `factor` times faster than the reference; otherwise at most `factor` times its time."""

    def line(self, results: Results) -> str | None:
        """One row of the table; None when one of them was not measured."""
        measured = results.get(self.group, {})
        if not (measured.get(self.contender) and measured.get(self.reference)):
            return None
        own, other = seconds(measured[self.contender]), seconds(measured[self.reference])
        ratio = other / own if self.faster else own / other
        promise = f"≥ {self.factor:g} x faster" if self.faster else f"≤ {self.factor:g} x the time"
        met = ratio >= self.factor if self.faster else ratio <= self.factor
        what = f"{self.group}: {self.contender} against {self.reference}"
        return _row(what, promise, f"{ratio:.2f} x", _word(met))


@dataclass(frozen=True, slots=True)
class Limit:
    """A promise about the median of one contender of a group, in seconds."""

    group: str
    contender: str
    seconds: float

    def line(self, results: Results) -> str | None:
        """One row of the table; None when it was not measured."""
        runs = results.get(self.group, {}).get(self.contender)
        if not runs:
            return None
        own = seconds(runs)
        return _row(f"{self.group}: {self.contender}", f"< {self.seconds:g} s", _time(own), _word(own < self.seconds))


@dataclass(frozen=True, slots=True)
class MemoryTarget:
    """A promise about the peak memory of the toolkit's own runs, at two sizes of the data."""

    bytes: int = 400 * MEGABYTE
    growth: float = 1.2

    def lines(self, large: Results, small: Results) -> Iterator[str]:
        """Two rows for each contender that was measured at both sizes."""
        for group, contenders in small.items():
            for contender, before in contenders.items():
                runs = large[group].get(contender)
                if runs:
                    yield from self._lines(f"{group}: peak memory of {contender}", runs, before)

    def _lines(self, what: str, runs: Sequence[Sample], before: Sequence[Sample]) -> Iterator[str]:
        peak, ratio = max(run.rss for run in runs), rss(runs) / rss(before)
        yield _row(what, f"< {_megabytes(self.bytes)}", _megabytes(peak), _word(peak < self.bytes))
        less = f"≤ {self.growth:g} x of a fifth of the rows"
        yield _row(what, less, f"{ratio:.2f} x", _word(ratio <= self.growth))


def seconds(runs: Sequence[Sample]) -> float:
    """The median wall time of the runs that nothing disturbed; of all, if something disturbed each."""
    return median(run.seconds for run in _calm(runs))


def rss(runs: Sequence[Sample]) -> float:
    """The median peak memory in bytes."""
    return median(run.rss for run in runs)


def _calm(runs: Sequence[Sample]) -> Sequence[Sample]:
    return [run for run in runs if not run.is_disturbed] or runs


def times_table(results: Results) -> Iterator[str]:
    """Markdown: each contender of each group, and how it compares with the group's floor, or its first."""
    yield _row("", "median", "from - to", "relative", "peak memory")
    yield _row("---", "---:", "---:", "---:", "---:")
    for group, contenders in results.items():
        floors = [runs for name, runs in contenders.items() if name.startswith(FLOOR) and runs]
        first = next((seconds(runs) for runs in (*floors, *contenders.values()) if runs), 0.0)
        for contender, runs in contenders.items():
            own, each = seconds(runs), sorted(run.seconds for run in _calm(runs))
            extent = f"{_time(each[0])} - {_time(each[-1])}"
            relative = f"{own / first:.2f} x"
            yield _row(f"{group}: {contender}", _time(own), extent, relative, _megabytes(rss(runs)))


def targets_table(targets: Sequence[Target | Limit], large: Results, small: Results) -> Iterator[str]:
    """Markdown: each promise whose two sides were measured."""
    yield _row("", "promised", "measured", "kept")
    yield _row("---", "---:", "---:", "---")
    yield from (line for target in targets if (line := target.line(large)))
    yield from MemoryTarget().lines(large, small)


def as_json(results: Results) -> dict[str, dict[str, list[dict[str, float]]]]:
    """Every single run."""
    return {
        group: {name: [dataclasses.asdict(run) for run in runs] for name, runs in contenders.items()}
        for group, contenders in results.items()
    }


def _time(value: float) -> str:
    return f"{value:.1f} s" if value >= 1 else f"{value * 1000:.0f} ms"


def _megabytes(value: float) -> str:
    return f"{value / MEGABYTE:.0f} MB"


def _word(met: bool) -> str:
    return "yes" if met else "**no**"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
