"""Migrations on real SQLite, PostgreSQL and DuckDB: one history, the same outcome."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
import pytest
import sqlalchemy as sa
from advanced_alchemy.alembic.commands import AlembicCommands
from advanced_alchemy.config import (
    AlembicAsyncConfig,
    AlembicSyncConfig,
    SQLAlchemyAsyncConfig,
    SQLAlchemySyncConfig,
)
from advanced_alchemy.types import GUID, DateTimeUTC, EncryptedString, JsonB, StoredObject
from sqlalchemy.ext.asyncio import create_async_engine

from tests.operations.databases import connected, execute
from toolkit.config import Config, Database
from toolkit.errors import (
    ConfigurationError,
    DatabaseUnavailableError,
    MigrationError,
    RevisionMismatchError,
    SchemaMismatchError,
    StatementError,
)
from toolkit.operations.migrations import environments, history, migrate, revisions, schema
from toolkit.operations.project import Project

ROOT = Path(__file__).parent.parent.parent
CONVENTION = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
HOSTILE = "we\"ird :t% 'é"


def owners(metadata: sa.MetaData) -> sa.Table:
    """Make the parent table that does not change."""
    return sa.Table(
        "owner",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("email", sa.String(50), nullable=False, unique=True),
    )


def first_schema() -> sa.MetaData:
    """Make a table of every sort of column and constraint, before the second migration."""
    metadata = sa.MetaData(naming_convention=CONVENTION)
    owners(metadata)
    sa.Table(
        "item",
        metadata,
        sa.Column("id", GUID, primary_key=True),
        sa.Column("owner_id", sa.ForeignKey("owner.id", ondelete="CASCADE"), index=True),
        sa.Column("name", sa.String(40), index=True),
        sa.Column("legacy", sa.Text),
        sa.Column("price", sa.Numeric(12, 3)),
        sa.Column("ratio", sa.Float),
        sa.Column("size", sa.BigInteger, server_default="7"),
        sa.Column("blob", sa.LargeBinary),
        sa.Column("details", JsonB),
        sa.Column("file", StoredObject(backend="nowhere")),
        sa.Column("kind", sa.Enum("A", "B", name="kind", native_enum=False, create_constraint=True)),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("noted_at", DateTimeUTC(timezone=True), server_default=sa.func.now()),
        sa.Column("seen", sa.DateTime),
        sa.Column("day", sa.Date),
        sa.Column("length", sa.Interval),
        sa.Column("flag", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.CheckConstraint("size > 0", name="positive"),
    )
    return metadata


def second_schema(name: str) -> sa.MetaData:
    """Make the same after the second migration, in which the table may get another name."""
    metadata = sa.MetaData(naming_convention=CONVENTION)
    owners(metadata)
    table = first_schema().tables["item"].to_metadata(metadata, name=name)
    table._columns.remove(table.c.legacy)
    table.c.name.nullable = False
    table.append_column(sa.Column("rank", sa.Integer, nullable=False, server_default="3"))
    table.append_column(sa.Column("note", sa.String(20)))
    table.indexes.clear()
    for index, column in {"ix_item_owner_id": "owner_id", "ix_item_name": "name", "ix_rank": "rank"}.items():
        sa.Index(index, table.c[column])
    table.append_constraint(sa.UniqueConstraint("name", "size", name="uq_name_size"))
    return metadata


def hostile_schema() -> sa.MetaData:
    """Make a table whose names have to be quoted in every way."""
    metadata = sa.MetaData(naming_convention=CONVENTION)
    sa.Table(
        HOSTILE,
        metadata,
        # Alembic itself does not get the name of PostgreSQL's sequence right.
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column(HOSTILE, sa.String(20)),
        sa.Column("select", sa.Integer, index=True),
        sa.Column("a, b]", sa.Integer),
        sa.Index('i"x', HOSTILE, "a, b]", unique=True),
    )
    return metadata


def rendered_schema() -> sa.MetaData:
    """Make columns of types that a migration file cannot simply repeat."""
    metadata = sa.MetaData()
    sa.Table(
        "secretive",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("secret", EncryptedString(key="very secret key", length=100)),
        sa.Column("own", UpperCase(10)),
        sa.Column("files", StoredObject(backend="nowhere", multiple=True)),
    )
    return metadata


class UpperCase(sa.TypeDecorator[str]):
    """A type of the user's own."""

    impl = sa.String
    cache_ok = True


def circular_schema() -> sa.MetaData:
    """Make two tables that refer to one another."""
    metadata = sa.MetaData()
    for name, other in (("hen", "egg"), ("egg", "hen")):
        reference = sa.ForeignKey(f"{other}.id", name=f"fk_{name}")
        sa.Table(name, metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("other", reference))
    return metadata


FIRST, SECOND, SECOND_IN_PLACE = first_schema(), second_schema("thing"), second_schema("item")
HOSTILE_NAMES, RENDERED, CIRCLE = hostile_schema(), rendered_schema(), circular_schema()
NOTHING = "def schema_upgrades(): ...\ndef data_upgrades(): ...\ndef data_downgrades(): ...\n"
MOMENT = datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
# The first migration, once it was made: its file's name and its text.
_MADE: dict[str, str] = {}

