"""Tables in which migration tools record what they did: each database has, or needs, a record of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterable

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
        "_yoyo_log",
        "_yoyo_migration",
        "_yoyo_version",
        "aerich",
        "ar_internal_metadata",
        "atlas_schema_revisions",
        "bun_migration_locks",
        "bun_migrations",
        "databasechangelog",
        "databasechangeloglock",
        "ddl_version",
        "django_migrations",
        "doctrine_migration_versions",
        "flyway_schema_history",
        "goose_db_version",
        "gorp_migrations",
        "knex_migrations",
        "knex_migrations_lock",
        "kysely_migration",
        "kysely_migration_lock",
        "migratehistory",
        "migration_log",
        "mikro_orm_migrations",
        "phinxlog",
        "refinery_schema_history",
        "schema_migrations",
        "schemaversion",
        "seaql_migrations",
        "sequelizemeta",
        "strapi_migrations",
        "strapi_migrations_internal",
        "versioninfo",
    }
)
# Of names that anything may have, the columns that make one a record: TypeORM's, Laravel's.
_COLUMNS = {"migrations": (frozenset({"id", "timestamp", "name"}), frozenset({"id", "migration", "batch"}))}
# Alembic's, whose name is the application's to choose.
_REVISION = frozenset({"version_num"})


def is_own(name: str) -> bool:
    """Whether a table of that name is this toolkit's."""
    return name.startswith("toolkit_")


def is_record(name: str, columns: Collection[str] = ()) -> bool:
    """Whether a table of that name, without its schema, and of these columns, is a migration tool's."""
    found = frozenset(columns)
    return (
        is_bookkeeping(name)
        or name.lower() in _RECORDS
        or is_alembic_record(columns)
        or found in _COLUMNS.get(name.lower(), ())
    )


def is_alembic_record(columns: Iterable[str]) -> bool:
    """Whether a table of these columns records a revision, whatever its name is."""
    return frozenset(columns) == _REVISION
