"""What a URL (`options`) or PGOPTIONS asks of a server's session, and whether it got there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from toolkit.errors import DatabaseUnavailableError

if TYPE_CHECKING:
    from sqlalchemy import Engine

# What decides which tables and rows are meant. Whatever else is left out changes how, not what.
_DECISIVE = frozenset({"search_path", "role"})
_OPTION = re.compile(r"(?:^|\s)(?:-c\s*|--)([\w-]+)=((?:\\.|\S)*)", re.DOTALL)


def require_options(name: str, engine: Engine) -> None:
    """Let each new connection of a database of this name be refused whose options a pooler has left out.

    PgBouncer does so, without a word, where `ignore_startup_parameters` names them: tables of another schema would be
    read, written and found equal.
    """
    from sqlalchemy import event

    @event.listens_for(engine, "connect")
    def check(connection: Any, _record: Any) -> None:
        asked = {key: value for key, value in given_options(connection.info.options).items() if key in _DECISIVE}
        for key, value in asked.items():
            found = connection.execute("SELECT current_setting(%s)", (key,)).fetchone()[0]
            connection.rollback()
            if found != value:
                raise DatabaseUnavailableError(
                    name,
                    f"the pooler before the server leaves out the connection's options: {key} is {found}, not {value}",
                    f"Connect to the server itself, or let the role have it there: ALTER ROLE … SET {key} "
                    "= …, and leave out the options.",
                )


def given_options(options: str) -> dict[str, str]:
    """The settings in libpq's `options`, in which a backslash keeps a space."""
    return {key.lower().replace("-", "_"): re.sub(r"\\(.)", r"\1", value) for key, value in _OPTION.findall(options)}
