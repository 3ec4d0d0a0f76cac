"""Which addresses of clusters are safe: tasks are pickles, so that whoever can send one runs what he likes."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from toolkit.errors import ConfigurationError


def require_secure(address: str, *, is_insecure: bool) -> None:
    """Check that what is sent is encrypted, or does not leave this machine.

    Raises:
        ConfigurationError: neither is so, or there is no host in it.
    """
    found = urlsplit(address)
    try:
        has_port = found.port is not None
    except ValueError:
        has_port = False
    if not found.hostname or not has_port:
        raise ConfigurationError(f"{address!r} names no host and port.", "Write it like tls://scheduler:8786.")
    if found.username or found.password:
        raise ConfigurationError(
            "The address of workers holds a user or a password.", "Leave that out: a cluster's keys are its own."
        )
    if found.scheme == "tls" or is_insecure or _is_loopback(found.hostname):
        return
    raise ConfigurationError(
        f"{found.scheme}://{found.hostname} is not encrypted: others on the network could read what is sent, and "
        "have the workers run anything.",
        "Use tls://, or a tunnel to 127.0.0.1; or, within a network that you trust, say --insecure-workers.",
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
