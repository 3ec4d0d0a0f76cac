"""Databases: where rows live. What differs between engines is asked of the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from toolkit.engines.contract import EngineSettings, StoreAccess
from toolkit.engines.registry import engine_of, schemes, untried
from toolkit.engines.urls import parsed_url
from toolkit.errors import EngineOptionError, UnknownNameError

if TYPE_CHECKING:
    from advanced_alchemy.config import SQLAlchemySyncConfig
    from sqlalchemy import URL
    from sqlalchemy import Engine as SQLAlchemyEngine

    from toolkit.engines.contract import Engine

LOCK_SECONDS = 30.0


@dataclass(frozen=True)
class Database:
    """A named place where rows live. `repr` and `shown_url` never hold a password."""

    name: str
    address: str = field(repr=False)
    root: Path = field(default_factory=Path.cwd)
    settings: EngineSettings = field(default_factory=EngineSettings)
    lock_seconds: float = LOCK_SECONDS
    """How long to wait for another writer before giving up."""
    identity: str | None = None
    """What an archive knows it by, wherever it is; None: by where it is."""
    external_access: bool = False
    """Whether what is in a file, such as its views, may read other files and load extensions."""
    tables_from: str | None = None
    """What makes its tables where it has none: `models` or `migrations`; None: the migrations, if there are any."""
    store: str | None = None
    """The configured store whose settings hold for it, if it is in an object store."""
    access: StoreAccess | None = field(default=None, repr=False, compare=False)
    """These settings."""
    hindrance: EngineOptionError | None = field(default=None, repr=False, compare=False)
    """Why by this address others rows may be reached than by the application whose it is."""

    def at(self, address: str) -> Database:
        """The same settings at another address."""
        return replace(self, address=address, hindrance=None)

    @cached_property
    def kind(self) -> Engine:
        """The engine behind it, which says what differs between engines.

        Raises:
            ConfigurationError: the address is no URL, or its engine is not supported.
        """
        found = engine_of(self.address)
        if found is None:
            scheme = parsed_url(self.name, self.address).get_backend_name()
            raise UnknownNameError("engine", scheme, schemes(), otherwise=untried(scheme))
        return found

    @cached_property
    def url(self) -> URL:
        """The SQLAlchemy URL with its synchronous driver; starts the server if it is one that the toolkit starts.

        Raises:
            ConfigurationError: the address is no URL, its engine is not supported, or an option of the application's
                engine cannot be taken over.
            DatabaseUnavailableError: the server cannot be started.
            MissingDriverError: what starts it is not installed.
        """
        if self.hindrance is not None:
            raise self.hindrance
        return self.kind.url(self)

    @property
    def engine_name(self) -> str:
        """`sqlite`, `postgresql`, `duckdb`, or what another engine is called."""
        return self.kind.name

    @property
    def file(self) -> Path | None:
        """The file of a file database, None for a server or a database in memory."""
        return self.kind.file(self)

    @property
    def directory(self) -> Path | None:
        """The directory of a server that the toolkit itself starts and stops, None for any other."""
        return self.kind.directory(self)

    @property
    def is_embedded(self) -> bool:
        """Whether this is a server that the toolkit itself starts and stops."""
        return self.directory is not None

    @property
    def is_in_memory(self) -> bool:
        """Whether this is a database that nobody else can ever see."""
        return self.kind.is_in_memory(self)

    @property
    def is_there(self) -> bool:
        """Whether there is a database to look into, as far as files tell: a server's is always taken to be."""
        on_disk = self.directory or self.file
        is_there = not self.kind.is_missing(self) if on_disk is None else on_disk.exists()
        return not self.is_in_memory and is_there

    @property
    def place(self) -> str:
        """Where the rows are, whoever logs in and by whichever driver: equal for two names of one database."""
        on_disk = self.directory or self.file
        return self.kind.place(self) if on_disk is None else str(on_disk.resolve())

    @property
    def shown_url(self) -> str:
        """The address as it may be printed: without its password."""
        return self.kind.shown_url(self)

    @cached_property
    def sqlalchemy_config(self) -> SQLAlchemySyncConfig:
        """Advanced Alchemy's configuration of this database, bound under the database's name."""
        from advanced_alchemy.config import EngineConfig, SQLAlchemySyncConfig

        return SQLAlchemySyncConfig(
            connection_string=self.url.render_as_string(hide_password=False),
            bind_key=self.name,
            engine_config=EngineConfig(**self._engine_options(read_only=False, pooled=True)),
        )

    @property
    def engine(self) -> SQLAlchemyEngine:
        """The SQLAlchemy engine of that configuration, made once and pooled."""
        return self.sqlalchemy_config.get_engine()

    def unpooled_engine(self, read_only: bool = False) -> SQLAlchemyEngine:
        """An engine whose connections end when they are closed. It is made once.

        What a dialect asks a server first, and each statement that it compiles, costs more than most statements do.
        """
        if read_only not in self._unpooled:
            from sqlalchemy import create_engine

            options = self._engine_options(read_only, pooled=self.is_in_memory)
            engine = create_engine(self.url, json_serializer=_encoded, json_deserializer=_decoded, **options)
            self.kind.watch_connections(self, engine)
            self._unpooled[read_only] = engine
        return self._unpooled[read_only]

    @cached_property
    def _unpooled(self) -> dict[bool, SQLAlchemyEngine]:
        return {}

    def _engine_options(self, read_only: bool, *, pooled: bool) -> dict[str, Any]:
        from sqlalchemy import NullPool

        options: Mapping[str, Any] = self.kind.engine_options(self, read_only=read_only)
        if not pooled:
            of_pool = asdict(self.settings).keys()
            options = {key: options[key] for key in options.keys() - of_pool} | {"poolclass": NullPool}
        return {"echo": self.settings.echo, **options}


# As engines of Advanced Alchemy have it, whose package takes longer to load than most commands work.
def _encoded(value: Any) -> str:
    from advanced_alchemy.utils.serialization import encode_json

    return encode_json(value)


def _decoded(text: str) -> Any:
    from advanced_alchemy.utils.serialization import decode_json

    return decode_json(text)
