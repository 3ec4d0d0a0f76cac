"""PostgreSQL's tables by its own catalogue: as SQLAlchemy has them, and as the statements that make them once more."""
