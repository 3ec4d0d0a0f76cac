"""Tables in which migration tools record what they did: each database has, or needs, a record of its own."""

from __future__ import annotations

from toolkit.operations.migrations.revisions import is_bookkeeping

# In lower case.
_RECORDS = frozenset(
    {
        "__diesel_schema_migrations",
        "__drizzle_migrations",
        "__efmigrationshistory",
        "__efmigrationslock",
        "_prisma_migrations",
        "_sqlx_migrations",
        "ar_internal_metadata",
        "databasechangelog",
        "databasechangeloglock",
        "ddl_version",
        "django_migrations",
        "flyway_schema_history",
        "goose_db_version",
        "knex_migrations",
        "knex_migrations_lock",
        "migration_log",
        "schema_migrations",
        "schemaversion",
        "versioninfo",
    }
)


def is_own(name: str) -> bool:
    """Whether a table of that name is this toolkit's."""
    return name.startswith("toolkit_")


def is_record(name: str) -> bool:
    """Whether a table of that name, without its schema, is a migration tool's."""
    return is_bookkeeping(name) or name.lower() in _RECORDS
