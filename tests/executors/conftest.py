"""Ray is no part of what the tests bring (287 MB): `uv sync --extra ray` adds it, and `.ci/run` does so at its end."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore = [] if find_spec("ray") else ["test_ray.py"]
