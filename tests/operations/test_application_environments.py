"""An application's own `env.py`: what it leaves out is not dropped, its UUIDs stay, what it commits is told."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import advanced_alchemy.alembic
import alembic.command
import alembic.config
import pytest
import sqlalchemy as sa
from advanced_alchemy.types import GUID

from tests.operations.databases import connected, execute
from toolkit.config import Config, Database
from toolkit.errors import ConfigurationError, MigrationError, StatementError
from toolkit.operations.migrations import history, migrate
from toolkit.operations.migrations.revisions import current_revision

TEMPLATES = Path(advanced_alchemy.alembic.__file__).parent / "templates"


def tasks(length: int) -> sa.MetaData:
    """A table keyed by UUIDs, and one that goes with its rows."""
    metadata = sa.MetaData()
    sa.Table("task", metadata, sa.Column("id", GUID, primary_key=True), sa.Column("title", sa.String(length)))
    task = sa.ForeignKey("task.id", ondelete="CASCADE", name="fk_note_task")
    sa.Table("note", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("task_id", GUID, task))
    return metadata


TASKS, LONGER = tasks(20), tasks(30)
KEY = b"\x01\x23" * 8


def project_with(config: Config, root: Path, template: str) -> Config:
    """A project whose env.py one of the usual tools made."""
    made = replace(config, root=root, migrations=root / "migrations", metadata=f"{__name__}:TASKS")
    if template in {"sync", "asyncio"}:
        (made.migrations / "versions").mkdir(parents=True)
        for name in ("env.py", "script.py.mako"):
            shutil.copy(TEMPLATES / template / name, made.migrations)
    elif template == "own":
        history.init(made.migrations)
    else:
        alembic.command.init(alembic.config.Config(root / "alembic.ini"), str(made.migrations), template=template)
    return made


@pytest.mark.parametrize("template", ["sync", "asyncio", "generic", "async", "own"])
def test_uuids_and_children_outlive_a_change_of_their_table_whosever_env_py_it_is(
    config: Config, tmp_path: Path, template: str
) -> None:
    project = project_with(config, tmp_path, template)
    database = project.database("sqlite")
    history.make_migrations(database, project, "one")
    migrate.upgrade(database, project)
    assert migrate.check(database, project).changes == ()
    with connected(database) as connection:
        connection.exec_driver_sql("INSERT INTO task VALUES (?, 'a')", (KEY,))
        connection.exec_driver_sql("INSERT INTO note VALUES (1, ?)", (KEY,))
    longer = replace(project, metadata=f"{__name__}:LONGER")

    def enforce(driver: Any, _: Any) -> None:
        # The way of SQLAlchemy's own documentation.
        driver.execute("PRAGMA foreign_keys = ON")

    sa.event.listen(sa.Engine, "connect", enforce)
    try:
        (change,) = migrate_to(database, longer)
    finally:
        sa.event.remove(sa.Engine, "connect", enforce)
    assert "change type of task.title" in change
    with connected(database) as connection:
        assert connection.exec_driver_sql("SELECT id, title FROM task").one() == (KEY, "a")
        assert connection.exec_driver_sql("SELECT task_id FROM note").scalar_one() == KEY
    assert migrate.check(database, longer).changes == ()


def migrate_to(database: Database, config: Config) -> tuple[str, ...]:
    """Make the database like the models; the differences before."""
    changes = migrate.check(database, config).changes
    assert history.make_migrations(database, config, "two") is not None
    migrate.upgrade(database, config)
    return changes


def test_the_tools_own_tables_are_no_difference_under_advanced_alchemys_env_py(config: Config, tmp_path: Path) -> None:
    project = project_with(config, tmp_path, "sync")
    database = project.database("sqlite")
    migrate_to_first(database, project)
    execute(database, "CREATE TABLE toolkit_archive (id INTEGER)", "CREATE INDEX toolkit_ix ON toolkit_archive (id)")
    assert migrate.check(database, project).changes == ()
    assert history.make_migrations(database, project, "none") is None


def migrate_to_first(database: Database, config: Config) -> None:
    history.make_migrations(database, config, "one")
    migrate.upgrade(database, config)


FILTER = """
def include_object(thing, name, kind, reflected, compare_to):
    return not name.startswith("legacy_")
