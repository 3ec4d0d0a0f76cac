"""${message}

Revision ID: ${up_revision}
Revises: ${down_revision or "nothing" | comma,n}
"""

import sqlalchemy as sa
from advanced_alchemy import types
from alembic import op
${imports if imports else ""}
# Advanced Alchemy's types beside SQLAlchemy's own: sa.GUID, sa.DateTimeUTC, sa.JsonB, sa.StoredObject and so on.
vars(sa).update({name: getattr(types, name) for name in types.__all__ if name[0].isupper()})

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    """All of it is one transaction."""
    schema_upgrades()
    data_upgrades()


def downgrade() -> None:
    """All of it is one transaction."""
    data_downgrades()
    schema_downgrades()


def schema_upgrades() -> None:
    """Changes of tables."""
    ${upgrades if upgrades else "pass"}


def schema_downgrades() -> None:
    """The changes of tables, undone."""
    ${downgrades if downgrades else "pass"}


def data_upgrades() -> None:
    """Changes of rows, after those of tables. Use `op.get_bind()` and Core statements, not models."""


def data_downgrades() -> None:
    """The changes of rows, undone, before those of tables."""
