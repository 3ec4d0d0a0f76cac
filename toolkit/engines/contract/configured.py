"""What is configured of a database, as far as its engine is concerned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from sqlalchemy import URL
    from sqlalchemy import Engine as SQLAlchemyEngine


class EngineSettings(Struct, frozen=True):
    """What an application sets on the SQLAlchemy engine of a server; seconds and connections."""

    pool_size: int = 5
    max_overflow: int = 10
    pool_timeout: float = 30
    pool_recycle: int = 300
    pool_pre_ping: bool = True
    pool_use_lifo: bool = True
    echo: bool = False


@dataclass(frozen=True, slots=True)
class StoreAccess:
    """How an object store is spoken to, as obstore calls the settings; secrets are among them, and not shown."""

    settings: Mapping[str, str | bool] = field(repr=False)
    client: Mapping[str, Any] = field(repr=False)
    retries: int


class Configured(Protocol):
    """A database as its engine sees it: what is configured, and what the engine makes of that (`database.Database`)."""

    @property
    def name(self) -> str:
        """Its name, for messages."""

    @property
    def address(self) -> str:
        """As it was given; it may hold a password."""

    @property
    def root(self) -> Path:
        """The directory that relative paths begin at."""

    @property
    def settings(self) -> EngineSettings:
        """What an application sets on its engine."""

    @property
    def lock_seconds(self) -> float:
        """How long to wait for another writer."""

    @property
    def identity(self) -> str | None:
        """What an archive knows it by, if that is configured."""

    @property
    def external_access(self) -> bool:
        """Whether what is in a file may read other files."""

    @property
    def access(self) -> StoreAccess | None:
        """How the object store is spoken to that it is in, if that is configured."""

    @property
    def url(self) -> URL:
        """What `Engine.url` gave."""

    @property
    def file(self) -> Path | None:
        """What `Engine.file` gave."""

    @property
    def place(self) -> str:
        """Where the rows are: its file or directory, or what `Engine.place` gave."""

    def unpooled_engine(self, read_only: bool = False) -> SQLAlchemyEngine:
        """A SQLAlchemy engine whose connections end when they are closed."""

    @property
    def engine_name(self) -> str:
        """The `Engine.name`."""

    @property
    def shown_url(self) -> str:
        """What `Engine.shown_url` gave."""

    def at(self, address: str) -> Configured:
        """The same settings at another address."""
