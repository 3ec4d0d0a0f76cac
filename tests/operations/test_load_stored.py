"""Text that was decrypted is never loaded into an encrypted column as if it were ciphertext."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from advanced_alchemy.types import EncryptedText
from advanced_alchemy.types.encrypted_string import PGCryptoBackend

from tests.operations.databases import connected
from toolkit.cli import run
from toolkit.config import Config
from toolkit.errors import FixtureProblemsError
from toolkit.operations.fixtures.dump import dump_data
from toolkit.operations.fixtures.load import load_data

METADATA = sa.MetaData()
ACCOUNT = sa.Table(
    "account",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("token", EncryptedText(key="k" * 32)),
    sa.Column("other", EncryptedText(key="k" * 32), default="by default"),
)
IN_THE_DATABASE = sa.MetaData()
sa.Table(
    "account",
    IN_THE_DATABASE,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("token", EncryptedText(key="k" * 32, backend=PGCryptoBackend), default="by default"),
)


@pytest.fixture
def own(alone: Config, tmp_path: Path) -> Config:
    """The configuration of one SQLite file for these tables."""
    return replace(alone, metadata=f"{__name__}:METADATA", migrations=tmp_path / "none", fixtures=tmp_path / "fixtures")


def write(config: Config, *rows: dict[str, Any]) -> None:
    """The fixture, a row a line."""
    config.fixtures.mkdir(exist_ok=True)
    (config.fixtures / "account.json").write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]")


def accounts(config: Config) -> list[tuple[Any, ...]]:
    """What an application reads."""
    with connected(config.database("sqlite")) as connection:
        return [tuple(row) for row in connection.execute(sa.select(ACCOUNT).order_by(ACCOUNT.c.id))]


def test_decrypted_text_is_refused_by_row_and_column_and_not_told(own: Config) -> None:
    write(own, {"id": 1, "token": None}, {"id": 2, "token": "secret"})
    with pytest.raises(FixtureProblemsError) as caught:
        load_data(own, "sqlite")
    assert caught.value.fact.startswith("account.json, line 3: column 'token' holds what is not encrypted")
    assert "secret" not in str(caught.value)
    assert "--as-stored" in caught.value.advice
    assert not (own.root / "one.sqlite3").exists()


def test_what_is_stored_is_loaded_from_a_dump_and_from_one_that_was_edited(own: Config) -> None:
    with connected(own.database("sqlite")) as connection:
        METADATA.create_all(connection)
        connection.execute(ACCOUNT.insert(), [{"id": n, "token": f"secret {n}", "other": ""} for n in (1, 2)])
    before = accounts(own)
    dump_data(own, "sqlite")
    load_data(own, "sqlite")
    dumped = json.loads((own.fixtures / "account.json").read_text())
    write(own, *dumped, {"id": 3, "token": dumped[0]["token"]})
    load_data(own, "sqlite")
    assert accounts(own) == [*before, (3, "secret 1", "by default")]


def test_a_dump_of_what_was_stored_unencrypted_is_loaded_until_it_is_edited(own: Config) -> None:
    with connected(own.database("sqlite")) as connection:
        METADATA.create_all(connection)
        connection.exec_driver_sql("INSERT INTO account VALUES (1, 'from before it was encrypted', NULL)")
    dump_data(own, "sqlite")
    load_data(own, "sqlite")
    write(own, *json.loads((own.fixtures / "account.json").read_text()))
    with pytest.raises(FixtureProblemsError, match="column 'token' holds what is not encrypted"):
        load_data(own, "sqlite")


def test_it_is_loaded_all_the_same_if_that_is_said(own: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    write(own, {"id": 1, "token": "as it is", "other": None})
    monkeypatch.chdir(own.root)
    (own.root / "toolkit.toml").write_text(f'metadata = "{__name__}:METADATA"\nmigrations = "none"')
    target = f"sqlite:///{own.root}/one.sqlite3"
    assert run(["load-data", "--to", target]) == 1
    assert run(["load-data", "--to", target, "--as-stored"]) == 0
    with connected(own.database("sqlite")) as connection:
        assert connection.exec_driver_sql("SELECT token FROM account").scalar() == "as it is"


def test_a_default_that_only_the_database_encrypts_is_not_stored_as_it_is(own: Config) -> None:
    write(own, {"id": 1})
    with pytest.raises(FixtureProblemsError, match="lacks 'token', whose default only the database itself can encrypt"):
        load_data(replace(own, metadata=f"{__name__}:IN_THE_DATABASE"), "sqlite")
