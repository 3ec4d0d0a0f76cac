"""Expressions of many terms: engines take a thousand levels of one, and each operator in a row of them is a level."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator, Sequence
from typing import TypeVar

import sqlalchemy as sa

T = TypeVar("T")

_TERMS = 100


def combined(operation: str, terms: Sequence[str]) -> str:
    """All terms with an operator between them, each hundred in brackets of their own."""
    if len(terms) <= _TERMS:
        return f" {operation} ".join(terms)
    return combined(operation, [f"({combined(operation, part)})" for part in _parts(terms)])


def added(terms: Sequence[sa.ColumnElement[int]]) -> sa.ColumnElement[int]:
    """The sum of all terms, each hundred by itself; of none 0.

    SQLAlchemy takes brackets away that change nothing: a function stays.
    """
    if len(terms) <= _TERMS:
        return functools.reduce(operator.add, terms, sa.literal_column("0", sa.Integer))
    return added([sa.func.coalesce(added(part), 0) for part in _parts(terms)])


def _parts(terms: Sequence[T]) -> Iterator[Sequence[T]]:
    return (terms[start : start + _TERMS] for start in range(0, len(terms), _TERMS))
