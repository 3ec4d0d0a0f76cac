"""bundled todo schema

Revision ID: 0001_12562c
Revises: nothing
"""

import sqlalchemy as sa
from advanced_alchemy import types
from alembic import op

# Advanced Alchemy's types beside SQLAlchemy's own: sa.GUID, sa.DateTimeUTC, sa.JsonB, sa.StoredObject and so on.
vars(sa).update({name: getattr(types, name) for name in types.__all__ if name[0].isupper()})

revision = "0001_12562c"
down_revision = None
branch_labels = None
depends_on = None


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
    op.create_table(
        "role",
        sa.Column("id", sa.GUID(length=16), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=True),
        sa.Column("slug", sa.String(length=100), nullable=False),
        sa.Column("sa_orm_sentinel", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTimeUTC(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTimeUTC(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_role")),
        sa.UniqueConstraint("name", name=op.f("uq_role_name")),
        sa.UniqueConstraint("slug", name="uq_role_slug"),
    )
    op.create_table(
        "user_account",
        sa.Column("id", sa.GUID(length=16), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=True),
        sa.Column("hashed_password", sa.String(length=255), nullable=True),
        sa.Column("avatar_url", sa.String(length=500), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("is_superuser", sa.Boolean(), nullable=False),
        sa.Column("joined_at", sa.Date(), nullable=False),
        sa.Column("sa_orm_sentinel", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTimeUTC(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTimeUTC(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_account")),
    )
    op.create_index(op.f("ix_user_account_email"), "user_account", ["email"], unique=True)

    op.create_table(
        "tag",
        sa.Column("id", sa.GUID(length=16), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("user_id", sa.GUID(length=16), nullable=False),
        sa.Column("sa_orm_sentinel", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTimeUTC(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTimeUTC(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_tag_user_id_user_account"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tag")),
        sa.UniqueConstraint("user_id", "name", name=op.f("uq_tag_user_id")),
    )
    op.create_table(
        "todo",
        sa.Column("id", sa.GUID(length=16), nullable=False),
        sa.Column("item", sa.String(length=100), nullable=False),
        sa.Column("description", sa.String(length=1024), nullable=True),
        sa.Column(
            "importance",
            sa.Enum("NONE", "LOW", "MEDIUM", "HIGH", name="importance", native_enum=False),
            nullable=False,
        ),
        sa.Column("user_id", sa.GUID(length=16), nullable=False),
        sa.Column("start_time", sa.DateTimeUTC(timezone=True), nullable=True),
        sa.Column("end_time", sa.DateTimeUTC(timezone=True), nullable=True),
        sa.Column("alarm_time", sa.DateTimeUTC(timezone=True), nullable=True),
        sa.Column("details", sa.JsonB, nullable=True),
        sa.Column("is_deleted", sa.Boolean(), nullable=False),
        sa.Column("deleted_at", sa.DateTimeUTC(timezone=True), nullable=True),
        sa.Column("sa_orm_sentinel", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTimeUTC(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTimeUTC(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_todo_user_id_user_account"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_todo")),
    )
    op.create_index(op.f("ix_todo_item"), "todo", ["item"])
    op.create_index("ix_todo_time_range", "todo", ["start_time", "end_time"])
    op.create_index("ix_todo_user_importance", "todo", ["user_id", "importance"])

    op.create_table(
        "user_role",
        sa.Column("id", sa.GUID(length=16), nullable=False),
        sa.Column("user_id", sa.GUID(length=16), nullable=False),
        sa.Column("role_id", sa.GUID(length=16), nullable=False),
        sa.Column("assigned_at", sa.DateTimeUTC(timezone=True), nullable=False),
        sa.Column("sa_orm_sentinel", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTimeUTC(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTimeUTC(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["role_id"], ["role.id"], name=op.f("fk_user_role_role_id_role"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["user_account.id"],
            name=op.f("fk_user_role_user_id_user_account"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_role")),
        sa.UniqueConstraint("user_id", "role_id", name=op.f("uq_user_role_user_id")),
    )
    op.create_index(op.f("ix_user_role_role_id"), "user_role", ["role_id"])

    op.create_table(
        "attachment",
        sa.Column("id", sa.GUID(length=16), nullable=False),
        sa.Column("todo_id", sa.GUID(length=16), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("file", sa.StoredObject(backend="attachments"), nullable=False),
        sa.Column("sa_orm_sentinel", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTimeUTC(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTimeUTC(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["todo_id"], ["todo.id"], name=op.f("fk_attachment_todo_id_todo"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attachment")),
    )
    op.create_index(op.f("ix_attachment_todo_id"), "attachment", ["todo_id"])

    op.create_table(
        "todo_tag",
        sa.Column("id", sa.GUID(length=16), nullable=False),
        sa.Column("todo_id", sa.GUID(length=16), nullable=False),
        sa.Column("tag_id", sa.GUID(length=16), nullable=False),
        sa.Column("sa_orm_sentinel", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTimeUTC(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTimeUTC(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tag_id"], ["tag.id"], name=op.f("fk_todo_tag_tag_id_tag"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["todo_id"], ["todo.id"], name=op.f("fk_todo_tag_todo_id_todo"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_todo_tag")),
        sa.UniqueConstraint("todo_id", "tag_id", name=op.f("uq_todo_tag_todo_id")),
    )
    op.create_index(op.f("ix_todo_tag_tag_id"), "todo_tag", ["tag_id"])


def schema_downgrades() -> None:
    """The changes of tables, undone."""
    op.drop_table("todo_tag")
    op.drop_table("attachment")
    op.drop_table("user_role")
    op.drop_table("todo")
    op.drop_table("tag")
    op.drop_table("user_account")
    op.drop_table("role")


def data_upgrades() -> None:
    """Changes of rows, after those of tables. Use `op.get_bind()` and Core statements, not models."""


def data_downgrades() -> None:
    """The changes of rows, undone, before those of tables."""
