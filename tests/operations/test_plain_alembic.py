"""This package's `env.py` under plain Alembic, and on an application's own engine or connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
import pytest
import sqlalchemy as sa
from advanced_alchemy.types import GUID
from alembic.util import CommandError
from sqlalchemy.ext.asyncio import create_async_engine

from tests.operations.databases import connected
from toolkit.config import Config, Database
from toolkit.errors import MigrationError
from toolkit.operations.migrations import history, migrate

KEY = b"\x01" * 16


def _models(length: int) -> sa.MetaData:
    metadata = sa.MetaData()
    name = sa.Column("name", sa.String(length), server_default="x")
    sa.Table("parent", metadata, sa.Column("id", GUID, primary_key=True), name)
    key = sa.ForeignKey("parent.id", ondelete="CASCADE", name="fk_child")
    sa.Table("child", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("parent_id", GUID, key))
    return metadata


MODELS, LONGER = _models(20), _models(30)


@pytest.fixture
def project(config: Config, tmp_path: Path) -> Config:
    """A project with one migration, whose settings are in files, as plain Alembic finds them."""
    made = replace(config, root=tmp_path, migrations=tmp_path / "migrations", metadata=f"{__name__}:MODELS")
    history.init(made.migrations)
    (tmp_path / "toolkit.toml").write_text(f'metadata = "{made.metadata}"\n')
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s/migrations\n")
    history.make_migrations(made.database("sqlite"), made, "one")
    return made


def plain(project: Config, database: Database | None = None, connection: Any = None) -> alembic.config.Config:
    """What Alembic's own commands are given."""
    found = alembic.config.Config(project.root / "alembic.ini")
    if database is not None:
        url = database.url.render_as_string(hide_password=False)
        found.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    if connection is not None:
        found.attributes["connection"] = connection
    return found


def test_plain_alembic_runs_and_compares_as_this_packages_commands_do(project: Config, database: Database) -> None:
    settings = plain(project, database)
    alembic.command.upgrade(settings, "head")
    assert migrate.show_current_revision(database, project).is_head
    alembic.command.check(settings)
    (project.root / "toolkit.toml").write_text(f'metadata = "{__name__}:LONGER"\n')
    made: Any = alembic.command.revision(settings, "two", autogenerate=True)
    text = Path(made.path).read_text()
    assert text.count("batch_alter_table") == 2
    assert "existing_server_default='x'" in text
    alembic.command.upgrade(settings, "head")
    assert migrate.check(database, replace(project, metadata=f"{__name__}:LONGER")).changes == ()
    alembic.command.downgrade(settings, "base")
    assert migrate.show_current_revision(database, project).revision is None


def test_plain_alembic_that_was_told_no_database_says_so(project: Config) -> None:
    with pytest.raises(CommandError, match=r"does not know which database .* set sqlalchemy\.url"):
        alembic.command.upgrade(plain(project), "head")


def test_plain_alembic_writes_statements_without_a_database(
    project: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    alembic.command.upgrade(plain(project, project.database("sqlite")), "head", sql=True)
    assert "CREATE TABLE alembic_versions" in capsys.readouterr().out


def test_an_applications_engine_is_taken_as_pytest_alembic_gives_it(project: Config, database: Database) -> None:
    engine = database.engine
    alembic.command.upgrade(plain(project, connection=engine), "head")
    # DuckDB lets nobody else read the file meanwhile.
    engine.dispose()
    assert migrate.show_current_revision(database, project).is_head


def test_an_asynchronous_engine_is_taken(project: Config) -> None:
    database = project.database("sqlite")
    engine = create_async_engine(database.url.set(drivername="sqlite+aiosqlite"))
    alembic.command.upgrade(plain(project, connection=engine), "head")
    assert migrate.show_current_revision(database, project).is_head


@contextmanager
def given(database: Database, *, enforces: bool = False) -> Iterator[sa.Connection]:
    engine = database.engine
    with engine.connect() as connection:
        if enforces:
            connection.exec_driver_sql("PRAGMA foreign_keys = ON")
            connection.commit()
        yield connection
    engine.dispose()


def test_an_applications_transaction_is_left_to_it(project: Config, database: Database) -> None:
    with given(database) as connection:
        with connection.begin() as transaction:
            alembic.command.upgrade(plain(project, connection=connection), "head")
            assert sa.inspect(connection).has_table("child")
            transaction.rollback()
        assert not sa.inspect(connection).has_table("child")
        connection.rollback()
        with connection.begin():
            alembic.command.upgrade(plain(project, connection=connection), "head")
    assert migrate.show_current_revision(database, project).is_head


@pytest.mark.parametrize("is_begun", [False, True], ids=["none", "begun"])
def test_a_rebuild_on_an_applications_connection_deletes_no_children(project: Config, is_begun: bool) -> None:
    database = project.database("sqlite")
    migrate.upgrade(database, project)
    with connected(database) as connection:
        connection.execute(MODELS.tables["parent"].insert().values(id=KEY.hex()))
        connection.execute(MODELS.tables["child"].insert().values(id=1, parent_id=KEY.hex()))
    made = history.make_migrations(database, replace(project, metadata=f"{__name__}:LONGER"), "two")
    assert made is not None
    with given(database, enforces=True) as connection:
        settings = plain(project, connection=connection)
        if is_begun:
            with pytest.raises(MigrationError, match=r"within a transaction that enforces"), connection.begin():
                alembic.command.upgrade(settings, "head")
        else:
            alembic.command.upgrade(settings, "head")
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
        assert connection.exec_driver_sql("SELECT count(*) FROM child").scalar_one() == 1
    assert migrate.show_current_revision(database, project).is_head is not is_begun
