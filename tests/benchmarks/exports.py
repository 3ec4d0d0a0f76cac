"""A table that is written to meanwhile, into files: `python -m tests.benchmarks.exports [--rows N]`.

The toolkit exports it into a lake, by no worker, one and two; Spark's JDBC reader into Parquet. A writer moves rows
from one end of the key to the other and back, each of which is there once at any moment. What arrived is counted by
what does not change: the number that a row was made with, and its exact decimal.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import click
import duckdb
import psycopg

from tests.benchmarks.competitors import environment, version
from tests.benchmarks.machine import TOOLKIT, Sample, measure
from tests.benchmarks.postgres import Postgres
from tests.servers import pgbouncer

# Debian's package libpostgresql-jdbc-java.
_JAR = "/usr/share/java/postgresql.jar"
_PARTS = 8
# At once, a hundred times a second at most.
_MOVED = 200
_TABLE = """
CREATE TABLE event (
    id bigint PRIMARY KEY, origin bigint NOT NULL, label text, at timestamptz, detail jsonb, exact numeric, code uuid
);
INSERT INTO event
SELECT i, i, 'event ' || i || repeat('x', (i % 150)::int), '2026-01-01'::timestamptz + i * interval '1.000001 s',
       jsonb_build_object('n', i, 'tags', jsonb_build_array('a', i % 7)), i / 7.0::numeric(40, 30), md5(i::text)::uuid
FROM generate_series(0, {last}) AS i;
"""


@dataclass(frozen=True, slots=True)
class Arrived:
    """Of the rows that were there at any moment: how many are missing, twice there, or have another decimal."""

    lost: int
    twice: int
    changed: int


@contextmanager
def _writer(url: str, rows: int) -> Iterator[None]:
    """Somebody who moves rows until the block ends."""
    ended, chance = threading.Event(), random.Random(1)

    def move() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            while not ended.wait(0.01):
                first, step = chance.choice(((chance.randrange(rows), rows), (chance.randrange(rows, 2 * rows), -rows)))
                some = f"id BETWEEN {first} AND {first + _MOVED}"
                connection.execute(f"UPDATE event SET id = id + {step} WHERE {some}".encode())

    thread = threading.Thread(target=move)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _arrived(files: Sequence[str], wanted: dict[int, Decimal]) -> Arrived:
    query = "SELECT origin, CAST(exact AS VARCHAR) FROM read_parquet($files)"
    rows = duckdb.execute(query, {"files": files}).fetchall()
    found = dict(rows)
    changed = sum(Decimal(exact) != wanted[origin] for origin, exact in found.items())
    return Arrived(len(wanted) - len(found), len(rows) - len(found), changed)


def _toolkit(source: str, directory: Path, *workers: str) -> Sample:
    lake = f"delta+file://{directory}"
    return measure((*TOOLKIT, "sync", "event", "--reflect", "--from", source, "--to", lake, *workers, "-q"))[0]


@click.command()
@click.option("--rows", default=1_000_000, show_default=True, type=click.IntRange(1000))
@click.option("--runs", default=1, show_default=True, type=click.IntRange(1))
def main(rows: int, runs: int) -> None:
    """Measure, and print a table in Markdown."""
    python = environment("pyspark") / "python"
    with tempfile.TemporaryDirectory(prefix="bench-") as name, Postgres(Path(name) / "pg") as server:
        source = server.url(server.create("events"))
        server.run(_TABLE.format(last=rows - 1), "events")
        server.run("VACUUM ANALYZE event", "events")
        wanted = dict(server.run("SELECT origin, exact FROM event", "events"))
        titles = "seconds | of a processor | MB of the largest process | lost | twice | other decimals"
        click.echo(f"| {rows:,} rows | {titles} |\n|---|---|---|---|---|---|---|")
        target = Path(name) / "out"
        ways = {
            "toolkit sync": (),
            "toolkit sync --workers local:1": ("--workers", "local:1", "--part-bytes", str(rows * 30)),
            "toolkit sync --workers local:2": ("--workers", "local:2", "--part-bytes", str(rows * 30)),
        }
        for _ in range(runs):
            for way, options in ways.items():
                with _writer(source, rows):
                    sample = _toolkit(source, target, *options)
                # What the log names: an export that is whole has no other files.
                _tell(way, sample, _arrived([str(each) for each in target.glob("event/*.parquet")], wanted))
                shutil.rmtree(target)
            # The embedded server has no port, which Java wants.
            socket = f"{server.socket}/.s.PGSQL.5432"
            proxied = pgbouncer.running(socket, pool_mode="session", ignore_startup_parameters="extra_float_digits")
            with proxied as port, _writer(source, rows):
                jdbc = f"jdbc:postgresql://127.0.0.1:{port}/events"
                script = str(Path(__file__).with_name("spark_export.py"))
                given = (jdbc, _JAR, "event", str(rows), str(_PARTS), str(target))
                sample = measure((str(python), script, *given))[0]
            found = _arrived([str(each) for each in target.glob("*.parquet")], wanted)
            _tell(f"Spark {version('pyspark')}, JDBC, {_PARTS} partitions, local[2]", sample, found)
            shutil.rmtree(target)


def _tell(way: str, sample: Sample, found: Arrived) -> None:
    counts = f"{found.lost:,} | {found.twice:,} | {found.changed:,}"
    click.echo(f"| {way} | {sample.seconds:.1f} | {sample.processor:.1f} | {sample.rss / 1e6:.0f} | {counts} |")


if __name__ == "__main__":
    main()