SECOND_UPGRADE = """
def schema_upgrades():
    with op.batch_alter_table("item") as batch_op:
        batch_op.add_column(sa.Column("rank", sa.Integer(), nullable=False, server_default="3"))
        batch_op.add_column(sa.Column("note", sa.String(length=20)))
        batch_op.alter_column("name", existing_type=sa.String(length=40), nullable=False)
        batch_op.create_unique_constraint("uq_name_size", ["name", "size"])
        batch_op.drop_column("legacy")
        batch_op.create_index("ix_rank", ["rank"])
    op.rename_table("item", "thing")


def schema_downgrades():
    op.rename_table("thing", "item")
    with op.batch_alter_table("item") as batch_op:
        batch_op.drop_index("ix_rank")
        batch_op.add_column(sa.Column("legacy", sa.Text()))
        batch_op.drop_constraint("uq_name_size", type_="unique")
        batch_op.alter_column("name", existing_type=sa.String(length=40), nullable=True)
        batch_op.drop_column("note")
        batch_op.drop_column("rank")


def data_upgrades():
    op.get_bind().execute(sa.text("UPDATE thing SET note = 'n' || rank"))


def data_downgrades():
    pass
"""


@pytest.fixture
def project(tmp_path: Path, config: Config) -> Config:
    """Make a project of its own, with a migrations directory and the first schema."""
    made = replace(config, root=tmp_path, migrations=tmp_path / "migrations", metadata=f"{__name__}:FIRST")
    history.init(made.migrations)
    return made


def of(project: Config, name: str) -> Config:
    """Choose another of the schemas above."""
    return replace(project, metadata=f"{__name__}:{name}")


def write_revision(project: Config, body: str, message: str, **options: Any) -> str:
    """Write a migration by hand; its identifier."""
    made = history.make_migrations(project.database("sqlite"), project, message, autogenerate=False, **options)
    assert made is not None
    text = made.path.read_text()
    made.path.write_text(text[: text.index("def schema_upgrades")] + body.lstrip())
    return made.revision


def make_first(project: Config) -> None:
    """Make the first migration: autogenerated on SQLite for the first that asks, the same file for all others."""
    if not _MADE:
        found = history.make_migrations(project.database("sqlite"), project, "first")
        assert found is not None
        _MADE[found.path.name] = found.path.read_text()
    for name, text in _MADE.items():
        (project.migrations / "versions" / name).write_text(text)


def with_second(project: Config) -> Config:
    """Make both migrations; the project with the schema after them."""
    make_first(project)
    write_revision(project, SECOND_UPGRADE, "second")
    return of(project, "SECOND")


def table_names(database: Database) -> set[str]:
    """Read the names of all tables but the record of the revision."""
    with connected(database) as connection:
        return set(sa.inspect(connection).get_table_names()) - {"alembic_versions"}


def fill(database: Database) -> None:
    """Insert a parent and two items."""
    rows = [
        {
            "id": f"00000000-0000-0000-0000-00000000000{number}",
            "owner_id": 1,
            "name": f"n{number}",
            "price": Decimal("1.125"),
            "details": {"k": [number, None]},
            "blob": b"\x00\xff",
            "created_at": MOMENT,
        }
        for number in (1, 2)
    ]
    with connected(database) as connection:
        connection.execute(FIRST.tables["owner"].insert(), [{"email": "a@b"}])
        connection.execute(FIRST.tables["item"].insert(), rows)


def items(database: Database, name: str) -> list[tuple[Any, ...]]:
    """Read what the items hold, as the models see it."""
    table = sa.Table(name, sa.MetaData(), *(sa.Column(each.name, each.type) for each in FIRST.tables["item"].c))
    read = ("id", "owner_id", "name", "price", "details", "blob", "size", "flag", "created_at")
    with connected(database) as connection:
        rows = connection.execute(sa.select(*(table.c[each] for each in read)).order_by(table.c.name)).all()
    return [tuple(row) for row in rows]


# -- the bundled history ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_bundled_history_leaves_nothing_to_do_and_nothing_behind(config: Config, database: Database) -> None:
    done = migrate.upgrade(database, config)
    assert (done.before, done.after) == (None, migrate.head_revision(config))
    assert history.make_migrations(database, config, "none") is None
    assert len(table_names(database)) == 7
    undone = migrate.downgrade(database, config, "base")
    assert (undone.before, undone.after) == (done.after, None)
    assert table_names(database) == set()
    again = migrate.upgrade(database, config)
    assert again.steps == done.steps
    assert migrate.upgrade(database, config).steps == ()


def test_bundled_directory_is_what_init_makes() -> None:
    for name in ("env.py", "script.py.mako"):
        assert (ROOT / "migrations" / name).read_text() == (environments.OWN_ENVIRONMENT / name).read_text()


def test_upgrade_writes_sql_without_touching_the_database(config: Config, database: Database) -> None:
    done = migrate.upgrade(database, config, sql=True)
    assert done.sql is not None
    assert done.sql.startswith("BEGIN")
    assert "CREATE TABLE todo " in done.sql
    assert ("FOREIGN KEY" in done.sql) == (database.name != "duckdb")
    assert revisions.current_revision(database, config) is None
    assert "DROP TABLE todo;" in (migrate.downgrade(database, config, "head:base", sql=True).sql or "")


