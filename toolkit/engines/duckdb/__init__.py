"""DuckDB, all of it."""
