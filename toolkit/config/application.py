"""An application's own configuration: which databases it has, whose models, and where its migrations are.

What is read is an Advanced Alchemy configuration, or what holds some: a list, an extension or plugin of a framework, an
application object, a function that makes one; or an application with Flask-SQLAlchemy.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.config.engine_options import alchemy_address, engine_address, shown_address
from toolkit.errors import ConfigurationError, EngineOptionError
from toolkit.references import Wanted, kind_of, load_reference, reason_of

if TYPE_CHECKING:
    from sqlalchemy import MetaData

DEFAULT = "default"
"""What a database without a bind key is called."""
_ALCHEMY = "advanced_alchemy"
_FORMS = (
    "Name an Advanced Alchemy configuration, a list of them, an extension or plugin that holds them, an application, "
    "or a function without arguments that makes one."
)


@dataclass(frozen=True)
class ApplicationDatabase:
    """A database of an application's, as its configuration says.

    `hindrance` says why other rows may be reached by the address than by the application, if so.
    `migrations` is None where no directory is its own, `version_table` where `env.py` says it.
    """

    name: str
    address: str = field(repr=False)
    hindrance: EngineOptionError | None = field(repr=False)
    metadata: MetaData = field(repr=False)
    migrations: str | None = None
    version_table: str | None = None
    version_table_schema: str | None = None


@dataclass(frozen=True)
class Loaded:
    """A configuration, or what holds one, that is loaded already, and what it is called."""

    name: str
    found: Any = field(repr=False)


def application_databases(application: str | Loaded, root: Path) -> tuple[ApplicationDatabase, ...]:
    """The databases of a configuration, or of the one that is named (`module:attribute`, or dotted), by bind key.

    Raises:
        ConfigurationError: it cannot be imported, is none, or two of its databases have one name.
    """
    if isinstance(application, Loaded):
        reference, found = application.name, application.found
    else:
        reference = application
        if ":" not in reference and "." in reference:
            reference = ":".join(reference.rpartition(".")[::2])
        found = load_reference(reference, root, _CONFIGURATION)
    with redirect_stdout(sys.stderr):
        databases = tuple(_databases(_made(found, reference), reference))
    if not databases:
        raise ConfigurationError(f"{reference!r} is {kind_of(found)}, which has no database configuration.", _FORMS)
    names = [each.name for each in databases]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(
                f"{reference!r} has {names.count(name)} databases named {name!r}.",
                "Give each configuration a bind_key of its own.",
            )
    return databases


def is_configuration(found: Any) -> bool:
    """Whether it looks like something that `application_databases` reads; no function is called."""
    return _is_alchemy(found) or bool(list(_within(found))) or _has_flask_sqlalchemy(found)


def _made(found: Any, reference: str) -> Any:
    """What a function makes, or the object itself."""
    if not inspect.isroutine(found):
        return found
    try:
        return found()
    except Exception as error:
        raise ConfigurationError(
            f"{reference!r} could not be called: {reason_of(error)}.",
            "Name a function that needs no arguments, or the object itself.",
        ) from error


def _databases(found: Any, reference: str) -> Iterator[ApplicationDatabase]:
    if _has_flask_sqlalchemy(found):
        yield from _of_flask_sqlalchemy(found)
    elif _is_alchemy(found):
        yield _of_alchemy(found, reference)
    else:
        for each in _within(found):
            yield from _databases(each, reference)


def _is_alchemy(found: Any) -> bool:
    return not isinstance(found, type) and hasattr(found, "alembic_config") and hasattr(found, "connection_string")


def _within(found: Any) -> Iterator[Any]:
    """The configurations, or what holds them, in a list, an extension or an application."""
    if isinstance(found, list | tuple):
        yield from (each for each in found if is_configuration(each))
    elif type(found).__module__.startswith(_ALCHEMY):
        # Litestar's plugins, Flask's, FastAPI's and Starlette's extensions; Sanic's calls it otherwise.
        held = getattr(found, "sqlalchemy_config", None) or getattr(found, "config", None) or ()
        yield from held if isinstance(held, list | tuple) else (held,)
    else:
        yield from _of_framework(found)


def _of_framework(app: Any) -> Iterator[Any]:
    """What an application keeps of Advanced Alchemy's extension."""
    extensions = getattr(app, "extensions", None)
    if isinstance(extensions, dict) and _ALCHEMY in extensions:
        yield extensions[_ALCHEMY]
    elif (held := getattr(getattr(app, "state", None), _ALCHEMY, None)) is not None:
        yield held
    elif type(app).__module__.startswith("litestar"):
        # The plugin that an application is given brings others along that hold the same.
        names = [each for each in app.plugins if type(each).__module__.startswith(_ALCHEMY) and hasattr(each, "config")]
        yield from names[:1]
    elif type(app).__module__.startswith("sanic"):
        yield from _of_sanic(app)


def _of_sanic(app: Any) -> Iterator[Any]:
    from sanic_ext import Extend

    # They are registered with the class, and with the application only as it starts.
    registered: Sequence[Any] = Extend._pre_registry  # noqa: SLF001 - nothing public says the same
    known = {id(each): each for each in registered if type(each).__module__.startswith(_ALCHEMY)}
    yield from (each for each in known.values() if each.sanic_app is app)


def _of_alchemy(found: Any, reference: str) -> ApplicationDatabase:
    """One Advanced Alchemy configuration; no engine is made for a connection string."""
    if found.connection_string is None and found.engine_instance is None:
        raise ConfigurationError(
            f"A configuration of {reference!r} has neither a connection_string nor an engine_instance.",
            "Give it one, or name one that has.",
        )
    name = found.bind_key or DEFAULT
    plain = found.connection_string or shown_address(found.engine_instance.url)
    alembic = found.alembic_config
    return ApplicationDatabase(
        name,
        *_reached(plain, lambda: alchemy_address(name, found)),
        found.metadata,
        str(alembic.script_location),
        alembic.version_table_name,
        alembic.version_table_schema,
    )


def _reached(plain: str, address: Callable[[], str]) -> tuple[str, EngineOptionError | None]:
    """The address with all options; where that cannot be, without them, and the reason."""
    try:
        return address(), None
    except EngineOptionError as error:
        return plain, error


def _has_flask_sqlalchemy(app: Any) -> bool:
    extensions = getattr(app, "extensions", None)
    return isinstance(extensions, dict) and hasattr(extensions.get("sqlalchemy"), "metadatas")


def _of_flask_sqlalchemy(app: Any) -> Iterator[ApplicationDatabase]:
    """The databases of an application with Flask-SQLAlchemy: the history of Flask-Migrate is that of its first."""
    database, migrate = app.extensions["sqlalchemy"], app.extensions.get("migrate")
    with app.app_context():
        for key, engine in sorted(database.engines.items(), key=lambda each: each[0] or ""):
            directory = None if migrate is None or key is not None else migrate.directory
            name = key or DEFAULT
            reached = _reached(shown_address(engine.url), partial(engine_address, name, engine))
            yield ApplicationDatabase(name, *reached, database.metadatas[key], directory)


_CONFIGURATION = Wanted("config", "a configuration", "app.config:alchemy or app:create_app", is_configuration)