@pytest.mark.parametrize("asked", ["op.get_bind().execute(sa.text('SELECT 1')).all()", "sa.inspect(op.get_bind())"])
def test_a_migration_that_asks_the_database_is_told_as_such_with_sql(project: Config, asked: str) -> None:
    upgrade = f"""
def schema_upgrades():
    {asked}
def schema_downgrades(): ...
def data_upgrades(): ...
def data_downgrades(): ...
"""
    write_revision(project, upgrade, "asking")
    with pytest.raises(MigrationError, match="with --sql there is none to answer") as error:
        migrate.upgrade(project.database("sqlite"), project, sql=True)
    assert "asking.py, line" in str(error.value)


def test_a_record_that_no_migration_has_is_told_as_that_of_the_database(project: Config) -> None:
    database = project.database("sqlite")
    make_first(project)
    migrate.upgrade(database, project)
    execute(database, "UPDATE alembic_versions SET version_num = 'lost'")
    for run in (migrate.upgrade, migrate.downgrade, migrate.stamp):
        with pytest.raises(MigrationError, match="sqlite is recorded at revision lost, which none") as error:
            run(database, project, "head")
        assert "stamp-migration REVISION --purge --database sqlite" in str(error.value)
    with pytest.raises(MigrationError, match="Can't locate revision identified by 'zz'"):
        migrate.upgrade(database, project, "zz")


# -- a history with rows in it ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_second_migration_keeps_the_rows_both_ways(project: Config, database: Database) -> None:
    after = with_second(project)
    first, second = (each.revision for each in reversed(history.revisions(project)))
    migrate.upgrade(database, project, first)
    fill(database)
    before = items(database, "item")
    assert len(before) == 2
    assert migrate.upgrade(database, after).after == second
    assert migrate.check(database, after).changes == ()
    assert items(database, "thing") == before
    assert migrate.downgrade(database, after, first).after == first
    assert items(database, "item") == before
    migrate.upgrade(database, after)
    assert items(database, "thing") == before
    with connected(database) as connection:
        connection.execute(FIRST.tables["owner"].insert(), [{"email": "c@d"}])
        numbers = connection.scalars(sa.text("SELECT id FROM owner ORDER BY id")).all()
    assert numbers == [1, 2]


def test_constraints_hold_after_the_migrations(project: Config, database: Database) -> None:
    migrate.upgrade(database, with_second(project))
    thing = SECOND.tables["thing"]
    row = {"id": "00000000-0000-0000-0000-000000000001", "name": "a", "size": 1, "created_at": MOMENT}
    other = row | {"id": "00000000-0000-0000-0000-000000000002"}
    with connected(database) as connection:
        connection.execute(thing.insert().values(row))
    for bad in (other, other | {"name": None}, other | {"name": "b", "size": -1}):
        with pytest.raises(sa.exc.DBAPIError), connected(database) as connection:
            connection.execute(thing.insert().values(bad))
    with connected(database) as connection:
        connection.execute(thing.insert().values(other | {"name": "b"}))
    with pytest.raises(sa.exc.DBAPIError), connected(database) as connection:
        connection.execute(sa.text("UPDATE thing SET kind = 'C'"))


@pytest.mark.slow
def test_each_engine_can_autogenerate(project: Config, database: Database) -> None:
    after = of(project, "SECOND_IN_PLACE")
    history.make_migrations(database, project, "first")
    migrate.upgrade(database, project)
    fill(database)
    rows = items(database, "item")
    assert set(migrate.check(database, after).changes) == {
        "add column item.rank",
        "add column item.note",
        "remove column item.legacy",
        "add index ix_rank on item (rank)",
        "add constraint uq_name_size on item (name, size)",
        "change nullable of item.name from True to False",
    }
    history.make_migrations(database, after, "second")
    migrate.upgrade(database, after)
    assert migrate.check(database, after).changes == ()
    assert items(database, "item") == rows
    migrate.downgrade(database, after)
    assert items(database, "item") == rows
    migrate.downgrade(database, after, "base")
    assert table_names(database) == set()


