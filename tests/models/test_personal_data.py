"""Personal data is found by the models of the tables, not by the names of one module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column, registry

from toolkit.models.loader import load_metadata
from toolkit.models.personal_data import personal_columns


class Base(DeclarativeBase):
    pass


class Audited:
    __pii_columns__: Any = ("created_by",)
    created_by: Mapped[str]


class Person(Audited, Base):
    __tablename__ = "person"
    __pii_columns__: Any = frozenset({"mail", "telephone", "lacking"})
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    # The attribute has another name than the column.
    mail: Mapped[str] = mapped_column("e_mail")
    telephone: Mapped[str]


class Customer(Person):
    """In the table of persons."""

    __pii_columns__ = "nickname"
    nickname: Mapped[str | None]


class Employee(Person):
    """In a table of its own, joined to that of persons, where one of the columns is."""

    __tablename__ = "employee"
    id: Mapped[int] = mapped_column(sa.ForeignKey(Person.id), primary_key=True)
    wage: Mapped[int]

    @declared_attr.directive
    def __pii_columns__(cls) -> Any:  # noqa: N805 - SQLAlchemy calls it so
        return {"wage", "kind"}


class Letter:
    __pii_columns__ = ("body",)


letter = sa.Table(
    "letter", Base.metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("body", sa.Text), schema="post"
)
registry().map_imperatively(Letter, letter)
sa.Table("visit", Base.metadata, sa.Column("ip", sa.Text, primary_key=True), info={"__pii_columns__": {"ip"}})
sa.Table("tag", Base.metadata, sa.Column("name", sa.Text, primary_key=True))


def test_models_mixins_parents_and_tables_name_personal_data() -> None:
    assert personal_columns(Base.metadata) == {
        "person": {"created_by", "e_mail", "telephone", "nickname", "kind"},
        "employee": {"wage"},
        "post.letter": {"body"},
        "visit": {"ip"},
        "tag": frozenset(),
    }


def test_models_of_other_modules_are_found(tmp_path: Path) -> None:
    package = tmp_path / "models_elsewhere"
    package.mkdir()
    (package / "base.py").write_text("from sqlalchemy.orm import DeclarativeBase\nclass Base(DeclarativeBase): pass\n")
    (package / "user.py").write_text(
        "from sqlalchemy.orm import Mapped, mapped_column\n"
        "from models_elsewhere.base import Base\n"
        "class User(Base):\n"
        "    __tablename__ = 'user'\n"
        "    __pii_columns__ = {'email'}\n"
        "    id: Mapped[int] = mapped_column(primary_key=True)\n"
        "    email: Mapped[str]\n"
    )
    (package / "__init__.py").write_text("from models_elsewhere import user\nfrom models_elsewhere.base import Base\n")
    assert personal_columns(load_metadata("models_elsewhere:Base", tmp_path)) == {"user": {"email"}}
