"""What a test's database has beside rows, what it lacks on purpose, and what is told of it."""

from __future__ import annotations

import json
import textwrap

import psycopg
import pytest

from tests.pytest_plugin.conftest import Project, databases_of
from toolkit.config import load_config
from toolkit.engines.postgresql.database_properties import copy_properties
from toolkit.errors import ConfigurationError, ToolkitError
from toolkit.operations.fixtures.load import load_data

MIGRATION = """
    import sqlalchemy as sa
    from alembic import op

    revision, down_revision = "0001", None

    def upgrade():
        op.create_table("item", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(20)))
        op.create_table("price", sa.Column("id", sa.Integer, primary_key=True))
        if op.get_bind().dialect.name == "postgresql":
            op.execute("CREATE SCHEMA extra")
            op.execute("CREATE TABLE extra.note (id int)")
            for statement in (
                "ALTER DATABASE %I SET search_path = public, extra",
                "ALTER DATABASE %I SET app.tenant = 'x=1'",
                "ALTER ROLE CURRENT_USER IN DATABASE %I SET search_path = 'Odd, name', public",
                "ALTER DATABASE %I SET temp_tablespaces = ''",
                "ALTER ROLE CURRENT_USER IN DATABASE %I SET timezone = 'Asia/Tokyo'",
                "ALTER DATABASE %I CONNECTION LIMIT 7",
                "REVOKE CONNECT ON DATABASE %I FROM PUBLIC",
                "COMMENT ON DATABASE %I IS 'the shop''s'",
            ):
                op.execute(f"DO $$ BEGIN EXECUTE format($s${statement}$s$, current_database()); END $$")

    def downgrade():
        op.drop_table("price")
        op.drop_table("item")
"""
ENV = """
    from alembic import context
    from sqlalchemy import engine_from_config
    from shop import metadata

    connectable = context.config.attributes.get("connection") or engine_from_config(
        context.config.get_section("alembic"), prefix="sqlalchemy."
    )
    with connectable.connect() as connection:
        context.configure(connection=connection, target_metadata=metadata)
        with context.begin_transaction():
            context.run_migrations()
"""
TESTS = """
    import alembic.command
    from alembic.config import Config
    from sqlalchemy import inspect

    @pytest.mark.toolkit(databases=["postgres"])
    @pytest.mark.parametrize("number", range(2))
    def test_settings(toolkit_session, number):
        def ask(query):
            return toolkit_session.scalar(text(query))

        settings = toolkit_session.execute(text(
            "SELECT setrole = 0, unnest(setconfig) FROM pg_db_role_setting JOIN pg_database ON oid = setdatabase"
            " WHERE datname = current_database()"
        )).all()
        assert {tuple(row) for row in settings} == {
            (True, "search_path=public, extra"), (True, "app.tenant=x=1"),
            (False, 'search_path="Odd, name", public'), (True, 'temp_tablespaces=""'), (False, "TimeZone=Asia/Tokyo"),
        }
        assert [ask("SHOW timezone"), ask("SHOW search_path")] == ["Asia/Tokyo", '"Odd, name", public']
        database = "FROM pg_database WHERE datname = current_database()"
        assert ask(f"SELECT shobj_description(oid, 'pg_database') {database}") == "the shop's"
        assert ask(f"SELECT datconnlimit {database}") == 7
        assert ask("SELECT has_database_privilege('pg_monitor', current_database(), 'CONNECT')") is False
        assert ask("SELECT count(*) FROM public.item") == 2

    def test_up_and_down(toolkit_empty_database, toolkit_empty_engine):
        assert inspect(toolkit_empty_engine).get_table_names() == []
        config = Config()
        config.set_main_option("script_location", "migrations")
        config.set_main_option("sqlalchemy.url", toolkit_empty_database.url.render_as_string(False).replace("%", "%%"))
        config.attributes["connection"] = toolkit_empty_engine
        alembic.command.upgrade(config, "head")
        assert {"item", "price"} <= {*inspect(toolkit_empty_engine).get_table_names("public" if PG else None)}
        alembic.command.downgrade(config, "base")
"""


@pytest.fixture
def migrated(project: Project) -> Project:
    """The project with a migration."""
    versions = project.pytester.path / "migrations" / "versions"
    versions.mkdir(parents=True)
    (versions / "0001.py").write_text(textwrap.dedent(MIGRATION))
    (versions.parent / "env.py").write_text(textwrap.dedent(ENV))
    (versions.parent / "script.py.mako").write_text("")
    return project