def test_rows_and_tables_change_in_one_migration(project: Config, database: Database) -> None:
    make_first(project)
    migrate.upgrade(database, project)
    fill(database)
    write_revision(
        project,
        """
def schema_upgrades():
    with op.batch_alter_table("item") as batch_op:
        batch_op.add_column(sa.Column("slug", sa.String(length=40)))
    op.execute("UPDATE item SET slug = 's-' || name, size = size + 1")
    op.execute("DELETE FROM item WHERE name = 'n2'")
    with op.batch_alter_table("item") as batch_op:
        batch_op.alter_column("slug", existing_type=sa.String(length=40), nullable=False)
        batch_op.create_unique_constraint("uq_item_slug", ["slug"])
        batch_op.drop_constraint("positive", type_="check")
        batch_op.create_check_constraint("small", "size < 100")
        batch_op.drop_constraint(batch_op.f("fk_item_owner_id_owner"), type_="foreignkey")
    with op.batch_alter_table("item") as batch_op:
        batch_op.alter_column("size", new_column_name="extent", existing_type=sa.BigInteger())
        batch_op.drop_column("name")


def data_upgrades():
    op.get_bind().execute(sa.text("UPDATE item SET extent = 50"))


def schema_downgrades(): ...
def data_downgrades(): ...
""",
        "second",
    )
    migrate.upgrade(database, project)
    with connected(database) as connection:
        found = connection.execute(sa.text("SELECT slug, extent FROM item"))
        assert [tuple(row) for row in found] == [("s-n1", 50)]
        inspector = sa.inspect(connection)
        assert {"ck_item_kind", "ck_item_small"} == {each["name"] for each in inspector.get_check_constraints("item")}
    with pytest.raises(sa.exc.DBAPIError), connected(database) as connection:
        connection.execute(sa.text("UPDATE item SET extent = 100"))


def test_a_migration_that_fails_leaves_nothing(project: Config, database: Database) -> None:
    make_first(project)
    write_revision(
        project,
        """
def schema_upgrades():
    op.create_table("left_over", sa.Column("id", sa.Integer(), primary_key=True))
    op.execute("INSERT INTO owner (email) VALUES ('x')")
    op.execute("INSERT INTO owner (email) VALUES ('x')")
def schema_downgrades(): ...
def data_upgrades(): ...
def data_downgrades(): ...
""",
        "second",
    )
    with pytest.raises(StatementError):
        migrate.upgrade(database, project)
    assert table_names(database) == set()
    assert revisions.current_revision(database, project) is None


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_error_in_a_migration_is_told(project: Config, database: Database) -> None:
    write_revision(project, "def schema_upgrades():\n    {}['missing']\ndef data_upgrades(): ...\n", "bad")
    with pytest.raises(MigrationError, match="KeyError: 'missing'"):
        migrate.upgrade(database, project)


def test_hostile_names(project: Config, database: Database) -> None:
    hostile = of(project, "HOSTILE_NAMES")
    history.make_migrations(database, hostile, "first")
    migrate.upgrade(database, hostile)
    assert migrate.check(database, hostile).changes == ()
    table = HOSTILE_NAMES.tables[HOSTILE]
    with connected(database) as connection:
        connection.execute(table.insert(), [{"id": 1, HOSTILE: "x", "select": 1, "a, b]": 2}])
        connection.execute(table.update().values({"select": 5}))
    write_revision(
        project,
        f"""
NAME = {HOSTILE!r}
def schema_upgrades():
    with op.batch_alter_table(NAME) as batch_op:
        batch_op.alter_column("select", existing_type=sa.Integer(), nullable=False)
        batch_op.add_column(sa.Column("c d", sa.Integer()))
        batch_op.create_index("i y", ["c d", "select"])
        batch_op.create_check_constraint(NAME, sa.column(NAME) != "it's :y")
    op.rename_table(NAME, NAME + "2")
def schema_downgrades(): ...
def data_upgrades(): ...
def data_downgrades(): ...
""",
        "second",
    )
    migrate.upgrade(database, hostile)
    renamed = table.to_metadata(sa.MetaData(), name=HOSTILE + "2")
    with connected(database) as connection:
        connection.execute(renamed.insert(), [{"id": 2, HOSTILE: "y", "select": 1}])
        assert [tuple(row) for row in connection.execute(sa.select(renamed).order_by(renamed.c.id))] == [
            (1, "x", 5, 2),
            (2, "y", 1, None),
        ]


# -- the record of the revision --------------------------------------------------------------------------------


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_stamp_records_and_purges(project: Config, database: Database) -> None:
    with_second(project)
    first, second = (each.revision for each in reversed(history.revisions(project)))
    assert migrate.stamp(database, project, "head").after == second
    assert migrate.show_current_revision(database, project).is_head
    assert migrate.stamp(database, project, first).after == first
    assert migrate.show_current_revision(database, project) == migrate.CurrentRevision(database.name, first, second)
    assert table_names(database) == set()
    with connected(database) as connection:
        connection.execute(sa.text("UPDATE alembic_versions SET version_num = 'unknown'"))
    with pytest.raises(MigrationError, match="unknown"):
        migrate.upgrade(database, project)
    assert migrate.stamp(database, project, first, purge=True).after == first


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_history_is_run_without_models(project: Config, database: Database) -> None:
    with_second(project)
    bare = replace(project, metadata="")
    assert migrate.upgrade(database, bare).after == migrate.head_revision(project)
    with connected(database) as connection:
        assert {"owner"} <= set(sa.inspect(connection).get_table_names())
    migrate.downgrade(database, bare, "base")
    assert migrate.stamp(database, bare, "head").after == migrate.head_revision(project)
    with pytest.raises(ConfigurationError, match="No models are configured"):
        migrate.check(database, bare)


def test_looking_makes_no_file(project: Config) -> None:
    for name in ("sqlite", "duckdb"):
        database = project.database(name)
        assert revisions.current_revision(database, project) is None
        assert migrate.drop_all(database, project).tables == ()
        assert database.file is not None
        assert not database.file.exists()


