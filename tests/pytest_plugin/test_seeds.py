"""What a test's database is made from has a name of its own: whatever is edited, tests see new rows."""

from __future__ import annotations

import bz2
import datetime as dt
import gzip
import io
import lzma
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy.dialects import postgresql

from tests.pytest_plugin.conftest import Project
from toolkit.config import Config, load_config
from toolkit.stores.fixture_files import FORMS
from toolkit.stores.zstd import compress
from toolkit.testing import seeds
from toolkit.testing.definitions import definitions
from toolkit.testing.pool import Pool
from toolkit.testing.seeds import Seed
from toolkit.testing.sources import migration_files

ROOT = Path(__file__).parents[2]


@pytest.fixture
def own(tmp_path: Path) -> Config:
    """A project with migrations in two places and helpers, of which only these files matter."""
    files = {
        "toolkit.toml": 'metadata = "tests.models.test_loader:METADATA"',
        "fixtures/thing.json": "[]",
        "alembic.ini": "[alembic]\nscript_location = migrations\npath_separator = newline\n"
        "version_locations =\n  %(here)s/migrations/versions\n  %(here)s/more versions\n",
        "migrations/env.py": "from settings import url",
        "migrations/script.py.mako": "",
        "migrations/versions/0001.py": "from helpers.rows import insert\nfrom tests.models.test_loader import METADATA",
        "migrations/versions/rows.sql": "",
        "more versions/0002.py": "import importlib",
        "settings.py": "",
        "helpers/__init__.py": "",
        "helpers/rows.py": "def insert():\n    from . import values",
        "helpers/values.py": "import os.path",
        "helpers/unused.py": "",
        "tests_of_its_own.py": "import helpers.unused",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(content)
    return load_config(tmp_path, {})


@pytest.fixture
def unmigrated(own: Config) -> Config:
    """The same without migrations, which take most of the time of a name."""
    (own.root / "alembic.ini").unlink()
    return replace(own, migrations=own.root / "none")


def digest(config: Config, tables: tuple[str, ...] | None = None) -> str:
    return Seed(config, config.fixtures, tables).digest(config.database("sqlite"))


@pytest.mark.slow
def test_every_form_of_a_fixture_counts_for_the_tables_that_are_loaded(unmigrated: Config) -> None:
    def digests() -> list[str]:
        return [digest(unmigrated, ("thing",)), digest(unmigrated)]

    # Nothing is read for a schema without rows.
    names, empty = digests(), digest(unmigrated, ())
    for name in ("THING.JSON", "Thing.csv", "manifest.json", *(f"thing{form.suffix}" for form in FORMS)):
        (unmigrated.fixtures / name).write_text("one")
        names += digests()
    # As `digest` of one content differs from that of another, each of them counts with all it holds.
    (unmigrated.fixtures / name).write_text("two")
    names += digests()
    assert len(set(names)) == len(names)
    assert digest(unmigrated, ()) == empty


def test_no_file_of_another_table_counts_and_none_that_is_no_fixture(unmigrated: Config) -> None:
    before = digest(unmigrated, ("thing",))
    for name in ("THINGS.JSON", "Things.csv", "notes.json", "README.md", *(f"things{form.suffix}" for form in FORMS)):
        (unmigrated.fixtures / name).write_text("x")
    assert digest(unmigrated, ("thing",)) == before


@pytest.mark.parametrize(
    "name",
    [
        "alembic.ini",
        "migrations/env.py",
        "migrations/versions/0001.py",
        "migrations/versions/rows.sql",
        "more versions/0002.py",
        "more versions/0003.py",
        "more versions/rows.csv",
        "settings.py",
        "helpers/rows.py",
        "helpers/values.py",
        "helpers/__init__.py",
    ],
)
def test_migrations_everywhere_and_what_they_import_count(own: Config, name: str) -> None:
    before = digest(own)
    with (own.root / name).open("a") as file:
        file.write("\n# edited")
    assert digest(own) != before


@pytest.mark.parametrize("name", ["migrations/script.py.mako", "helpers/unused.py", "tests_of_its_own.py"])
def test_what_migrations_do_not_import_does_not_count(own: Config, name: str) -> None:
    before = digest(own)
    (own.root / name).write_text("# edited")
    assert digest(own) == before


def test_the_modules_of_models_are_told_by_their_tables_alone(own: Config) -> None:
    # Beside the migration that imports them, this module's own source would count.
    files = migration_files(own, {ROOT / "tests" / "models" / "test_loader.py"})
    assert {path.name for path in files} >= {"env.py", "0001.py", "0002.py", "rows.sql", "values.py", "alembic.ini"}
    assert not [path for path in files if path.is_relative_to(ROOT)]


def test_the_toolkit_and_the_day_count(own: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [digest(own)]
    monkeypatch.setattr(seeds, "_now", lambda: dt.datetime(2024, 2, 29))
    names.append(digest(own))
    monkeypatch.setattr(seeds, "_toolkit", lambda: "another version")
    names += [digest(own), digest(replace(own, version_table="other"))]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("content", "longs", "shorts"),
    [
        ('[{"at": {"$now": "%s"}}]', ("-3d", "+1w2d", "-6mo"), ("-3h", "-1d12h", "+5m", "0s")),
        ('at\n"{""$now"": ""%s""}"\n', ("-3d",), ("-1d12h",)),
        ("- at:\n    $now: %s\n", ("-3d",), ("-1d12h",)),
    ],
)
def test_moments_that_are_counted_from_now_are_no_older_than_their_unit(
    unmigrated: Config, monkeypatch: pytest.MonkeyPatch, content: str, longs: tuple[str, ...], shorts: tuple[str, ...]
) -> None:
    def changes(moment: str, **later: int) -> bool:
        text = f"{' ' * ((1 << 20) - 10)}{content % moment}"
        (unmigrated.fixtures / "thing.json.gz").write_bytes(gzip.compress(text.encode()))
        names = set()
        for now in (at, at + dt.timedelta(**later)):
            monkeypatch.setattr(seeds, "_now", lambda now=now: now)
            names.add(digest(unmigrated))
        return len(names) == 2

    at = dt.datetime(2024, 2, 29, 10, 15)
    (unmigrated.fixtures / "thing.json").unlink()
    for long in longs:
        assert (changes(long, minutes=20), changes(long, hours=1)) == (False, True)
    for short in shorts:
        assert (changes(short, seconds=20), changes(short, minutes=1)) == (False, True)


# -- models ----------------------------------------------------------------------------------------------------------

MODELS = """
import datetime as dt
import enum
from functools import partial

import sqlalchemy as sa

ZONE = "EU"

class Rank(enum.Enum):
    LOW = "low"

class Text(sa.types.TypeDecorator):
    impl = sa.String
    cache_ok = True
    def __init__(self, prefix="a"):
        super().__init__()
        self.prefix = prefix
    def process_bind_param(self, value, dialect):
        return self.prefix + value

class Counter:
    def __init__(self, start):
        self.start = start
    def __call__(self):
        return self.start + 1

def helper(value):
    return value + "!" if value in {"a", "b", "d", "e", "f", "g"} else named.__name__

def named():
    return helper(ZONE)

def closing_over(value):
    return lambda: value

def made(target, connection, **_):
    connection.exec_driver_sql("SELECT 1")

metadata = sa.MetaData()
table = sa.Table(
    "thing", metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("scalar", sa.String, default="one"),
    sa.Column("number", sa.Integer, default=lambda: 1),
    sa.Column("named", sa.String, default=named),
    sa.Column("partial", sa.String, default=partial(helper, "x")),
    sa.Column("closed", sa.String, default=closing_over("x")),
    sa.Column("counted", sa.Integer, default=Counter(5)),
    sa.Column("method", sa.String, default="x".upper),
    sa.Column("sql", sa.String, default=sa.func.lower("X")),
    sa.Column("rank", sa.Enum(Rank), default=Rank.LOW),
    sa.Column("own", Text(), default="x"),
    sa.Column("at", sa.DateTime, default=dt.datetime.now),
    sa.Column("loaded_at", sa.DateTime, default=dt.datetime.now()),
    sa.Column("since", sa.DateTime, default=dt.datetime(2020, 1, 1)),
    sa.Index("thing_named", "named"),
    comment="a table",
)
sa.event.listen(table, "after_create", made)
sa.event.listen(metadata, "before_create", sa.DDL("SELECT 2"))
"""


@pytest.fixture
def defined() -> Iterator[Callable[[str], list[str]]]:
    """What is told of models with this source; each time of a module of the same name."""

    def define(source: str) -> list[str]:
        module = sys.modules["models_of_seeds"] = ModuleType("models_of_seeds")
        exec(compile(source, "models.py", "exec"), vars(module))
        return definitions(module.metadata, postgresql.dialect())  # type: ignore[no-untyped-call]

    yield define
    del sys.modules["models_of_seeds"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('default="one"', 'default="two"'),
        ("lambda: 1", "lambda: 2"),
        ("return helper(ZONE)", "return ZONE"),
        ('ZONE = "EU"', 'ZONE = "NORDIC"'),
        ('value + "!"', 'value + "?"'),
        ('partial(helper, "x")', 'partial(helper, "y")'),
        ('closing_over("x")', 'closing_over("y")'),
        ("Counter(5)", "Counter(6)"),
        ("self.start + 1", "self.start + 2"),
        ('"x".upper', '"x".lower'),
        ("sa.func.lower(", "sa.func.upper("),
        ('LOW = "low"', 'LOW = "lowest"'),
        ("self.prefix + value", "value + self.prefix"),
        ('{"a", "b", ', '{"a", "c", '),
        ("Text()", 'Text("b")'),
        ("default=dt.datetime.now)", "default=dt.datetime.utcnow)"),
        ("dt.datetime(2020, 1, 1)", "dt.datetime(2020, 1, 1, 1)"),
        ('"thing_named", "named"', '"thing_named", "partial"'),
        ("a table", "the table"),
        ("SELECT 1", "SELECT 3"),
        ("SELECT 2", "SELECT 3"),
    ],
)
def test_tables_defaults_and_what_they_are_made_of_count(
    defined: Callable[[str], list[str]], old: str, new: str
) -> None:
    before = defined(MODELS)
    assert defined(MODELS) == before
    assert MODELS.count(old) == 1
    assert defined(MODELS.replace(old, new)) != before