@pytest.mark.slow
def test_a_clone_has_what_migrations_gave_the_database_and_an_empty_one_nothing(migrated: Project) -> None:
    migrated.test(TESTS.replace("PG", "toolkit_empty_engine.name == 'postgresql'"))
    migrated.run().assert_outcomes(passed=5)
    with psycopg.connect(migrated.server, autocommit=True) as connection:
        [(template,)] = databases_of(connection, migrated)
        # Whoever has the role may not alter the database.
        connection.execute(f"ALTER DATABASE {template} SET role = 'pg_monitor'")
        connection.execute(f"CREATE DATABASE {template}_copy")
        copy_properties(connection, template, f"{template}_copy")
        found = connection.execute("SELECT count(*) FROM pg_db_role_setting WHERE 'role=pg_monitor' = ANY (setconfig)")
        assert found.fetchone() == (2,)


@pytest.mark.slow
def test_notes_are_warnings_once_and_what_is_left_over_is_pruned_when_asked(project: Project) -> None:
    project.settings("  always::pytest.PytestWarning", "toolkit_databases = sqlite postgres")
    project.fixture("itme", {"id": 1})
    listed = {"item": {"file": "item.json", "rows": 2, "bytes": 1, "sha256": "0" * 64}}
    manifest = {"format": 1, "revision": None, "tables": listed}
    (project.pytester.path / "fixtures" / "manifest.json").write_text(json.dumps(manifest))
    project.test(
        """
        @pytest.mark.parametrize("number", range(2))
        def test_rows(toolkit_session, number): pass
        """
    )
    for _ in range(2):
        result = project.run()
        # Not once more for another engine.
        result.assert_outcomes(passed=4, warnings=2)
        result.stdout.fnmatch_lines(
            [
                "*ToolkitWarning: itme.json is left out: there is no table 'itme'; did you mean 'item'?*",
                "*ToolkitWarning: item.json was changed since it was dumped; it is loaded as it is now.",
            ]
        )
    [template] = project.databases()
    with psycopg.connect(project.server, autocommit=True) as connection:
        [(full,)] = connection.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE %s", (f"%{template}",)
        ).fetchall()
    files = project.files()
    assert [path.suffix for path in files] == [".json", ".template"]
    told = project.run("--toolkit-prune=dry-run")
    told.stdout.fnmatch_lines([f"Would remove {files[1]}.", f"Would remove {full}."])
    assert (project.files(), project.databases()) == (files, [template])
    (project.pytester.path / ".pytest_cache" / "d" / "other").mkdir()
    pruned = project.run("--toolkit-prune")
    assert pruned.ret == 0
    pruned.stdout.fnmatch_lines([f"Removed {files[1]}.", f"Removed {full}."])
    assert (project.files(), project.databases()) == ([], [])
    project.run("--toolkit-prune").stdout.fnmatch_lines(["Removed nothing."])


@pytest.mark.slow
def test_schemas_of_the_models_are_made_or_refused_in_two_lines(project: Project) -> None:
    models = project.pytester.path / "shop.py"
    models.write_text(models.read_text().replace("primary_key=True))\n\n", 'primary_key=True), schema="extra")\n\n', 1))
    project.fixture("extra.price", {"id": 7})
    project.test(
        "def test_price(toolkit_session): assert toolkit_session.scalar(text('SELECT id FROM extra.price')) == 7"
    )
    result = project.run()
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        ["extra.price cannot be made in sqlite: SQLite has no schema 'extra'.", "Use PostgreSQL or DuckDB, leave *"]
    )
    config = load_config(
        project.pytester.path, {"TOOLKIT_SQLITE_URL": f"sqlite:///{project.pytester.path}/own.sqlite3"}
    )
    with pytest.raises(ConfigurationError, match=r"extra\.price cannot be made in sqlite"):
        load_data(config, "sqlite", dry_run=True)
    loaded = load_data(config, "sqlite", exclude=["extra.price"])
    assert [(each.table, each.inserted) for each in loaded.tables] == [("item", 2)]
    with pytest.raises(ToolkitError, match=r"sqlite has no table 'extra\.price'"):
        load_data(config, "sqlite")
