"""The DuckDB dialect: what is made is what was declared, what is read is what was written."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from advanced_alchemy.base import BigIntAuditBase, IdentityBase, UUIDBase, create_registry
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import DeclarativeBase, Mapped, Session

from toolkit.config import Database
from toolkit.engines.duckdb.alembic import DuckDBImpl

EAST = timezone(timedelta(hours=5, minutes=30))
AGENT = "SELECT current_setting('custom_user_agent')"
HOSTILE = "we\"ird :t% 'é"

EVERYTHING: dict[str, tuple[Any, Any]] = {
    "uuid": (sa.Uuid(), uuid.UUID(int=2**128 - 1)),
    "uuid_text": (sa.Uuid(as_uuid=False), str(uuid.UUID(int=0))),
    "moment": (sa.DateTime(timezone=True), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    "first_moment": (sa.TIMESTAMP(timezone=True), datetime(1, 1, 1, tzinfo=UTC)),
    "naive": (sa.DateTime(), datetime(1, 1, 1, 0, 0, 0, 1)),
    "day": (sa.Date(), date(1969, 12, 31)),
    "clock": (sa.Time(), time(23, 59, 59, 999999)),
    "zoned_clock": (sa.Time(timezone=True), time(1, 2, tzinfo=EAST)),
    "span": (sa.Interval(), timedelta(days=-3, microseconds=7)),
    "long_span": (sa.Interval(), timedelta(days=200_000)),
    "decimal": (sa.Numeric(38, 10), Decimal("9999999999999999999999999999.9999999999")),
    "unlimited": (sa.Numeric(), Decimal("0.0000000001")),
    "float": (sa.Float(), 0.1 + 0.2),
    "double": (sa.Double(), -0.0),
    "real": (sa.REAL(), 0.5),
    "small": (sa.SmallInteger(), -(2**15)),
    "big": (sa.BigInteger(), 2**63 - 1),
    "flag": (sa.Boolean(), False),
    "text": (sa.Text(), "'\"\\N\n\t€ e\u0301 🦆"),
    "short": (sa.String(3), "longer than three"),
    "bytes": (sa.LargeBinary(), bytes(range(256))),
    "binary": (sa.BINARY(16), b"\x00" * 16),
    "json": (sa.JSON(), {"a": [1, None, {"é": 0.1}]}),
    "jsonb": (postgresql.JSONB(), [1, "x"]),
    "enum": (sa.Enum("A", "B", name="letters"), "B"),
    "numbers": (sa.ARRAY(sa.Integer()), [1, None, 3]),
    "nested": (sa.ARRAY(sa.String(), dimensions=2), [["a"], ["b", None]]),
    "uuids": (sa.ARRAY(sa.Uuid()), [uuid.UUID(int=1)]),
    "address": (postgresql.INET(), "10.0.0.1"),
}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    """Open an empty database."""
    engine = sa.create_engine(f"duckdb+toolkit:///{tmp_path / 'one.duckdb'}")
    yield engine
    engine.dispose()


def everything(metadata: sa.MetaData) -> sa.Table:
    """Make a table with a column of every type."""
    columns = [sa.Column(name, type_) for name, (type_, _) in EVERYTHING.items()]
    return sa.Table("everything", metadata, sa.Column("id", sa.Integer, primary_key=True), *columns)


def definitions(engine: sa.Engine, table: str) -> list[tuple[Any, ...]]:
    """Read what DuckDB itself knows of a table's columns."""
    query = "SELECT column_name, data_type, column_default, is_nullable FROM duckdb_columns() WHERE table_name = :t"
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query), {"t": table})]


def make(engine: sa.Engine, *statements: str) -> None:
    """Run statements as a user would by hand."""
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


# -- values ----------------------------------------------------------------------------------------------------


def test_every_value_comes_back(engine: sa.Engine) -> None:
    table = everything(metadata := sa.MetaData())
    metadata.create_all(engine)
    values = {name: value for name, (_, value) in EVERYTHING.items()}
    with engine.begin() as connection:
        connection.execute(table.insert(), [values, dict.fromkeys(values)])
        found, nothing = connection.execute(sa.select(table).order_by(table.c.id)).mappings()
    assert {name: found[name] for name in values} == values
    assert str(found["double"]) == "-0.0"
    assert found["moment"].tzinfo is UTC
    assert all(nothing[name] is None for name in values)


