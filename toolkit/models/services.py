"""Advanced Alchemy services of the bundled todo schema."""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from advanced_alchemy.service import (
    ModelDictT,
    SQLAlchemySyncRepositoryService,
    is_dict_with_field,
    is_dict_without_field,
    schema_dump,
)
from sqlalchemy import ColumnElement

from toolkit.models.repositories import (
    AttachmentRepository,
    RoleRepository,
    TagRepository,
    TodoRepository,
    TodoTagRepository,
    UserRepository,
    UserRoleRepository,
)
from toolkit.models.todo import Attachment, Role, Tag, Todo, TodoTag, User, UserRole

__all__ = (
    "AttachmentService",
    "RoleService",
    "TagService",
    "TodoService",
    "TodoTagService",
    "UserRoleService",
    "UserService",
)


class UserService(SQLAlchemySyncRepositoryService[User, UserRepository]):
    """Users."""

    repository_type = UserRepository
    match_fields = "email"


class RoleService(SQLAlchemySyncRepositoryService[Role, RoleRepository]):
    """Roles; one created without a slug gets a free one from its name."""

    repository_type = RoleRepository
    match_fields = "name"

    def to_model_on_create(self, data: "ModelDictT[Role]") -> "ModelDictT[Role]":
        """Add the slug that `data` leaves out."""
        data = schema_dump(data)
        if is_dict_without_field(data, "slug") and is_dict_with_field(data, "name"):
            data["slug"] = self._slug_for(data["name"])
        return data

    # `get_or_upsert` comes through `to_model_on_create` too; a role that is there must keep its slug.
    def _slug_for(self, name: str) -> str:
        known = self.repository.get_one_or_none(name=name)
        return known.slug if known else self.repository.get_available_slug(name)


class UserRoleService(SQLAlchemySyncRepositoryService[UserRole, UserRoleRepository]):
    """Roles of users."""

    repository_type = UserRoleRepository
    match_fields: ClassVar[list[str]] = ["user_id", "role_id"]


class TodoService(SQLAlchemySyncRepositoryService[Todo, TodoRepository]):
    """Todos of one user at a time."""

    repository_type = TodoRepository

    def get_todo_by_id(self, todo_id: UUID, user_id: UUID) -> Todo:
        """Return the user's todo.

        Raises:
            NotFoundError: there is none, it is soft-deleted, or it is another user's.
        """
        return self.get_one(id=todo_id, user_id=user_id, is_deleted=False)

    def check_time_conflict(
        self, user_id: UUID, start: datetime, end: datetime, exclude_todo_id: UUID | None = None
    ) -> Sequence[Todo]:
        """Return the user's todos that overlap [start, end), earliest first; empty means no conflict.

        Intervals are half-open, so one that ends when the other starts is no conflict. Soft-deleted todos and
        those without both times take up no time.

        Raises:
            ValueError: `end` is not after `start`.
        """
        if end <= start:
            msg = f"The end of a time range, {end.isoformat()}, must be after its start, {start.isoformat()}."
            raise ValueError(msg)
        others = [] if exclude_todo_id is None else [Todo.id != exclude_todo_id]
        return self.get_many(
            Todo.user_id == user_id,
            Todo.is_deleted.is_(False),
            *_overlaps(start, end),
            *others,
            order_by=[("start_time", False), ("id", False)],
        )


class TagService(SQLAlchemySyncRepositoryService[Tag, TagRepository]):
    """Tags."""

    repository_type = TagRepository
    match_fields: ClassVar[list[str]] = ["user_id", "name"]


class TodoTagService(SQLAlchemySyncRepositoryService[TodoTag, TodoTagRepository]):
    """Tags of todos."""

    repository_type = TodoTagRepository
    match_fields: ClassVar[list[str]] = ["todo_id", "tag_id"]


class AttachmentService(SQLAlchemySyncRepositoryService[Attachment, AttachmentRepository]):
    """Attachments."""

    repository_type = AttachmentRepository


def _overlaps(start: datetime, end: datetime) -> tuple[ColumnElement[bool], ...]:
    # The last condition keeps out a todo of no length, which would otherwise conflict with what surrounds it.
    return Todo.start_time < end, Todo.end_time > start, Todo.start_time < Todo.end_time