"""


# What an env.py says, in which module, and which of them may protect what is not in the models.
PROTECTING: list[tuple[str, str, str | None]] = [
    ("include_object=lambda o, name, *_: name != 'legacy', ", "", "env.py"),
    ("**{'include_name': lambda name, *_: name != 'legacy'}, ", "", "env.py"),
    ("**__import__('app').options, ", f"{FILTER}options = {{'include_object': include_object}}", "app.py"),
    ("**__import__('app').options, ", "options = {}  # no include_object", None),
    ("", FILTER, None),
    ("process_revision_directives=lambda *_: [ops.DropTableOp], ", "", "env.py"),
    ("process_revision_directives=lambda _, __, found: found[0].upgrade_ops.is_empty(), ", "", None),
]


@pytest.mark.parametrize(
    ("arguments", "module", "protected", "has_table"),
    [
        *((*each, number % 2 == 0) for number, each in enumerate(PROTECTING)),
        (*PROTECTING[0], False),
        (*PROTECTING[3], True),
    ],
)
def test_what_an_env_py_that_is_not_asked_may_protect_is_not_dropped(
    config: Config, tmp_path: Path, arguments: str, module: str, protected: str | None, has_table: bool
) -> None:
    project = project_with(config, tmp_path, "generic")
    database, path = project.database("sqlite"), project.migrations / "env.py"
    path.write_text(path.read_text().replace("connection=connection, ", f"connection=connection, {arguments}"))
    (tmp_path / "app.py").write_text(module)
    migrate_to_first(database, project)
    gone = "CREATE TABLE legacy (id INTEGER)" if has_table else "ALTER TABLE task ADD COLUMN legacy INTEGER"
    execute(database, gone)
    files = sorted((project.migrations / "versions").iterdir())
    if protected is None:
        made = history.make_migrations(database, project, "two")
        assert made is not None
        assert ("drop_table" if has_table else "drop_column") in made.path.read_text()
        return
    thing = "the table legacy" if has_table else "the column task.legacy"
    with pytest.raises(MigrationError, match=rf"would drop {thing}, which \w+ in .*/{protected} may protect"):
        history.make_migrations(database, project, "two")
    assert sorted((project.migrations / "versions").iterdir()) == files
    # What drops nothing is written.
    execute(database, "DROP TABLE legacy" if has_table else "ALTER TABLE task DROP COLUMN legacy")
    assert history.make_migrations(database, replace(project, metadata=f"{__name__}:LONGER"), "three") is not None


def test_an_env_py_that_is_run_is_asked(config: Config, tmp_path: Path) -> None:
    project = project_with(config, tmp_path, "own")
    database, path = project.database("sqlite"), project.migrations / "env.py"
    asking = f"{FILTER}\nrun_migrations(include_object=include_object)\n"
    path.write_text(path.read_text().replace("\nrun_migrations()\n", asking))
    migrate_to_first(database, project)
    execute(database, "CREATE TABLE legacy_x (id INTEGER)")
    assert migrate.check(database, project).changes == ()
    assert history.make_migrations(database, project, "two") is None


GOING_THROUGH = """
thing = sa.table("thing", sa.column("id"), sa.column("text"))
op.execute("CREATE TABLE thing (id INTEGER, text VARCHAR)")
op.execute("CREATE TABLE seen (id INTEGER)")
op.execute("INSERT INTO thing VALUES (1, 'a'), (2, 'b'), (3, 'c')")
connection = op.get_bind()
for rows in (
    connection.execute(sa.select(thing)),
    connection.execute(sa.text("SELECT * FROM thing")).mappings(),
    connection.exec_driver_sql("SELECT * FROM thing"),
    connection.execute(thing.update().values(text="d").returning(thing.c.id)),
    connection.execute(sa.select(thing).execution_options(stream_results=True)),
):
    for row in rows:
        op.execute(f"INSERT INTO seen VALUES ({row['id'] if 'id' in row else row[0]})")
