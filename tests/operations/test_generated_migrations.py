"""A migration that is generated on any engine goes up and down on all of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.operations import many_types
from tests.operations.databases import connected
from tests.operations.schema_changes import CHANGES, CONVENTION, PARENTS
from tests.operations.test_schema_changes import catalogue
from toolkit.config import Config, Database
from toolkit.errors import MigrationError, StatementError
from toolkit.operations.migrations import history, migrate

ENGINES = ("sqlite", "postgres", "duckdb")
GENERATED = tuple(change for change in CHANGES if change.is_generated or change.name in {"check", "no_check"})
# Words of one engine, which no other reads or reads as the same.
_OWN_WORDS = re.compile(r"postgresql|sqlite|duckdb|DATETIME|TIMESTAMP|VARCHAR|BLOB|BYTEA|::|nextval")


def _metadata(*, is_after: bool) -> sa.MetaData:
    metadata = sa.MetaData(naming_convention=CONVENTION)
    sa.Table("parent", metadata, sa.Column("id", sa.Integer, primary_key=True))
    for change in GENERATED:
        change.table(metadata, is_after=is_after)
    return metadata


BEFORE, AFTER = _metadata(is_after=False), _metadata(is_after=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
def test_a_migration_generated_on_any_engine_goes_up_on_all_and_down_again(config: Config, tmp_path: Path) -> None:
    before, after = _projects(config, tmp_path, __name__, "BEFORE", "AFTER")
    # Tables as such: those of all types, below, are generated on each. What is not as the models say is in the second.
    history.make_migrations(config.database("sqlite"), before, "before")
    for name in ENGINES:
        migrate.upgrade(config.database(name), before)
        _fill(config.database(name))
    assert not _OWN_WORDS.search(_generate(after, "after"))
    _there_and_back(config.database("sqlite"), after)
    _there_and_back(config.database("postgres"), after)
    # Its way down is of the same operations as that of test_schema_changes.py.
    _there(config.database("duckdb"), after)


def _projects(config: Config, directory: Path, module: str, *names: str) -> list[Config]:
    """One history for several models."""
    found = [replace(config, root=directory, migrations=directory / "m", metadata=f"{module}:{name}") for name in names]
    history.init(found[0].migrations)
    return found


def _generate(project: Config, message: str) -> str:
    """The migration, which is the same (but for the order of what is independent) whatever it is generated on."""
    texts = []
    for name in ENGINES:
        for path in (project.migrations / "versions").glob(f"*{message}.py"):
            path.unlink()
        made = history.make_migrations(project.database(name), project, message)
        assert made is not None
        texts.append(made.path.read_text())
    first, *others = ([*sorted(text.splitlines())] for text in texts)
    for each in others:
        assert each == first
    return texts[0]


def _fill(database: Database) -> None:
    with connected(database) as connection:
        connection.execute(BEFORE.tables["parent"].insert(), [{"id": number} for (number,) in PARENTS])
        for change in GENERATED:
            table = BEFORE.tables[change.name]
            names = [each.name for each in table.columns if each.computed is None]
            connection.execute(table.insert(), [dict(zip(names, row, strict=False)) for row in change.rows])


def _catalogue(database: Database) -> dict[tuple[str, str], str]:
    return {place: re.sub(r"<[^>]* at 0x\w+>", "", text) for place, text in catalogue(database).items()}


def _there(database: Database, project: Config) -> None:
    migrate.upgrade(database, project)
    _require_rows(database, AFTER, "after")
    assert migrate.check(database, project).changes == ()


def _there_and_back(database: Database, project: Config) -> None:
    first = catalogue(database)
    _there(database, project)
    migrate.downgrade(database, project)
    _require_rows(database, BEFORE, "back")
    assert catalogue(database) == first


def _require_rows(database: Database, metadata: sa.MetaData, stage: str) -> None:
    with connected(database) as connection:
        for change in GENERATED:
            found = connection.execute(sa.select(metadata.tables[change.name]).order_by(sa.literal_column("id")))
            assert [tuple(row) for row in found] == change.rows_at(stage), change.name


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
def test_what_engines_tell_in_their_own_words_or_not_at_all_goes_both_ways(config: Config, tmp_path: Path) -> None:
    before, after = _projects(config, tmp_path, "tests.operations.many_types", "MANY_BEFORE", "MANY_AFTER")
    _generate(before, "before")
    found = {}
    for name in ENGINES:
        migrate.upgrade(config.database(name), before)
        found[name] = _catalogue(config.database(name))
    assert many_types.KEY not in _generate(after, "after")
    for name in ENGINES:
        database = config.database(name)
        migrate.upgrade(database, after)
        checked = migrate.check(database, after)
        assert (checked.changes, checked.not_compared) == ((), ())
        migrate.downgrade(database, after)
        assert _catalogue(database) == found[name]
        migrate.downgrade(database, after, "base")
    with connected(config.database("postgres")) as connection:
        assert connection.scalars(sa.text("SELECT typname FROM pg_type WHERE typtype = 'e'")).all() == []


KINDS: dict[str, sa.MetaData] = {}
for _name in ("A B", "A C", "X A B", "none"):
    KINDS[_name] = sa.MetaData()
    _type = sa.String(9) if _name == "none" else sa.Enum(*_name.split(), name="kind")
    sa.Table("t", KINDS[_name], sa.Column("id", sa.Integer, primary_key=True), sa.Column("kind", _type))
A_B, A_C, X_A_B, NONE = KINDS.values()


@pytest.fixture
def enumerated(config: Config, tmp_path: Path) -> Callable[[str], Config]:
    """A project with these values in PostgreSQL, and one row of the last of them; what makes it one of others."""
    database = config.database("postgres")
    project = replace(config, root=tmp_path, migrations=tmp_path / "m", metadata=f"{__name__}:A_B")
    history.init(project.migrations)
    history.make_migrations(database, project, "first")
    migrate.upgrade(database, project)
    with connected(database) as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (7, 'B')")

    def made(name: str) -> Config:
        found = replace(project, metadata=f"{__name__}:{name}")
        assert history.make_migrations(database, found, name) is not None
        return found

    return made


def _labels(config: Config) -> list[str]:
    query = sa.text("SELECT enumlabel FROM pg_enum JOIN pg_type t ON t.oid = enumtypid ORDER BY typname, enumsortorder")
    with connected(config.database("postgres")) as connection:
        return list(connection.scalars(query))


def test_a_value_that_rows_hold_does_not_go_from_an_enum_of_postgres(enumerated: Callable[[str], Config]) -> None:
    project = enumerated("A_C")
    database = project.database("postgres")
    with pytest.raises(MigrationError, match=r"t id=7: column 'kind' holds 'B', .* removed from its type") as refused:
        migrate.upgrade(database, project)
    # What it is called now can be no guess: who knows it is told how.
    assert "ALTER TYPE ... RENAME VALUE 'B' TO" in refused.value.advice
    assert _labels(project) == ["A", "B"]
    with connected(database) as connection:
        connection.exec_driver_sql("ALTER TABLE t ALTER kind SET DEFAULT 'A'; UPDATE t SET kind = 'A'")
    migrate.upgrade(database, project)
    assert _labels(project) == ["A", "C"]
    with connected(database) as connection:
        assert connection.exec_driver_sql("INSERT INTO t (id) VALUES (8) RETURNING kind").scalar() == "A"


@pytest.mark.slow
def test_a_value_that_was_renamed_before_its_enum_changes_goes_along(enumerated: Callable[[str], Config]) -> None:
    project = enumerated("A_C")
    database = project.database("postgres")
    (head,) = history.heads(project)
    renaming = "op.execute(\"ALTER TYPE kind RENAME VALUE 'B' TO 'C'\")\n    "
    head.path.write_text(head.path.read_text().replace("with op.batch", f"{renaming}with op.batch", 1))
    migrate.upgrade(database, project)
    assert _labels(project) == ["A", "C"]
    with connected(database) as connection:
        assert connection.exec_driver_sql("SELECT kind FROM t WHERE id = 7").scalar_one() == "C"


@pytest.mark.slow
def test_a_value_comes_in_its_place_and_is_not_used_before_its_transaction_ends(
    enumerated: Callable[[str], Config],
) -> None:
    project = enumerated("X_A_B")
    database = project.database("postgres")
    (path,) = (project.migrations / "versions").glob("*x_a_b.py")
    text = path.read_text()
    use = "op.execute(\"INSERT INTO t VALUES (8, 'X')\")"
    path.write_text(f"{text}\n\ndef data_upgrades():\n    {use}\n")
    with pytest.raises(StatementError, match=r"(?s)unsafe use of new value .* put what uses it into a migration"):
        migrate.upgrade(database, project)
    path.write_text(text)
    migrate.upgrade(database, project)
    assert _labels(project) == ["X", "A", "B"]
    migrate.downgrade(database, project)
    assert _labels(project) == ["A", "B"]


@pytest.mark.parametrize("own", ["", "    op.execute('DROP TYPE kind')\n"])
def test_an_enum_goes_with_its_last_column_unless_the_migration_drops_it_itself(
    enumerated: Callable[[str], Config], own: str
) -> None:
    project = enumerated("NONE")
    database = project.database("postgres")
    (path,) = (project.migrations / "versions").glob("*none.py")
    path.write_text(path.read_text().replace("def schema_downgrades", f"{own}\ndef schema_downgrades", 1))
    migrate.upgrade(database, project)
    assert _labels(project) == []
    migrate.downgrade(database, project)
    assert _labels(project) == ["A", "B"]
    with connected(database) as connection:
        assert connection.exec_driver_sql("SELECT kind FROM t").scalar() == "B"


DRIFT = {
    "sqlite": ("DROP INDEX ix_item_part", "ALTER TABLE many DROP COLUMN small"),
    "postgres": (
        "ALTER TABLE many ALTER small SET DEFAULT 1",
        "ALTER TABLE item DROP CONSTRAINT low_enough",
        "COMMENT ON TABLE item IS 'other'",
        "ALTER TYPE kind ADD VALUE 'Z'",
        "CREATE TABLE alone (id INTEGER CHECK (id > 1))",
    ),
    "duckdb": (
        "DROP INDEX ix_item_expression",
        "ALTER TABLE many ALTER small SET DEFAULT 1",
        "COMMENT ON TABLE item IS 'x'",
    ),
}
SEEN = {
    "sqlite": ("add column many.small", "add index ix_item_part"),
    "postgres": (
        "change default of many.small from 1 to '0'",
        "add constraint low_enough on item",
        "add table comment item",
        "change type of item.kind",
        "remove table alone",
    ),
    "duckdb": ("add index ix_item_expression", "change default of many.small", "add table comment item"),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
@pytest.mark.parametrize("name", ENGINES)
def test_what_was_changed_by_hand_is_a_difference(config: Config, tmp_path: Path, name: str) -> None:
    project = replace(
        config, root=tmp_path, migrations=tmp_path / "m", metadata="tests.operations.many_types:MANY_BEFORE"
    )
    history.init(project.migrations)
    database = config.database(name)
    history.make_migrations(database, project, "before")
    migrate.upgrade(database, project)
    with connected(database) as connection:
        for statement in DRIFT[name]:
            connection.exec_driver_sql(statement)
    found = migrate.check(database, project).changes
    for each in SEEN[name]:
        assert any(each in change for change in found), (each, found)
    assert many_types.KEY not in str(found)


ASKING = """
    bind = op.get_bind()
    if not sa.inspect(bind).has_table("parent"):
        op.create_table("parent", sa.Column("id", sa.Integer(), primary_key=True))
    if "parent_id" not in [each["name"] for each in sa.inspect(bind).get_columns("parent")]:
        op.add_column("parent", sa.Column("parent_id", sa.Integer()))
        op.create_foreign_key("fk", "parent", "parent", ["parent_id"], ["id"])
    for (number,) in bind.execute(sa.text("SELECT id FROM parent")).all():
        bind.execute(sa.text("DELETE FROM parent"), {})