def test_drop_all_takes_only_its_own(project: Config, database: Database) -> None:
    make_first(project)
    migrate.upgrade(database, project)
    with connected(database) as connection:
        connection.execute(sa.text("CREATE TABLE somebody_elses (id INTEGER)"))
    assert migrate.drop_all(database, project).tables == ("alembic_versions", "item", "owner")
    assert table_names(database) == {"somebody_elses"}


def test_drop_all_of_tables_that_refer_to_one_another(project: Config, database: Database) -> None:
    schema.ensure_schema(database, replace(of(project, "CIRCLE"), migrations=Path("none")))
    assert migrate.drop_all(database, of(project, "CIRCLE")).tables == ("egg", "hen")


# -- ensure_schema ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "duckdb"], indirect=True)
def test_ensure_schema_upgrades_what_is_empty(project: Config, database: Database) -> None:
    after = with_second(project)
    first, second = (each.revision for each in reversed(history.revisions(project)))
    assert schema.ensure_schema(database, after)
    assert not schema.ensure_schema(database, after)
    migrate.downgrade(database, after, first)
    with pytest.raises(RevisionMismatchError) as caught:
        schema.ensure_schema(database, after)
    assert (caught.value.found, caught.value.expected) == (first, second)
    assert f"toolkit database upgrade --database {database.name}" in str(caught.value)
    migrate.downgrade(database, after, "base")
    assert schema.ensure_schema(database, after)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_ensure_schema_accepts_create_all(project: Config, database: Database) -> None:
    after = with_second(project)
    with connected(database) as connection:
        SECOND.create_all(connection)
    assert not schema.ensure_schema(database, after)
    with connected(database) as connection:
        connection.execute(sa.text("DROP TABLE thing"))
    with pytest.raises(SchemaMismatchError, match="no table thing"):
        schema.ensure_schema(database, after)


def test_ensure_schema_without_migrations_makes_the_tables(project: Config, database: Database) -> None:
    bare = replace(project, migrations=project.root / "none")
    assert schema.ensure_schema(database, bare)
    assert not schema.ensure_schema(database, bare)
    assert table_names(database) == {"item", "owner"}
    assert revisions.current_revision(database, bare) is None


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_ensure_schema_refuses_a_database_that_was_stamped_without_having_the_tables(
    project: Config, database: Database
) -> None:
    make_first(project)
    migrate.stamp(database, project, "head")
    with pytest.raises(SchemaMismatchError, match=r"has none of its tables.*\n.*stamp-migration base"):
        schema.ensure_schema(database, project)
    migrate.stamp(database, project, "base")
    assert schema.ensure_schema(database, project)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_ensure_schema_refuses_the_history_of_another_schema(project: Config, database: Database) -> None:
    make_first(project)
    with pytest.raises(SchemaMismatchError, match="make no table thing"):
        schema.ensure_schema(database, of(project, "SECOND"))
    assert table_names(database) == set()


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_bookkeeping_tables_neither_count_nor_are_dropped(project: Config, database: Database) -> None:
    make_first(project)
    with connected(database) as connection:
        connection.execute(sa.text("CREATE TABLE toolkit_runs (id INTEGER)"))
        connection.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
    assert schema.ensure_schema(database, project)
    assert migrate.check(database, project).changes == ()


# -- the history -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("database", ["sqlite", "duckdb"], indirect=True)
def test_a_history_is_not_begun_with_a_database_that_has_the_tables(project: Config, database: Database) -> None:
    with connected(database) as connection:
        FIRST.create_all(connection)
    with pytest.raises(MigrationError, match="a first migration would be empty") as caught:
        history.make_migrations(database, project, "first")
    assert f"stamp-migration head --database {database.name}" in str(caught.value)
    assert history.make_migrations(project.database(f"sqlite:///{project.root}/empty.db"), project) is not None
    migrate.stamp(database, project, "head")
    assert migrate.check(database, project).changes == ()


def test_identifiers_are_the_same_everywhere(project: Config, tmp_path: Path) -> None:
    other = replace(project, migrations=tmp_path / "elsewhere")
    history.init(other.migrations)
    names = []
    for each in (project, other):
        history.make_migrations(each.database("sqlite"), each, "first")
        write_revision(each, SECOND_UPGRADE, "second")
        names.append(sorted(path.name for path in (each.migrations / "versions").glob("*.py")))
    assert names[0] == names[1]
    assert [name[:5] for name in names[0]] == ["0001_", "0002_"]


