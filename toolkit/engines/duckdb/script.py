"""SQL scripts for `duckdb`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pyarrow as pa

from toolkit.core.decimals import fraction_digits, parse_decimal
from toolkit.core.tables import ColumnSpec, ForeignKeySpec, TableSpec
from toolkit.engines.contract import TableScript
from toolkit.engines.duckdb.native import has_union
from toolkit.engines.portable.literals import replaced_text
from toolkit.engines.portable.script import Script, qualified, quoted


class DuckDBScript(Script):
    """An error ends the transaction, unless it is that a table or a column is not there: that is checked first."""

    engine = "DuckDB"
    usage = "duckdb -bail DATABASE < FILE"

    def begin(self, tables: Sequence[TableScript]) -> Iterator[str]:
        """Check that the tables are as they were."""
        yield "BEGIN"
        for table in tables:
            if table.writes + table.deletes:
                yield _no_more(_missing_columns(table.spec), f"{table.spec.name} is not as it was")

    def end(self, tables: Sequence[TableScript], changes: int) -> Iterator[str]:
        """Check that every row has its parents, for DuckDB does not; advance sequences."""
        for spec in self._checked(tables):
            for key in self._keys_with_parents(spec):
                yield _no_more(_orphans(spec, key), f"{spec.name} points at rows of {key.parent} that are not there")
        for table in tables:
            if table.writes:
                for statement in self._connection.repository(table.spec).advance_statements():
                    yield _silent(statement)
        yield "COMMIT"

    def _keys_with_parents(self, spec: TableSpec) -> Iterator[ForeignKeySpec]:
        for key in spec.foreign_keys:
            parent = replace(spec, table=spec.table.metadata.tables[key.parent])
            if self._connection.column_names(parent) is not None:
                yield key

    def _column(self, spec: TableSpec, column: ColumnSpec, values: pa.Array) -> list[str]:
        adapter = self._connection.codec.adapter(column)
        if adapter.type.is_free_decimal:
            scale = self._connection.repository(spec).decimal_scale(column.name)
            for text in adapter.outgoing(values).drop_null().to_pylist():
                number = parse_decimal(text)
                if scale is not None and (not number.is_finite() or fraction_digits(number) > scale):
                    raise ValueError("more decimals than the column has")
        literals, actual = super()._column(spec, column, values), self._connection.facts(spec)
        # The text of a UNION is no value of it.
        type_ = "" if actual is None else actual.columns[column.name].type
        return [adapter.write(each, type_) for each in literals] if has_union(type_) else literals


def _silent(query: str) -> str:
    """A query whose result is not printed."""
    return f"SET VARIABLE toolkit = ({query})"


def _no_more(rows: str, message: str) -> str:
    return _silent(f"SELECT CASE WHEN EXISTS ({rows}) THEN error({replaced_text(message, 'chr')}) END")


def _missing_columns(spec: TableSpec) -> str:
    schema = replaced_text(spec.table.schema, "chr") if spec.table.schema else "current_schema()"
    names = ", ".join(f"({replaced_text(name, 'chr')})" for name in spec.column_names)
    return (
        f"SELECT * FROM (VALUES {names}) AS wanted(name) ANTI JOIN (SELECT column_name AS name "
        f"FROM duckdb_columns() WHERE database_name = current_database() AND schema_name = {schema} "
        f"AND table_name = {replaced_text(spec.table.name, 'chr')}) AS found USING (name)"
    )


def _orphans(spec: TableSpec, key: ForeignKeySpec) -> str:
    parent = qualified(spec.table.metadata.tables[key.parent])
    match = " AND ".join(
        f"p.{quoted(theirs)} = c.{quoted(own)}" for own, theirs in zip(key.columns, key.parent_columns, strict=True)
    )
    given = " AND ".join(f"c.{quoted(own)} IS NOT NULL" for own in key.columns)
    children = f"(FROM {qualified(spec.table)} AS c WHERE {given})"
    return f"SELECT 1 FROM {children} AS c ANTI JOIN {parent} AS p ON {match}"
