"""What the pytest plugin asks of pytest's settings, and how it tells what it has to."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from toolkit.config import Config
    from toolkit.testing.pool import Pool


DATABASES = ("sqlite", "postgres", "duckdb", "mariadb")


class ToolkitWarning(pytest.PytestWarning):
    """What is worth knowing of the fixtures that tests' databases are made from."""


def path_of(config: pytest.Config, relative: str) -> Path:
    """Where something is that pytest's settings name."""
    base = config.inipath.parent if config.inipath else config.rootpath
    return base / relative


def config_of(pytestconfig: pytest.Config) -> Config:
    """The toolkit's configuration, with what pytest's settings say."""
    from toolkit.config import load_config
    from toolkit.config.databases import TEST_DATABASES, parse_databases

    metadata, application = (pytestconfig.getini(f"toolkit_{name}") or None for name in ("metadata", "config"))
    config = load_config(pytestconfig.rootpath, metadata=metadata, application=application)
    # Copies of them are made for tests, also where the application has others.
    config = replace(config, databases={**parse_databases(TEST_DATABASES, config.root, ""), **config.databases})
    fixtures = pytestconfig.getini("toolkit_fixtures")
    return replace(config, fixtures=path_of(pytestconfig, fixtures)) if fixtures else config


def servers_of(pytestconfig: pytest.Config) -> dict[str, str]:
    """The servers for tests that are named, by the databases' names."""
    from toolkit.engines.registry import TEST_SERVERS

    named = {
        name: os.environ.get(variable) or pytestconfig.getini(f"toolkit_{name}_url")
        for name, variable in TEST_SERVERS.items()
    }
    return {name: server for name, server in named.items() if server}


def rebuild_of(pytestconfig: pytest.Config) -> str | None:
    """The name of this run, the same in all its processes, if it makes templates anew."""
    if not (pytestconfig.getoption("toolkit_rebuild") or pytestconfig.getoption("cacheclear", False)):
        return None
    return str(getattr(pytestconfig, "workerinput", {}).get("testrunuid") or uuid.uuid4().hex)


def directory_of(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory | None) -> Path:
    """A directory for all processes of a run: pytest's cache, or where that is off, a temporary one."""
    if hasattr(pytestconfig, "cache"):
        return Path(pytestconfig.cache.mkdir("toolkit"))
    if tmp_path_factory is None:
        raise pytest.UsageError(
            "Without pytest's cache nothing is kept that could be pruned.\nLeave out -p no:cacheprovider."
        )
    base = tmp_path_factory.getbasetemp()
    return (base.parent if hasattr(pytestconfig, "workerinput") else base) / "toolkit"


def prune(config: pytest.Config, _: pytest.Session) -> int:
    """Remove templates, and what is left over of clones, that no process uses; or only tell of them."""
    from toolkit.errors import ToolkitError
    from toolkit.testing.pool import Pool

    writer, dry_run, code = config.get_terminal_writer(), config.getoption("toolkit_prune") == "dry-run", 0
    pool = Pool(config_of(config), directory_of(config, None), servers_of(config))
    found: list[str] = []
    for name in DATABASES:
        try:
            found += pool.prune(name, dry_run=dry_run)
        except ToolkitError as error:
            writer.line(str(error))
            code = 1
    pool.close()
    for each in found or ["nothing"]:
        writer.line(f"{'Would remove' if dry_run else 'Removed'} {each}.")
    return code


def tell(node: Any, pool: Pool) -> None:
    """Warn of what was noted when templates were made, once."""
    while pool.untold:
        node.warn(ToolkitWarning(pool.untold.pop(0)))


@contextmanager
def in_two_lines() -> Iterator[None]:
    """Show an error as what it says, without where it was raised."""
    from toolkit.errors import ToolkitError
    from toolkit.shown_text import printable

    try:
        yield
    except ToolkitError as error:
        lines = (*error.facts, error.advice) if error.advice else error.facts
        raise pytest.fail.Exception("\n".join(map(printable, lines)), pytrace=False) from None