def test_two_heads_are_merged(project: Config) -> None:
    database = project.database("sqlite")
    root = write_revision(project, NOTHING, "root")
    left = write_revision(project, NOTHING, "left")
    right = write_revision(project, NOTHING, "right", head=root, splice=True)
    assert {each.revision for each in history.heads(project)} == {left, right}
    assert [each.revision for each in history.branches(project)] == [root]
    with pytest.raises(MigrationError, match="2 heads"):
        migrate.head_revision(project)
    with pytest.raises(MigrationError, match=r"[Mm]ultiple[^\n]*\nJoin them: toolkit database merge-migrations"):
        migrate.upgrade(database, project)
    migrate.upgrade(database, project, left)
    with pytest.raises(RevisionMismatchError, match="toolkit database upgrade heads --database sqlite"):
        migrate.check(database, project)
    merged = history.merge(project)
    assert set(merged.parents) == {left, right}
    assert migrate.head_revision(project) == merged.revision
    assert [each.revision for each in history.show(project, merged.revision[:9])] == [merged.revision]
    assert len(history.revisions(project)) == 4
    assert [each.revision for each in history.revisions(project, f"{left}:{left}")] == [left]
    with pytest.raises(MigrationError, match="nothing to merge"):
        history.merge(project)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_history_marks_where_a_database_stands(project: Config, database: Database) -> None:
    with_second(project)
    first, second = (each.revision for each in reversed(history.revisions(project)))
    migrate.upgrade(database, project, first)
    assert [each.is_current for each in history.revisions(project, database=database)] == [False, True]
    assert [each.revision for each in history.revisions(project, "current:", database)] == [second, first]
    assert [each.revision for each in history.show(project, "current", database)] == [first]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_check_wants_all_migrations_run(project: Config, database: Database) -> None:
    after = with_second(project)
    with pytest.raises(RevisionMismatchError, match="none"):
        migrate.check(database, after)
    with pytest.raises(RevisionMismatchError):
        history.make_migrations(database, after, "third")
    migrate.upgrade(database, after)
    found = migrate.check(database, project).changes
    assert "add table item" in found


def test_mistakes_are_told(project: Config, tmp_path: Path) -> None:
    database = project.database("sqlite")
    with pytest.raises(MigrationError, match="not a migrations directory"):
        migrate.upgrade(database, replace(project, migrations=tmp_path / "none"))
    with pytest.raises(MigrationError, match="not empty"):
        history.init(project.migrations)
    with pytest.raises(MigrationError, match="holds no migrations"):
        migrate.head_revision(project)
    with pytest.raises(MigrationError, match="nonsense"):
        migrate.upgrade(database, project, "nonsense")
    with pytest.raises(MigrationError, match="not a range"):
        history.revisions(project, "0001")
    write_revision(project, NOTHING, "same")
    with pytest.raises(MigrationError, match="already"):
        write_revision(project, NOTHING, "same", head="base", splice=True)
    unreachable = replace(database, name="far", address="postgresql://u:hunter2@127.0.0.1:1/x?connect_timeout=1")
    with pytest.raises(DatabaseUnavailableError) as caught:
        migrate.upgrade(unreachable, project)
    assert "hunter2" not in str(caught.value)


def test_a_percent_sign_in_the_path(project: Config, tmp_path: Path) -> None:
    odd = replace(project, migrations=tmp_path / "100%(here)s")
    history.init(odd.migrations)
    history.make_migrations(odd.database("sqlite"), odd, "first")
    assert migrate.upgrade(odd.database("sqlite"), odd).after == migrate.head_revision(odd)


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_migration_files_hold_no_keys_and_import_own_types(project: Config, database: Database) -> None:
    rendered = of(project, "RENDERED")
    made = history.make_migrations(database, rendered, "first")
    assert made is not None
    text = made.path.read_text()
    assert "very secret key" not in text
    assert f"import {__name__}" in text
    assert "sa.StoredObject(backend='nowhere', multiple=True)" in text
    migrate.upgrade(database, rendered)
    assert migrate.check(database, rendered).changes == ()


# -- Advanced Alchemy's own commands ---------------------------------------------------------------------------


def alchemy(config: Config, engine: sa.Engine) -> AlembicCommands:
    """Configure Advanced Alchemy as an application does, under a bind key of its own."""
    alembic_config = AlembicSyncConfig(script_location=str(config.migrations))
    return AlembicCommands(
        SQLAlchemySyncConfig(engine_instance=engine, bind_key="app", metadata=FIRST, alembic_config=alembic_config)
    )


@pytest.mark.parametrize("database", ["duckdb"], indirect=True)
def test_advanced_alchemy_runs_the_same_history(project: Config, database: Database) -> None:
    make_first(project)
    engine = database.engine
    alchemy(project, engine).upgrade()
    alchemy(project, engine).check()
    engine.dispose()
    assert migrate.show_current_revision(database, project).is_head


@pytest.mark.parametrize("name", ["sqlite", "postgres"])
def test_advanced_alchemy_runs_the_same_history_on_an_asynchronous_engine(project: Config, name: str) -> None:
    database = project.database(name)
    make_first(project)
    driver = "sqlite+aiosqlite" if name == "sqlite" else "postgresql+psycopg"
    engine = create_async_engine(database.url.set(drivername=driver))
    settings = AlembicAsyncConfig(script_location=str(project.migrations))
    commands = AlembicCommands(
        SQLAlchemyAsyncConfig(engine_instance=engine, bind_key="app", metadata=FIRST, alembic_config=settings)
    )
    commands.upgrade()
    assert migrate.show_current_revision(database, project).is_head
    assert migrate.check(database, project).changes == ()
    commands.downgrade("base")
    assert table_names(database) == set()


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_revisions_of_advanced_alchemy_run(project: Config, database: Database) -> None:
    write_revision(
        project,
        """
def upgrade():
    with op.get_context().autocommit_block():
        op.create_table("one", sa.Column("id", sa.GUID(length=16), primary_key=True))

def downgrade():
    with op.get_context().autocommit_block():
        op.drop_table("one")
# def schema_upgrades
""",
        "theirs",
    )
    migrate.upgrade(database, project)
    assert table_names(database) == {"one"}
    migrate.downgrade(database, project)
    assert table_names(database) == set()
    assert revisions.current_revision(database, project) is None


