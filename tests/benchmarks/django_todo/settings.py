"""Django on the PostgreSQL database of the variables `PGHOST` and `PGDATABASE`."""

from __future__ import annotations

import os

INSTALLED_APPS = ["django_todo"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ["PGHOST"],
        "NAME": os.environ["PGDATABASE"],
        "USER": "postgres",
    }
}
USE_TZ = True
