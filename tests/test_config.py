"""What the toolkit is told, by whom, and that no password is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.config import Config, Database, load_config
from toolkit.errors import ConfigurationError, ToolkitError, UnknownNameError

SECRET = "pa55word"


def written(directory: Path, text: str, name: str = "toolkit.toml") -> Path:
    """A directory with a settings file."""
    (directory / name).write_text(text, encoding="utf-8")
    return directory


def test_the_defaults_need_no_file(tmp_path: Path) -> None:
    config = load_config(tmp_path, {})
    assert config.database("sqlite").url.render_as_string() == f"sqlite:///{tmp_path}/todo.sqlite3"
    assert config.database("duckdb").file == tmp_path / "todo.duckdb"
    assert config.database("postgres").is_embedded
    assert config.metadata == "toolkit.models.todo:metadata"


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    written(tmp_path, 'metadata = "a:b"\n[databases]\nsqlite = "sqlite:///file.db"\nextra = "duckdb:///x.duckdb"\n')
    plain = load_config(tmp_path, {})
    assert (plain.metadata, plain.database("sqlite").file) == ("a:b", tmp_path / "file.db")
    told = {"TOOLKIT_METADATA": "c:d", "TOOLKIT_SQLITE_URL": "sqlite:///env.db", "TOOLKIT_OTHER_URL": "sqlite:///o.db"}
    environment = load_config(tmp_path, told)
    assert (environment.metadata, environment.database("sqlite").file) == ("c:d", tmp_path / "env.db")
    assert {"extra", "other"} <= set(environment.databases)
    assert load_config(tmp_path, told, metadata="e:f").metadata == "e:f"


def test_pyproject_holds_the_same_keys_and_is_found_from_a_folder_below(tmp_path: Path) -> None:
    written(tmp_path, '[tool.toolkit.databases]\nsqlite = "sqlite:///here.db"\n', "pyproject.toml")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert load_config(below, {}).database("sqlite").file == tmp_path / "here.db"


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("sqlite+aiosqlite:///x.db", "sqlite"),
        ("postgresql+asyncpg://u@h/d", "postgresql+psycopg"),
        ("postgres://u@h/d", "postgresql+psycopg"),
        ("postgresql+psycopg2://u@h/d", "postgresql+psycopg"),
        ("duckdb:///x.duckdb", "duckdb+toolkit"),
    ],
)
def test_every_url_of_an_application_is_given_its_synchronous_driver(tmp_path: Path, given: str, driver: str) -> None:
    assert load_config(tmp_path, {"TOOLKIT_APP_URL": given}).database("app").url.drivername == driver


def test_the_engine_is_set_as_told_and_bound_under_the_databases_name(tmp_path: Path) -> None:
    written(tmp_path, '[databases.app]\nurl = "postgresql://u@h/d"\npool_size = 3\nmax_overflow = 4\n'
                      "pool_timeout = 1.5\npool_recycle = 9\npool_pre_ping = false\n"
                      "pool_use_lifo = false\necho = true\n")
    config = load_config(tmp_path, {}).database("app").sqlalchemy_config
    assert config.bind_key == "app"
    engine = config.get_engine()
    pool = engine.pool
    assert (pool.size(), pool._max_overflow, pool._timeout) == (3, 4, 1.5)
    assert (pool._recycle, pool._pre_ping, pool._pool.use_lifo) == (9, False, False)
    assert engine.echo
    engine.dispose()


def test_the_default_engine_settings_are_the_documented_ones(tmp_path: Path) -> None:
    database = load_config(tmp_path, {"TOOLKIT_APP_URL": "postgresql://u@h/d"}).database("app")
    pool = database.create_engine().pool
    assert (pool.size(), pool._max_overflow, pool._timeout, pool._recycle) == (5, 10, 30, 300)
    assert pool._pre_ping
    assert pool._pool.use_lifo


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("metadata = ", "not valid TOML"),
        ("metadatta = 'a:b'", "Did you mean 'metadata'"),
        ("metadata = 5", "metadata must be a string"),
        ("databases = 5", "databases must be a table"),
        ("[databases]\nnew = 5", "databases.new must be a URL or a table"),
        ("[databases.new]\npool_size = 5", "databases.new has no url"),
        ("[databases.postgres]\npool_sise = 5", "Did you mean 'pool_size'"),
        ("[databases.postgres]\npool_size = 'x'", "pool_size must be a whole number"),
        ("[databases.postgres]\necho = 1", "echo must be a truth value"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_with_its_file(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ToolkitError, match=r"toolkit\.toml|metadata") as raised:
        load_config(written(tmp_path, text), {})
    assert told in str(raised.value)
    assert raised.value.exit_code == 2


def test_an_unknown_database_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'postgres'"):
        load_config(tmp_path, {}).database("postgress")


@pytest.mark.parametrize("url", [f"mysql://u:{SECRET}@h/d", f"sqlite//:{SECRET}"])
def test_an_address_that_is_none_is_refused_without_repeating_its_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(ToolkitError) as raised:
        load_config(tmp_path, {"TOOLKIT_APP_URL": url}).database("app").url  # noqa: B018 - parsing is the act
    assert SECRET not in str(raised.value)
    assert isinstance(raised.value, ConfigurationError | UnknownNameError)


@pytest.mark.parametrize("url", [f"postgresql://u:{SECRET}@h/d", f"postgresql://h/d?password={SECRET}&user=u"])
def test_no_password_is_shown_by_any_repr(tmp_path: Path, url: str) -> None:
    config = load_config(tmp_path, {"TOOLKIT_APP_URL": url})
    by_url = config.database(url)
    for shown in (config, config.databases, config.database("app"), by_url, by_url.name, by_url.shown_url):
        assert SECRET not in repr(shown)
    assert isinstance(config, Config)
    assert isinstance(by_url, Database)
