"""Errors of rows that a database tells apart by the form in which a value is stored: which columns have such."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from toolkit.core.tables import TableSpec
from toolkit.engines.contract import Connection
from toolkit.errors import (
    MisfitsError,
    MissingParentError,
    RefusedRowError,
    RepeatedKeyError,
    ToolkitError,
    UniqueConflictError,
    UnrepresentableValueError,
    VerificationError,
)


@contextmanager
def telling_forms(connection: Connection, specs: Sequence[TableSpec]) -> Iterator[None]:
    """Let errors of rows say in which columns of the source one value has several forms, and what to do about it."""
    try:
        yield
    except (
        MisfitsError,
        MissingParentError,
        RefusedRowError,
        RepeatedKeyError,
        UniqueConflictError,
        UnrepresentableValueError,
        VerificationError,
    ) as error:
        with suppress(ToolkitError):
            error.advise(" ".join(connection.told_forms(specs)))
        raise
