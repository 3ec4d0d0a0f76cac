"""What SQLAlchemy's suite need not ask of DuckDB, each with its reason."""

from __future__ import annotations

from sqlalchemy.testing import exclusions
from sqlalchemy.testing.requirements import SuiteRequirements


class Requirements(SuiteRequirements):
    """DuckDB's abilities, where they are others than the suite takes for granted."""

    # Left out of tables on purpose: DuckDB refuses ON DELETE CASCADE, and updates of rows that others point at.
    foreign_key_constraint_reflection = exclusions.closed()  # type: ignore[no-untyped-call]
    self_referential_foreign_keys = exclusions.closed()  # type: ignore[no-untyped-call]
    views = exclusions.open()  # type: ignore[no-untyped-call]
    # They lie in a database of their own (`temp`), which is not looked at.
    temp_table_reflection = exclusions.closed()  # type: ignore[no-untyped-call]
