"""The shop's example rows."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from tests.operations import databases
from tests.operations.shop import Category, Customer, Product, PurchaseLine, metadata
from toolkit.config import Database

EARLY = dt.datetime(2001, 2, 3, 4, 5, 6, 789012, dt.UTC)
LATE = dt.datetime(2024, 12, 31, 23, 59, 59, 999999, dt.UTC)

# A parent comes after its child, and numbers have gaps.
ROWS: dict[Any, list[dict[str, Any]]] = {
    Customer: [
        {"id": n, "email": f"c{n}@example.com", "name": name, "created_at": EARLY, "updated_at": LATE}
        for n, name in ((1, "Zoë 🐟"), (2, None), (3, ""), (40, "O'Neil \\N"))
    ],
    Category: [
        {"id": 1, "parent_id": 9, "name": "leaf"},
        {"id": 2, "parent_id": 2, "name": "its own parent"},
        {"id": 9, "parent_id": None, "name": "root"},
    ],
    Product: [
        {"id": 5, "category_id": 1, "price": Decimal("12345678.90")},
        {"id": 7_000_000_000, "category_id": 9, "price": Decimal("-0.01")},
    ],
    PurchaseLine: [
        {"customer_id": 1, "product_id": 5, "amount": 3},
        {"customer_id": 40, "product_id": 5, "amount": 0},
        {"customer_id": 40, "product_id": 7_000_000_000, "amount": -1},
    ],
}


def fill(database: Database) -> Database:
    """Make the shop's tables and insert the example rows."""
    with databases.connected(database) as connection:
        metadata.create_all(connection)
        for model, rows in ROWS.items():
            # By one statement, which is what lets PostgreSQL take a child before its parent.
            connection.execute(sa.insert(model).values(list(rows)))
    return database
