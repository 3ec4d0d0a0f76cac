"""What the `env.py` of a migrations directory imports: `from toolkit.migration_environment import run_migrations`."""

from __future__ import annotations

from toolkit.operations.migrations.environment import run_migrations

__all__ = ["run_migrations"]