"""


def test_a_migration_goes_through_all_rows_while_it_writes_others(
    config: Config, tmp_path: Path, database: Database
) -> None:
    project = project_with(config, tmp_path, "own")
    write(project, database, GOING_THROUGH)
    migrate.upgrade(database, project)
    with connected(database) as connection:
        found = connection.execute(sa.text("SELECT id, count(*) FROM seen GROUP BY id ORDER BY id")).all()
    assert [tuple(row) for row in found] == [(1, 5), (2, 5), (3, 5)]


# -- what was committed ----------------------------------------------------------------------------------------


def write(project: Config, database: Database, body: str) -> None:
    made = history.make_migrations(database, project, "by hand", autogenerate=False)
    assert made is not None
    text = made.path.read_text()
    functions = "".join(
        f"\n\ndef {name}():\n    pass" for name in ("schema_downgrades", "data_upgrades", "data_downgrades")
    )
    lines = "\n    ".join(body.strip().splitlines())
    made.path.write_text(f"{text[: text.index('def schema_upgrades')]}def schema_upgrades():\n    {lines}{functions}\n")


FAILURES = {
    "raise ValueError('the second step')": MigrationError,
    "op.execute('INSERT INTO nowhere VALUES (1)')": StatementError,
}


@pytest.mark.parametrize(
    ("database", "template", "failure"),
    [
        *(("sqlite", template, failure) for template in ("sync", "own") for failure in FAILURES),
        *zip(("postgres", "postgres"), ("sync", "own"), FAILURES, strict=True),
        ("duckdb", "own", next(iter(FAILURES))),
    ],
    indirect=["database"],
)
def test_what_an_autocommit_block_committed_is_told_when_the_migration_fails(
    config: Config, tmp_path: Path, database: Database, template: str, failure: str
) -> None:
    project = project_with(config, tmp_path, template)
    # Advanced Alchemy's template has the block around all of it.
    block = "if True" if template == "sync" else "with op.get_context().autocommit_block()"
    write(
        project,
        database,
        f"""
op.execute("CREATE TABLE before (id INTEGER)")
{block}:
    op.execute("CREATE TABLE within (id INTEGER)")
op.execute("CREATE TABLE after_it (id INTEGER)")
{failure}
""",
    )
    with pytest.raises(FAILURES[failure]) as caught:
        migrate.upgrade(database, project)
    with connected(database) as connection:
        there = set(sa.inspect(connection).get_table_names())
    told = str(caught.value)
    assert "not as before" in told
    for name in ("before", "within", "after_it"):
        assert (f"CREATE TABLE {name} " in told) == (name in there)
    assert {"before", "within"} <= there
    assert "The database is as before" not in told


@pytest.mark.parametrize("database", ["sqlite", "duckdb"], indirect=True)
def test_what_is_recorded_is_not_told_as_to_be_undone(config: Config, tmp_path: Path, database: Database) -> None:
    project = project_with(config, tmp_path, "own")
    block = "with op.get_context().autocommit_block():\n        op.execute('CREATE TABLE {0} (id INTEGER)')"
    write(project, database, "op.execute('CREATE TABLE kept (id INTEGER)')")
    write(project, database, block.format("within"))
    write(project, database, "raise ValueError")
    with pytest.raises(MigrationError) as caught:
        migrate.upgrade(database, project)
    first, *_ = (each.revision for each in reversed(history.revisions(project)))
    assert current_revision(database, project) == first
    told = str(caught.value)
    assert f"Done and recorded: upgrade {first} (by hand). This was also committed" in told
    assert ("CREATE TABLE within" in told, "CREATE TABLE kept" in told) == (True, False)


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_migration_without_such_a_block_leaves_nothing_and_says_so(
    config: Config, tmp_path: Path, database: Database, failure: str
) -> None:
    project = project_with(config, tmp_path, "own")
    write(project, database, f'op.execute("CREATE TABLE first (id INTEGER)")\n{failure}')
    with pytest.raises(FAILURES[failure]) as caught:
        migrate.upgrade(database, project)
    with connected(database) as connection:
        assert sa.inspect(connection).get_table_names() == []
    assert "not as before" not in str(caught.value)
    assert ("The database is as before" in str(caught.value)) == (FAILURES[failure] is MigrationError)


@pytest.mark.parametrize("database", ["duckdb", "postgres"], indirect=True)
def test_the_end_of_a_transaction_does_not_hide_what_ended_it(
    config: Config, tmp_path: Path, database: Database
) -> None:
    project = project_with(config, tmp_path, "own")
    body = """
