"""The services of the bundled schema, on every engine."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest
from advanced_alchemy.exceptions import IntegrityError, NotFoundError
from advanced_alchemy.types import FileObject
from sqlalchemy.orm import Session

from toolkit.models import repositories, services
from toolkit.models.repositories import RoleRepository
from toolkit.models.services import (
    AttachmentService,
    RoleService,
    TagService,
    TodoService,
    TodoTagService,
    UserRoleService,
    UserService,
)
from toolkit.models.todo import ATTACHMENTS_BACKEND, Base, Importance, Role, Todo, User

NINE, TEN, ELEVEN, TWELVE = (datetime(2024, 3, 31, hour, tzinfo=UTC) for hour in (9, 10, 11, 12))
TICK = timedelta(microseconds=1)


@pytest.fixture
def session(undone_session: Session) -> Session:
    """Open a session on each engine: what the services do rests on no rows that were committed before."""
    return undone_session


@pytest.fixture
def todos(session: Session) -> TodoService:
    """Give the service under test."""
    return TodoService(session)


@pytest.fixture
def owner(session: Session) -> User:
    """Add the user whose todos are asked for."""
    return UserService(session).create({"email": "amelie@example.com", "name": "Amélie"})


@pytest.fixture
def stranger(session: Session) -> User:
    """Add a user with todos of their own."""
    return UserService(session).create({"email": "soren@example.com"})


def a_todo(todos: TodoService, owner: User, **values: Any) -> Todo:
    return todos.create({"item": "Meeting", "user_id": owner.id, **values})


def test_every_model_has_a_repository_and_a_service() -> None:
    models = {mapper.class_ for mapper in Base.registry.mappers}
    of_repositories = {getattr(repositories, name).model_type for name in repositories.__all__}
    of_services = {getattr(services, name).repository_type.model_type for name in services.__all__}
    assert models == of_repositories == of_services


def test_a_todo_is_found_by_its_id_and_owner(todos: TodoService, owner: User) -> None:
    todo = a_todo(todos, owner)
    assert todos.get_todo_by_id(todo.id, owner.id) is todo


def test_another_users_todo_is_not_found(todos: TodoService, owner: User, stranger: User) -> None:
    todo = a_todo(todos, stranger)
    with pytest.raises(NotFoundError):
        todos.get_todo_by_id(todo.id, owner.id)


def test_a_soft_deleted_todo_is_not_found(todos: TodoService, owner: User) -> None:
    todo = a_todo(todos, owner, is_deleted=True, deleted_at=NINE)
    with pytest.raises(NotFoundError):
        todos.get_todo_by_id(todo.id, owner.id)


def test_an_unknown_todo_is_not_found(todos: TodoService, owner: User) -> None:
    with pytest.raises(NotFoundError):
        todos.get_todo_by_id(uuid4(), owner.id)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        pytest.param(TEN, ELEVEN, id="the same"),
        pytest.param(TEN + TICK, ELEVEN - TICK, id="within"),
        pytest.param(NINE, TWELVE, id="around"),
        pytest.param(NINE, TEN + TICK, id="into its first microsecond"),
        pytest.param(ELEVEN - TICK, TWELVE, id="from its last microsecond"),
        pytest.param(NINE.replace(year=1970), NINE.replace(year=9999), id="centuries"),
        pytest.param(TEN.astimezone(timezone(timedelta(hours=9))), ELEVEN, id="the same, one end in another zone"),
    ],
)
def test_overlapping_intervals_conflict(todos: TodoService, owner: User, start: datetime, end: datetime) -> None:
    todo = a_todo(todos, owner, start_time=TEN, end_time=ELEVEN)
    assert todos.check_time_conflict(owner.id, start, end) == [todo]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        pytest.param(NINE, TEN, id="ends when it starts"),
        pytest.param(ELEVEN, TWELVE, id="starts when it ends"),
        pytest.param(NINE, TEN - TICK, id="before"),
        pytest.param(ELEVEN + TICK, TWELVE, id="after"),
    ],
)
def test_touching_and_separate_intervals_do_not_conflict(
    todos: TodoService, owner: User, start: datetime, end: datetime
) -> None:
    a_todo(todos, owner, start_time=TEN, end_time=ELEVEN)
    assert todos.check_time_conflict(owner.id, start, end) == []


def test_conflicts_come_earliest_first(todos: TodoService, owner: User) -> None:
    late = a_todo(todos, owner, start_time=ELEVEN, end_time=TWELVE)
    early = a_todo(todos, owner, start_time=NINE, end_time=TEN)
    assert todos.check_time_conflict(owner.id, NINE, TWELVE) == [early, late]


def test_a_todo_being_moved_does_not_conflict_with_itself(todos: TodoService, owner: User) -> None:
    moved = a_todo(todos, owner, start_time=TEN, end_time=ELEVEN)
    other = a_todo(todos, owner, start_time=TEN, end_time=ELEVEN)
    assert todos.check_time_conflict(owner.id, TEN, ELEVEN, exclude_todo_id=moved.id) == [other]


def test_soft_deleted_todos_do_not_conflict(todos: TodoService, owner: User) -> None:
    a_todo(todos, owner, start_time=TEN, end_time=ELEVEN, is_deleted=True, deleted_at=NINE)
    assert todos.check_time_conflict(owner.id, TEN, ELEVEN) == []


def test_other_users_todos_do_not_conflict(todos: TodoService, owner: User, stranger: User) -> None:
    a_todo(todos, stranger, start_time=TEN, end_time=ELEVEN)
    assert todos.check_time_conflict(owner.id, TEN, ELEVEN) == []


@pytest.mark.parametrize(
    ("start", "end"),
    [
        pytest.param(None, None, id="no times"),
        pytest.param(TEN, None, id="no end"),
        pytest.param(None, TEN, id="no start"),
        pytest.param(TEN, TEN, id="no length"),
        pytest.param(ELEVEN, TEN, id="end before start"),
    ],
)
def test_todos_that_take_up_no_time_do_not_conflict(
    todos: TodoService, owner: User, start: datetime | None, end: datetime | None
) -> None:
    a_todo(todos, owner, start_time=start, end_time=end)
    assert todos.check_time_conflict(owner.id, NINE, TWELVE) == []


@pytest.mark.parametrize("end", [TEN, NINE], ids=["empty", "reversed"])
def test_asking_about_an_interval_of_no_length_is_an_error(todos: TodoService, owner: User, end: datetime) -> None:
    with pytest.raises(ValueError, match="must be after its start"):
        todos.check_time_conflict(owner.id, TEN, end)


def test_a_new_role_gets_a_free_slug_from_its_name(session: Session) -> None:
    roles = RoleService(session)
    first = roles.create({"name": "Team Lead"})
    second = roles.create({"name": "Team-Lead"})
    assert first.slug == "team-lead"
    assert second.slug.startswith("team-lead-")


@pytest.mark.parametrize("kind", [dict, Role])
def test_a_role_keeps_the_slug_it_is_given_and_is_found_by_it(session: Session, kind: type[Any]) -> None:
    role = RoleService(session).create(kind(name="Administrator", slug="root"))
    assert RoleRepository(session=session).get_by_slug("root") is role


def test_a_second_user_with_the_same_email_is_refused(session: Session, owner: User) -> None:
    with pytest.raises(IntegrityError):
        UserService(session).create({"email": owner.email})


def test_a_row_is_found_by_its_natural_key_and_brought_up_to_date(session: Session, owner: User) -> None:
    RoleService(session).create({"name": "Member"})
    tag = TagService(session).create({"name": "work", "user_id": owner.id})
    user, user_is_new = UserService(session).get_or_upsert(email=owner.email, name="Amélie O.")
    role, role_is_new = RoleService(session).get_or_upsert(name="Member", description="Reads and writes.")
    same_tag, tag_is_new = TagService(session).get_or_upsert(name="work", user_id=owner.id)
    assert (user_is_new, role_is_new, tag_is_new) == (False, False, False)
    assert (user, user.name) == (owner, "Amélie O.")
    assert (role.slug, role.description) == ("member", "Reads and writes.")
    assert same_tag is tag


@pytest.fixture
def tagged_todo(session: Session, todos: TodoService, owner: User, attachments_backend: None) -> Todo:
    """Add a todo and one row of every other table around it, each through its own service."""
    todo = a_todo(todos, owner, details={"room": 3})
    role = RoleService(session).create({"name": "Member"})
    tag = TagService(session).create({"name": "work", "user_id": owner.id})
    file = FileObject(backend=ATTACHMENTS_BACKEND, filename="a.txt")
    UserRoleService(session).create({"user_id": owner.id, "role_id": role.id})
    TodoTagService(session).create({"todo_id": todo.id, "tag_id": tag.id})
    AttachmentService(session).create({"todo_id": todo.id, "name": "a.txt", "file": file})
    session.commit()
    return todo


def test_what_the_services_create_is_listed_together(todos: TodoService, owner: User, tagged_todo: Todo) -> None:
    found, total = todos.get_many_and_count(user_id=owner.id)
    assert (found, total) == ([tagged_todo], 1)
    assert tagged_todo.details == {"room": 3}
    assert [tag.name for tag in tagged_todo.tags] == ["work"]
    assert [attachment.name for attachment in tagged_todo.attachments] == ["a.txt"]
    assert [role.slug for role in owner.roles] == ["member"]


def test_an_update_changes_what_it_names_and_leaves_the_rest(todos: TodoService, tagged_todo: Todo) -> None:
    todos.update({"importance": Importance.HIGH}, item_id=tagged_todo.id, auto_commit=True)
    assert (tagged_todo.importance, tagged_todo.details) == (Importance.HIGH, {"room": 3})
    assert [tag.name for tag in tagged_todo.tags] == ["work"]


def test_a_todo_can_be_deleted_once_its_links_are(session: Session, todos: TodoService, tagged_todo: Todo) -> None:
    AttachmentService(session).delete_where(todo_id=tagged_todo.id)
    TodoTagService(session).delete_where(todo_id=tagged_todo.id)
    session.expire_all()
    todos.delete(tagged_todo.id, auto_commit=True)
    assert todos.count() == 0
