"""After each migration, what depends on its tables works as before: neither SQLite nor DuckDB sees to that."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from alembic.ddl.impl import DefaultImpl
from sqlalchemy import Delete, Insert, Update

from toolkit.errors import MigrationError

if TYPE_CHECKING:
    from collections.abc import Mapping


class CheckedSteps(DefaultImpl):
    """Fails a migration after which a view, a trigger or a foreign key points at what is not there any more."""

    _broken_at_first: Mapping[str, str]

    def find_broken(self, known: Mapping[str, str] | None) -> Mapping[str, str]:
        """What does not work, with the reason; at the beginning nothing is `known`, and nothing is changed as yet."""
        raise NotImplementedError

    def start_migrations(self) -> None:
        """Take note of what does not work before."""
        super().start_migrations()
        if not self.as_sql and self.connection is not None:
            self._broken_at_first = self.find_broken(None)

    def _exec(self, construct: Any, *arguments: Any, **options: Any) -> Any:
        """Execute it; the record of a revision only if everything works, for it is the last of each migration."""
        if not self.as_sql and is_record(construct) and (revisions := _revisions(construct, self.dialect)):
            known = self._broken_at_first
            broken = {what: why for what, why in self.find_broken(known).items() if what not in known}
            if broken:
                told = "; ".join(f"{what} ({why})" for what, why in broken.items())
                raise MigrationError(
                    f"The migration {revisions} leaves behind what no longer works: {told}.",
                    "Drop it in the same migration, and make it again as it should be (op.execute).",
                )
        return super()._exec(construct, *arguments, **options)


def is_record(construct: Any) -> bool:
    """Whether it writes down to which revision the database was brought."""
    is_change = isinstance(construct, Insert | Update | Delete)
    return is_change and [each.name for each in construct.table.columns] == ["version_num"]


def _revisions(construct: Insert | Update | Delete, dialect: Any) -> str:
    """Which migration it is, by what it writes down."""
    texts = re.findall(r"'([^']*)'", str(construct.compile(dialect=dialect)))
    match construct, texts:
        case Insert(), [new]:
            return f"to {new}"
        case Update(), [new, old]:
            return f"from {old} to {new}"
        case Delete(), [old]:
            return f"back from {old}"
    return ""
