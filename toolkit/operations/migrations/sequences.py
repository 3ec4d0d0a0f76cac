"""Sequences of the models' own: made before the tables that take their numbers, and gone after these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alembic.autogenerate.render import renderers
from alembic.operations import ops
from sqlalchemy import Sequence

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext

    from toolkit.operations.migrations.declared_schema import Declared


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


def compare_sequences(autogenerate: AutogenContext, upgrade: ops.UpgradeOps, schemas: Any, declared: Declared) -> None:
    """Make those that are lacking before all else, and let those of the history that no model has go after it.

    An engine without sequences has all that the history declares, as far as that is known.
    """
    dialect: Any = autogenerate.dialect
    metadata: Any = autogenerate.metadata
    wanted = {
        (None if each.schema == dialect.default_schema_name else each.schema, str(each.name)): each
        for each in metadata._sequences.values()  # noqa: SLF001 - there is no public one
    }
    there = declared.sequence_places() if declared.is_whole else {*wanted}
    if dialect.supports_sequences:
        names = autogenerate.inspector.get_sequence_names
        there = {(schema, name) for schema in schemas for name in names(schema=schema)}
    upgrade.ops[:0] = [SequenceOp(each, makes=True) for place, each in wanted.items() if place not in there]
    gone = [each for place, each in declared.sequences.items() if place in there and place not in wanted]
    upgrade.ops += [SequenceOp(each, makes=False) for each in gone]