@pytest.mark.slow
def test_the_name_of_the_content_is_the_same_in_every_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models_of_seeds.py").write_text(MODELS)
    (tmp_path / "toolkit.toml").write_text('metadata = "models_of_seeds:metadata"')
    monkeypatch.syspath_prepend(str(tmp_path))
    code = (
        "from toolkit.config import load_config; from toolkit.testing.seeds import Seed; c = load_config();"
        "print(Seed(c, c.fixtures, ()).digest(c.database('sqlite')))"
    )
    other = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    config = load_config(tmp_path, {})
    # This process orders sets in another way.
    own = Seed(config, config.fixtures, ()).digest(config.database("sqlite"))
    del sys.modules["models_of_seeds"]
    assert other.stdout.strip() == own


# -- rows ------------------------------------------------------------------------------------------------------------

EDITED = {
    "toolkit.toml": 'metadata = "edited_models:metadata"\nfixtures = "fixtures"',
    "alembic.ini": "[alembic]\nscript_location = migrations\npath_separator = newline\n"
    "version_locations =\n  %(here)s/migrations/versions\n  %(here)s/more\n",
    "migrations/env.py": """
from alembic import context
from sqlalchemy import engine_from_config
from edited_models import metadata
with engine_from_config(context.config.get_section("alembic"), prefix="sqlalchemy.").connect() as connection:
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()
""",
    "migrations/versions/0001.py": """
from pathlib import Path
import sqlalchemy as sa
from alembic import op
from edited_helper import TEXT
revision, down_revision = "0001", None
def upgrade():
    op.create_table("item", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String))
    told = op.create_table("told", sa.Column("id", sa.Integer, primary_key=True), sa.Column("text", sa.String))
    beside = Path(__file__).with_name("rows.txt").read_text()
    op.bulk_insert(told, [{"id": id_, "text": text} for id_, text in enumerate(["VERSION", TEXT, beside])])
""",
    "more/0002.py": """
from alembic import op
revision, down_revision = "0002", "0001"
def upgrade():
    op.execute("INSERT INTO told VALUES (3, 'MORE')")
""",
    "migrations/versions/rows.txt": "BESIDE",
    "edited_helper.py": "TEXT = 'HELPER'",
    "edited_models.py": """
import sqlalchemy as sa
metadata = sa.MetaData()
named = lambda: "DEFAULT"
number = sa.Integer()
name = sa.Column("name", sa.String, default=named)
item = sa.Table("item", metadata, sa.Column("id", number, primary_key=True), name)
told = sa.Table("told", metadata, sa.Column("id", number, primary_key=True), sa.Column("text", sa.String))
""",
    "other/item.json": '[{"id": 1, "name": "other"}]',
    "fixtures/item.csv": "id\n1\n",
}


