"""The former path of `toolkit.migration_environment`: users' `env.py` files import it, and are not ours to change."""

from __future__ import annotations

from toolkit.migration_environment import run_migrations

__all__ = ["run_migrations"]
