"""Sequences of the models' own: made before the tables that take their numbers, and gone after these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alembic.autogenerate.render import renderers
from alembic.operations import ops
from sqlalchemy import Sequence

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext


class SequenceOp(ops.MigrateOperation):
    """Makes a sequence, or drops it; written as `op.execute`, which SQLite passes over."""

    def __init__(self, sequence: Sequence, *, makes: bool) -> None:
        self.sequence, self.makes = sequence, makes

    def reverse(self) -> SequenceOp:
        """The other."""
        return SequenceOp(self.sequence, makes=not self.makes)

    def to_diff_tuple(self) -> tuple[str, Sequence]:
        """As Alembic tells differences."""
        return ("add_sequence" if self.makes else "remove_sequence", self.sequence)


@renderers.dispatch_for(SequenceOp)
def _render(_: AutogenContext, operation: SequenceOp) -> str:
    verb = "Create" if operation.makes else "Drop"
    return f"op.execute(sa.schema.{verb}Sequence({rendered_sequence(operation.sequence)}))"


_OPTIONS = ("start", "increment", "minvalue", "maxvalue", "cycle", "cache", "schema")


def rendered_sequence(sequence: Sequence) -> str:
    """The sequence in Python."""
    options = {name: getattr(sequence, name) for name in _OPTIONS}
    given = "".join(f", {name}={value!r}" for name, value in options.items() if value is not None)
    return f"sa.Sequence({str(sequence.name)!r}{given})"


def compare_sequences(autogenerate: AutogenContext, upgrade: ops.UpgradeOps, schemas: Any) -> None:
    """Add what makes those that are lacking, before all else; those that no model has are left alone."""
    dialect: Any = autogenerate.dialect
    if not dialect.supports_sequences:
        return
    metadata: Any = autogenerate.metadata
    default = dialect.default_schema_name
    wanted = {
        (None if each.schema == default else each.schema, str(each.name)): each
        for each in metadata._sequences.values()  # noqa: SLF001 - the public one is not yet
    }
    there = {
        (schema, name) for schema in schemas for name in autogenerate.inspector.get_sequence_names(schema=schema)
    }
    lacking = [SequenceOp(each, makes=True) for place, each in wanted.items() if place not in there]
    upgrade.ops[:0] = lacking