def test_enforced_foreign_keys_delete_no_children(project: Config) -> None:
    database = project.database("sqlite")
    make_first(project)
    migrate.upgrade(database, project)
    fill(database)
    write_revision(
        project,
        """
def schema_upgrades():
    with op.batch_alter_table("owner", recreate="always") as batch_op:
        batch_op.alter_column("email", nullable=True)
def data_upgrades(): ...
""",
        "copy the parent",
    )
    engine = database.engine
    sa.event.listen(engine, "connect", lambda driver, _: driver.execute("PRAGMA foreign_keys = ON"))
    alchemy(project, engine).upgrade()
    with engine.connect() as connection:
        assert connection.scalar(sa.text("PRAGMA foreign_keys")) == 1
    engine.dispose()
    assert len(items(database, "item")) == 2


# -- applications with an env.py of their own ------------------------------------------------------------------


@dataclass(frozen=True)
class Application:
    """A project made by `alembic init`, with one migration; `settings` is its alembic.ini."""

    config: Config
    settings: Path

    def alembic(self, url: sa.URL) -> alembic.config.Config:
        """What the application's own `alembic` command uses, on one of its databases."""
        found = alembic.config.Config(self.settings)
        found.set_main_option("sqlalchemy.url", url.render_as_string(hide_password=False).replace("%", "%%"))
        return found

    def edit_environment(self, old: str, new: str) -> None:
        path = self.config.migrations / "env.py"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))


@pytest.fixture
def application(config: Config, tmp_path: Path) -> Application:
    return an_application(config, tmp_path / "app", "generic")


def an_application(config: Config, root: Path, template: str) -> Application:
    """Make one; its folder has a name that Alembic would take for two paths."""
    folder, settings = root / "own, and other", root / "alembic.ini"
    alembic.command.init(alembic.config.Config(settings), str(folder), template=template)
    alembic.command.revision(alembic.config.Config(settings), "one", rev_id="abc")
    (script,) = (folder / "versions").glob("*.py")
    up, down, rest = script.read_text().split("pass")
    script.write_text(f"{up}op.execute('CREATE TABLE kept (id INTEGER)'){down}op.execute('DROP TABLE kept'){rest}")
    return Application(replace(config, migrations=folder, root=root, metadata=f"{__name__}:KEPT"), settings)


KEPT = sa.MetaData()
sa.Table("kept", KEPT, sa.Column("id", sa.Integer, primary_key=True))


@pytest.mark.parametrize("name", ["sqlite", "postgres"])
def test_what_plain_alembic_recorded_is_read_and_kept_and_what_is_recorded_is_read_by_it(
    application: Application, name: str
) -> None:
    database, own = application.config.database(name), application.config
    theirs = application.alembic(database.url)
    alembic.command.upgrade(theirs, "head")
    assert migrate.show_current_revision(database, own).is_head
    assert not schema.ensure_schema(database, own)
    assert migrate.upgrade(database, own).steps == ()
    assert migrate.downgrade(database, own, "base").before == "abc"
    alembic.command.upgrade(theirs, "head")
    migrate.downgrade(database, own, "base")
    migrate.upgrade(database, own)
    alembic.command.downgrade(theirs, "base")
    assert table_names(database) == {"alembic_version"}
    assert revisions.current_revision(database, own) is None


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_migrations_of_plain_alembic_make_a_database_and_record_as_it_would(
    application: Application, database: Database
) -> None:
    own = application.config
    assert schema.ensure_schema(database, own)
    assert table_names(database) == {"kept", "alembic_version"}
    assert migrate.show_current_revision(database, own).is_head
    made = history.make_migrations(database, own, "two", autogenerate=False)
    assert made is not None
    assert made.path.parent == own.migrations / "versions"
    assert migrate.upgrade(database, own).after == made.revision
    assert migrate.stamp(database, own, "abc").after == "abc"
    assert migrate.drop_all(database, own).tables == ("alembic_version", "kept")
    assert table_names(database) == set()


