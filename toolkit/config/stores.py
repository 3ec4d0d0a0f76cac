"""Stores: where objects live, which addresses mean them, and what can be set of each kind."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from toolkit.config.settings import ill_typed, typed
from toolkit.engines.contract import StoreAccess
from toolkit.errors import ConfigurationError, StoreError, UnknownNameError
from toolkit.shown_text import address_without_secrets

if TYPE_CHECKING:
    from obstore.store import ObjectStore

DEFAULT_STORES: Mapping[str, str] = {"archive": ".toolkit/archive", "attachments": ".toolkit/attachments"}
RETRIES = 10
CONNECT_SECONDS = 10.0
# Up to 160 MiB are under way at once: a line of 5 Mbit/s takes 270 s for them, and for each of the requests.
REQUEST_SECONDS = 300.0

# Which store a URL's scheme means.
_SCHEMES: Mapping[str, str] = {
    "file": "file",
    "memory": "memory",
    "s3": "s3",
    "s3a": "s3",
    "az": "azure",
    "azure": "azure",
    "adl": "azure",
    "abfs": "azure",
    "abfss": "azure",
    "gs": "gcs",
}
# And the end of a host's name, in an https:// address.
_HOSTS: Mapping[str, str] = {
    "amazonaws.com": "s3",
    "r2.cloudflarestorage.com": "s3",
    "core.windows.net": "azure",
    "fabric.microsoft.com": "azure",
}
# What can be set of a store over the network (the types, and the variables that stand for it), then each kind's own
# settings and what obstore calls them.
_CLIENT_SETTINGS: Mapping[str, type] = {
    "allow_http": bool,
    "proxy_url": str,
    "retries": int,
    "connect_timeout": float,
    "timeout": float,
}
_CLIENT_VARIABLES = (
    "allow_http",
    "allow_invalid_certificates",
    "connect_timeout",
    "proxy_ca_certificate",
    "proxy_excludes",
    "proxy_url",
    "read_timeout",
    "timeout",
    "user_agent",
)
_VARIABLES: Mapping[str, str] = {"s3": "AWS_", "azure": "AZURE_", "gcs": "GOOGLE_"}
_STORE_SETTINGS: Mapping[str, Mapping[str, str]] = {
    "file": {},
    "memory": {},
    "s3": {
        "endpoint": "endpoint",
        "region": "region",
        "access_key_id": "access_key_id",
        "secret_access_key": "secret_access_key",
        "token": "session_token",
        "checksum_algorithm": "checksum_algorithm",
        "server_side_encryption": "server_side_encryption",
        "sse_kms_key_id": "sse_kms_key_id",
        "sse_bucket_key_enabled": "sse_bucket_key_enabled",
        "sse_customer_key_base64": "sse_customer_key_base64",
        "request_payer": "request_payer",
        "unsigned_payload": "unsigned_payload",
        "conditional_put": "conditional_put",
        "disable_bulk_delete": "disable_bulk_delete",
        "skip_signature": "skip_signature",
        "virtual_hosted_style_request": "virtual_hosted_style_request",
    },
    "azure": {
        "endpoint": "endpoint",
        "account_name": "account_name",
        "account_key": "account_key",
        "sas_key": "sas_key",
        "token": "token",
        "client_id": "client_id",
        "client_secret": "client_secret",
        "tenant_id": "tenant_id",
        "skip_signature": "skip_signature",
    },
    "gcs": {
        "endpoint": "base_url",
        "service_account": "service_account",
        "service_account_key": "service_account_key",
        "token": "bearer_token",
        "skip_signature": "skip_signature",
    },
}
# Of every kind of store: what is encrypted before it goes there, and by which key.
_KEY, _KEY_FILE = "encryption_key", "encryption_key_file"
_FLAGS = frozenset(
    {
        "conditional_put",
        "disable_bulk_delete",
        "request_payer",
        "skip_signature",
        "sse_bucket_key_enabled",
        "unsigned_payload",
        "virtual_hosted_style_request",
    }
)
# What obstore wants in place of a truth value.
_CONDITIONAL_PUT: Mapping[bool, str] = {True: "etag", False: "disabled"}
_CONNECTION_STRING = re.compile(r"(^|;)(AccountName|AccountKey|SharedAccessSignature)=")
_ALL_STORE_SETTINGS = frozenset({_KEY_FILE, *_CLIENT_SETTINGS}).union(*_STORE_SETTINGS.values())


@dataclass(frozen=True)
class Store:
    """A named place where objects live. `repr` and `shown_url` never hold a secret."""

    name: str
    address: str = field(repr=False)
    root: Path = field(default_factory=Path.cwd)
    options: Mapping[str, str | bool | float] = field(default_factory=dict, repr=False)
    is_default: bool = False
    """Whether nobody configured it."""

    @property
    def kind(self) -> str:
        """`file`, `memory`, `s3`, `azure` or `gcs`.

        Raises:
            StoreError: the address is of none of these.
        """
        kind = _kind_of(self.address)
        if kind is None:
            raise StoreError(
                f"store {self.name!r}" if self.name else "the store",
                "its address has an unknown scheme",
                "Write it like s3://bucket/prefix, az://container/prefix, gs://bucket/prefix, file:///directory or "
                "memory://.",
            )
        return kind

    @property
    def directory(self) -> Path | None:
        """The directory of this machine that it is, None for any other kind."""
        if self.kind != "file":
            return None
        path = re.sub("^file:(//(localhost)?(?=/|$))?", "", self.address, flags=re.IGNORECASE)
        return self.root / (path if path == self.address else unquote(path))

    @property
    def shown_url(self) -> str:
        """The address as it may be printed: without its secrets."""
        return address_without_secrets(self.address)

    @property
    def is_encrypted(self) -> bool:
        """Whether an archive in it is encrypted before it is sent: a key was given."""
        return _KEY in self.options or _KEY_FILE in self.options

    @cached_property
    def memory(self) -> ObjectStore:
        """Where objects are of a store in memory: as long as this value lives."""
        from obstore.store import MemoryStore

        return MemoryStore()

    @property
    def client_options(self) -> Mapping[str, Any]:
        """How obstore's client is to speak to it: what was set, else by AWS_…, AZURE_… and GOOGLE_… variables."""
        # obstore heeds these variables only as long as it is given no options at all.
        variables = {name: _VARIABLES.get(self.kind, "") + name.upper() for name in _CLIENT_VARIABLES}
        found: dict[str, Any] = {
            name: os.environ[variable] for name, variable in variables.items() if os.environ.get(variable)
        }
        for name, usual in (("connect_timeout", CONNECT_SECONDS), ("timeout", REQUEST_SECONDS)):
            if name in self.options or name not in found:
                found[name] = timedelta(seconds=float(self.options.get(name, usual)))
        return found | {name: self.options[name] for name in ("allow_http", "proxy_url") if name in self.options}

    def access(self, database: str) -> StoreAccess:
        """How a database that lies in such a store is to speak to it.

        Raises:
            ConfigurationError: it is of a kind that no database lies in.
        """
        if self.kind != "s3":
            raise ConfigurationError(
                f"databases.{database}.store is {self.name!r}, which is no store of S3.", "Name one that is."
            )
        return StoreAccess(self.settings, self.client_options, self.retries)

    @property
    def retries(self) -> int:
        """How often a request is repeated."""
        return int(self.options.get("retries", RETRIES))

    @property
    def settings(self) -> Mapping[str, str | bool]:
        """What was set of this kind of store, under obstore's names.

        What was not, obstore takes from AWS_…, AZURE_… and GOOGLE_… variables.
        """
        known = _STORE_SETTINGS[self.kind]
        found = {known[name]: value for name, value in self.options.items() if name in known}
        if isinstance(conditional := found.get("conditional_put"), bool):
            found["conditional_put"] = _CONDITIONAL_PUT[conditional]
        return found  # type: ignore[return-value]


