"""The schema and its history: Alembic on any engine."""
