"""Parts of SQL as sqlglot takes it apart: what they are made of, and what they are called."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING

from toolkit.core.sql_terms import Term, Untranslatable, is_date, number_of, number_term, truth_term
from toolkit.core.types import INTEGER_KINDS, Kind

if TYPE_CHECKING:
    from sqlglot.expressions import Expr

COMPARISONS = {"eq": "=", "neq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
"""By sqlglot's word for it, the sign of a comparison."""
# As an operand of a comparison without brackets, engines bind these differently.
_LOOSE = frozenset(
    {*COMPARISONS, "is", "in", "between", "like", "glob", "not", "and", "or", "nullsafeeq", "nullsafeneq"}
)
TEXT_TYPES = frozenset({"TEXT", "VARCHAR", "CHAR", "NCHAR", "NVARCHAR", "BPCHAR", "NAME"})
WIDE_NUMBERS = frozenset({"DECIMAL", "BIGINT", "DOUBLE", "BIGDECIMAL"})
INTEGER_TYPES = ("TINYINT", "SMALLINT", "INT", "BIGINT")
NUMBER_TYPES = WIDE_NUMBERS | {"INT", "SMALLINT", "TINYINT", "FLOAT"}
_OF_KIND: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(INTEGER_KINDS, INTEGER_TYPES),
    Kind.FLOAT32: ("FLOAT",),
    Kind.FLOAT64: ("DOUBLE",),
    Kind.DECIMAL: ("DECIMAL", "BIGDECIMAL"),
}
_TRUTHS = {"t": True, "true": True, "f": False, "false": False}


# What a node may say beside its operands, and is asked for: anything else may change its meaning.
_OPERANDS = frozenset({"this", "expression", "expressions"})
_SAID: dict[str, frozenset[str]] = {
    "between": frozenset({"low", "high"}),
    "case": frozenset({"ifs", "default"}),
    "cast": frozenset({"to", "_type"}),
    "coalesce": frozenset({"is_nvl"}),
    "column": frozenset({"table"}),
    # Whether NULL is taken for an empty text: it is what the grammar makes of signs that it has no words for.
    "dpipe": frozenset({"safe"}),
    "glob": frozenset({"negate"}),
    "is": frozenset({"negate"}),
    "like": frozenset({"negate"}),
    "literal": frozenset({"is_string"}),
    # Whether the rest of a division by zero is NULL, as 30.31 says of SQLite: divisors are written out, and not zero.
    "mod": frozenset({"safe"}),
    "substring": frozenset({"start", "length"}),
    "translate": frozenset({"from_", "to"}),
    "trim": frozenset({"position"}),
}


@lru_cache(maxsize=4096)
def parsed(text: str, grammar: str) -> Expr:
    """A text taken apart, which nobody may change: schemas have the same defaults and checks over and over."""
    import sqlglot
    from sqlglot.errors import SqlglotError

    logger = logging.getLogger("sqlglot")
    level, logger.level = logger.level, logging.ERROR
    try:
        return sqlglot.parse_one(text, dialect=grammar or None)
    except SqlglotError as error:
        raise Untranslatable("it is not understood") from error
    finally:
        logger.level = level


def require_known(node: Expr) -> None:
    """See that a node says nothing that would not be written again, such as SYMMETRIC."""
    said = {name for name, value in node.args.items() if value not in (None, False, [])}
    if not said <= _OPERANDS | _SAID.get(node.key, frozenset()):
        raise Untranslatable(f"the meaning of {shown(node)} is not certain there")


def casts_to(node: Expr, kind: str, digits: tuple[int | None, int | None]) -> bool:
    """Whether a node casts to numbers of just that kind, of so many digits: a cast to others rounds."""
    if node.key != "cast" or getattr(node.args["to"].this, "name", "") not in _OF_KIND.get(kind, ()):
        return False
    given = [int(each.name) for each in node.args["to"].expressions if each.name.isdecimal()]
    return not given or (given[0], given[1] if len(given) > 1 else 0) == digits


def conjuncts(node: Expr) -> list[Expr]:
    """The parts that all have to hold."""
    if node.key == "paren":
        return conjuncts(node.this)
    if node.key == "and":
        return [*conjuncts(node.this), *conjuncts(node.expression)]
    return [node]


def listed(node: Expr) -> list[Expr]:
    """The elements of an array that is written out."""
    while node.key in ("paren", "cast"):
        node = node.this
    if node.key != "array":
        raise Untranslatable(f"the meaning of {shown(node)} is not certain there")
    return list(node.expressions)


def tight(node: Expr) -> Expr:
    """An operand that every engine takes for one."""
    if node.key in _LOOSE:
        raise Untranslatable(f"what {shown(node)} belongs to is not certain without brackets")
    return node


def shown(node: Expr, grammar: str = "") -> str:
    """A node, for a message, in the words of its SQL."""
    text = node.sql(dialect=grammar or None, comments=False)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - what a line has room for


def literal_cast(term: Term, name: str, node: Expr) -> Term:
    """A literal of text as one of the type of that name."""
    value = str(term.literal)
    if name in TEXT_TYPES or name == "USERDEFINED":
        return term
    if name in NUMBER_TYPES:
        return number_term(number_of(value))
    if name == "BOOLEAN" and value.lower() in _TRUTHS:
        return truth_term(_TRUTHS[value.lower()])
    if name == "DATE" and is_date(value):
        return Term(term.sql, Kind.DATE, literal=value)
    raise Untranslatable(f"the meaning of {shown(node)} is not certain there")
