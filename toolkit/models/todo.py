"""The bundled todo schema: seven tables on a `MetaData` of their own.

Declaring the models registers no storage backend. An application that uses attachments does so once:
`storages.register_backend("file:///srv/attachments", key=ATTACHMENTS_BACKEND)`.

How relationships load: a list that stays short comes with its owner in one more query (`selectin`), a list
without a bound raises until a query asks for it (`raise`), and a row's parent loads when it is touched. The
database deletes the children (`passive_deletes`), so that removing a user reads none of their todos.
"""

import enum
from datetime import UTC, date, datetime
from typing import Any, ClassVar, Final
from uuid import UUID

from advanced_alchemy.base import UUIDAuditBase, create_registry
from advanced_alchemy.mixins import SlugKey
from advanced_alchemy.types import FileObject, JsonB, StoredObject
from sqlalchemy import Enum, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.ext.associationproxy import AssociationProxy, association_proxy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

__all__ = (
    "ATTACHMENTS_BACKEND",
    "Attachment",
    "Base",
    "Importance",
    "Role",
    "Tag",
    "Todo",
    "TodoTag",
    "User",
    "UserRole",
    "metadata",
)

ATTACHMENTS_BACKEND: Final = "attachments"
"""Key under which Advanced Alchemy's storage registry finds the attachments."""

_OWNED: Final = "all, delete-orphan"


def _now() -> datetime:
    return datetime.now(UTC)


def _today() -> date:
    return _now().date()


class Importance(enum.StrEnum):
    """How much a todo matters. The database stores the name, not the value."""

    NONE = "none"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


# `DeclarativeBase` is among the bases again because SQLAlchemy gives only its direct subclasses a registry.
# Otherwise tables and class names would land in Advanced Alchemy's global one, beside the application's own.
class Base(UUIDAuditBase, DeclarativeBase):
    """UUID key and audit columns, in this schema's own registry and metadata."""

    __abstract__ = True
    __pii_columns__: ClassVar[frozenset[str]] = frozenset()
    registry = create_registry()


class User(Base):
    """A person with an account."""

    __tablename__ = "user_account"
    __pii_columns__ = frozenset({"email", "name", "hashed_password", "avatar_url"})

    email: Mapped[str] = mapped_column(String(320), unique=True, index=True)
    name: Mapped[str | None] = mapped_column(String(100))
    hashed_password: Mapped[str | None] = mapped_column(String(255))
    avatar_url: Mapped[str | None] = mapped_column(String(500))
    is_active: Mapped[bool] = mapped_column(default=True)
    is_superuser: Mapped[bool] = mapped_column(default=False)
    joined_at: Mapped[date] = mapped_column(default=_today)

    user_roles: Mapped[list["UserRole"]] = relationship(
        back_populates="user",
        lazy="selectin",
        order_by="UserRole.assigned_at",
        cascade=_OWNED,
        passive_deletes=True,
    )
    roles: AssociationProxy[list["Role"]] = association_proxy(
        "user_roles", "role", creator=lambda role: UserRole(role=role)
    )
    todos: Mapped[list["Todo"]] = relationship(
        back_populates="user", lazy="raise", cascade=_OWNED, passive_deletes=True
    )
    tags: Mapped[list["Tag"]] = relationship(back_populates="user", lazy="raise", cascade=_OWNED, passive_deletes=True)


class Role(SlugKey, Base):
    """What a user may do."""

    # SlugKey's own arguments hold a second, Spanner-only index behind `ddl_if`, which Alembic does not heed.
    __table_args__ = (UniqueConstraint("slug", name="uq_role_slug"),)

    name: Mapped[str] = mapped_column(String(100), unique=True)
    description: Mapped[str | None] = mapped_column(String(255))

    user_roles: Mapped[list["UserRole"]] = relationship(
        back_populates="role", lazy="raise", cascade=_OWNED, passive_deletes=True
    )


class UserRole(Base):
    """A role that a user has, and since when."""

    __table_args__ = (UniqueConstraint("user_id", "role_id"),)

    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"))
    role_id: Mapped[UUID] = mapped_column(ForeignKey(Role.id, ondelete="CASCADE"), index=True)
    assigned_at: Mapped[datetime] = mapped_column(default=_now)

    user: Mapped[User] = relationship(back_populates="user_roles")
    role: Mapped[Role] = relationship(back_populates="user_roles", lazy="joined", innerjoin=True)


class Todo(Base):
    """Something to do; with both times set it takes up the half-open interval [start_time, end_time)."""

    __table_args__ = (
        Index("ix_todo_user_importance", "user_id", "importance"),
        Index("ix_todo_time_range", "start_time", "end_time"),
    )
    __pii_columns__ = frozenset({"item", "description", "details"})

    item: Mapped[str] = mapped_column(String(100), index=True)
    description: Mapped[str | None] = mapped_column(String(1024))
    importance: Mapped[Importance] = mapped_column(Enum(Importance, native_enum=False), default=Importance.NONE)
    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"))
    start_time: Mapped[datetime | None]
    end_time: Mapped[datetime | None]
    alarm_time: Mapped[datetime | None]
    details: Mapped[dict[str, Any] | None] = mapped_column(JsonB)
    is_deleted: Mapped[bool] = mapped_column(default=False)
    deleted_at: Mapped[datetime | None]

    user: Mapped[User] = relationship(back_populates="todos")
    tags: Mapped[list["Tag"]] = relationship(
        secondary="todo_tag",
        back_populates="todos",
        lazy="selectin",
        order_by="Tag.name",
        passive_deletes=True,
    )
    attachments: Mapped[list["Attachment"]] = relationship(
        back_populates="todo",
        lazy="selectin",
        order_by="Attachment.name",
        cascade=_OWNED,
        passive_deletes=True,
    )


class Tag(Base):
    """A user's label for todos."""

    __table_args__ = (UniqueConstraint("user_id", "name"),)

    name: Mapped[str] = mapped_column(String(100))
    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"))

    user: Mapped[User] = relationship(back_populates="tags")
    todos: Mapped[list[Todo]] = relationship(
        secondary="todo_tag", back_populates="tags", lazy="raise", passive_deletes=True
    )


class TodoTag(Base):
    """A label on a todo. `Todo.tags` and `Tag.todos` write these rows."""

    __table_args__ = (UniqueConstraint("todo_id", "tag_id"),)

    todo_id: Mapped[UUID] = mapped_column(ForeignKey(Todo.id, ondelete="CASCADE"))
    tag_id: Mapped[UUID] = mapped_column(ForeignKey(Tag.id, ondelete="CASCADE"), index=True)


class Attachment(Base):
    """A file that belongs to a todo; the row holds the reference, the storage backend holds the bytes."""

    __pii_columns__ = frozenset({"name"})

    todo_id: Mapped[UUID] = mapped_column(ForeignKey(Todo.id, ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(255))
    file: Mapped[FileObject] = mapped_column(StoredObject(backend=ATTACHMENTS_BACKEND))

    todo: Mapped[Todo] = relationship(back_populates="attachments")


metadata: Final = Base.metadata
