"""Azurite, Microsoft's own emulator of Azure Blob Storage, which checks signatures. It needs `node` and `npm`."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from functools import cache
from pathlib import Path

from tests.servers.common import free_ports, installed_once, wait_for

VERSION = "3.35.0"
ACCOUNT = "toolkit"
_API = "2023-11-03"


@dataclass(frozen=True)
class AzureServer:
    """Where the server is, and how one gets in."""

    endpoint: str
    key: str

    @property
    def environment(self) -> Mapping[str, str]:
        """The usual environment variables."""
        return {
            "AZURE_STORAGE_ENDPOINT": self.endpoint,
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": self.key,
            "AZURE_ALLOW_HTTP": "true",
        }

    @property
    def options(self) -> Mapping[str, str | bool]:
        """The same as settings of a store."""
        return {"endpoint": self.endpoint, "account_name": ACCOUNT, "account_key": self.key, "allow_http": True}

    def create_container(self, name: str) -> None:
        """Make a container."""
        date = formatdate(usegmt=True)
        # In an emulator's address the account is part of the path, so it is in the signed name twice.
        signed = (
            f"PUT{chr(10) * 12}x-ms-date:{date}\nx-ms-version:{_API}\n/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
        )
        digest = hmac.digest(base64.b64decode(self.key), signed.encode(), hashlib.sha256)
        signature = base64.b64encode(digest).decode()
        request = urllib.request.Request(
            f"{self.endpoint}/{name}?restype=container",
            method="PUT",
            headers={
                "x-ms-date": date,
                "x-ms-version": _API,
                "Authorization": f"SharedKey {ACCOUNT}:{signature}",
            },
        )
        urllib.request.urlopen(request).close()


@cache
def why_not() -> str | None:
    """What the machine lacks for the server; None if it can run."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "node or npm is not installed"
    try:
        installed()
    except subprocess.CalledProcessError as error:
        return f"npm cannot install it (exit code {error.returncode})"
    return None


def installed() -> Path:
    """The server's folder, made once for this user."""
    return installed_once(f"azurite-{VERSION}", _install)


def _install(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    quick_to_fail = ["--fetch-retries=1", "--fetch-timeout=30000"]
    command = [
        "npm",
        "install",
        "--silent",
        "--no-audit",
        "--no-fund",
        *quick_to_fail,
        "--prefix",
        str(folder),
        f"azurite@{VERSION}",
    ]
    subprocess.run(command, cwd=folder, check=True)


@contextmanager
def running(root: Path) -> Iterator[AzureServer]:
    """A server for the block, with all that it stores in memory."""
    (port,) = free_ports(1)
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    root.mkdir(parents=True, exist_ok=True)
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                "node",
                installed() / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js",
                "--inMemoryPersistence",
                "--silent",
                "--disableTelemetry",
                "--blobPort",
                str(port),
            ],
            stdout=log,
            stderr=log,
            cwd=root,
            env={**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{key}"},
        )
    try:
        wait_for(port, root / "log")
        yield AzureServer(f"http://127.0.0.1:{port}/{ACCOUNT}", key)
    finally:
        process.kill()
        process.wait()
