"""${message}

Revision ID: ${up_revision}
Revises: ${down_revision | comma,n}
"""

import sqlalchemy as sa
from advanced_alchemy.types import (
    GUID,
    ORA_JSONB,
    BigIntIdentity,
    Bool,
    DateTimeUTC,
    EncryptedString,
    EncryptedText,
    FernetBackend,
    JsonB,
    OneTimeCode,
    PasswordHash,
    StoredObject,
    TOTPSecret,
    Vector,
)
from alembic import op
${imports if imports else ""}

# Advanced Alchemy's types, under the name that migrations know.
sa.GUID = GUID
sa.ORA_JSONB = ORA_JSONB
sa.BigIntIdentity = BigIntIdentity
sa.Bool = Bool
sa.DateTimeUTC = DateTimeUTC
sa.EncryptedString = EncryptedString
sa.EncryptedText = EncryptedText
sa.FernetBackend = FernetBackend
sa.JsonB = JsonB
sa.OneTimeCode = OneTimeCode
sa.PasswordHash = PasswordHash
sa.StoredObject = StoredObject
sa.TOTPSecret = TOTPSecret
sa.Vector = Vector

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
