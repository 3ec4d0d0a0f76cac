"""What a schema's tables and Python-side defaults are, as text that is the same in every process.

A default is described by what it is made of: a function by its code, what it closes over and what it names of its
module, as far as that is the project's own. What it reads elsewhere (a file, the environment) cannot be seen.
"""

from __future__ import annotations

import datetime as dt
import enum
import sys
import sysconfig
import uuid
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import cache, partial
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import CompileError
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql import ClauseElement
from sqlalchemy.types import TypeDecorator

import toolkit

if TYPE_CHECKING:
    from sqlalchemy import Column, Dialect, MetaData, Table
    from sqlalchemy.schema import ExecutableDDLElement

_PLAIN = (str, bytes, int, float, complex, type(None), Decimal, dt.date, dt.time, dt.timedelta, uuid.UUID, Path)
_DAY = dt.timedelta(days=1)


def definitions(metadata: MetaData, dialect: Dialect) -> list[str]:
    """Everything that tables made from these models, and rows without some of their columns, depend on."""
    found = [_listeners(metadata)]
    for table in metadata.tables.values():
        found += [_compiled(CreateTable(table), dialect), f"{table.key} {table.comment!r} {_listeners(table)}"]
        found += [_compiled(CreateIndex(index), dialect) for index in table.indexes]
        found += [f"{table.key}.{column.key} {_column(column)}" for column in table.columns]
    # A table's indexes are a set, whose order differs from process to process.
    return sorted(found)


def _compiled(element: ExecutableDDLElement, dialect: Dialect) -> str:
    try:
        return str(element.compile(dialect=dialect))
    except CompileError:
        # A type that this engine lacks: its migrations make something else of it.
        return str(element)


def _column(column: Column[Any]) -> str:
    type_ = column.type
    # An engine's own enum has only its name in the statement; fixtures may give a member's value.
    parts = [column.comment, getattr(type_, "enums", ()), getattr(type_, "enum_class", None)]
    if isinstance(type_, TypeDecorator):
        parts += [type(type_), {name: value for name, value in vars(type_).items() if _is_setting(name, value)}]
    default = getattr(column.default, "arg", column.default)
    return described([*parts, default])


def _is_setting(name: str, value: Any) -> bool:
    from advanced_alchemy.types.encrypted_string import DEFAULT_ENCRYPTION_KEY

    is_plain = isinstance(value, (*_PLAIN, FunctionType, partial))
    return is_plain and not name.startswith("_") and value is not DEFAULT_ENCRYPTION_KEY


def _listeners(target: MetaData | Table) -> str:
    """What else is done when tables are made."""
    dispatch: Any = target.dispatch
    return described([list(dispatch.before_create), list(dispatch.after_create)])


def described(value: Any) -> str:
    """What a value is made of."""
    parts: list[str] = []
    # Kept, so that no other value gets the place in memory of one that was seen.
    seen: dict[int, tuple[int, Any]] = {}
    waiting = [value]
    while waiting:
        each = waiting.pop()
        text = _plain(each)
        if text is not None:
            parts.append(text)
        elif id(each) in seen:
            parts.append(f"again {seen[id(each)][0]}")
        else:
            seen[id(each)] = len(seen), each
            members = _members(each)
            parts.append(f"{type(each).__qualname__} of {len(members)}")
            waiting += reversed(members)
    return " ".join(parts)


def _plain(value: Any) -> str | None:
    """A value that is all that it is made of."""
    if isinstance(value, enum.Enum):
        return f"{type(value).__qualname__}.{value.name}={value.value!r}"
    if isinstance(value, _PLAIN):
        # The time at which a model was loaded: every process has another.
        return "now" if isinstance(value, dt.datetime) and _is_now(value) else repr(value)
    if isinstance(value, set | frozenset):
        return f"set of {sorted(map(described, value))}"
    return None


def _is_now(value: dt.datetime) -> bool:
    return abs(value - dt.datetime.now(value.tzinfo)) < _DAY


def _members(value: Any) -> list[Any]:
    """What stands for a value that is not plain."""
    for kind, members in _MEMBERS:
        if isinstance(value, kind):
            return members(value)
    name = [getattr(value, each, None) for each in ("__module__", "__qualname__")]
    own = vars(value).items() if hasattr(value, "__dict__") and _is_own(type(value).__module__) else ()
    settings = [part for key, part in own if isinstance(part, _PLAIN) and not key.startswith("_")]
    return [*name, type(value), *settings]


def _of_class(value: type) -> list[Any]:
    name = [value.__module__, value.__qualname__]
    if issubclass(value, enum.Enum):
        return [*name, *value]
    own = vars(value).items() if _is_own(value.__module__) else ()
    return [*name, *value.__bases__, *(part for item in own if _belongs(*item) for part in item)]


def _belongs(name: str, value: Any) -> bool:
    is_code = isinstance(value, FunctionType | classmethod | staticmethod | property)
    return is_code or (isinstance(value, (*_PLAIN, enum.Enum)) and not name.startswith("__"))


def _of_function(function: FunctionType) -> list[Any]:
    cells = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
    name = [function.__module__, function.__qualname__]
    if not _is_own(function.__module__):
        return [*name, *cells]
    names = list(_names(function.__code__))
    named = [function.__globals__[each] for each in names if each in function.__globals__]
    modules = [each for each in named if isinstance(each, ModuleType) and _is_own(each.__name__)]
    within = [getattr(module, each) for module in modules for each in names if hasattr(module, each)]
    others = [each for each in (*named, *within) if not isinstance(each, ModuleType)]
    return [*name, function.__code__, function.__defaults__, function.__kwdefaults__, cells, others]


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - is looked up when it is asked for
    except ValueError:
        return False
    return True


def _names(code: CodeType) -> Iterator[str]:
    """The names that code uses, and the functions within it."""
    yield from code.co_names
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _names(each)


@cache
def _is_own(module: str | None) -> bool:
    """Whether a module is the project's, not Python's or an installed package's: those change with their versions."""
    if (module or "builtins").partition(".")[0] in sys.stdlib_module_names | {"builtins"}:
        return False
    file = getattr(sys.modules.get(module or ""), "__file__", None)
    return file is None or not is_installed(Path(file))


@cache
def _libraries() -> tuple[Path, ...]:
    installed = (Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    return tuple({path.resolve() for path in (*installed, Path(toolkit.__file__).parent)})


def is_installed(path: Path) -> bool:
    """Whether a file is Python's own or an installed package's."""
    resolved = path.resolve()
    return any(resolved.is_relative_to(library) for library in _libraries())


_MEMBERS: tuple[tuple[Any, Callable[[Any], list[Any]]], ...] = (
    (list | tuple, list),
    (Mapping, lambda value: [part for item in value.items() for part in item]),
    (partial, lambda value: [value.func, value.args, value.keywords]),
    (MethodType, lambda value: [value.__func__, type(value.__self__)]),
    (classmethod | staticmethod, lambda value: [value.__func__]),
    (property, lambda value: [value.fget]),
    (ClauseElement, lambda value: [str(value)]),
    (CodeType, lambda value: [value.co_code, value.co_names, value.co_consts]),
    (FunctionType, _of_function),
    (type, _of_class),
)
