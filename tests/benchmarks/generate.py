"""Make a SQLite file with N todos, their users and tags: `python -m tests.benchmarks.generate N FILE`.

The same N makes the same rows every time.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from toolkit.models.todo import metadata

_WORDS = (
    "review",
    "plan",
    "order",
    "write",
    "call",
    "water",
    "ship",
    "paint",
    "measure",
    "answer",
    "sort",
    "clean",
    "pack",
    "ask",
    "book",
    "draw",
)
_START = dt.datetime(2024, 1, 1)


def generate(todos: int, path: Path, seed: int = 1) -> None:
    """Fill a new file: a user for each 1,000 todos (at least ten), five tags a user, a tag on every fifth."""
    engine = sa.create_engine(f"sqlite:///{path}")
    metadata.create_all(engine)
    engine.dispose()
    chance = random.Random(seed)
    users = [chance.randbytes(16) for _ in range(max(10, todos // 1000))]
    tags = [(chance.randbytes(16), user, number) for user in users for number in range(5)]
    keys: list[bytes] = []
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        _insert(connection, "user_account", _users(users))
        _insert(
            connection,
            "tag",
            ({"id": key, "name": f"tag {number}", "user_id": user, **_audit(chance)} for key, user, number in tags),
        )
        _insert(connection, "todo", _todos(todos, users, chance, keys))
        _insert(connection, "todo_tag", _todo_tags(keys[::5], [key for key, *_ in tags], chance))
    connection.close()


def _insert(connection: sqlite3.Connection, table: str, rows: Iterator[dict[str, object]]) -> None:
    first = next(rows)
    names = list(first)
    statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    connection.execute(statement, list(first.values()))
    connection.executemany(statement, (list(row.values()) for row in rows))


def _time(moment: dt.datetime) -> str:
    return moment.isoformat(" ", "microseconds")


def _audit(chance: random.Random) -> dict[str, object]:
    created = _START + dt.timedelta(microseconds=chance.randrange(10**13))
    updated = created + dt.timedelta(seconds=chance.randrange(10**6))
    return {"created_at": _time(created), "updated_at": _time(updated)}


def _users(keys: list[bytes]) -> Iterator[dict[str, object]]:
    chance = random.Random(2)
    for number, key in enumerate(keys):
        yield {
            "id": key,
            "email": f"user{number}@example.org",
            "name": f"User Número {number}",
            "is_active": 1,
            "is_superuser": 0,
            "joined_at": "2024-02-29",
            **_audit(chance),
        }


def _todo_tags(todos: list[bytes], tags: list[bytes], chance: random.Random) -> Iterator[dict[str, object]]:
    for key in todos:
        yield {"id": chance.randbytes(16), "todo_id": key, "tag_id": chance.choice(tags), **_audit(chance)}


def _description(chance: random.Random) -> str:
    return " ".join(chance.choices(_WORDS, k=chance.randrange(5, 20)))


def _todos(count: int, users: list[bytes], chance: random.Random, keys: list[bytes]) -> Iterator[dict[str, object]]:
    for number in range(count):
        start = _START + dt.timedelta(microseconds=chance.randrange(3 * 10**13))
        details = {
            "source": chance.choice(["mail", "app", "web"]),
            "estimate": chance.randrange(1, 90) / 4,
            "steps": [{"done": chance.random() < 0.5, "title": chance.choice(_WORDS)}],
            "number": number,
        }
        keys.append(chance.randbytes(16))
        yield {
            "id": keys[-1],
            "item": f"{chance.choice(_WORDS)} {chance.choice(_WORDS)} {number}",
            "description": _description(chance) if number % 4 else None,
            "importance": chance.choice(["NONE", "LOW", "MEDIUM", "HIGH"]),
            "user_id": chance.choice(users),
            "start_time": _time(start),
            "end_time": _time(start + dt.timedelta(minutes=30)),
            "alarm_time": _time(start - dt.timedelta(minutes=5)) if number % 3 else None,
            "details": json.dumps(details, separators=(",", ":")),
            "is_deleted": 0,
            **_audit(chance),
        }


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("todos", type=int)
    arguments.add_argument("file", type=Path)
    chosen = arguments.parse_args()
    generate(chosen.todos, chosen.file)
