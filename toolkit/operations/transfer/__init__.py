"""Rows into a database: options, comparing and planning, writing, verifying."""
