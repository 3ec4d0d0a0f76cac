"""The table in the target where `sync --since` keeps how far it came, and the rights that it needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from toolkit.errors import PrivilegeError
from toolkit.operations.transfer.watermark_texts import TEXT_LENGTH

if TYPE_CHECKING:
    from toolkit.engines.contract import Connection

# Its name keeps it out of migrations: see `revisions.is_bookkeeping`.
STATE = sa.Table(
    "toolkit_sync_state",
    sa.MetaData(),
    sa.Column("source", sa.String(512), primary_key=True),
    sa.Column("table_name", sa.String(255), primary_key=True),
    sa.Column("column_name", sa.String(255), primary_key=True),
    sa.Column("narrowed_by", sa.String(1024), primary_key=True),
    sa.Column("watermark", sa.String(TEXT_LENGTH), nullable=False),
)


def require_table(target: Connection) -> None:
    """See to it that the table is there and may be written to, by making it and by writing nothing."""
    changes = (
        sa.delete(STATE).where(sa.false()),
        sa.insert(STATE).from_select(STATE.columns.keys(), sa.select(STATE).where(sa.false())),
    )
    with naming_the_right(target), target.translated(), target.savepoint():
        target.make_own_table(STATE)
        for change in changes:
            target.sqlalchemy.execute(change)


@contextmanager
def naming_the_right(target: Connection) -> Iterator[None]:
    """Tell of a right that is lacking in the block what it is needed for."""
    try:
        yield
    except PrivilegeError as error:
        raise lacking_state_right(target, error.reason) from error


def lacking_state_right(target: Connection, reason: str) -> PrivilegeError:
    """What the role needs, in the statements that its owner, or the schema's, can run."""
    dialect = target.sqlalchemy.dialect
    quote = dialect.identifier_preparer.quote
    role = quote(target.database.url.username or "THE_ROLE")
    # Some servers grant it of a table that is not there yet.
    made = "CREATE, " if reason.startswith("CREATE ") else ""
    grant = f"GRANT {made}SELECT, INSERT, DELETE ON {STATE.name} TO {role};"
    if STATE.name in reason:
        return PrivilegeError(
            target.name,
            reason,
            f"this role may not use the table {STATE.name}, where --since keeps how far it came: {reason}",
            f"Let its owner run: {grant}",
        )
    made = " ".join(str(CreateTable(STATE).compile(dialect=dialect)).split())
    schema = quote(dialect.default_schema_name or "public")
    return PrivilegeError(
        target.name,
        reason,
        f"this role may not create the table {STATE.name}, where --since keeps how far it came: {reason}",
        f"Let the schema's owner run: GRANT CREATE ON SCHEMA {schema} TO {role}; or, once: {made}; {grant}",
    )
