"""SQLite, all of it."""
