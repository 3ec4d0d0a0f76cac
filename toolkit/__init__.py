"""Exact, fast data sync and migration between SQLite, PostgreSQL and DuckDB for SQLAlchemy applications.

The same verbs as the command line, as functions:

    from toolkit import load_config, sync
    result = sync(load_config(), "sqlite", "postgres")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolkit.config import Config, Database, load_config
    from toolkit.errors import ToolkitError
    from toolkit.operations.diff.compare import diff
    from toolkit.operations.fixtures.dump import dump_data
    from toolkit.operations.fixtures.load import load_data
    from toolkit.operations.inspect import inspect
    from toolkit.operations.status import status
    from toolkit.operations.sync import sync
    from toolkit.operations.transfer.options import Options

__all__ = [
    "Config",
    "Database",
    "Options",
    "ToolkitError",
    "diff",
    "dump_data",
    "inspect",
    "load_config",
    "load_data",
    "status",
    "sync",
]

# Loaded when asked for: the libraries behind them take longer to import than `toolkit --help` may take.
_MODULES = {
    "Config": "toolkit.config",
    "Database": "toolkit.config",
    "Options": "toolkit.operations.transfer.options",
    "ToolkitError": "toolkit.errors",
    "diff": "toolkit.operations.diff.compare",
    "dump_data": "toolkit.operations.fixtures.dump",
    "inspect": "toolkit.operations.inspect",
    "load_config": "toolkit.config",
    "load_data": "toolkit.operations.fixtures.load",
    "status": "toolkit.operations.status",
    "sync": "toolkit.operations.sync",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
