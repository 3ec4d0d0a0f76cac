"""The bundled models, on every engine."""

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from advanced_alchemy.types import GUID, DateTimeUTC, FileObject
from advanced_alchemy.types.file_object import storages
from sqlalchemy import Table, UniqueConstraint, delete, func, select, text
from sqlalchemy.exc import IntegrityError, InvalidRequestError, StatementError
from sqlalchemy.orm import Session, selectinload

from toolkit.models.todo import (
    ATTACHMENTS_BACKEND,
    Attachment,
    Base,
    Importance,
    Role,
    Tag,
    Todo,
    TodoTag,
    User,
    UserRole,
    metadata,
)

TABLES = {"user_account", "role", "user_role", "todo", "tag", "todo_tag", "attachment"}
NOON = datetime(2024, 3, 31, 12, tzinfo=UTC)


def a_user(email: str = "amelie@example.com") -> User:
    return User(email=email)


def count(session: Session, model: type[Base]) -> int:
    return session.scalar(select(func.count()).select_from(model)) or 0


def table_named(name: str) -> Table:
    return metadata.tables[name]


def test_the_metadata_holds_the_seven_tables_and_no_other() -> None:
    assert set(metadata.tables) == TABLES


def test_importing_the_models_leaves_global_registries_as_they_were() -> None:
    program = (
        "from advanced_alchemy.base import metadata_registry, orm_registry\n"
        "from advanced_alchemy.types.file_object import storages\n"
        "import toolkit.models.todo\n"
        "assert not orm_registry.metadata.tables\n"
        "assert not list(orm_registry.mappers)\n"
        "assert list(metadata_registry) == [None]\n"
        "assert not storages.registered_backends()\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


def test_todo_has_the_columns_in_the_order_that_fixtures_show() -> None:
    assert [column.name for column in table_named("todo").columns] == [
        "id",
        "item",
        "description",
        "importance",
        "user_id",
        "start_time",
        "end_time",
        "alarm_time",
        "details",
        "is_deleted",
        "deleted_at",
        "sa_orm_sentinel",
        "created_at",
        "updated_at",
    ]


@pytest.mark.parametrize("name", sorted(TABLES))
def test_keys_are_uuids_and_every_datetime_is_kept_in_utc(name: str) -> None:
    table = table_named(name)
    assert [type(column.type) for column in table.primary_key] == [GUID]
    datetimes = [column.type for column in table.columns if column.type.python_type is datetime]
    assert datetimes
    assert {type(kind) for kind in datetimes} == {DateTimeUTC}


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_constraint_and_index_has_a_name_so_that_migrations_are_deterministic(name: str) -> None:
    table = table_named(name)
    assert all(constraint.name for constraint in table.constraints)
    assert all(index.name for index in table.indexes)


@pytest.mark.parametrize("name", sorted(TABLES))
def test_foreign_keys_cascade_and_lead_an_index_so_that_a_cascade_need_not_scan(name: str) -> None:
    table = table_named(name)
    unique = [constraint for constraint in table.constraints if isinstance(constraint, UniqueConstraint)]
    columns = [*(constraint.columns for constraint in unique), *(index.columns for index in table.indexes)]
    leading = {next(iter(found)).name for found in columns}
    for constraint in table.foreign_key_constraints:
        assert constraint.ondelete == "CASCADE"
        assert constraint.column_keys[0] in leading


def test_the_composite_indexes_of_todo_have_their_names_and_columns() -> None:
    indexes = {index.name: [column.name for column in index.columns] for index in table_named("todo").indexes}
    assert indexes == {
        "ix_todo_item": ["item"],
        "ix_todo_user_importance": ["user_id", "importance"],
        "ix_todo_time_range": ["start_time", "end_time"],
    }


def test_personal_data_is_declared_by_names_of_columns_that_exist() -> None:
    models = [mapper.class_ for mapper in Base.registry.mappers]
    assert all(model.__pii_columns__ <= set(model.__table__.columns.keys()) for model in models)
    assert {model for model in models if model.__pii_columns__} == {User, Todo, Attachment}


def test_a_todo_comes_back_with_every_value_it_was_given(session: Session) -> None:
    values = {
        "item": 'Café 🧘‍♀️ "quoted" \\N',
        "description": "two\nlines\tand a tab",
        "importance": Importance.HIGH,
        "start_time": datetime(1970, 1, 1, tzinfo=UTC),
        "end_time": datetime(9999, 12, 31, tzinfo=UTC),
        "alarm_time": datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=UTC),
        "details": {"nested": [{"قلب": None}, 1.5, True]},
        "is_deleted": True,
        "deleted_at": NOON,
        "created_at": NOON,
        "updated_at": NOON + timedelta(microseconds=1),
    }
    todo = Todo(user=a_user(), **values)
    session.add(todo)
    session.commit()
    session.expire_all()
    assert {name: getattr(todo, name) for name in values} == values
    assert isinstance(todo.id, UUID)


