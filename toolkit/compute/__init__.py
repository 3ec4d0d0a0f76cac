"""Work on rows of any number outside of their databases: DuckDB in memory, and temporary files."""