op.execute("CREATE TABLE first (id INTEGER PRIMARY KEY)")
try:
    op.execute("INSERT INTO first VALUES (7), (7)")
except Exception:
    pass
op.execute("CREATE TABLE second (id INTEGER)")
"""
    write(project, database, body)
    with pytest.raises(
        StatementError,
        match=r"(?is)An earlier error that the migration ignored: .*duplicate key.*INSERT INTO first VALUES",
    ):
        migrate.upgrade(database, project)


def in_schemas(length: int) -> sa.MetaData:
    """Tables of three schemas that point at one another, with an enum and what has no name."""
    metadata = sa.MetaData()
    name = sa.Column("name", sa.String(length), unique=True)
    sa.Table("owner", metadata, sa.Column("id", sa.Integer, primary_key=True), name, schema="core")
    owner = sa.Column("owner_id", sa.Integer, sa.ForeignKey("core.owner.id", ondelete="CASCADE"), index=True)
    state = sa.Enum("on", "off", *(["gone"] if length > 20 else []), name="state", schema="shop")
    sa.Table(
        "item", metadata, sa.Column("id", sa.Integer, primary_key=True), owner, sa.Column("state", state), schema="shop"
    )
    item = sa.Column("item_id", sa.Integer, sa.ForeignKey("shop.item.id"))
    sa.Table("log", metadata, sa.Column("id", sa.Integer, primary_key=True), item, comment=f"of {length}")
    return metadata


IN_SCHEMAS, IN_SCHEMAS_LONGER = in_schemas(20), in_schemas(30)
IN_OPS = """
run_migrations(
    include_schemas=True, version_table="versions", version_table_schema="ops",
    include_object=lambda thing, name, kind, reflected, other: kind != "table" or not reflected or other is not None,
)
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
@pytest.mark.parametrize("name", ["postgres", "duckdb"])
def test_schemas_of_an_application_go_both_ways_without_what_it_leaves_out(
    config: Config, tmp_path: Path, name: str
) -> None:
    project = replace(project_with(config, tmp_path, "own"), metadata=f"{__name__}:IN_SCHEMAS")
    database, path = project.database(name), project.migrations / "env.py"
    path.write_text(path.read_text().replace("\nrun_migrations()\n", IN_OPS))
    execute(database, "CREATE SCHEMA core", "CREATE SCHEMA shop", "CREATE SCHEMA ops", "CREATE TABLE shop.old (id INT)")
    migrate_to_first(database, project)
    assert migrate.check(database, project).changes == ()
    execute(database, "INSERT INTO core.owner VALUES (1, 'a')", "INSERT INTO shop.item VALUES (1, 1, 'on')")
    longer = replace(project, metadata=f"{__name__}:IN_SCHEMAS_LONGER")
    assert [change.partition(" from ")[0] for change in migrate_to(database, longer)] == [
        "add table comment log",
        "change type of core.owner.name",
        "change type of shop.item.state",
    ]
    assert migrate.check(database, longer).changes == ()
    migrate.downgrade(database, longer, "base")
    with connected(database) as connection:
        inspector = sa.inspect(connection)
        assert inspector.get_table_names("shop") == ["old"]
        assert inspector.get_table_names("ops") == ["versions"]
    sqlite = project.database("sqlite")
    with pytest.raises(ConfigurationError, match=r"ops\.versions cannot be made in sqlite: SQLite has no schema 'ops'"):
        migrate.upgrade(sqlite, project)
    path.write_text(path.read_text().replace(', version_table_schema="ops"', ""))
    with pytest.raises(MigrationError, match=r"core\.owner cannot be made: SQLite has no schema 'core'"):
        migrate.upgrade(sqlite, project)