def test_an_environment_that_connects_by_itself_is_not_run(application: Application, tmp_path: Path) -> None:
    """Alembic's own env.py runs on the URL of alembic.ini: a downgrade of a copy would empty the original."""
    own = application.config
    original, copy = (own.database(f"sqlite:///{tmp_path}/{name}.db") for name in ("original", "copy"))
    text = application.settings.read_text()
    application.settings.write_text(text.replace("driver://user:pass@localhost/dbname", str(original.url)))
    alembic.command.upgrade(alembic.config.Config(application.settings), "head")
    assert migrate.stamp(copy, own, "head").after == "abc"
    migrate.stamp(copy, own, "base")
    assert "CREATE TABLE kept" in (migrate.upgrade(copy, own, sql=True).sql or "")
    migrate.upgrade(copy, own)
    assert "kept" in table_names(copy)
    migrate.downgrade(copy, own, "base")
    assert table_names(copy) == {"alembic_version"}
    assert "kept" in table_names(original)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_environment_for_asynchronous_engines_is_left_to_the_application(config: Config, database: Database) -> None:
    import advanced_alchemy.alembic

    own = an_application(config, config.root / "async", "async").config
    migrate.upgrade(database, own)
    assert table_names(database) == {"kept", "alembic_version"}
    migrate.downgrade(database, own, "base")

    template = Path(advanced_alchemy.alembic.__file__).parent / "templates" / "asyncio"
    shutil.copy(template / "env.py", own.migrations)
    shutil.copy(template / "alembic.ini.mako", own.root / "alembic.ini")
    assert not migrate.show_current_revision(database, own).is_head
    migrate.upgrade(database, own)
    assert table_names(database) == {"kept", "alembic_version"}
    assert Project(own).version_table.name == "alembic_versions"
    assert migrate.show_current_revision(database, own).is_head


def test_migrations_of_several_databases_at_once_are_refused_before_anything_is_made(config: Config) -> None:
    """As `alembic init --template multidb` and `flask db init --multidb` make them."""
    own = an_application(config, config.root / "app", "generic").config
    (script,) = (own.migrations / "versions").glob("*.py")
    single = script.read_text()
    script.write_text(single.replace("grade() -> None:", "grade(engine_name: str) -> None:"))
    database = own.database("sqlite")
    refusing: tuple[Callable[[], Any], ...] = (
        lambda: migrate.upgrade(database, own),
        lambda: migrate.downgrade(database, own),
        lambda: schema.ensure_schema(database, own),
        lambda: history.make_migrations(database, own, "more", autogenerate=False),
    )
    for refused in refusing:
        with pytest.raises(MigrationError, match=r"several databases at once: abc_one.py has upgrade\(engine_name\)"):
            refused()
    assert not Path(database.place).exists()
    assert list((own.migrations / "versions").glob("*.py")) == [script]
    # What the application's own command made is as good as any.
    with connected(database) as connection:
        KEPT.create_all(connection)
    migrate.stamp(database, own, "head")
    assert not schema.ensure_schema(database, own)
    assert migrate.check(database, own).changes == ()
    script.write_text(single.replace("grade() -> None:", "grade(engine_name: str = '', *, other=1, **more) -> None:"))
    assert migrate.upgrade(database, own).steps == ()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_table_of_versions_is_the_one_that_env_py_names(application: Application, database: Database) -> None:
    own = application.config
    application.edit_environment("context.configure(", 'context.configure(version_table="our_versions",')
    migrate.upgrade(database, own)
    assert table_names(database) == {"kept", "our_versions"}
    assert migrate.show_current_revision(database, replace(own, version_table="not_this")).is_head
    migrate.downgrade(database, own, "base")
    assert schema.ensure_schema(database, own), "a record of no revision is no table of the application"


@pytest.mark.parametrize("are_plain", [True, False], ids=["plain", "own"])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_table_of_versions_is_the_one_that_the_settings_name(
    application: Application, project: Config, database: Database, are_plain: bool
) -> None:
    if not are_plain:
        make_first(project)
    own = replace(application.config if are_plain else project, version_table="our_versions")
    migrate.upgrade(database, own)
    assert "our_versions" in table_names(database)
    assert not {"alembic_version", "alembic_versions"} & set(migrate.drop_all(database, own).tables)
    assert table_names(database) == set()


def test_the_table_of_versions_may_be_in_another_schema(application: Application) -> None:
    own, database = application.config, application.config.database("postgres")
    application.edit_environment("context.configure(", 'context.configure(version_table_schema="ours",')
    with connected(database) as connection:
        connection.execute(sa.text("CREATE SCHEMA ours"))
    migrate.upgrade(database, own)
    assert table_names(database) == {"kept"}
    assert migrate.show_current_revision(database, own).is_head
    assert not schema.ensure_schema(database, own)
    alembic.command.downgrade(application.alembic(database.url), "base")
    assert revisions.current_revision(database, own) is None


def test_an_environment_of_an_earlier_version_is_run_as_todays(project: Config) -> None:
    path, database = project.migrations / "env.py", project.database("sqlite")
    text = path.read_text().replace("toolkit.migration_environment", "toolkit.operations.migration_environment")
    # An argument of its own shows that it was run.
    path.write_text(text.replace("\nrun_migrations()\n", '\nrun_migrations(version_table="of_its_own")\n'))
    assert "toolkit.operations.migration_environment" in path.read_text()
    migrate.upgrade(database, project)
    assert migrate.show_current_revision(database, project).is_head
    assert "of_its_own" in table_names(database)


def test_an_environment_that_is_no_python_is_told(project: Config) -> None:
    (project.migrations / "env.py").write_text("from toolkit.migration_environment import (")
    with pytest.raises(MigrationError, match="SyntaxError"):
        migrate.upgrade(project.database("sqlite"), project)
