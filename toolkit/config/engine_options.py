"""What an application tells its SQLAlchemy engines beside a URL, as far as it decides which rows they reach.

It is put into the URL, or else refused by name: another schema, server or file than the application's may hold tables
of the same names. What only says how an engine works (pools, timeouts, isolation, serializers) is not taken over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from types import CodeType
from typing import TYPE_CHECKING, Any

from toolkit.engines.registry import engine_of
from toolkit.errors import EngineOptionError

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine

    from toolkit.engines.contract import Engine as Kind

# What a listener executes that chooses another schema or role, as SQLAlchemy's documentation shows it.
_DECISIVE = re.compile(
    r"set\s+(?:(?:local|session)\s+)?(?:search_path|role|schema|session authorization)\b|set_config\s*\("
    r"|attach\s+(?:database\b|['\"]|:\w|\?)",
    re.IGNORECASE,
)


class _SeenError(Exception):
    """A connection was about to be made."""


def shown_address(url: URL) -> str:
    """A URL as text, with its password."""
    return url.render_as_string(hide_password=False)


def alchemy_address(name: str, found: Any) -> str:
    """The address of an Advanced Alchemy configuration; no engine is made unless it has one, or a way of its own.

    Raises:
        EngineOptionError: an option cannot be taken over.
    """
    from sqlalchemy import create_engine, make_url
    from sqlalchemy.ext.asyncio import create_async_engine

    if found.engine_instance is None and found.create_engine_callable not in (create_engine, create_async_engine):
        return engine_address(name, found.get_engine())
    if found.engine_instance is not None:
        return engine_address(name, found.engine_instance)
    options = found.engine_config_dict
    if options.get("pool") is not None:
        raise _own_connections(name, "pool")
    url = make_url(found.connection_string)
    return _address(name, url, options.get("connect_args") or {}, options.get("execution_options") or {})


def engine_address(name: str, engine: Any) -> str:
    """The address of an application's engine, synchronous or not, with what its driver would be given.

    Raises:
        EngineOptionError: an option cannot be taken over.
    """
    own: Engine = getattr(engine, "sync_engine", engine)
    if engine_of(shown_address(own.url)) is None:
        return shown_address(own.url)
    for listener in _listeners(own):
        if any(map(_DECISIVE.search, _texts(listener))):
            shown = f"{getattr(listener, '__module__', '?')}:{getattr(listener, '__qualname__', '?')}"
            raise EngineOptionError(name, f"calls {shown} on its connections, and it is not called here")
    _, base = own.dialect.create_connect_args(own.url)
    arguments = {key: value for key, value in _arguments(name, own).items() if base.get(key) != value}
    # A function that SQLAlchemy's dialect makes anew each time.
    arguments = {key: value for key, value in arguments.items() if key not in base or not callable(value)}
    return _address(name, own.url, arguments, own.get_execution_options())


def _address(name: str, url: URL, arguments: Mapping[str, Any], execution: Mapping[str, Any]) -> str:
    kind = engine_of(shown_address(url))
    if kind is None:
        return shown_address(url)
    schemas = {key: value for key, value in (execution.get("schema_translate_map") or {}).items() if key != value}
    if schemas:
        raise _other_schemas(name, schemas, kind)
    return shown_address(kind.address_with(name, url, arguments))


def _other_schemas(name: str, schemas: Mapping[str | None, str | None], kind: Kind) -> EngineOptionError:
    shown = ", ".join(f"{key or 'no schema'} -> {value or 'no schema'}" for key, value in schemas.items())
    only = schemas.get(None) if schemas.keys() == {None} else None
    parameter = only and kind.schema_parameter and kind.schema_parameter.format(schema=only)
    hint = (
        f"such as one whose {parameter}"
        if parameter
        else "and name models that have these schemas: --metadata MODULE:ATTR"
    )
    return EngineOptionError(name, f"uses schema_translate_map ({shown}), which is not applied here", hint)


def _own_connections(name: str, key: str) -> EngineOptionError:
    return EngineOptionError(name, f"connects by a function of the application's ({key}), which its URL does not show")


def _arguments(name: str, engine: Engine) -> dict[str, Any]:
    """What the driver would be given, after all listeners that change it (tokens, for example); nothing is connected.

    Raises:
        EngineOptionError: the application connects by itself.
    """
    from sqlalchemy import event

    creator: Any = engine.pool._creator  # noqa: SLF001 - nothing public says whose it is
    if creator.__module__ != "sqlalchemy.engine.create":
        raise _own_connections(name, "creator or pool")
    seen: dict[str, Any] = {}

    def look(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
        seen.update(parameters)
        raise _SeenError

    event.listen(engine, "do_connect", look)
    try:
        creator(None)
    except _SeenError:
        return seen
    finally:
        event.remove(engine, "do_connect", look)
    raise _own_connections(name, "a listener of do_connect")


def _listeners(engine: Engine) -> Iterator[Callable[..., Any]]:
    """What is called on connections of this engine alone: what is called for all engines is called here, too."""
    pool, own = engine.pool.dispatch, engine.dispatch
    for each in chain(
        pool.connect.listeners, pool.checkout.listeners, own.engine_connect.listeners, own.begin.listeners
    ):
        listener = getattr(each, "__wrapped__", each)
        if not str(getattr(listener, "__module__", "")).startswith("sqlalchemy."):
            yield listener


def _texts(function: Any) -> Iterator[str]:
    """The texts in the code of what is called, but for what documents it."""
    called = function if hasattr(function, "__code__") else type(function).__call__
    codes = [called.__code__] if hasattr(called, "__code__") else []
    while codes:
        for constant in codes.pop().co_consts:
            if isinstance(constant, CodeType):
                codes.append(constant)
            elif isinstance(constant, str) and constant != function.__doc__:
                yield constant
