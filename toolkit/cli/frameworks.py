"""The toolkit's commands within another command line, such as a framework's: on the application that it has loaded."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import click

from toolkit.cli import ToolkitCommands, as_process, guarded
from toolkit.config import load_config
from toolkit.config.application import Loaded


class _ApplicationCommands(ToolkitCommands):
    """The commands, which tell errors as they do by themselves, and end the process with their exit codes."""

    def __init__(
        self,
        application: Callable[[click.Context], Any],
        within: Callable[[Any], AbstractContextManager[Any]],
        **attributes: Any,
    ) -> None:
        super().__init__(**attributes)
        self._application, self._within = application, within

    def invoke(self, ctx: click.Context) -> Any:
        arguments = [*ctx.protected_args, *ctx.args] if hasattr(ctx, "protected_args") else ctx.args

        def command() -> Any:
            app = self._application(ctx)
            with self._within(app):
                ctx.obj = load_config(
                    application=Loaded(f"the {type(app).__module__.partition('.')[0]} application", app)
                )
                try:
                    return super(_ApplicationCommands, self).invoke(ctx)
                except click.exceptions.Exit as ended:
                    # Click turns it into a code where a command line is its own.
                    return ended.exit_code

        ctx.exit(as_process(lambda: guarded(command, arguments)))


def command_group(
    application: Callable[[click.Context], Any],
    within: Callable[[Any], AbstractContextManager[Any]] = lambda _: nullcontext(),
) -> click.Group:
    """The toolkit's commands as a group, to be added to another one.

    `application` gives what holds the configuration (see `toolkit.config.application`), of the group's context, when a
    command is run; `within` the context that it is run in.
    """
    return _ApplicationCommands(
        application, within, name="toolkit", help="Move tables between SQLite, PostgreSQL and DuckDB."
    )


def _flask_app(ctx: click.Context) -> Any:
    from flask.cli import ScriptInfo

    return ctx.ensure_object(ScriptInfo).load_app()


def _litestar_app(ctx: click.Context) -> Any:
    environment = ctx.obj() if callable(ctx.obj) else ctx.obj
    return environment.app


flask = command_group(_flask_app, lambda app: app.app_context())
"""`flask toolkit …`."""
litestar = command_group(_litestar_app)
"""`litestar toolkit …`."""