def test_what_is_left_out_gets_its_default(session: Session) -> None:
    todo = Todo(item="Buy milk", user=a_user())
    role = Role(name="Auditor", slug="auditor")
    todo.user.roles.append(role)
    before = datetime.now(UTC)
    session.add(todo)
    session.commit()
    assert (todo.importance, todo.is_deleted, todo.details, todo.start_time) == (
        Importance.NONE,
        False,
        None,
        None,
    )
    assert (todo.user.is_active, todo.user.is_superuser) == (True, False)
    assert before.date() <= todo.user.joined_at <= datetime.now(UTC).date()
    assert before <= todo.user.user_roles[0].assigned_at <= datetime.now(UTC)
    assert before <= todo.created_at <= todo.updated_at <= datetime.now(UTC)


def test_details_left_out_are_sql_null(session: Session) -> None:
    session.add(Todo(item="Buy milk", user=a_user()))
    session.commit()
    assert session.scalar(text("SELECT count(*) FROM todo WHERE details IS NULL")) == 1


def test_importance_is_stored_by_name(session: Session) -> None:
    session.add(Todo(item="Buy milk", user=a_user(), importance=Importance.MEDIUM))
    session.commit()
    assert session.scalar(text("SELECT importance FROM todo")) == "MEDIUM"


def test_a_time_in_another_zone_is_the_same_moment(session: Session) -> None:
    berlin = NOON.astimezone(timezone(timedelta(hours=2)))
    todo = Todo(item="Buy milk", user=a_user(), start_time=berlin)
    session.add(todo)
    session.commit()
    assert todo.start_time == NOON
    assert session.scalar(select(func.count()).where(Todo.start_time == NOON)) == 1


def test_a_time_without_zone_is_refused(session: Session) -> None:
    session.add(Todo(item="Buy milk", user=a_user(), start_time=NOON.replace(tzinfo=None)))
    with pytest.raises(StatementError, match="tzinfo is required"):
        session.flush()


def test_a_change_moves_updated_at_and_leaves_created_at(session: Session) -> None:
    todo = Todo(item="Buy milk", user=a_user(), created_at=NOON, updated_at=NOON)
    session.add(todo)
    session.commit()
    todo.item = "Buy oat milk"
    session.commit()
    assert todo.created_at == NOON < todo.updated_at


def test_short_lists_come_with_their_owner_in_order(session: Session, attachments_backend: None) -> None:
    user = a_user()
    user.roles = [Role(name="Member", slug="member"), Role(name="Auditor", slug="auditor")]
    todo = Todo(item="Plan", user=user)
    todo.tags = [Tag(name="work", user=user), Tag(name="home", user=user)]
    todo.attachments = [Attachment(name=name, file=a_file(name)) for name in ("b.txt", "a.txt")]
    session.add(todo)
    session.commit()
    session.expunge_all()

    found = session.scalars(select(Todo)).one()
    owner = found.user
    session.expunge_all()
    assert [tag.name for tag in found.tags] == ["home", "work"]
    assert [attachment.name for attachment in found.attachments] == ["a.txt", "b.txt"]
    assert {role.slug for role in owner.roles} == {"member", "auditor"}


def test_unbounded_lists_are_loaded_only_when_a_query_asks_for_them(session: Session) -> None:
    session.add(Todo(item="Plan", user=a_user()))
    session.commit()
    session.expunge_all()
    with pytest.raises(InvalidRequestError, match="lazy='raise'"):
        session.scalars(select(User)).one().todos  # noqa: B018 -- the access is what fails
    session.expunge_all()
    user = session.scalars(select(User).options(selectinload(User.todos))).one()
    assert [todo.item for todo in user.todos] == ["Plan"]


def test_a_tag_knows_its_todos_and_taking_it_off_removes_only_the_link(session: Session) -> None:
    todo = Todo(item="Plan", user=a_user())
    todo.tags = [Tag(name="work", user=todo.user)]
    session.add(todo)
    session.commit()
    tag = session.scalars(select(Tag).options(selectinload(Tag.todos))).one()
    assert tag.todos == [todo]
    todo.tags.clear()
    session.commit()
    assert (count(session, Tag), count(session, TodoTag)) == (1, 0)