"""
ASKED, WITHOUT_KEY = sa.MetaData(), sa.MetaData()
for _metadata_of_one, _keys in ((ASKED, [sa.ForeignKey("parent.id", name="fk")]), (WITHOUT_KEY, [])):
    _parent = sa.Column("parent_id", sa.Integer, *_keys)
    sa.Table("parent", _metadata_of_one, sa.Column("id", sa.Integer, primary_key=True), _parent)


@pytest.mark.parametrize(
    ("more", "not_compared"),
    [("", ()), ("    {}[bind.engine.url]\n", ("foreign keys of parent",))],
    ids=["asks", "counts on"],
)
def test_a_migration_that_asks_the_database_declares_all_the_same(
    config: Config, tmp_path: Path, more: str, not_compared: tuple[str, ...]
) -> None:
    project = replace(config, root=tmp_path, migrations=tmp_path / "m", metadata=f"{__name__}:ASKED")
    database = config.database("duckdb")
    history.init(project.migrations)
    made = history.make_migrations(database, project, "asking", autogenerate=False)
    assert made is not None
    text = made.path.read_text().replace('"""Changes of tables."""', '"""Changes."""' + ASKING)
    made.path.write_text(text)
    migrate.upgrade(database, project)
    made.path.write_text(text.replace("    bind = op.get_bind()\n", f"    bind = op.get_bind()\n{more}"))
    found = migrate.check(database, project)
    assert (found.changes, found.not_compared) == ((), not_compared)
    found = migrate.check(database, replace(project, metadata=f"{__name__}:WITHOUT_KEY"))
    assert found.changes == (() if not_compared else ("remove foreign key fk on parent (parent_id)",))


PLAIN_KEY, SEQUENCE_KEY = sa.MetaData(), sa.MetaData()
sa.Table("task", PLAIN_KEY, sa.Column("id", sa.BigInteger, primary_key=True))
sa.Table("task", SEQUENCE_KEY, sa.Column("id", sa.BigInteger, sa.Sequence("task_id_seq"), primary_key=True))


@pytest.mark.slow
def test_a_sequence_that_engines_make_for_a_key_is_not_made_once_more(config: Config, tmp_path: Path) -> None:
    """As of Advanced Alchemy's `BigIntBase`, whose first migrations were made by Alembic alone."""
    plain, named = _projects(config, tmp_path, __name__, "PLAIN_KEY", "SEQUENCE_KEY")
    _generate(plain, "before")
    for name in ENGINES:
        migrate.upgrade(config.database(name), plain)
        assert migrate.check(config.database(name), named).changes == ()