def zipped(content: bytes, format_: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(f"item.{format_}", content)
    return packed.getvalue()


# How each format writes a row, and each compression a file: a new form needs a line here.
WRITTEN: dict[str, Callable[[str], str]] = {
    "json": lambda name: f'[{{"id": 1, "name": "{name}"}}]',
    "jsonl": lambda name: f'{{"id": 1, "name": "{name}"}}\n',
    "ndjson": lambda name: f'{{"id": 1, "name": "{name}"}}\n',
    "csv": lambda name: f"id,name\n1,{name}\n",
    "tsv": lambda name: f"id\tname\n1\t{name}\n",
    "yaml": lambda name: f"- id: 1\n  name: {name}\n",
    "yml": lambda name: f"- id: 1\n  name: {name}\n",
}
PACKED: dict[str, Callable[[bytes, str], bytes]] = {
    "none": lambda content, _: content,
    "gz": lambda content, _: gzip.compress(content),
    "zst": lambda content, _: b"".join(compress([content])),
    "bz2": lambda content, _: bz2.compress(content),
    "xz": lambda content, _: lzma.compress(content),
    "zip": zipped,
}


@pytest.mark.slow
def test_whatever_is_edited_the_next_test_sees_new_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    # An edit of the same length within a second would not be seen by Python itself.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name, content in EDITED.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(content)

    def rows() -> list[str]:
        for name in ("edited_helper", "edited_models"):
            sys.modules.pop(name, None)
        config = load_config(tmp_path, {})
        pool = Pool(config, tmp_path / "cache")
        clone = pool.clone("sqlite", Seed(config, config.fixtures))
        with clone.engine.connect() as connection:
            query = "SELECT name FROM item UNION ALL SELECT * FROM (SELECT text FROM told ORDER BY id)"
            found = [str(text) for (text,) in connection.exec_driver_sql(query)]
        pool.drop(clone)
        pool.close()
        return found

    seen = ["DEFAULT", "VERSION", "HELPER", "BESIDE", "MORE"]
    assert rows() == seen
    for name, old in (
        ("edited_models.py", "DEFAULT"),
        ("migrations/versions/0001.py", "VERSION"),
        ("edited_helper.py", "HELPER"),
        ("migrations/versions/rows.txt", "BESIDE"),
        ("more/0002.py", "MORE"),
    ):
        path = tmp_path / name
        path.write_text(path.read_text().replace(old, old.lower()))
        seen[seen.index(old)] = old.lower()
        assert rows() == seen
    (tmp_path / "toolkit.toml").write_text(EDITED["toolkit.toml"].replace('"fixtures"', '"other"'))
    assert rows() == ["other", *seen[1:]]
    (tmp_path / "toolkit.toml").write_text(EDITED["toolkit.toml"])
    (tmp_path / "fixtures" / "item.csv").unlink()
    # Each format and each compression; `test_every_form_of_a_fixture_counts…` has all of them.
    forms = [form for form in FORMS if form.compression == "none" or form.format == "csv"]
    for number, form in enumerate(forms):
        row = WRITTEN[form.format](f"row{number}").encode()
        (tmp_path / "fixtures" / f"item{form.suffix}").write_bytes(PACKED[form.compression](row, form.format))
        assert rows()[0] == f"row{number}"
        (tmp_path / "fixtures" / f"item{form.suffix}").unlink()


# -- in a run of pytest ----------------------------------------------------------------------------------------------

TEST = """
    import os

    @pytest.mark.parametrize("number", range(2))
    def test_name(toolkit_session, number):
        assert toolkit_session.scalars(text("SELECT name FROM item ORDER BY id")).all() == os.environ["NAMES"].split()
"""
DEFAULT = 'Column("name", String(20), default=lambda: os.environ["NAME"])'


@pytest.mark.slow
def test_tests_see_what_was_edited_and_what_cannot_be_seen_when_they_are_told_to(project: Project) -> None:
    project.test(TEST)
    project.settings("toolkit_databases = sqlite")
    models = project.pytester.path / "shop.py"
    models.write_text(models.read_text().replace('Column("name", String(20))', DEFAULT))
    item = project.pytester.path / "fixtures" / "item.csv"
    item.with_suffix(".json").unlink()

    def run(names: str, *arguments: str, **said: str) -> None:
        for name, value in {"NAMES": names, **said}.items():
            project.pytester._monkeypatch.setenv(name, value)
        project.run(*arguments).assert_outcomes(passed=2)

    item.write_text("id,name\n1,bread\n")
    run("bread")
    item.write_text("id\n1\n2\n")
    run("salt salt", NAME="salt")
    made = len(project.created())
    # What a default reads of the environment is nowhere to be seen.
    run("salt salt", NAME="soap")
    assert len(project.created()) == made
    run("soap soap", "--toolkit-rebuild")
    run("soap soap")
    assert len(project.created()) == made + 1
    run("soap soap", "--cache-clear")
    assert len(project.created()) == made + 2
