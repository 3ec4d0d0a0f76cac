"""A dozen applications' databases, each as its framework writes it: what the tests know of them beside their files.

`STYLE.sqlite.sql` is the file with its rows, `STYLE.postgres.sql` the same application's tables in PostgreSQL, without
rows. `STYLE.rows` has what PostgreSQL itself shows of each row when it has arrived in these tables and in an empty
database, and the rows of a file that they come back to, where SQLite then has other forms of the same values.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg

HERE = Path(__file__).parent
INTO_TABLES, INTO_NOTHING, BACK = "into its own tables", "into an empty database", "back in a file, where it is other"
_FOREIGN_KEYS = """
SELECT conrelid::regclass::text, confrelid::regclass::text, confupdtype, confdeltype
FROM pg_constraint WHERE contype = 'f' AND convalidated
"""
_ACTIONS = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}


@dataclass(frozen=True)
class Style:
    """One application: its migration tool's records, and a row to insert, with the number that it gets.

    `insert_into_made` is the same where the tables are made, if their names are others than the application's.
    `into_tables` and `into_nothing` are the conversions that its values need, which the refusal without them names.
    """

    name: str
    record: str
    insert: str = ""
    next_number: int = 0
    insert_into_made: str = ""
    into_tables: tuple[str, ...] = ()
    into_nothing: tuple[str, ...] = ()

    def script(self, engine: str) -> str:
        """The statements that make it in an engine."""
        return (HERE / f"{self.name}.{engine}.sql").read_text()

    def rows(self, part: str) -> list[str]:
        """What is expected of one way."""
        _, _, rest = (HERE / f"{self.name}.rows").read_text().partition(f"# {part}\n")
        return [line for line in rest.partition("\n#")[0].splitlines() if line]


def make_file(style: Style, path: Path) -> None:
    """The application's SQLite file."""
    connection = sqlite3.connect(path)
    connection.executescript(style.script("sqlite"))
    connection.close()


def shown_rows(url: str) -> list[str]:
    """Every row of a PostgreSQL database, by its own output."""
    with psycopg.connect(url, options="-c TimeZone=UTC") as connection:
        tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        return sorted(
            f"{table}: {_one_line(row)}"
            for (table,) in connection.execute(tables).fetchall()
            for (row,) in connection.execute(f'SELECT t::text FROM "{table}" t'.encode()).fetchall()
        )


def other_rows(path: Path, original: Path) -> list[str]:
    """The rows of a file that another one lacks, of the tables of the former."""
    there, known = _file_rows(path), _file_rows(original)
    return sorted(f"{table}: {row}" for table, rows in there.items() for row in rows - known[table])


def _one_line(text: str) -> str:
    return text.replace("\r", "\\r").replace("\n", "\\n")


def _file_rows(path: Path) -> Mapping[str, frozenset[tuple[object, ...]]]:
    connection = sqlite3.connect(path)
    tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
    found = {name: frozenset(connection.execute(f'SELECT * FROM "{name}"')) for (name,) in tables.fetchall()}
    connection.close()
    return found


def foreign_keys(url: str) -> list[tuple[str, ...]]:
    """The foreign keys of a PostgreSQL database that hold: child, parent and actions, in lower case."""
    with psycopg.connect(url) as connection:
        return sorted(
            (child.strip('"').lower(), parent.strip('"').lower(), _ACTIONS[update], _ACTIONS[delete])
            for child, parent, update, delete in connection.execute(_FOREIGN_KEYS)
        )


def foreign_keys_of_file(path: Path) -> list[tuple[str, ...]]:
    """The same of a SQLite file."""
    connection = sqlite3.connect(path)
    found = connection.execute(
        "SELECT lower(t.name), lower(k.'table'), k.on_update, k.on_delete "
        "FROM sqlite_schema t, pragma_foreign_key_list(t.name) k WHERE t.type = 'table' AND k.seq = 0"
    ).fetchall()
    connection.close()
    return sorted(found)


_NANOSECONDS = ("users.created_at:truncate-microseconds",)
_STRAPI = ("admin_users.created_at:epoch-ms", "articles.published_at:epoch-ms")

STYLES = (
    Style("diesel", "__diesel_schema_migrations", into_tables=_NANOSECONDS, into_nothing=_NANOSECONDS),
    Style(
        "gorm",
        "schema_migrations",
        "INSERT INTO users (name) VALUES ('x') RETURNING id",
        10,
        into_tables=_NANOSECONDS,
        into_nothing=_NANOSECONDS,
    ),
    Style("efcore", "__EFMigrationsHistory", """INSERT INTO "Tags" ("Label") VALUES ('x') RETURNING "Id\"""", 3),
    Style(
        "prisma",
        "_prisma_migrations",
        """INSERT INTO "Post" ("title") VALUES ('x') RETURNING id""",
        9,
        into_tables=("User.createdAt:epoch-ms",),
        into_nothing=("User.createdAt:epoch-ms",),
    ),
    Style(
        "strapi",
        "knex_migrations",
        "INSERT INTO articles_categories_lnk (article_ord) VALUES (1) RETURNING id",
        6,
        into_tables=_STRAPI,
        into_nothing=_STRAPI,
    ),
    Style("typeorm", "migrations", "INSERT INTO post (title) VALUES ('x') RETURNING id", 3),
    Style(
        "django",
        "django_migrations",
        "INSERT INTO auth_user VALUES (DEFAULT, '', NULL, false, 'x', '2024-01-01') RETURNING id",
        41,
        into_tables=("shop_rental.lasts:epoch-us",),
    ),
    Style(
        "rails", "schema_migrations", "INSERT INTO comments (account_id, created_at) VALUES (1, now()) RETURNING id", 13
    ),
    Style("peewee", "migratehistory", "INSERT INTO upload (content, size, share) VALUES ('', 1, 1) RETURNING id", 3),
    Style(
        "hibernate",
        "flyway_schema_history",
        "INSERT INTO book (active) VALUES (true) RETURNING id",
        5,
        into_tables=("book.created_at:epoch-ms",),
        into_nothing=("book.created_at:epoch-ms",),
    ),
    Style(
        "drizzle",
        "__drizzle_migrations",
        "INSERT INTO users (full_name) VALUES ('x') RETURNING id",
        3,
        into_tables=("users.created_at:epoch-s", "posts.published_ms:epoch-ms"),
    ),
    Style(
        "handwritten",
        "SchemaVersion",
        "INSERT INTO person (born) VALUES ('2024-01-01') RETURNING id",
        8,
        'INSERT INTO "Person" (born) VALUES (NULL) RETURNING "Id"',
    ),
)