def parse_stores(entries: Any, root: Path, source: str) -> dict[str, Store]:
    """The default stores and those of a file's table `stores`, by name.

    Raises:
        ConfigurationError: an unknown or ill-typed key, named with its file.
    """
    if not isinstance(entries, dict):
        raise ConfigurationError(f"{source}: stores must be a table of names and URLs.", "Correct the file.")
    found = {name: Store(name, address, root, is_default=True) for name, address in DEFAULT_STORES.items()}
    for name, value in entries.items():
        if not isinstance(value, str | dict):
            raise ill_typed(source, f"stores.{name}", "URL or a table", value)
        entry = {"url": value} if isinstance(value, str) else dict(value)
        url = entry.pop("url", found[name].address if name in found else None)
        if not isinstance(url, str):
            raise ConfigurationError(f"{source}: stores.{name} has no url.", f'Write {name} = "s3://bucket/prefix".')
        _check_store(url, entry, source, name)
        found[name] = Store(name, url, root, entry)
    return found


def moved(store: Store, url: str) -> Store:
    """The store at another address; what was set of one kind of store, secrets too, is not for another."""
    same = _kind_of(url) == _kind_of(store.address)
    kept = {_KEY_FILE, *_CLIENT_SETTINGS}
    options = {name: value for name, value in store.options.items() if same or name in kept}
    return replace(store, address=url, options=options, is_default=False)


def with_key(store: Store, key: str) -> Store:
    """The store with the encryption keys that the environment holds, in place of those of a file.

    Raises:
        ConfigurationError: it holds none: nothing is to go there in the clear because a secret was not filled in.
    """
    if not key.strip():
        raise ConfigurationError(
            f"The environment's encryption key of store {store.name!r} is empty.", "Give it, or unset the variable."
        )
    return replace(store, options={**store.options, _KEY: key})


def _check_store(url: str, entry: Mapping[str, Any], source: str, name: str) -> None:
    kind = _kind_of(url)
    own = _STORE_SETTINGS[kind] if kind else _ALL_STORE_SETTINGS
    known = {*own, _KEY_FILE, *(() if kind in ("file", "memory") else _CLIENT_SETTINGS)}
    for key, value in entry.items():
        if key not in known:
            # The key itself is no setting: a file of settings is not where secrets are.
            raise UnknownNameError("setting", key, ("url", *known), f"{source} stores.{name}")
        typed(bool if key in _FLAGS else _CLIENT_SETTINGS.get(key, str), value, source, f"stores.{name}.{key}")


def _kind_of(address: str) -> str | None:
    """The kind of store that an address means; a plain path is a directory."""
    if _CONNECTION_STRING.search(address):
        # One of Azure's, which holds the key. A directory of that name would be made.
        return None
    scheme, separator, _ = address.partition(":")
    if not separator or "/" in scheme or len(scheme) == 1:
        return "file"
    if scheme.lower() == "https":
        host = (urlsplit(address).hostname or "").lower()
        return next((kind for end, kind in _HOSTS.items() if host.endswith(f".{end}")), None)
    return _SCHEMES.get(scheme.lower())
