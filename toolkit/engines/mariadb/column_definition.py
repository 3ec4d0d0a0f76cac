"""A column's whole definition: MariaDB changes a column only by being told all of it again.

Whatever is left out would be gone without a word: the default, the comment, AUTO_INCREMENT, the collation, a check.
"""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from sqlalchemy import Column, Computed, DefaultClause, MetaData, Table, inspect, text

from toolkit.engines.mariadb.catalogue import named
from toolkit.engines.mariadb.types import TEXTS, actual_type, standard
from toolkit.errors import MigrationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection
    from sqlalchemy.types import TypeEngine

_COLUMN = text(f"""
SELECT c.column_type AS type, c.collation_name AS collation, c.is_nullable = 'YES' AS nullable, c.extra AS extra,
       c.column_default AS standard, c.column_comment AS remark, c.generation_expression AS expression, (
    SELECT k.check_clause FROM information_schema.check_constraints AS k
    WHERE k.constraint_schema = c.table_schema AND BINARY k.table_name = BINARY c.table_name AND k.level = 'Column'
    AND k.constraint_name = c.column_name
) AS condition_
FROM information_schema.columns AS c
WHERE c.table_schema = coalesce(:schema, database()) AND {named("c.table_name", "= :table")} AND c.column_name = :column
""")
_SQL = ("type", "standard", "expression", "condition_")
_DOCUMENT = re.compile(r"json_valid\((?:`(?:[^`]|``)+`|\"(?:[^\"]|\"\")+\")\)")
_ON_UPDATE = re.compile(r"on update current_timestamp(?:\(\d*\))?", re.IGNORECASE)


def keyed_table(connection: Connection, name: str, schema: str | None) -> Table:
    """A table by its key alone, by which rows are named."""
    return keyed(name, inspect(connection).get_pk_constraint(name, schema)["constrained_columns"], schema)


def keyed(name: str, keys: Iterable[str], schema: str | None = None) -> Table:
    """A table of these key columns, whatever else it has."""
    columns: list[Any] = [Column(key, primary_key=True) for key in keys]
    return Table(name, MetaData(), *columns, schema=schema)


class Changes(Struct, frozen=True):
    """What a column gets; False, or None for what is never None, is what stays."""

    type: TypeEngine[Any] | None = None
    nullable: bool | None = None
    default: Any = False
    comment: Any = False
    numbers: bool | None = None


class ColumnDefinition:
    """One column as it is, and as it is to be."""

    def __init__(self, connection: Connection, table: str, column: str, schema: str | None) -> None:
        self._connection, self._dialect = connection, connection.dialect
        self._quote = connection.dialect.identifier_preparer.quote_identifier
        found = connection.execute(_COLUMN, {"schema": schema, "table": table, "column": column}).first()
        if found is None:
            raise MigrationError(f"{table} has no column {column!r}.", "See: toolkit database check")
        self._row: Any = SimpleNamespace(
            **{name: standard(value) if name in _SQL and value else value for name, value in found._asdict().items()}
        )
        self.table = keyed_table(connection, table, schema)
        self.name = column

    @property
    def type(self) -> str:
        """Its type, with the collation."""
        return self._with_collation(self._row.type)

    def type_of(self, wanted: TypeEngine[Any]) -> str:
        """A new type; a text that stays one keeps its collation."""
        made = self._dialect.type_compiler_instance.process(wanted)
        return made if "COLLATE" in made else self._with_collation(made)

    def is_changed(self, type_: str) -> bool:
        """Whether a type in the server's words is another than the column has."""
        old, new = (actual_type(each) for each in (self._row.type, type_))
        return old != new or "(" not in type_ or self._row.type.lower() != type_.lower()

    def changed(self, changes: Changes) -> str:
        """The definition with these changes."""
        row = self._row
        is_same = changes.type is None
        parts = [self.type if changes.type is None else self.type_of(changes.type)]
        if row.expression is not None:
            kind = "STORED" if "stored" in row.extra.lower() else "VIRTUAL"
            parts.append(f"GENERATED ALWAYS AS ({row.expression}) {kind}")
        else:
            nullable = bool(row.nullable) if changes.nullable is None else changes.nullable
            parts.append("NULL" if nullable else "NOT NULL")
            parts += self._default(changes, nullable=nullable)
            numbers = "auto_increment" in row.extra.lower() if changes.numbers is None else changes.numbers
            parts += ["AUTO_INCREMENT"] if numbers else []
            parts += _ON_UPDATE.findall(row.extra)
        parts += ["INVISIBLE"] if "invisible" in row.extra.lower() else []
        comment = row.remark if changes.comment is False else changes.comment
        parts += [f"COMMENT {self._text(comment)}"] if comment else []
        if row.condition_ is not None and (is_same or not _DOCUMENT.fullmatch(row.condition_)):
            parts.append(f"CHECK ({row.condition_})")
        return " ".join(parts)

    def _default(self, changes: Changes, *, nullable: bool) -> list[str]:
        if changes.default is False:
            standard = self._row.standard
            is_given = standard is not None and (standard != "NULL" or nullable)
            return [f"DEFAULT {standard}"] if is_given else []
        made = self.default_text(changes.default, changes.type)
        return [] if made is None else [f"DEFAULT {made}"]

    def default_text(self, default: Any, type_: TypeEngine[Any] | None) -> str | None:
        """A default as the server is told it; None for none."""
        if default is None:
            return None
        if isinstance(default, Computed):
            raise MigrationError(
                f"{self.table.fullname}.{self.name} cannot become a generated column.",
                "Drop it and add it again in the migration.",
            )
        clause = default if isinstance(default, DefaultClause) else DefaultClause(default)
        column: Column[Any] = Column(
            self.name, type_ if type_ is not None else self._known_type(), server_default=clause
        )
        compiler: Any = self._dialect.ddl_compiler(self._dialect, None)  # type: ignore[arg-type]
        return str(compiler.get_column_default_string(column)).replace("%%", "%")

    def _known_type(self) -> TypeEngine[Any]:
        columns = inspect(self._connection).get_columns(self.table.name, self.table.schema)
        found: TypeEngine[Any] = next(each["type"] for each in columns if each["name"] == self.name)
        return found

    def _with_collation(self, type_: str) -> str:
        collation = self._row.collation
        is_text = actual_type(type_).name in TEXTS | {"enum", "set"} and not type_.upper().startswith("JSON")
        return f"{type_} COLLATE {collation}" if collation and is_text else type_

    def _text(self, value: str) -> str:
        return "'{}'".format(value.replace("'", "''"))