def test_an_attachment_stores_a_reference_and_finds_the_bytes_again(
    session: Session, attachments_backend: None
) -> None:
    file = a_file("notes.txt", content=b"remember the milk").save()
    session.add(Attachment(name="notes.txt", file=file, todo=Todo(item="Plan", user=a_user())))
    session.commit()
    session.expunge_all()
    found = session.scalars(select(Attachment)).one().file
    assert found.to_dict() == file.to_dict()
    assert found.get_content() == b"remember the milk"


def test_an_attachment_is_read_without_a_registered_storage(session: Session, attachments_backend: None) -> None:
    session.add(Attachment(name="a.txt", file=a_file("a.txt"), todo=Todo(item="Plan", user=a_user())))
    session.commit()
    session.expunge_all()
    storages.unregister_backend(ATTACHMENTS_BACKEND)
    assert session.scalars(select(Attachment)).one().file.filename == "a.txt"


def a_file(name: str, content: bytes | None = None) -> FileObject:
    return FileObject(backend=ATTACHMENTS_BACKEND, filename=name, content=content)


def users_with_one_email(session: Session) -> None:
    session.add_all([a_user("same@example.com"), a_user("same@example.com")])


def roles_with_one_name(session: Session) -> None:
    session.add_all([Role(name="Member", slug="member"), Role(name="Member", slug="member-2")])


def roles_with_one_slug(session: Session) -> None:
    session.add_all([Role(name="Member", slug="member"), Role(name="Members", slug="member")])


def one_role_given_twice(session: Session) -> None:
    user, role = a_user(), Role(name="Member", slug="member")
    session.add_all([UserRole(user=user, role=role), UserRole(user=user, role=role)])


def tags_of_one_user_with_one_name(session: Session) -> None:
    user = a_user()
    session.add_all([Tag(name="work", user=user), Tag(name="work", user=user)])


def one_tag_twice_on_a_todo(session: Session) -> None:
    todo = Todo(item="Plan", user=a_user())
    tag = Tag(name="work", user=todo.user)
    session.add_all([todo, tag])
    session.flush()
    session.add_all([TodoTag(todo_id=todo.id, tag_id=tag.id), TodoTag(todo_id=todo.id, tag_id=tag.id)])


@pytest.mark.parametrize(
    "add_duplicates",
    [
        users_with_one_email,
        roles_with_one_name,
        roles_with_one_slug,
        one_role_given_twice,
        tags_of_one_user_with_one_name,
        one_tag_twice_on_a_todo,
    ],
)
def test_duplicates_are_refused(session: Session, add_duplicates: Callable[[Session], None]) -> None:
    with pytest.raises(IntegrityError):  # noqa: PT012 -- one of them flushes on the way
        add_duplicates(session)
        session.flush()


def test_two_users_may_use_the_same_tag_name(session: Session) -> None:
    session.add_all([Tag(name="work", user=a_user("a@example.com")), Tag(name="work", user=a_user("b@example.com"))])
    session.commit()
    assert count(session, Tag) == 2


def add_one_of_everything(session: Session) -> None:
    todo = Todo(item="Plan", user=a_user())
    todo.user.roles = [Role(name="Member", slug="member")]
    todo.tags = [Tag(name="work", user=todo.user)]
    todo.attachments = [Attachment(name="a.txt", file=a_file("a.txt"))]
    session.add(todo)
    session.commit()


def remaining(session: Session) -> set[str]:
    return {name for name, table in metadata.tables.items() if session.scalar(select(func.count()).select_from(table))}


@pytest.mark.parametrize("engine", ["sqlite", "postgres"], indirect=True)  # the tables in DuckDB have no foreign keys
@pytest.mark.parametrize(
    ("parent", "left"),
    [
        (User, {"role"}),
        (Role, TABLES - {"role", "user_role"}),
        (Todo, TABLES - {"todo", "todo_tag", "attachment"}),
        (Tag, TABLES - {"tag", "todo_tag"}),
    ],
)
@pytest.mark.parametrize("through_orm", [False, True], ids=["sql", "orm"])
def test_deleting_a_parent_deletes_what_belongs_to_it(
    session: Session,
    attachments_backend: None,
    parent: type[Base],
    left: set[str],
    through_orm: bool,
) -> None:
    add_one_of_everything(session)
    if through_orm:
        session.expunge_all()
        session.delete(session.scalars(select(parent)).one())
    else:
        session.execute(delete(parent))
    session.commit()
    assert remaining(session) == left
