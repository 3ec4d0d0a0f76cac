"""`TABLE.COLUMN:HOW`, of the command line and of the configuration, before anything is opened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from toolkit.core.conversions import AS_NULL, CONVERSIONS, Conversion, conversion
from toolkit.core.tables import table_spec
from toolkit.errors import ConfigurationError, UnknownNameError
from toolkit.operations.transfer.converting import Conversions

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from toolkit.core.tables import TableSpec

_FORM = "TABLE.COLUMN:HOW"


def conversions(metadata: MetaData, configured: Iterable[str], given: Iterable[str]) -> Conversions:
    """The conversions that were asked for; what is given counts for more than what is configured.

    Raises:
        UnknownNameError: a table, a column or a conversion that is not there.
        ConfigurationError: a column is named twice, or holds what its conversion does not make.
    """
    own = _parsed(metadata, given)
    found = _parsed(metadata, configured) | own
    by_table: dict[str, dict[str, Conversion]] = {}
    for (table, column), each in found.items():
        by_table.setdefault(table, {})[column] = each
    return Conversions(by_table, frozenset(table for table, _ in own))


def _parsed(metadata: MetaData, options: Iterable[str]) -> dict[tuple[str, str], Conversion]:
    found: dict[tuple[str, str], Conversion] = {}
    for option in options:
        spec, column, how = conversion_place(metadata, option)
        if (spec.name, column) in found:
            raise ConfigurationError(
                f"Two conversions are given for {spec.name}.{column}: {found[spec.name, column].name} and {how}.",
                "A column is converted in one way: leave one of them out.",
            )
        found[spec.name, column] = each = conversion(how)
        _require_fit(spec, column, each)
    return found


def conversion_place(metadata: MetaData, option: str) -> tuple[TableSpec, str, str]:
    """The table, column and conversion of an option; names may have points and colons in them."""
    table = _longest(metadata.tables, option, ".")
    if table is None:
        place = option.partition(":")[0]
        name, point, _ = place.rpartition(".")
        if not point:
            raise ConfigurationError(f"{option!r} is not of the form {_FORM}.", f"Write --convert {_FORM}.")
        raise UnknownNameError("table", name, metadata.tables)
    spec = table_spec(metadata.tables[table])
    rest = option[len(table) + 1 :]
    column = _longest(spec.column_names, rest, ":")
    if column is None:
        name, colon, _ = rest.partition(":")
        if not colon:
            raise ConfigurationError(f"{option!r} is not of the form {_FORM}.", f"Write --convert {_FORM}.")
        raise UnknownNameError("column", name, spec.column_names, table)
    return spec, column, rest[len(column) + 1 :]


def _longest(names: Iterable[str], text: str, behind: str) -> str | None:
    return max((name for name in names if text.startswith(f"{name}{behind}")), key=len, default=None)


def _require_fit(spec: TableSpec, name: str, each: Conversion) -> None:
    column = spec.column(name)
    place = f"{spec.name}.{name}"
    if not each.fits(column.type):
        others: Sequence[str] = [other.name for other in CONVERSIONS.values() if other.fits(column.type)]
        raise ConfigurationError(
            f"The conversion {each.name} makes {each.makes}, but {place} is of type {column.type}.",
            f"Conversions for it: {', '.join(others)}.",
        )
    if each.lost is not None and name in spec.key:
        raise ConfigurationError(
            f"{place} tells rows apart, and the conversion {each.name} loses something: two rows could become one.",
            "Correct the values at the source.",
        )
    if each.name in AS_NULL and not column.nullable:
        raise ConfigurationError(
            f"{place} takes no NULL, which the conversion {each.name} makes.", "Correct the values at the source."
        )