def test_json_null_is_not_sql_null(engine: sa.Engine) -> None:
    table = sa.Table(
        "t", metadata := sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("j", sa.JSON)
    )
    metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(table.insert(), [{"j": None}])
        connection.execute(table.insert(), [{"j": sa.null()}])
        stored = connection.execute(sa.text("SELECT j::VARCHAR FROM t ORDER BY id")).scalars().all()
    assert stored == ["null", None]


def test_moments_do_not_depend_on_the_process_time_zone(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT current_setting('TimeZone')")) == "UTC"
        found = connection.scalar(sa.text("SELECT TIMESTAMPTZ '2024-01-01 00:00:00+05:30'"))
    assert found == datetime(2023, 12, 31, 18, 30, tzinfo=UTC)


# -- tables ----------------------------------------------------------------------------------------------------


def test_reflected_tables_are_made_the_same_again(engine: sa.Engine) -> None:
    everything(metadata := sa.MetaData())
    metadata.create_all(engine)
    before = definitions(engine, "everything")
    reflected = sa.MetaData()
    reflected.reflect(engine)
    metadata.drop_all(engine)
    make(engine, "CREATE SEQUENCE everything_id_seq")
    reflected.create_all(engine)
    assert definitions(engine, "everything") == before


def test_keys_number_themselves(engine: sa.Engine) -> None:
    metadata = sa.MetaData()
    plain = sa.Table("plain", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("n", sa.Integer))
    identity = sa.Table(
        HOSTILE,
        metadata,
        sa.Column(HOSTILE, sa.BigInteger, sa.Identity(start=100, increment=10), primary_key=True),
    )
    for _ in range(2):
        metadata.create_all(engine)
    with engine.begin() as connection:
        assert connection.execute(plain.insert().values(n=1)).inserted_primary_key == (1,)
        connection.execute(plain.insert(), [{"id": 7, "n": 2}])
        assert connection.scalars(plain.insert().returning(plain.c.id), [{"n": 3}, {"n": 4}]).all() == [2, 3]
        assert connection.scalars(identity.insert().returning(identity.c[0])).all() == [100]
        assert connection.scalars(identity.insert().returning(identity.c[0])).all() == [110]
    metadata.drop_all(engine)
    inspector = sa.inspect(engine)
    assert (inspector.get_table_names(), inspector.get_sequence_names()) == ([], [])


def test_models_of_advanced_alchemy(engine: sa.Engine) -> None:
    class Base(DeclarativeBase):
        registry = create_registry()

    class Numbered(BigIntAuditBase, Base):
        __tablename__ = "numbered"
        name: Mapped[str]

    class Identified(IdentityBase, Base):
        __tablename__ = "identified"
        name: Mapped[str]

    class Unique(UUIDBase, Base):
        __tablename__ = "unique_one"
        name: Mapped[str]

    models: list[Any] = [Numbered, Identified, Unique]
    metadatas = {model.__table__.metadata for model in models}
    for metadata in metadatas:
        metadata.create_all(engine, [m.__table__ for m in models if m.__table__.metadata is metadata])
    with Session(engine) as session:
        session.add_all([model(name=f"{number}") for model in models for number in range(3)])
        session.commit()
        for model in models:
            query = sa.select(model).where(model.name == "1").with_for_update()
            found = session.scalars(query).one()
            found.name = "changed"
        session.commit()
        names = [sorted(session.scalars(sa.select(model.name))) for model in models]
        assert [session.scalars(sa.select(Numbered.id).order_by(Numbered.id)).all()] == [[1, 2, 3]]
    assert names == [["0", "2", "changed"]] * 3


def test_constraints_keep_their_names_and_hold(engine: sa.Engine) -> None:
    metadata = sa.MetaData()
    parent = sa.Table("parent", metadata, sa.Column("id", sa.Integer, primary_key=True))
    table = sa.Table(
        "t",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("a", sa.Integer, nullable=False),
        sa.Column("b", sa.String(5)),
        sa.Column("parent_id", sa.ForeignKey(parent.c.id, ondelete="CASCADE")),
        sa.Column("kind", sa.Enum("x", "y", name="it's", native_enum=False, create_constraint=True)),
        sa.UniqueConstraint("a", "b", name="both"),
        sa.UniqueConstraint("kind"),
        sa.CheckConstraint("a > 0 OR b IS NULL", name='od"d'),
        sa.Index("partial", "a", unique=True, postgresql_where=sa.text("a > 5")),
        sa.Index("lowered", sa.func.lower(sa.column("b"))),
    )
    metadata.create_all(engine)
    inspector = sa.inspect(engine)
    assert inspector.get_foreign_keys("t") == []
    uniques = {item["name"]: item["column_names"] for item in inspector.get_unique_constraints("t")}
    assert uniques == {"both": ["a", "b"], "t_kind_key": ["kind"]}
    assert {item["name"] for item in inspector.get_check_constraints("t")} == {'od"d', "it's"}
    indexes = {item["name"]: (item["column_names"], item["unique"]) for item in inspector.get_indexes("t")}
    assert indexes == {"both": (["a", "b"], True), "lowered": ([None], False), "partial": (["a"], False)}
    refused: list[dict[str, Any]] = [{"a": 1, "b": "q"}, {"a": 0, "b": "r"}, {"a": 2, "kind": "z"}, {"a": None}]
    with engine.begin() as connection:
        connection.execute(table.insert(), [{"a": 1, "b": "q", "parent_id": 99}])
    for row in refused:
        with pytest.raises(sa.exc.DBAPIError), engine.begin() as connection:
            connection.execute(table.insert(), [row])
    # DuckDB shows the expression, and so the name that is in it.
    with pytest.raises(sa.exc.DBAPIError, match=r"""od""d|od"d"""), engine.begin() as connection:
        connection.execute(table.insert(), [refused[1]])


def test_tables_made_by_hand_are_reflected(engine: sa.Engine) -> None:
    make(
        engine,
        "CREATE TABLE parent (a INTEGER, b VARCHAR, PRIMARY KEY (a, b))",
        """CREATE TABLE child (id UUID PRIMARY KEY DEFAULT gen_random_uuid(), x INTEGER, y VARCHAR UNIQUE,
           e ENUM('q', 'r'), s STRUCT(a INTEGER, b VARCHAR), m MAP(VARCHAR, INTEGER), f INTEGER[3], h HUGEINT,
           g INTEGER GENERATED ALWAYS AS (x * 2), ns TIMESTAMP_NS, CHECK (x > 3),
           FOREIGN KEY (x, y) REFERENCES parent (a, b))""",
        "COMMENT ON TABLE child IS 'of hand'",
        "COMMENT ON COLUMN child.x IS 'a number'",
        "CREATE VIEW seen AS SELECT x FROM child",
    )
    inspector = sa.inspect(engine)
    (key,) = inspector.get_foreign_keys("child")
    assert (key["constrained_columns"], key["referred_table"], key["referred_columns"]) == (
        ["x", "y"],
        "parent",
        ["a", "b"],
    )
    assert inspector.get_pk_constraint("parent")["constrained_columns"] == ["a", "b"]
    assert [item["column_names"] for item in inspector.get_unique_constraints("child")] == [["y"]]
    assert [item["sqltext"] for item in inspector.get_check_constraints("child")] == ["(x > 3)"]
    assert inspector.get_table_comment("child") == {"text": "of hand"}
    assert inspector.get_view_names() == ["seen"]
    assert "CREATE VIEW" in inspector.get_view_definition("seen")
    assert inspector.has_table("seen")
    table = sa.Table("child", sa.MetaData(), autoload_with=engine)
    assert table.c.x.comment == "a number"
    assert table.c.g.computed is not None
    types = {column.name: column.type.compile(engine.dialect) for column in table.c}
    assert types["s"] == "STRUCT(a INTEGER, b VARCHAR)"
    assert types["e"] == "ENUM('q', 'r')"
    assert types["f"] == "INTEGER[3]"
    for missing in (inspector.get_columns, inspector.get_indexes, inspector.get_unique_constraints):
        with pytest.raises(sa.exc.NoSuchTableError):
            missing("missing")


def test_schemas_are_kept_apart(engine: sa.Engine) -> None:
    make(engine, 'CREATE SCHEMA "my schema"', "CREATE TABLE t (main_only INTEGER)")
    metadata = sa.MetaData(schema="my schema")
    table = sa.Table(
        "t", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("n", sa.Integer, index=True)
    )
    metadata.create_all(engine)
    inspector = sa.inspect(engine)
    assert inspector.get_schema_names() == ["main", "my schema"]
    assert [column["name"] for column in inspector.get_columns("t")] == ["main_only"]
    assert [column["name"] for column in inspector.get_columns("t", "my schema")] == ["id", "n"]
    assert inspector.get_indexes("t") == []
    assert [item["name"] for item in inspector.get_indexes("t", "my schema")] == ["ix_my schema_t_n"]
    with engine.begin() as connection:
        assert connection.scalars(table.insert().returning(table.c.id), [{"n": 5}]).all() == [1]
        assert connection.scalar(sa.text('SELECT n FROM "my schema".t')) == 5
    metadata.drop_all(engine)
    assert sa.inspect(engine).get_sequence_names(schema="my schema") == []


def test_autocommit(engine: sa.Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        assert connection.get_isolation_level() == "AUTOCOMMIT"
        connection.execute(sa.text("CREATE TABLE t (n INTEGER)"))
    with engine.connect() as connection:
        assert connection.get_isolation_level() == "SERIALIZABLE"
        connection.execute(sa.text("INSERT INTO t VALUES (1)"))
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM t")) == 0


# -- migrations ------------------------------------------------------------------------------------------------


def migrate_in_pieces(engine: sa.Engine) -> None:
    """Change one table in most ways that there are, in three transactions."""

    def make_it(op: Operations) -> None:
        op.create_table(
            "t",
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("a", sa.String, nullable=False, comment="kept"),
            sa.Column("b", sa.Integer),
            sa.Column("d", sa.Integer),
            sa.Column("twice", sa.Integer, sa.Computed("b * 2")),
            sa.UniqueConstraint("a", name="uq_a"),
            sa.CheckConstraint("b > 0", name="ck_b"),
        )
        op.create_index("ix_b", "t", ["b"])
        op.execute("INSERT INTO t (a, b, d) SELECT 'x' || i, i + 1, i FROM range(1000) r(i)")

    def change_it(op: Operations) -> None:
        op.execute("DELETE FROM t WHERE id = 1000")
        with op.batch_alter_table("t") as batch:
            batch.add_column(sa.Column("n", sa.Integer))
            batch.alter_column("b", nullable=False, type_=sa.BigInteger())
            batch.drop_column("d")
            batch.create_unique_constraint("uq_n", ["n"])
        op.execute("UPDATE t SET n = id")
        op.create_index("ix_n", "t", ["n", "b"])
        op.rename_table("t", "tt")
        op.alter_column("tt", "n", nullable=False)
        op.create_index("ix_a", "tt", ["a"])
        op.rename_table("tt", "ttt")

    def change_it_again(op: Operations) -> None:
        op.add_column("ttt", sa.Column("late", sa.Integer))
        op.execute("DELETE FROM ttt WHERE id = 999")
        op.execute("UPDATE ttt SET b = b + 1")
        op.create_index("ix_late", "ttt", ["late", "b"])
        op.drop_constraint("ck_b", "ttt", type_="check")
        op.create_check_constraint("ck_b2", "ttt", "b > 1")
        op.drop_constraint("uq_a", "ttt", type_="unique")
        op.alter_column("ttt", "b", new_column_name="bb")
        op.execute("INSERT INTO ttt (a, bb, n) VALUES ('x1', 5, 99999)")

    for step in (make_it, change_it, change_it_again):
        with engine.connect() as connection:
            context = MigrationContext.configure(connection)
            assert isinstance(context.impl, DuckDBImpl)
            with context.begin_transaction():
                step(Operations(context))


def assert_changed(engine: sa.Engine) -> None:
    """Check the table that the changes lead to."""
    inspector = sa.inspect(engine)
    assert inspector.get_table_names() == ["ttt"]
    assert inspector.get_sequence_names() == ["ttt_id_seq"]
    columns = {column["name"]: column for column in inspector.get_columns("ttt")}
    assert set(columns) == {"id", "a", "bb", "twice", "n", "late"}
    assert columns["a"]["comment"] == "kept"
    assert {item["name"] for item in inspector.get_indexes("ttt")} == {
        "ix_a",
        "ix_b",
        "ix_late",
        "ix_n",
        "uq_n",
    }
    assert [(item["name"], item["sqltext"]) for item in inspector.get_check_constraints("ttt")] == [
        ("ck_b2", "(bb > 1)")
    ]
    with engine.begin() as connection:
        totals = "SELECT count(*), sum(bb), sum(twice), sum(n), max(id) FROM ttt"
        assert tuple(connection.execute(sa.text(totals)).one()) == (999, 499_504, 999_008, 598_500, 1001)
        assert connection.scalar(sa.text("INSERT INTO ttt (a, bb, n) VALUES ('y', 2, -1) RETURNING id")) == 1002


@pytest.mark.slow
def test_migrations_in_pieces(engine: sa.Engine) -> None:
    migrate_in_pieces(engine)
    assert_changed(engine)


@pytest.mark.slow
def test_migrations_survive_a_crash(tmp_path: Path) -> None:
    """The write-ahead log of the migrations can be read back: see `DuckDBImpl`."""
    file, crashed = tmp_path / "one.duckdb", tmp_path / "crashed"
    engine = sa.create_engine(f"duckdb+toolkit:///{file}?checkpoint_threshold=1TB")
    migrate_in_pieces(engine)
    # What would be there if this process were killed now.
    crashed.mkdir()
    for path in (file, file.with_name("one.duckdb.wal")):
        shutil.copy(path, crashed)
    engine.dispose()
    engine = sa.create_engine(f"duckdb+toolkit:///{crashed / file.name}")
    assert_changed(engine)
    engine.dispose()


def test_what_needs_a_rebuild_is_not_written_as_sql() -> None:
    from alembic.util import CommandError

    context = MigrationContext.configure(dialect_name="duckdb", opts={"as_sql": True})
    with pytest.raises(CommandError, match="without --sql"):
        Operations(context).drop_column("t", "c")


def test_primary_keys_and_hand_made_constraints_change(engine: sa.Engine) -> None:
    make(
        engine,
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b INTEGER UNIQUE, c INTEGER)",
        # Rows without a parent are refused, whether or not DuckDB keeps the foreign key.
        "INSERT INTO t VALUES (1, 2, 1)",
    )
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        with context.begin_transaction():
            op = Operations(context)
            op.drop_constraint("whatever it is called", "t", type_="primary")
            op.drop_constraint("t_b_key", "t", type_="unique")
            op.create_primary_key("pk_t", "t", ["b", "c"])
            op.create_foreign_key("fk_t", "t", "t", ["c"], ["a"])
            op.drop_constraint("fk_t", "t")
    inspector = sa.inspect(engine)
    assert inspector.get_pk_constraint("t")["constrained_columns"] == ["b", "c"]
    assert inspector.get_unique_constraints("t") == []
    assert inspector.get_foreign_keys("t") == []


@pytest.mark.slow
def test_every_keyword_may_name_a_table_and_a_column(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        words = sorted({*connection.exec_driver_sql("SELECT keyword_name FROM duckdb_keywords()").scalars()})
        for word in words:
            table = sa.Table(word, sa.MetaData(), sa.Column(word, sa.String, primary_key=True))
            table.create(connection)
            assert connection.scalars(sa.select(table)).all() == []
        table = sa.Table("of all", sa.MetaData(), *(sa.Column(word, sa.String) for word in words))
        table.create(connection)
        connection.execute(table.insert(), dict.fromkeys(words, "x"))
        connection.execute(
            table.update().where(*(column == "x" for column in table.c)).values(dict.fromkeys(words, "y"))
        )
        assert [*map(tuple, connection.execute(sa.select(table)))] == [("y",) * len(words)]


def _refuse() -> None:
    raise AssertionError("a DuckDB was opened to ask which settings there are")


@pytest.mark.parametrize("read_only", [False, True])
def test_no_other_duckdb_is_opened_to_open_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_only: bool
) -> None:
    file = Database("one", "duckdb:///one.duckdb", tmp_path)
    with file.unpooled_engine().begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t AS SELECT 7 AS a")
        agent = connection.exec_driver_sql(AGENT).scalar()
    # As by duckdb-engine itself: a file is opened twice in a process with the same settings only.
    other = Database("other", "duckdb:///two.duckdb?threads=1", tmp_path)
    with other.unpooled_engine().connect() as connection:
        assert connection.exec_driver_sql(AGENT).scalar() == agent
        assert connection.exec_driver_sql("SELECT current_setting('threads')").scalar() == 1
    monkeypatch.setattr("duckdb_engine.get_core_config", _refuse)
    with file.unpooled_engine(read_only).connect() as connection:
        assert connection.exec_driver_sql("SELECT a FROM t").scalar() == 7
        assert connection.exec_driver_sql("SELECT current_setting('enable_external_access')").scalar() is False
        assert connection.exec_driver_sql("SELECT current_setting('TimeZone')").scalar() == "UTC"
    with pytest.raises(AssertionError, match="which settings"):
        Database("third", "duckdb:///three.duckdb?threads=1", tmp_path).unpooled_engine().connect()
