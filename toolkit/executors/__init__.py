"""Where parts of large work are done: processes of this machine, or a cluster that the user runs."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from toolkit.errors import ConfigurationError
from toolkit.executors.contract import Executor

__all__ = ["Executor", "open_executor"]

_ADVICE = "Give local, local:N, tls://HOST:PORT of a Dask scheduler, or ray://HOST:PORT."


def open_executor(
    address: str, context: Any = None, *, is_insecure: bool = False, patience: float | None = None
) -> AbstractContextManager[Executor]:
    """The workers at an address. `context` is given to processes of this machine, and never leaves it.

    Raises:
        ConfigurationError: it is no address, or one whose connection is not encrypted.
        MissingDriverError: what is needed to reach them is not installed.
        WorkersError: they cannot be reached.
    """
    scheme, _, rest = address.partition(":")
    if scheme == "local":
        from toolkit.executors.local import PATIENCE, LocalExecutor, processors

        count = processors() if not rest else int(rest) if rest.isdecimal() else 0
        if count < 1:
            raise ConfigurationError(f"{address!r} is no number of workers.", _ADVICE)
        return LocalExecutor(count, context, PATIENCE if patience is None else patience)
    if scheme in ("tcp", "tls", "ray"):
        from toolkit.executors.addresses import require_secure

        require_secure(address, is_insecure=is_insecure)
        if scheme == "ray":
            from toolkit.executors.ray import RayExecutor

            return RayExecutor(address)
        from toolkit.executors.dask import DaskExecutor

        return DaskExecutor(address)
    raise ConfigurationError(f"There are no workers at {address!r}.", _ADVICE)
