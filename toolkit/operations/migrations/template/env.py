"""How the migrations in this directory are run.

`run_migrations` takes any argument of Alembic's `context.configure`, for example `include_object` or
`compare_server_default`.
"""

from toolkit.migration_environment import run_migrations

run_migrations()