def _named_tables(place: str, column: str) -> sa.MetaData:
    """A table with a check, an index and a child, under the names that a migration gives it."""
    metadata = sa.MetaData()
    check = sa.CheckConstraint(f"{column} >= 0 AND tag <> 'size'", name="ck_size")
    key, tag = sa.Column("id", sa.Integer, primary_key=True), sa.Column("tag", sa.String(9), server_default="")
    sa.Table(place, metadata, key, sa.Column(column, sa.Integer, index=False), tag, check)
    parent = sa.Column("parent", sa.Integer, sa.ForeignKey(f"{place}.id", name="fk_child"))
    sa.Table("child", metadata, sa.Column("id", sa.Integer, primary_key=True), parent)
    return metadata


OLD_NAMES, NEW_NAMES = _named_tables("things", "size"), _named_tables("goods", "width")
OTHER_CHECK = _named_tables("goods", "width")
for _check in [each for each in OTHER_CHECK.tables["goods"].constraints if isinstance(each, sa.CheckConstraint)]:
    _check.sqltext = sa.text("width > 0")
RENAMING = """
    with op.batch_alter_table("things") as batch_op:
        batch_op.alter_column("size", new_column_name="width", existing_type=sa.Integer())
    op.rename_table("things", "goods")
"""


@pytest.mark.parametrize("name", ENGINES)
def test_what_follows_a_new_name_is_no_difference_and_another_condition_is(
    config: Config, tmp_path: Path, name: str
) -> None:
    names = ("OLD_NAMES", "NEW_NAMES", "OTHER_CHECK")
    before, after, other = _projects(config, tmp_path, __name__, *names)
    database = config.database(name)
    history.make_migrations(database, before, "before")
    migrate.upgrade(database, before)
    made = history.make_migrations(database, before, "renaming", autogenerate=False)
    assert made is not None
    text = made.path.read_text().replace('"""Changes of tables."""', '"""Changes."""' + RENAMING)
    made.path.write_text(text)
    migrate.upgrade(database, before)
    found = migrate.check(database, after)
    assert (found.changes, found.not_compared) == ((), ())
    changes = migrate.check(database, other).changes
    assert changes == ("remove constraint ck_size on goods ()", "add constraint ck_size on goods ()")


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
@pytest.mark.parametrize(
    ("name", "asked"), [("sqlite", "True"), ("postgres", "True"), ("duckdb", "True"), ("postgres", "lambda *_: None")]
)
def test_an_env_py_that_lets_defaults_be_compared_finds_no_other_differences(
    config: Config, tmp_path: Path, name: str, asked: str
) -> None:
    old, new = _projects(config, tmp_path, __name__, "DEFAULTS", "NEW_DEFAULTS")
    path, database = old.migrations / "env.py", config.database(name)
    path.write_text(path.read_text().replace("\nrun_migrations()", f"\nrun_migrations(compare_server_default={asked})"))
    history.make_migrations(database, old, "before")
    migrate.upgrade(database, old)
    assert migrate.check(database, old).changes == ()
    assert migrate.check(database, new).changes == ("change default of t.n from '7' to '8'",)


def _defaults(number: str) -> sa.MetaData:
    defaults: dict[str, tuple[sa.types.TypeEngine[Any], str]]
    defaults = {"n": (sa.Integer(), number), "e": (sa.String(5), ""), "j": (sa.JSON(), "{}")}
    columns = [sa.Column(key, type_, server_default=text) for key, (type_, text) in defaults.items()]
    metadata = sa.MetaData()
    sa.Table("t", metadata, sa.Column("id", sa.Integer, primary_key=True), *columns)
    return metadata


DEFAULTS, NEW_DEFAULTS = _defaults("7"), _defaults("8")
