"""Whatever a file holds, it is read or refused in our words: some examples, the same each time (see `tests.fuzz`)."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.fuzz.targets import TARGETS

EXAMPLES = {"json": 40, "lines": 40, "csv": 40, "archives": 20, "encrypted archives": 15}


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_files_that_mean_harm_are_read_or_refused(name: str, tmp_path: Path) -> None:
    check = TARGETS[name](tmp_path)
    settings(
        max_examples=EXAMPLES[name],
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )(check)()
