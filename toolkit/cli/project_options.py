"""Options that say which project a command works on: whose configuration, whose models, which database by default."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from toolkit.cli.progress import LOG_JSON, QUIET

if TYPE_CHECKING:
    from toolkit.config import Config

F = TypeVar("F", bound=Callable[..., Any])


def reflect_option(command: F) -> F:
    """--reflect, in place of models."""
    return click.option(
        "--reflect",
        is_flag=True,
        expose_value=False,
        callback=_choose_reflection,
        help="Work on the tables that the databases have, as where no models are configured.",
    )(command)


def default_database(ctx: click.Context, _: click.Parameter, value: str | None) -> str | None:
    """The database that was named, or else the one that commands work on that are given none."""
    return value if value or ctx.obj is None else ctx.obj.default_database


# Of an option that may be left out.
BY_DEFAULT: Mapping[str, Any] = {"callback": default_database, "show_default": "an application's own, or sqlite"}


def general_options(command: F) -> F:
    """Whose tables to work on, --trust and --debug: before the command's name or behind it; help has them last."""
    debug = click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
    trust = click.option("--trust", is_flag=True, expose_value=False, help="Use settings and modules of another user.")
    metadata = click.option(
        "--metadata",
        metavar="MODULE:ATTR",
        expose_value=False,
        callback=_choose_metadata,
        help="The models whose tables to work on.",
    )
    application = click.option(
        "--config",
        metavar="MODULE:ATTR",
        expose_value=False,
        # What else is said of models holds for those that it has.
        is_eager=True,
        callback=_choose_application,
        help="The application's own configuration, with its databases and models.",
    )
    quiet = _told_by("-q", "--quiet", QUIET, "Say nothing of the steps, only what is to be known.")
    log_json = _told_by("--log-json", None, LOG_JSON, "Tell of the steps as lines of JSON on stderr.")
    # Click shows the options of a function in the reverse of the order in which it was given them.
    with_all: Any = application(metadata(trust(quiet(log_json(debug(command))))))
    given: list[click.Parameter] = with_all.__click_params__
    given[:] = given[-6:] + given[:-6]
    return command


def _told_by(name: str, other: str | None, key: str, text: str) -> Callable[[F], F]:
    def choose(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            ctx.meta[key] = True

    names = [each for each in (name, other) if each]
    return click.option(*names, is_flag=True, expose_value=False, callback=choose, help=text)


def _choose_application(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value and ctx.obj is not None:
        from toolkit.config import load_config

        metadata = ctx.find_root().params.get("metadata")
        _work_with(ctx, load_config(metadata=metadata, application=value))


def _work_with(ctx: click.Context, config: Config) -> None:
    """Let a command work with another configuration, and the group that it is in know of it."""
    ctx.obj = config
    if ctx.parent is not None and ctx.parent.obj is not None and hasattr(ctx.parent.obj, "databases"):
        _work_with(ctx.parent, config)


def _choose_metadata(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value and ctx.obj is not None:
        _work_with(ctx, ctx.obj.with_metadata(value))


def _choose_reflection(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and ctx.obj is not None:
        if ctx.find_root().params.get("metadata") or ctx.params.get("metadata"):
            raise click.UsageError("Give either --reflect or --metadata, not both.")
        _work_with(ctx, ctx.obj.with_metadata(""))


def tables_from_option(command: F) -> F:
    """--tables-from models|migrations, for a target that has none."""
    return click.option(
        "--tables-from",
        type=click.Choice(("models", "migrations")),
        expose_value=False,
        callback=_choose_tables_from,
        help="What makes the tables of a target without any.  [default: migrations, if there are any]",
    )(command)


def _choose_tables_from(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value and ctx.obj is not None:
        _work_with(ctx, replace(ctx.obj, tables_from=value))
