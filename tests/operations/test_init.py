"""What is found of an application without running it, and the settings that `toolkit init` writes for it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from toolkit.cli import run
from toolkit.config import load_config
from toolkit.operations.discovery import discover

RAISES = "raise SystemExit('this module must not be run')\n"
# What a module says, and what is found in it.
MODULES = {
    "from advanced_alchemy.config import SQLAlchemyAsyncConfig\nalchemy = SQLAlchemyAsyncConfig()": ("alchemy", None),
    "alchemy: object = config.SQLAlchemySyncConfig(bind_key='x')": ("alchemy", None),
    "plugin = SQLAlchemyPlugin(config=alchemy)": ("plugin", None),
    "def create_app(name=None):\n    db.init_app(app)": ("create_app", None),
    "def create_app(name):\n    db.init_app(app)": (None, None),
    "def create_app():\n    pass": (None, None),
    "class Base(DeclarativeBase): pass": (None, "Base"),
    "Base = sqlalchemy.orm.declarative_base()": (None, "Base"),
    "metadata = sa.MetaData()": (None, "metadata"),
    "db = SQLAlchemy()": (None, "db"),
    "class HeroBase(SQLModel): pass\nclass Hero(HeroBase, table=True): pass\nclass B(SQLModel, table=True): pass": (
        None,
        "Hero",
    ),
    "class (": (None, None),
}


@pytest.mark.parametrize(("source", "found"), MODULES.items(), ids=range(len(MODULES)))
def test_configurations_and_models_are_found_by_what_makes_them(
    tmp_path: Path, source: str, found: tuple[str | None, str | None]
) -> None:
    package = tmp_path / "src" / "shop"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "db.py").write_text(RAISES + source)
    for passed_over in (".venv", "node_modules", "tests"):
        (tmp_path / passed_over).mkdir()
        (tmp_path / passed_over / "db.py").write_text("class Base(DeclarativeBase): pass")
    looked = discover(tmp_path)
    assert [list(looked.configurations), list(looked.models)] == [[f"shop.db:{name}"] if name else [] for name in found]


def test_settings_are_written_beside_what_is_there_and_lead_to_the_application(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "shop"')
    (tmp_path / "models_for_init.py").write_text(
        "import sqlalchemy as sa\nmetadata = sa.MetaData()\n"
        "sa.Table('a', metadata, sa.Column('id', sa.Integer, primary_key=True))"
    )
    (tmp_path / "other.py").write_text("metadata = MetaData()")
    (tmp_path / "history" / "versions").mkdir(parents=True)
    (tmp_path / "history" / "env.py").write_text("from toolkit.migration_environment import run")
    with closing(sqlite3.connect(tmp_path / 'it\'s "1".db')) as connection:
        connection.execute("CREATE TABLE a (id INTEGER PRIMARY KEY)")
    assert run(["init", "--dry-run"]) == 0
    assert (tmp_path / "pyproject.toml").read_text() == '[project]\nname = "shop"'
    assert run(["init", "--yes"]) == 0
    assert '\n# metadata = "other:metadata"\n' in capsys.readouterr().out
    config = load_config(tmp_path, {})
    assert config.metadata == "models_for_init:metadata"
    assert config.migrations == tmp_path / "history"
    assert config.database("sqlite").file == tmp_path / 'it\'s "1".db'
    assert run(["init"]) != 0
    assert "pyproject.toml has settings already" in capsys.readouterr().err


def test_without_settings_a_command_says_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.py").write_text(RAISES + "alchemy = SQLAlchemySyncConfig()")
    assert run(["status", "--json"]) == 0
    found = "Found here: the configuration shop:alchemy. Use it: toolkit init, or --config."
    assert json.loads(capsys.readouterr().out)["hint"] == found
    assert run(["dump-data"]) != 0
    assert found in capsys.readouterr().err
    assert run(["database", "drop-all", "--no-prompt"]) != 0
    assert found in capsys.readouterr().err
