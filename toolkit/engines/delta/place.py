"""Where a lake is: its address, how its files are reached, and which tables it has.

Settings of S3 are those of a configured store, or the usual `AWS_…` variables; an address holds none.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from toolkit.core.parallel import in_order
from toolkit.engines.delta.storage import DirectoryFiles, Files, StoredFiles
from toolkit.errors import ConfigurationError, DatabaseUnavailableError, MissingDriverError
from toolkit.shown_text import HIDDEN, address_without_secrets, is_secret

if TYPE_CHECKING:
    from toolkit.engines.contract import Configured, StoreAccess

_ADDRESS = re.compile(r"delta\+(?P<kind>file|s3):(?://(?P<host>[^/?@]*)(?=[/?]|$))?(?P<path>[^?]*)(?:\?(?P<query>.*))?")
_SAFE = re.compile(r"[^A-Za-z0-9_.-]|^[_.]")
_ENCODED = re.compile("~([0-9a-f]{2})")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_AT_ONCE = 16
_VERSION = re.compile(r"\d{1,18}")


@dataclass(frozen=True, slots=True)
class Place:
    """A lake, as of now or (`moment`) as it was: by a version of its tables, or a time."""

    database: str
    """Its name, for messages."""
    root: str
    """A directory's path from the root on, or `s3://bucket/prefix`; no slash at the end."""
    moment: int | datetime | None = None
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What deltalake is told of the store; secrets are among it."""
    access: StoreAccess | None = field(default=None, repr=False)
    """What obstore is told of it, if it is not to go by the variables alone."""

    @property
    def is_directory(self) -> bool:
        """Whether it is on this machine."""
        return self.root.startswith("/")

    def table(self, name: str) -> str:
        """Where a table is."""
        return f"{self.root}/{_encoded(name)}"

    def files(self, name: str | None = None) -> Files:
        """The files of a table, by their paths in its log; or of the lake."""
        root = self.root if name is None else self.table(name)
        return DirectoryFiles(root) if self.is_directory else StoredFiles(root, self.options, self.access)

    def table_names(self) -> list[str]:
        """The names of the tables that are there, among which may be folders that hold none.

        Raises:
            DatabaseUnavailableError: the place cannot be read.
        """
        try:
            found = self.files().folders()
        except OSError as error:
            raise self.unreachable(error) from error
        return [_decoded(each) for each in found if not each.startswith(("_", "."))]

    def are_tables(self, names: Sequence[str]) -> list[bool]:
        """Which of these have a log.

        Raises:
            DatabaseUnavailableError: the place cannot be read.
        """
        try:
            return list(in_order(lambda name: self.files(name).has("_delta_log"), names, _AT_ONCE))
        except OSError as error:
            raise self.unreachable(error) from error

    def unreachable(self, error: BaseException) -> DatabaseUnavailableError:
        """The error to raise in place of a library's."""
        reason = address_without_secrets(" ".join(_COLOURS.sub("", str(error)).split()))
        for name, value in self.options.items():
            reason = reason.replace(value, HIDDEN) if is_secret(name) else reason
        return DatabaseUnavailableError(
            self.database,
            f"{self.root} cannot be read or written: {reason[:300]}",
            "Check that it is there, its store's settings or the AWS_… variables, and the rights of who runs this.",
        )

    def require_atomic_create(self) -> None:
        """See that the store refuses to make a file that is there: who commits second is told by nothing else.

        Raises:
            DatabaseUnavailableError: it does not, so that one commit would be lost to another.
        """
        try:
            is_atomic = self.files().is_atomic()
        except OSError as error:
            raise self.unreachable(error) from error
        if not is_atomic:
            raise DatabaseUnavailableError(
                self.database,
                f"the store of {self.root} lets several writers make one object (it has no atomic conditional writes)",
                "One commit would be lost to another there: use a store that heeds If-None-Match. It can be read.",
            )


def place_of(database: Configured) -> Place:
    """The place that a database's address names.

    Raises:
        ConfigurationError: it names none.
        MissingDriverError: what reads a lake is not installed.
    """
    found = _ADDRESS.fullmatch(database.address)
    if found is None or (found["host"] or "") * (found["kind"] == "file") not in ("", "localhost"):
        raise ConfigurationError(
            f"The address of database {database.name!r} is no lake's.",
            "Write it like delta+file:///directory or delta+s3://bucket/prefix; secrets belong into AWS_… variables.",
        )
    try:
        import deltalake  # noqa: F401
    except ImportError:
        raise MissingDriverError(f"Database {database.name!r}, a lake,", "deltalake", "lake") from None
    path = unquote(found["path"]).rstrip("/")
    moment = _moment(database.name, dict(parse_qsl(found["query"] or "")))
    if found["kind"] == "file":
        return Place(database.name, str((database.root / path).absolute()), moment)
    if not found["host"]:
        raise ConfigurationError(
            f"The address of database {database.name!r} names no bucket.", "Write it like delta+s3://bucket/prefix."
        )
    options = _settings(database.access)
    return Place(database.name, f"s3://{found['host']}{path}", moment, options, database.access)


def at_moment(address: str, moment: str) -> str:
    """The address of the same lake as it was: at a version of its tables, or at a time."""
    return f"{address}{'&' if '?' in address else '?'}at={moment.replace('+', '%2B')}"


def _moment(name: str, parameters: Mapping[str, str]) -> int | datetime | None:
    text = parameters.get("at")
    if text is None:
        return None
    if _VERSION.fullmatch(text):
        return int(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"{text!r} is neither a version of {name} nor a time.",
            'Write a number, or a time like "2026-11-01T00:00Z" (UTC if it names no zone).',
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _settings(access: StoreAccess | None) -> Mapping[str, str]:
    """The variables of S3, and before these a store's settings, as deltalake calls them."""
    found = {name: value for name, value in os.environ.items() if name.startswith("AWS_") and value}
    if "AWS_ENDPOINT" in found:
        found.setdefault("AWS_ENDPOINT_URL", found["AWS_ENDPOINT"])
    if access is None:
        return found
    own = {f"AWS_{name.upper()}": _shown(value) for name, value in access.settings.items()}
    if "AWS_ENDPOINT" in own:
        own["AWS_ENDPOINT_URL"] = own["AWS_ENDPOINT"]
    client = {name: _shown(value) for name, value in access.client.items()}
    return found | own | client | {"max_retries": str(access.retries)}


def _shown(value: object) -> str:
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _encoded(name: str) -> str:
    """A table's name as that of a directory, the same on every store."""
    return _SAFE.sub(lambda sign: "".join(f"~{byte:02x}" for byte in sign[0].encode()), name)


def _decoded(folder: str) -> str:
    if "~" not in folder:
        return folder
    return re.sub("(?:~[0-9a-f]{2})+", lambda run: _text(run[0]), folder)


def _text(run: str) -> str:
    return bytes.fromhex(run.replace("~", "")).decode(errors="replace")


def storage(place: Place) -> dict[str, Any]:
    """What the library is given beside a table's address."""
    return {"storage_options": dict(place.options)} if place.options else {}
