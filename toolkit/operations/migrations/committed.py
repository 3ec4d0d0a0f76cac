"""What of a run of migrations was committed before it failed, as its statements tell."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, ExceptionContext

_READING = frozenset(
    {"SELECT", "PRAGMA", "EXPLAIN", "SHOW", "SET", "BEGIN", "START", "SAVEPOINT", "RELEASE", "ROLLBACK"}
)
_COMMITTING = frozenset({"COMMIT", "END"})
_SHOWN, _LENGTH = 5, 70


@dataclass(slots=True)
class Committed:
    """The statements that an engine's connections committed.

    `versions` is the table of the recorded revision. An `autocommit_block` commits what came before it and, also if it
    fails, what it did; Advanced Alchemy's template puts every migration into one. `transaction_per_migration` and a
    COMMIT of the migration's own end transactions, too.
    """

    versions: str
    statements: list[str] = field(default_factory=list)
    _pending: list[str] = field(default_factory=list)
    _first_error: str | None = None

    def listen(self, engine: Engine) -> None:
        """Take note of what its connections do."""
        event.listen(engine, "after_cursor_execute", self._executed)
        event.listen(engine, "commit", self._ended)
        event.listen(engine, "rollback", lambda _: self._pending.clear())
        event.listen(engine, "begin", self._forget_error)
        event.listen(engine, "rollback_savepoint", self._forget_error)
        event.listen(engine, "handle_error", self._failed)

    def hidden_error(self, error: str) -> str:
        """What failed first, in a sentence, where an error only says that the transaction is no more of use."""
        is_told = self._first_error is None or "transaction is aborted" not in error
        return "" if is_told else f"An earlier error that the migration ignored: {self._first_error}."

    def told(self) -> str:
        """What was committed, in a sentence, with what to do about it; empty if nothing was."""
        if not self.statements:
            return ""
        shown = "; ".join(self.statements[:_SHOWN])
        more = f"; and {len(self.statements) - _SHOWN} more" if len(self.statements) > _SHOWN else ""
        return (
            f"The database is not as before: this was committed (by an autocommit_block, for example): {shown}{more}. "
            "Undo it by hand before the next run, or let the migration skip what is there already."
        )

    def _forget_error(self, *_: Any) -> None:
        self._first_error = None

    def _failed(self, context: ExceptionContext) -> None:
        if self._first_error is None:
            statement = _shortened(" ".join((context.statement or "").split()))
            reason = str(context.original_exception).strip().partition("\n")[0]
            self._first_error = f"{reason.rstrip('.')} ({statement})"

    def _executed(self, _: Connection, __: Any, statement: str, *___: Any) -> None:
        words = statement.split(None, 1)
        word = words[0].upper().rstrip(";") if words else ""
        if word in _COMMITTING:
            self._ended()
        elif word and word not in _READING:
            line = " ".join(statement.split())
            if word == "CREATE" and self.versions in line:
                # Where the revision is recorded: nobody has to undo that.
                return
            self._pending.append(_shortened(line))

    def _ended(self, *_: Any) -> None:
        self.statements += self._pending
        self._pending.clear()


def _shortened(line: str) -> str:
    return line if len(line) <= _LENGTH else f"{line[: _LENGTH - 1]}…"
