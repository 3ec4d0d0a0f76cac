"""Where settings come from, which of them holds, and what a wrong one is told as."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from toolkit.cli import run
from toolkit.config import Config, Database, Store, load_config
from toolkit.engines.contract import EngineSettings
from toolkit.errors import ConfigurationError, StoreError, ToolkitError, UnknownNameError


def write(directory: Path, text: str, name: str = "toolkit.toml") -> Path:
    (directory / name).write_text(text)
    return directory


def address(config: Config, name: str = "sqlite") -> str:
    return config.database(name).address


# -- which setting holds -----------------------------------------------------------------------------------


def test_without_any_setting_there_are_three_databases_and_no_models(tmp_path: Path) -> None:
    config = load_config(tmp_path, {})
    assert {name: database.address for name, database in config.databases.items()} == {
        "sqlite": "sqlite:///toolkit.sqlite3",
        "duckdb": "duckdb:///toolkit.duckdb",
        "postgres": "embedded:.toolkit/postgres",
    }
    assert not config.metadata
    assert (config.migrations, config.fixtures) == (tmp_path / "migrations", tmp_path / "fixtures")
    assert config.database("sqlite").file == tmp_path / "toolkit.sqlite3"


@pytest.mark.parametrize("name", ["toolkit.toml", "pyproject.toml"])
def test_a_file_comes_before_the_defaults_and_the_environment_before_the_file(tmp_path: Path, name: str) -> None:
    text = 'metadata = "a:b"\nfixtures = "elsewhere"\n[databases]\n'
    text += 'sqlite = "sqlite:///file.db"\nnew = "sqlite:///new.db"'
    if name == "pyproject.toml":
        text = "[tool.toolkit]\n" + text.replace("[databases]", "[tool.toolkit.databases]")
    write(tmp_path, text, name)
    by_file = load_config(tmp_path, {})
    assert (address(by_file), address(by_file, "new"), by_file.metadata) == (
        "sqlite:///file.db",
        "sqlite:///new.db",
        "a:b",
    )
    assert by_file.fixtures == tmp_path / "elsewhere"
    assert address(by_file, "duckdb") == "duckdb:///toolkit.duckdb"

    environ = {
        "TOOLKIT_SQLITE_URL": "sqlite:///env.db",
        "TOOLKIT_METADATA": "c:d",
        "TOOLKIT_MORE_URL": "sqlite:///m.db",
    }
    by_environment = load_config(tmp_path, environ)
    assert (address(by_environment), by_environment.metadata) == ("sqlite:///env.db", "c:d")
    assert (address(by_environment, "new"), address(by_environment, "more")) == (
        "sqlite:///new.db",
        "sqlite:///m.db",
    )
    assert load_config(tmp_path, environ, metadata="e:f").metadata == "e:f"


def test_the_command_line_comes_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(write(tmp_path, 'metadata = "of_the_file:metadata"'))
    monkeypatch.setenv("TOOLKIT_METADATA", "of_the_environment:metadata")
    assert run(["load-data"]) == 2
    assert "of_the_environment" in capsys.readouterr().err
    assert run(["load-data", "--metadata", "of_the_command_line:metadata"]) == 2
    assert "of_the_command_line" in capsys.readouterr().err


def test_the_nearest_file_above_holds_and_paths_are_relative_to_it(tmp_path: Path) -> None:
    write(tmp_path, "[databases]\nsqlite = 'sqlite:///data/x.db'")
    write(tmp_path, "[tool.toolkit]\nmetadata = 'a:b'", "pyproject.toml")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    write(tmp_path / "a", "[tool.other]", "pyproject.toml")
    config = load_config(below, {})
    assert config.root == tmp_path
    assert config.database("sqlite").file == tmp_path / "data" / "x.db"
    assert not config.metadata


def test_a_variable_finds_the_database_whose_name_it_cannot_spell(tmp_path: Path) -> None:
    write(tmp_path, '[databases]\nprod-EU = "sqlite:///file.db"')
    config = load_config(tmp_path, {"TOOLKIT_PROD_EU_URL": "sqlite:///env.db", "TOOLKIT_DUCKDB_URL": ""})
    assert address(config, "prod-EU") == "sqlite:///env.db"
    assert set(config.databases) == {"sqlite", "duckdb", "postgres", "prod-EU"}
    assert address(config, "duckdb") == "duckdb:///toolkit.duckdb"


def test_a_url_stands_for_a_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = load_config(tmp_path, {})
    given = config.database("sqlite:///sub/x.db")
    assert (given.name, given.file) == ("x.db", tmp_path / "sub" / "x.db")
    assert config.database("postgresql://me:pw@h/db").name == "postgresql://me:***@h/db"
    assert config.database("embedded:elsewhere").is_embedded


# -- URLs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "driver", "engine"),
    [
        ("sqlite+aiosqlite:///x.db", "sqlite", "sqlite"),
        ("sqlite+pysqlite:///x.db", "sqlite", "sqlite"),
        ("postgres://h/db", "postgresql+psycopg", "postgresql"),
        ("postgresql://h/db", "postgresql+psycopg", "postgresql"),
        ("postgresql+asyncpg://h/db", "postgresql+psycopg", "postgresql"),
        ("postgresql+psycopg2://h/db", "postgresql+psycopg", "postgresql"),
        ("postgresql+psycopg_async://h/db", "postgresql+psycopg", "postgresql"),
        ("duckdb:///x.duckdb", "duckdb+toolkit", "duckdb"),
    ],
)
def test_every_way_to_write_a_url_leads_to_the_synchronous_driver(
    tmp_path: Path, given: str, driver: str, engine: str
) -> None:
    database = load_config(tmp_path, {"TOOLKIT_X_URL": given}).database("x")
    assert (database.url.drivername, database.engine_name) == (driver, engine)


def test_what_only_asyncpg_understands_in_a_url_is_translated_or_left_out(tmp_path: Path) -> None:
    url = "postgresql+asyncpg://h/db?ssl=require&prepared_statement_cache_size=0&application_name=me"
    database = load_config(tmp_path, {"TOOLKIT_X_URL": url}).database("x")
    assert database.url.query == {"sslmode": "require", "application_name": "me"}


def test_a_sqlite_uri_is_a_file_with_options(tmp_path: Path) -> None:
    url = "sqlite:///file:with%20space.db?mode=ro&uri=true"
    database = load_config(tmp_path, {"TOOLKIT_X_URL": url}).database("x")
    assert database.file == tmp_path / "with space.db"
    assert database.url.query == {"mode": "ro", "uri": "true"}


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "duckdb:///:memory:", "sqlite:///file::memory:?uri=true"]
)
def test_a_database_in_memory_has_no_file(tmp_path: Path, url: str) -> None:
    database = load_config(tmp_path, {"TOOLKIT_X_URL": url}).database("x")
    assert database.file is None
    assert database.is_in_memory


# -- engine settings ---------------------------------------------------------------------------------------

_SETTINGS = """
[databases.postgres]
pool_size = 2
max_overflow = 0
pool_timeout = 0.5
pool_recycle = 60
pool_pre_ping = false
pool_use_lifo = false
echo = true
lock_seconds = 1
identity = "production"
"""


def _of_the_engine(config: Config) -> dict[str, Any]:
    engine = config.database("postgres").engine
    pool: Any = engine.pool
    try:
        return {
            "pool_size": pool.size(),
            "max_overflow": pool._max_overflow,
            "pool_timeout": pool._timeout,
            "pool_recycle": pool._recycle,
            "pool_pre_ping": pool._pre_ping,
            "pool_use_lifo": pool._pool.use_lifo,
            "echo": engine.echo,
        }
    finally:
        engine.dispose()


def test_settings_of_an_engine_have_the_promised_defaults_and_reach_the_engine(tmp_path: Path) -> None:
    environ = {"TOOLKIT_POSTGRES_URL": "postgresql://h/db"}
    assert _of_the_engine(load_config(tmp_path, environ)) == {
        "pool_size": 5,
        "max_overflow": 10,
        "pool_timeout": 30,
        "pool_recycle": 300,
        "pool_pre_ping": True,
        "pool_use_lifo": True,
        "echo": False,
    }
    configured = load_config(write(tmp_path, _SETTINGS), environ)
    assert configured.database("postgres").settings == EngineSettings(2, 0, 0.5, 60, False, False, True)
    assert configured.database("postgres").lock_seconds == 1
    assert configured.database("postgres").identity == "production"
    assert address(configured, "postgres") == "postgresql://h/db"
    assert _of_the_engine(configured) == {
        "pool_size": 2,
        "max_overflow": 0,
        "pool_timeout": 0.5,
        "pool_recycle": 60,
        "pool_pre_ping": False,
        "pool_use_lifo": False,
        "echo": True,
    }


def test_the_engine_of_a_database_is_bound_under_its_name(tmp_path: Path) -> None:
    database = load_config(tmp_path, {}).database("sqlite")
    assert database.sqlalchemy_config.bind_key == "sqlite"
    assert database.engine is database.engine
    assert database.engine.url.database == str(tmp_path / "toolkit.sqlite3")
    assert not (tmp_path / "toolkit.sqlite3").exists()


# -- stores ------------------------------------------------------------------------------------------------


def test_without_any_setting_there_are_two_stores_in_directories_beside_the_settings(tmp_path: Path) -> None:
    config = load_config(tmp_path, {})
    assert {name: (store.directory, store.is_default) for name, store in config.stores.items()} == {
        "archive": (tmp_path / ".toolkit" / "archive", True),
        "attachments": (tmp_path / ".toolkit" / "attachments", True),
    }
    assert not (tmp_path / ".toolkit").exists()


def test_a_store_of_the_file_comes_before_the_default_and_one_of_the_environment_before_the_file(
    tmp_path: Path,
) -> None:
    write(tmp_path, "[stores]\narchive = 's3://file/x'\n[stores.off-site]\nurl = 'gs://b'\nretries = 3\n")
    by_file = load_config(tmp_path, {})
    assert {name: store.address for name, store in by_file.stores.items()} == {
        "archive": "s3://file/x",
        "attachments": ".toolkit/attachments",
        "off-site": "gs://b",
    }
    assert not by_file.store("archive").is_default
    environ = {"TOOLKIT_OFF_SITE_STORE": "gs://c", "TOOLKIT_NEW_STORE": "memory://", "TOOLKIT_ATTACHMENTS_STORE": "x"}
    by_environment = load_config(tmp_path, environ)
    assert (by_environment.store("off-site").address, by_environment.store("off-site").retries) == ("gs://c", 3)
    assert by_environment.store("new").kind == "memory"
    assert by_environment.store("attachments") == Store("attachments", "x", tmp_path)
    assert set(by_environment.databases) == {"sqlite", "duckdb", "postgres"}


def test_a_table_of_a_default_store_may_leave_out_its_url(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, "[stores.archive]\n"), {})
    assert config.store("archive").directory == tmp_path / ".toolkit" / "archive"
    assert not config.store("archive").is_default


@pytest.mark.parametrize(
    ("address", "kind", "directory"),
    [
        ("relative/path", "file", "relative/path"),
        ("/absolute/a%20b", "file", "/absolute/a%20b"),
        ("file:///absolute/a%20b", "file", "/absolute/a b"),
        ("file://localhost/absolute", "file", "/absolute"),
        ("file:relative", "file", "relative"),
        ("memory://", "memory", None),
        ("s3://bucket/prefix", "s3", None),
        ("S3://bucket", "s3", None),
        ("az://container", "azure", None),
        ("abfss://container@account.dfs.core.windows.net/", "azure", None),
        ("gs://bucket", "gcs", None),
        ("https://account.blob.core.windows.net/container", "azure", None),
        ("https://bucket.s3.eu-west-1.amazonaws.com", "s3", None),
    ],
)
def test_an_address_says_which_kind_of_store_it_is(
    tmp_path: Path, address: str, kind: str, directory: str | None
) -> None:
    store = load_config(tmp_path, {"TOOLKIT_X_STORE": address}).store("x")
    assert (store.kind, store.directory) == (kind, None if directory is None else tmp_path / directory)


@pytest.mark.parametrize("address", ["http://example.org/x", "https://amazonaws.com.example.org/x", "ftp://h", "xy:"])
def test_an_address_of_no_known_kind_is_told_with_those_that_are(tmp_path: Path, address: str) -> None:
    with pytest.raises(ToolkitError, match="unknown scheme") as caught:
        _ = load_config(tmp_path, {"TOOLKIT_STRANGE_STORE": address}).store("strange").kind
    assert "s3://bucket/prefix" in caught.value.advice


def test_a_url_or_a_path_stands_for_a_store_the_same_one_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = load_config(tmp_path, {})
    for path in ("./x", "x/y", "/z", ".", ".."):
        assert config.store(path).directory == tmp_path / path
    assert config.store("memory://").memory is config.store("memory://").memory
    assert config.store("memory://").memory is not load_config(tmp_path, {}).store("memory://").memory
    with pytest.raises(UnknownNameError, match="no store 'archiv'") as caught:
        config.store("archiv")
    assert "Did you mean 'archive'" in caught.value.advice


_S3 = """
[stores.archive]
url = "s3://bucket/prefix"
endpoint = "http://localhost:9000"
region = "eu-central-1"
access_key_id = "me"
secret_access_key = "hunter2"
token = "temporary"
allow_http = true
retries = 2
timeout = 7
virtual_hosted_style_request = false
"""


def test_settings_of_a_store_reach_obstore_under_its_own_names_and_are_never_shown(tmp_path: Path) -> None:
    store = load_config(write(tmp_path, _S3), {}).store("archive")
    assert store.settings == {
        "endpoint": "http://localhost:9000",
        "region": "eu-central-1",
        "access_key_id": "me",
        "secret_access_key": "hunter2",
        "session_token": "temporary",
        "virtual_hosted_style_request": False,
    }
    assert store.retries == 2
    assert store.client_options == {
        "allow_http": True,
        "timeout": timedelta(seconds=7),
        "connect_timeout": timedelta(seconds=10),
    }
    assert "hunter2" not in f"{store!r} {store.shown_url}"
    assert "bucket" not in repr(store)


def test_settings_of_another_kind_of_store_are_left_out_when_the_environment_names_one(tmp_path: Path) -> None:
    store = load_config(write(tmp_path, _S3), {"TOOLKIT_ARCHIVE_STORE": "az://c"}).store("archive")
    assert (store.settings, store.retries) == ({}, 2)


def test_the_usual_variables_stand_for_what_was_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_TIMEOUT", "3s")
    monkeypatch.setenv("AZURE_PROXY_URL", "http://proxy")
    config = load_config(write(tmp_path, "[stores.set]\nurl = 's3://b'\ntimeout = 1\nallow_http = false"), {})
    usual = {"connect_timeout": timedelta(seconds=10)}
    assert config.store("s3://b").client_options == {**usual, "allow_http": "true", "timeout": "3s"}
    assert config.store("set").client_options == {**usual, "allow_http": False, "timeout": timedelta(seconds=1)}
    assert config.store("az://b").client_options == {
        **usual,
        "proxy_url": "http://proxy",
        "timeout": timedelta(seconds=300),
    }


def test_a_signature_in_an_address_is_not_shown() -> None:
    store = Store("x", "https://a.blob.core.windows.net/c?sv=2020&sig=abc%2Fdef&se=2030")
    assert store.shown_url == "https://a.blob.core.windows.net/c?sv=2020&sig=***&se=2030"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stores = 's3://b'", "stores must be a table"),
        ("[stores]\narchive = 5", "stores.archive must be a URL or a table, not a whole number"),
        ("[stores.mine]\nregion = 'x'", "stores.mine has no url"),
        ("[stores.mine]\nurl = 's3://b'\nsecret_acces_key = 'hunter2'", "no setting 'secret_acces_key'"),
        ("[stores.mine]\nurl = 's3://b'\nsecret_acces_key = 'hunter2'", "Did you mean 'secret_access_key'"),
        ("[stores.mine]\nurl = 's3://b'\nsecret_access_key = ['hunter2']", "secret_access_key must be a string"),
        ("[stores.mine]\nurl = 's3://b'\nallow_http = 'yes'", "stores.mine.allow_http must be a boolean"),
        ("[stores.mine]\nurl = 's3://b'\nretries = 2.5", "stores.mine.retries must be a whole number"),
        ("[stores.mine]\nurl = 's3://b'\nretries = true", "stores.mine.retries must be a whole number"),
        ("[stores.mine]\nurl = 's3://b'\ntimeout = '5s'", "stores.mine.timeout must be a number"),
        ("[stores.mine]\nurl = 's3://b'\naccount_key = 'hunter2'", "no setting 'account_key'"),
        ("[stores.mine]\nurl = 'az://b'\nregion = 'x'", "no setting 'region'"),
        ("[stores.archive]\nretries = 3", "no setting 'retries'"),
    ],
)
def test_a_wrong_setting_of_a_store_is_told_without_its_value(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ToolkitError) as caught:
        load_config(write(tmp_path, text), {})
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.exit_code == 2
    assert "toolkit.toml" in caught.value.fact


# -- what cannot be used -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("metadata = ", "toolkit.toml is not valid TOML"),
        ("metadata = 5", "metadata must be a string, not a whole number"),
        ("metdata = 'a:b'", "no setting 'metdata' in toolkit.toml.\nDid you mean 'metadata'"),
        ("databases = 'sqlite'", "databases must be a table"),
        ("[tool.toolkit]\nmetadata = 'a:b'", "toolkit.toml has a table 'tool', which belongs in pyproject.toml"),
        ("[databases]\nsqlite = 5", "databases.sqlite must be a URL or a table, not a whole number"),
        ("[databases]\nmine = {}", "databases.mine has no url"),
        ("[databases]\nmine = {url = 5}", "databases.mine has no url"),
        (
            "[databases.sqlite]\npol_size = 5",
            "no setting 'pol_size' in toolkit.toml databases.sqlite.\nDid you mean 'pool_size'",
        ),
        ("[databases.sqlite]\npool_size = 2.5", "databases.sqlite.pool_size must be a whole number, not a fraction"),
        (
            "[databases.sqlite]\npool_size = true",
            "databases.sqlite.pool_size must be a whole number, not a boolean",
        ),
        ("[databases.sqlite]\npool_timeout = '5'", "databases.sqlite.pool_timeout must be a number, not a string"),
        ("[databases.sqlite]\necho = 1", "databases.sqlite.echo must be a boolean"),
        ("metadata = ['hunter2']", "metadata must be a string, not a list"),
        ("[databases.mine]\nurl = 'sqlite:///x'\npool_size = {a = 'hunter2'}", "a whole number, not a table"),
        ("databases.mine = 2020-01-01", "databases.mine must be a URL or a table, not a time"),
    ],
)
def test_a_wrong_setting_is_told_by_its_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ToolkitError) as caught:
        load_config(write(tmp_path, text), {})
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.exit_code == 2
    assert caught.value.advice


def test_a_table_that_is_none_and_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    write(tmp_path, "[tool]\ntoolkit = 5", "pyproject.toml")
    with pytest.raises(ConfigurationError, match=r"tool\.toolkit must be a table"):
        load_config(tmp_path, {})
    (tmp_path / "pyproject.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match=r"pyproject\.toml is not valid TOML"):
        load_config(tmp_path, {})


@pytest.mark.parametrize("url", ["nonsense:", "postgresql://h:port/db"])
def test_an_address_that_is_no_url_is_not_repeated(tmp_path: Path, url: str) -> None:
    config = load_config(tmp_path, {"TOOLKIT_X_URL": url})
    with pytest.raises(ConfigurationError) as caught:
        _ = config.database("x").url
    assert url not in str(caught.value)
    assert caught.value.__cause__ is None
    assert "percent-encoded" in caught.value.advice


@pytest.mark.parametrize(
    "rest",
    ["a@hunter2@host/db", "a@hunter2/b@host/db", "a@hunter2?b@host/db", "a@hunter2#b@host/db", "@hunter2@host/db"],
)
def test_what_follows_an_unescaped_at_sign_of_a_password_is_neither_shown_nor_asked_for(
    tmp_path: Path, rest: str
) -> None:
    database = Database("x", f"postgresql://me:{rest}", tmp_path)
    with pytest.raises(ConfigurationError, match="an @ behind the one that ends its password") as caught:
        _ = database.url
    assert "hunter2" not in str(caught.value)
    assert "%40" in caught.value.advice
    with pytest.raises(ConfigurationError):
        _ = Database("x", "postgresql:///db?host=a@hunter2").url


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me@corp:pw@host/db",
        "postgresql://me@host/a@b",
        "postgresql://me:p%40@host/db?user=me@corp",
        "postgresql://me:p@/db?host=@socket&application_name=a@b",
        "sqlite:///a:b@c@d.db",
    ],
)
def test_an_at_sign_elsewhere_is_no_part_of_a_password(url: str) -> None:
    assert Database("x", url).url.render_as_string(hide_password=False)


@pytest.mark.parametrize("given", ["host=h password = hunter2", "dbname=x password='hunter2'", "service=s"])
def test_parameters_in_the_place_of_a_database_are_told_without_repeating_them(tmp_path: Path, given: str) -> None:
    with pytest.raises(ConfigurationError, match="as a URL, not as a list of parameters") as caught:
        load_config(tmp_path, {}).database(given)
    assert "hunter2" not in str(caught.value)


def test_a_connection_string_of_azure_is_no_directory(tmp_path: Path) -> None:
    store = load_config(tmp_path, {}).store("DefaultEndpointsProtocol=https;AccountName=a;AccountKey=hunter2/")
    with pytest.raises(StoreError, match="unknown scheme") as caught:
        _ = store.kind
    assert "hunter2" not in str(caught.value)


def test_an_engine_that_is_not_supported_is_told_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="no engine 'mssql'") as caught:
        _ = load_config(tmp_path, {"TOOLKIT_X_URL": "mssql://h/db"}).database("x").url
    assert "sqlite" in caught.value.advice


# -- where migrations are ----------------------------------------------------------------------------------


def environment(directory: Path) -> None:
    directory.mkdir(parents=True)
    (directory / "env.py").touch()


def test_migrations_are_where_alembic_ini_says_else_under_a_usual_name(tmp_path: Path) -> None:
    assert load_config(tmp_path, {}).migrations == tmp_path / "migrations"
    environment(tmp_path / "alembic")
    assert load_config(tmp_path, {}).migrations == tmp_path / "alembic"
    environment(tmp_path / "migrations")
    assert load_config(tmp_path, {}).migrations == tmp_path / "migrations"
    environment(tmp_path / "src" / "db")
    write(tmp_path, "[alembic]\nscript_location = %(here)s/src/db\n", "alembic.ini")
    assert load_config(tmp_path, {}).migrations == tmp_path / "src" / "db"
    assert load_config(write(tmp_path, 'migrations = "alembic"'), {}).migrations == tmp_path / "alembic"


@pytest.mark.parametrize("text", ["no section", "[alembic]\nscript_location = app:migrations", "[alembic]", "\xff"])
def test_an_alembic_ini_that_names_no_directory_changes_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "alembic.ini").write_text(text, encoding="latin-1")
    assert load_config(tmp_path, {}).migrations == tmp_path / "migrations"


def test_the_table_of_versions_is_a_setting(tmp_path: Path) -> None:
    assert load_config(tmp_path, {}).version_table is None
    assert load_config(write(tmp_path, 'version_table = "our_versions"'), {}).version_table == "our_versions"
