"""What a change of a column's type would do to its values, in the SQL that PostgreSQL and DuckDB have in common.

A value is kept if it comes back as it was; but for texts that say the same in more ways than one, such as numbers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import Enum, String

from toolkit.engines.portable.changed_types import require_none
from toolkit.engines.portable.literals import quoted_text

if TYPE_CHECKING:
    from sqlalchemy import Connection, FromClause
    from sqlalchemy.types import TypeEngine

_KINDS = {
    kind: re.compile(pattern, re.IGNORECASE)
    for kind, pattern in {
        "text": r"(VARCHAR|CHARACTER|CHAR|BPCHAR|TEXT|STRING)\b.*(?<!\])",
        "number": r"(NUMERIC|DECIMAL|DOUBLE|REAL|FLOAT)\b.*(?<!\])",
        "bytes": r"(BYTEA|BLOB|BINARY|VARBINARY)\b.*(?<!\])",
        "uuid": "UUID",
    }.items()
}


def lost(value: str, old: str, new: str, changed: str, *, cast: str = "CAST") -> str:
    """The condition of values, but for NULL, that `changed` (the value as the new type) does not keep."""
    match kind_of(old), kind_of(new):
        case "text", "number":
            # 1.50 is 1.5, but 007 and 1e2 are more than a number.
            return f"{_digits(value)} IS DISTINCT FROM {_digits(f'CAST({changed} AS VARCHAR)')}"
        case "text", "uuid":
            return f"{_hexadecimal(value)} IS DISTINCT FROM {_hexadecimal(f'CAST({changed} AS VARCHAR)')}"
        case "bytes", "text":
            # Each engine shows bytes in another way, and none of them is what was meant.
            return "1 = 1"
    return f"{cast}({changed} AS {old}) IS DISTINCT FROM {value}"


def kind_of(type_text: str) -> str:
    """What a type is, where that matters here; its own text elsewhere."""
    return next((kind for kind, pattern in _KINDS.items() if pattern.fullmatch(type_text)), type_text)


def require_members(connection: Connection, table: FromClause, column: str, wanted: TypeEngine[Any]) -> None:
    """See that a column that becomes an enum's holds only names of it.

    Raises:
        UnrepresentableValueError: it holds another text.
    """
    dialect: Any = connection.dialect
    implemented: Any = wanted.dialect_impl(dialect)
    implemented = getattr(implemented, "impl_instance", implemented)
    if isinstance(implemented, Enum):
        names = ", ".join(quoted_text(each) for each in implemented.enums)
        name = dialect.identifier_preparer.quote_identifier(column)
        problem = f"which is none of {', '.join(implemented.enums)}"
        require_none(connection, table, column, f"CAST({name} AS VARCHAR) NOT IN ({names})", problem)


def require_length(connection: Connection, table: FromClause, column: str, wanted: TypeEngine[Any]) -> None:
    """See that no text is longer than its new type allows, where the engine itself would not look.

    Raises:
        UnrepresentableValueError: one is.
    """
    dialect: Any = connection.dialect
    implemented: Any = wanted.dialect_impl(dialect)
    implemented = getattr(implemented, "impl_instance", implemented)
    if isinstance(implemented, String) and not isinstance(implemented, Enum) and implemented.length is not None:
        text = f"CAST({dialect.identifier_preparer.quote_identifier(column)} AS VARCHAR)"
        condition = f"length({text}) > {int(implemented.length)}"
        require_none(connection, table, column, condition, f"which is longer than {implemented.length}")


def _digits(text: str) -> str:
    return f"CASE WHEN strpos({text}, '.') > 0 THEN rtrim(rtrim({text}, '0'), '.') ELSE {text} END"


def _hexadecimal(text: str) -> str:
    return f"lower(replace({text}, '-', ''))"
