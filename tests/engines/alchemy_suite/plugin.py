"""SQLAlchemy's own plugin for pytest, and what its suite must be told of DuckDB. Only in a process of its own."""

from __future__ import annotations

from typing import Any

from sqlalchemy.testing import provision
from sqlalchemy.testing.plugin.pytestplugin import *  # noqa: F403 - pytest looks for its hooks here


@provision.temp_table_keyword_args.for_db("duckdb")  # type: ignore[untyped-decorator]
def _temp_table_keyword_args(*_: Any) -> dict[str, list[str]]:
    return {"prefixes": ["TEMPORARY"]}
