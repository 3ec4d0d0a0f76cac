"""Advanced Alchemy's own command line on the bundled models and the database of the variable `ALCHEMY_URL`.

It looks for models in its global registry, which the bundled ones stay out of, so theirs takes its place.
"""

from __future__ import annotations

import os

from advanced_alchemy import base
from advanced_alchemy.config import SQLAlchemySyncConfig

from toolkit.models.todo import Base

base.orm_registry = Base.registry
base.metadata_registry.set(None, Base.metadata)
config = SQLAlchemySyncConfig(connection_string=os.environ["ALCHEMY_URL"])
