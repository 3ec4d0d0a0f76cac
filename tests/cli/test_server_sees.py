"""What others see of a run at a server: its log, its sessions; and what a connection service keeps to itself."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from tests.cli.test_errors import SECRET, Tell, as_role, grant, guarded_role, shop, tell
from tests.operations.databases import create, execute
from tests.operations.example import fill
from tests.operations.shop import metadata
from toolkit.config import Config, Database
from toolkit.engines import connect

__all__ = ["guarded_role", "shop", "tell"]
VALUE = "hunter2"


@pytest.fixture
def role(shop: Config, guarded_role: str) -> str:
    """A role with a password that may do what a sync does; the source has a value that nobody else should see."""
    fill(shop.database("sqlite"))
    execute(shop.database("sqlite"), f"UPDATE customer SET name = '{VALUE}'")
    create(shop.database("postgres"), metadata)
    grant(shop, "ALL ON ALL TABLES IN SCHEMA public", guarded_role)
    grant(shop, "ALL ON ALL SEQUENCES IN SCHEMA public", guarded_role)
    return guarded_role


@pytest.mark.slow
def test_neither_a_password_nor_a_rows_value_is_in_the_log_of_a_server_that_logs_every_statement(
    shop: Config, tell: Tell, role: str, postgres_server: str
) -> None:
    log = Path(str(sa.make_url(postgres_server).query["host"])) / "log"
    name = sa.make_url(shop.database("postgres").address).database
    before = log.stat().st_size
    execute(shop.database("postgres"), f"ALTER DATABASE {name} SET log_statement = 'all'")
    url = as_role(shop, role, SECRET)
    for verb in (
        ["sync", "--from", "sqlite", "--to", url],
        ["diff", "--from", url, "--to", "sqlite", "--rows", "5"],
        ["dump-data", "--from", url, "--dir", "out"],
        ["load-data", "--to", url, "--dir", "out"],
    ):
        assert tell(*verb).code == 0
    # Rows that are there already, and take another way.
    execute(shop.database("sqlite"), f"UPDATE customer SET name = '{VALUE} and more'")
    assert tell("sync", "--from", "sqlite", "--to", url, "--match", "customer:email").code == 0
    execute(shop.database("postgres"), f"ALTER DATABASE {name} RESET log_statement")
    with log.open() as file:
        file.seek(before)
        logged = file.read()
    assert "COPY" in logged
    assert VALUE not in logged
    assert not any(written in logged for written in (SECRET, "se%3Acr"))


def test_a_session_shows_no_secret_beside_the_others(shop: Config, role: str) -> None:
    database = Database("", as_role(shop, role, SECRET), shop.root)
    with connect(database) as connection, psycopg.connect(shop.database("postgres").address) as other:
        assert connection.sqlalchemy.execute(sa.text("SELECT 1")).scalar() == 1
        rows = other.execute("SELECT * FROM pg_stat_activity WHERE usename = %s", (role,)).fetchall()
    assert rows
    assert SECRET not in str(rows)


def test_a_connection_service_is_a_place_of_its_own_and_its_password_is_not_shown(
    shop: Config, tell: Tell, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = sa.make_url(shop.database("postgres").address)
    place = f"host={url.query['host']}\ndbname={url.database}\nuser={role}\n"
    (shop.root / "services").write_text(
        f"[there]\n{place}password={SECRET}\n[wrong]\n{place}password={SECRET}x\n[nowhere]\nhost=127.0.0.1\nport=1\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(shop.root / "services"))
    monkeypatch.delenv("PGPASSWORD", raising=False)
    assert Database("", "postgresql:///?service=a").place != Database("", "postgresql:///?service=b").place
    for name, code, said in (
        ("there", 0, "Verified"),
        ("wrong", 1, "the password was refused"),
        ("nowhere", 1, "no PostgreSQL server answers at service nowhere"),
    ):
        told = tell("sync", "--from", "sqlite", "--to", f"postgresql:///?service={name}", "--debug")
        assert told.code == code, told
        assert said in told.out + told.err
        assert SECRET not in told.out + told.err
    told = tell("sync", "--from", "postgresql:///?service=there", "--to", "postgresql:///?service=nowhere")
    assert "the same database" not in told.err


def test_a_parameter_of_a_url_may_hold_spaces_whichever_way_they_are_written(
    shop: Config, tell: Tell, role: str
) -> None:
    url = as_role(shop, role, SECRET)
    for space in ("%20", "+"):
        told = tell("sync", "--from", "sqlite", "--to", f"{url}&options=-c{space}statement_timeout%3D60000")
        assert told.code == 0, told
        assert "options=***" in told.out
