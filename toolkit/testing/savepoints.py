"""An application's transactions as savepoints within one that is never committed."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from threading import RLock
from typing import Any

from msgspec import Struct, field

from toolkit.errors import ConfigurationError

_CHECK = "toolkit_check"


class _Transaction(Struct, eq=False):
    """One that the application has begun; `others` have written since, which a rollback would undo with it."""

    owner: Any
    savepoint: str
    has_written: bool = False
    is_done: bool = False
    others: set[_Transaction] = field(default_factory=set)


class Savepoints:
    """The open transactions of several users of one connection, the last begun innermost.

    They need not end in that order: one that has only read moves inwards when it goes on, and one that is committed
    stays for as long as there is another within it. What cannot be right is remembered, and told if the test goes on.
    `check` is a statement that checks what a commit would.
    """

    def __init__(self, run: Callable[[str], None], check: str | None) -> None:
        self._run = run
        self._check = check
        self._open: list[_Transaction] = []
        self._numbers = count()
        self._lock = RLock()
        self._is_lost = False

    def begin(self, owner: Any) -> None:
        """Begin a transaction.

        Raises:
            ConfigurationError: a rollback has undone what another had committed.
        """
        if self._is_lost:
            raise ConfigurationError(
                "A transaction that had written was rolled back after another within it was committed; on the one "
                "connection of toolkit_rollback, both are undone.",
                "End the first before the second begins, or use toolkit_engine, a database for this test alone.",
            )
        with self._lock:
            self._push(_Transaction(owner, ""))

    def before(self, owner: Any, *, writes: bool, commits: bool) -> None:
        """Hear of a statement before it is run; `commits`: it is a transaction of its own."""
        with self._lock:
            found = self._of(owner)
            if found is None:
                return
            if commits or (found.others and not found.has_written):
                found = self._moved(found)
            if writes:
                found.has_written = True
                for each in self._open:
                    if each is not found and not each.is_done:
                        each.others.add(found)

    def after(self, owner: Any) -> None:
        """Hear of a statement that was a transaction of its own."""
        with self._lock:
            if found := self._of(owner):
                self._moved(found)

    def commit(self, owner: Any) -> None:
        """End a transaction. Raises what the driver does for constraints that wait until then."""
        with self._lock:
            if found := self._of(owner):
                self._require_constraints(found)
                found.is_done = True
                self._release()

    def rollback(self, owner: Any) -> None:
        """Undo a transaction."""
        with self._lock:
            found = self._of(owner)
            if found is None:
                return
            if found.others and not found.has_written:
                found.is_done = True
                self._release()
            else:
                self._is_lost = self._is_lost or bool(found.others)
                self._undo(found)

    def rollback_within(self, owner: Any) -> None:
        """Hear that a transaction undoes a part of itself."""
        if (found := self._of(owner)) and found.others:
            self._is_lost = True

    def _require_constraints(self, transaction: _Transaction) -> None:
        # What is begun by others may be wrong as yet.
        others = any(each.has_written for each in self._open if each is not transaction and not each.is_done)
        if self._check is None or others or not transaction.has_written:
            return
        self._run(f"SAVEPOINT {_CHECK}")
        try:
            self._run(self._check)
        except BaseException:
            self._is_lost = self._is_lost or bool(transaction.others)
            self._undo(transaction)
            raise
        # Undone, it is as if it had not been: constraints wait again, with all that they have to look at.
        self._run(f"ROLLBACK TO SAVEPOINT {_CHECK}")
        self._run(f"RELEASE SAVEPOINT {_CHECK}")

    def _of(self, owner: Any) -> _Transaction | None:
        return next((each for each in reversed(self._open) if each.owner is owner and not each.is_done), None)

    def _push(self, transaction: _Transaction) -> None:
        # In the list first: whoever awaits the driver is not alone.
        transaction.savepoint = f"toolkit_{next(self._numbers)}"
        self._open.append(transaction)
        try:
            self._run(f"SAVEPOINT {transaction.savepoint}")
        except BaseException:
            self._open.remove(transaction)
            raise

    def _moved(self, transaction: _Transaction) -> _Transaction:
        """The same transaction, as if it had begun now: it has nothing to undo."""
        transaction.is_done = True
        self._release()
        moved = _Transaction(transaction.owner, "")
        self._push(moved)
        return moved

    def _release(self) -> None:
        """Release what is done, as long as it is innermost: with another would go what was begun within it."""
        while self._open and self._open[-1].is_done:
            self._run(f"RELEASE SAVEPOINT {self._open.pop().savepoint}")

    def _undo(self, transaction: _Transaction) -> None:
        place = self._open.index(transaction)
        within = self._open[place + 1 :]
        del self._open[place:]
        for each in self._open:
            each.others -= {transaction, *transaction.others}
        self._run(f"ROLLBACK TO SAVEPOINT {transaction.savepoint}")
        self._run(f"RELEASE SAVEPOINT {transaction.savepoint}")
        for each in within:
            if not each.is_done:
                self._push(_Transaction(each.owner, ""))
        self._release()
