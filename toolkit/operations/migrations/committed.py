"""What of a run of migrations was committed before it failed, as its statements tell."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

from toolkit.operations.migrations.committed_alone import Place, Standing, told_alone, told_together

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, ExceptionContext

    from toolkit.engines.contract import Engine as Kind

_READING = frozenset(
    {
        *("SELECT", "PRAGMA", "EXPLAIN", "SHOW", "DESCRIBE", "SET"),
        *("BEGIN", "START", "SAVEPOINT", "RELEASE", "ROLLBACK"),
    }
)
# These end a transaction, and change nothing that stays.
_LOCKING = frozenset({"LOCK", "UNLOCK"})
_COMMITTING = frozenset({"COMMIT", "END"})
_SHOWN, _LENGTH = 5, 70


@dataclass(slots=True)
class Committed:
    """The statements that an engine's connections committed.

    `versions` is the table of the recorded revision. An `autocommit_block` commits what came before it and, also if it
    fails, what it did; Advanced Alchemy's template puts every migration into one. `transaction_per_migration` and a
    COMMIT of the migration's own end transactions, too.

    Of the statements in `standing` those of migrations whose record was committed are left out: nobody has to undo
    them. Of an engine whose statements that change a schema commit by themselves, it is known after each statement.
    """

    versions: str
    kind: Kind
    standing: Standing = field(init=False)
    _pending: list[str] = field(default_factory=list)
    _recorded: list[str] = field(default_factory=list)
    _first_error: str | None = None

    def __post_init__(self) -> None:
        self.standing = Standing(self.kind.title, self.versions)

    def __bool__(self) -> bool:
        """Whether anything was committed."""
        return bool(self.standing)

    @property
    def is_alone(self) -> bool:
        """Whether statements commit by themselves."""
        return not self.kind.has_transactional_ddl

    def listen(self, engine: Engine) -> None:
        """Take note of what its connections do."""
        event.listen(engine, "after_cursor_execute", self._executed)
        event.listen(engine, "commit", self._ended)
        event.listen(engine, "rollback", self._undone)
        event.listen(engine, "begin", self._forget_error)
        event.listen(engine, "rollback_savepoint", self._forget_error)
        event.listen(engine, "handle_error", self._failed)

    def hidden_error(self, error: str) -> str:
        """What failed first, in a sentence, where an error only says that the transaction is no more of use."""
        is_told = self._first_error is None or "transaction is aborted" not in error
        return "" if is_told else f"An earlier error that the migration ignored: {self._first_error}."

    def record(self, step: str) -> None:
        """Hear that a migration has come to its end, and that this is recorded, in what is not committed yet."""
        self._recorded.append(step)
        if not self.is_alone:
            # They are committed with the record, or not at all.
            self._pending.clear()

    def told(self, revision: Place | None = None) -> str:
        """What was committed, in a sentence, with what to do about it; empty if nothing was.

        `revision` is the migration that failed.
        """
        if not self:
            return ""
        if self.is_alone:
            return told_alone(self.standing, revision)
        return told_together(self.standing, _SHOWN)

    def _forget_error(self, *_: Any) -> None:
        self._first_error = None

    def _failed(self, context: ExceptionContext) -> None:
        if self._first_error is None:
            statement = _shortened(" ".join((context.statement or "").split()))
            reason = str(context.original_exception).strip().partition("\n")[0]
            self._first_error = f"{reason.rstrip('.')} ({statement})"
        if self.is_alone and context.connection is not None:
            self._ask(context.connection, _shortened(" ".join((context.statement or "").split())))

    def _executed(self, connection: Connection, _: Any, statement: str, *__: Any) -> None:
        words = statement.split(None, 1)
        word = words[0].upper().rstrip(";") if words else ""
        if word in _COMMITTING:
            self._ended()
        elif word and word not in _READING:
            line = " ".join(statement.split())
            if self.versions in line and (word == "CREATE" or self.is_alone):
                # Where the revision is recorded: nobody has to undo that.
                return
            if word not in _LOCKING:
                self._pending.append(_shortened(line))
            if self.is_alone:
                self._ask(connection, None)

    def _ask(self, connection: Connection, failed: str | None) -> None:
        """See whether a statement, or one that failed, has committed what was done before."""
        try:
            is_over = not self.kind.is_uncommitted(connection)
        except Exception:  # noqa: BLE001 - of a connection that is lost
            self.standing.doubtful += [*self._pending, *filter(None, [failed])]
            self._pending.clear()
            return
        if is_over:
            self._ended()

    def _undone(self, connection: Connection) -> None:
        if self.is_alone and self._pending:
            # An error does not tell whether the statement that failed has committed them; SQLAlchemy hides some.
            self._ask(connection, None)
        self._pending.clear()
        self._recorded.clear()

    def _ended(self, *_: Any) -> None:
        if self._recorded:
            self.standing.done += self._recorded
            self._recorded.clear()
            self.standing.statements.clear()
            if self.is_alone:
                self._pending.clear()
        self.standing.statements += self._pending
        self._pending.clear()


def _shortened(line: str) -> str:
    return line if len(line) <= _LENGTH else f"{line[: _LENGTH - 1]}…"
