"""An application that says nothing but `config = "module:attr"`: its tests have its models and migrations."""

from __future__ import annotations

import pytest

from tests.pytest_plugin.conftest import Project

APPLICATION = """
    import sqlalchemy as sa
    from advanced_alchemy.config import AlembicAsyncConfig, EngineConfig, SQLAlchemyAsyncConfig, SQLAlchemySyncConfig

    first, second = sa.MetaData(), sa.MetaData()
    sa.Table("item", first, sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(20)))
    sa.Table("visit", second, sa.Column("id", sa.Integer, primary_key=True))
    alchemy = [
        SQLAlchemyAsyncConfig(
            connection_string="postgresql+asyncpg://nobody:hunter2@production.invalid/shop",
            metadata=first,
            engine_config=EngineConfig(connect_args={"server_settings": {"search_path": "shop"}}),
            alembic_config=AlembicAsyncConfig(script_location="history", version_table_name="versions"),
        ),
        SQLAlchemySyncConfig(connection_string="sqlite:///visits.sqlite3", metadata=second, bind_key="visits"),
    ]
"""
MIGRATION = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0001", None
def upgrade():
    op.create_table("item", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(20)))
    op.create_table("only_by_migrations", sa.Column("id", sa.Integer, primary_key=True))
"""
TESTS = """
    def test_rows(toolkit_session):
        assert toolkit_session.scalars(text("SELECT name FROM item ORDER BY id")).all() == ["bread", "salt"]
        assert toolkit_session.scalars(text("SELECT id FROM only_by_migrations")).all() == []
        assert toolkit_session.scalars(text("SELECT version_num FROM versions")).all() == ["0001"]

    @pytest.mark.anyio
    @pytest.mark.toolkit(databases=["sqlite", "postgres"])
    async def test_asynchronous(toolkit_async_session):
        assert (await toolkit_async_session.scalars(text("SELECT count(*) FROM item"))).one() == 2
"""


@pytest.mark.slow
def test_its_tests_have_its_models_and_migrations_on_each_engine(project: Project) -> None:
    path = project.pytester.path
    project.pytester.makepyfile(shop_application=APPLICATION)
    versions = path / "history" / "versions"
    versions.mkdir(parents=True)
    (path / "history" / "env.py").write_text(
        "from toolkit.migration_environment import run_migrations\nrun_migrations()\n"
    )
    (versions / "0001.py").write_text(MIGRATION)
    (path / "toolkit.toml").write_text('config = "shop_application:alchemy"\n')
    (path / "pyproject.toml").unlink(missing_ok=True)
    project.test(TESTS)

    result = project.run("-v")

    result.assert_outcomes(passed=5)
    assert not (path / "visits.sqlite3").exists()
    # Another migration is another database.
    (versions / "0002.py").write_text(
        "from alembic import op\nrevision, down_revision = '0002', '0001'\n"
        'def upgrade(): op.execute("INSERT INTO only_by_migrations VALUES (1)")\n'
    )
    result = project.run("-k", "sqlite and test_rows")
    result.assert_outcomes(failed=1)
