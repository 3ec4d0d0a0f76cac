"""Advanced Alchemy repositories of the bundled todo schema."""

from advanced_alchemy.repository import SQLAlchemySyncRepository, SQLAlchemySyncSlugRepository

from toolkit.models.todo import Attachment, Role, Tag, Todo, TodoTag, User, UserRole

__all__ = (
    "AttachmentRepository",
    "RoleRepository",
    "TagRepository",
    "TodoRepository",
    "TodoTagRepository",
    "UserRepository",
    "UserRoleRepository",
)


class UserRepository(SQLAlchemySyncRepository[User]):
    """Users."""

    model_type = User


class RoleRepository(SQLAlchemySyncSlugRepository[Role]):
    """Roles, also by slug."""

    model_type = Role


class UserRoleRepository(SQLAlchemySyncRepository[UserRole]):
    """Roles of users."""

    model_type = UserRole


class TodoRepository(SQLAlchemySyncRepository[Todo]):
    """Todos, the soft-deleted ones included."""

    model_type = Todo


class TagRepository(SQLAlchemySyncRepository[Tag]):
    """Tags."""

    model_type = Tag


class TodoTagRepository(SQLAlchemySyncRepository[TodoTag]):
    """Tags of todos."""

    model_type = TodoTag


class AttachmentRepository(SQLAlchemySyncRepository[Attachment]):
    """Attachments."""

    model_type = Attachment
