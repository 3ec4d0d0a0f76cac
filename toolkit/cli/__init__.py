"""The command line: parse, call one operation, render what it returns. Heavy libraries load only where used."""

from __future__ import annotations

import gc
import io
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import click

from toolkit.cli.options import Commands, with_examples
from toolkit.cli.output import (
    flush_results,
    give_up_lost,
    let_libraries_through,
    open_streams,
    print_json,
    say,
    say_all,
    say_at_once,
)
from toolkit.config import BUNDLED_METADATA
from toolkit.errors import (
    EXIT_FAILURE,
    EXIT_INTERRUPTED,
    ConfigurationError,
    LostOutputError,
    SchemaMismatchError,
    ToolkitError,
    UnknownNameError,
)
from toolkit.ownership import TRUST, require_ours

_SWITCH_SECONDS = 0.0005
_COLLECT_EVERY = 200_000
_PATIENCE_SECONDS = 2.0
# Command -> module and attribute, so that `--help` imports none of them but their first lines of help.
_COMMANDS = {
    "archive": ("toolkit.cli.archive", "archive"),
    "database": ("toolkit.cli.database", "database"),
    "demo": ("toolkit.cli.demo", "demo"),
    "diff": ("toolkit.cli.diff", "diff"),
    "dump-data": ("toolkit.cli.dump", "dump_data"),
    "help": ("toolkit.cli.help", "help_"),
    "init": ("toolkit.cli.init", "init"),
    "inspect": ("toolkit.cli.inspect", "inspect"),
    "load-data": ("toolkit.cli.load", "load_data"),
    "schema": ("toolkit.cli.schema", "schema"),
    "status": ("toolkit.cli.status", "status"),
    "vacuum": ("toolkit.cli.vacuum", "vacuum"),
    "sync": ("toolkit.cli.sync", "sync"),
    "workers": ("toolkit.cli.workers", "workers"),
}
# A shell asks by this variable for what may stand in a line.
ASKED_BY = "_TOOLKIT_COMPLETE"
_OTHER_TABLES = (
    "These are tables of the bundled todo schema. For those of the databases: --reflect; of your models: --metadata "
    "MODULE:ATTR, or `metadata` in pyproject.toml; for these: toolkit database upgrade."
)


class ToolkitCommands(Commands):
    """A group of the toolkit's commands, that imports one when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, in order."""
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name]
        return with_examples(getattr(import_module(module), name), cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        """What is missing may be missing because nobody said whose tables are meant."""
        # Before the settings are read, though it may stand behind the command's name.
        if ctx.params.pop("trust", False) or "--trust" in ctx.args:
            os.environ[TRUST] = "1"
        try:
            return super().invoke(ctx)
        except SchemaMismatchError as error:
            if getattr(ctx.obj, "metadata", None) == BUNDLED_METADATA:
                raise SchemaMismatchError(error.problems, _OTHER_TABLES) from error
            raise
        except UnknownNameError as error:
            if error.kind == "table" and getattr(ctx.obj, "metadata", None):
                error.advise_last(f"These are the tables of {ctx.obj.metadata}; for those of the databases: --reflect.")
            raise


@click.group(
    cls=ToolkitCommands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Guides to values, safety and more: toolkit help. Completion in a shell: toolkit help completion.",
)
@click.option(
    "--config",
    "application",
    metavar="MODULE:ATTR",
    help="The application's own configuration, with its databases and models.",
)
@click.option("--metadata", metavar="MODULE:ATTR", help="The models whose tables to work on.")
@click.option(
    "--env-file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="TOOLKIT_ENV_FILE",
    metavar="FILE",
    help="Read variables of the environment that are not set from a file.",
)
@click.option("--trust", is_flag=True, help="Use settings and modules of another user.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
@click.version_option(package_name="toolkit")
@click.pass_context
def toolkit(ctx: click.Context, application: str | None, metadata: str | None, env_file: Path | None) -> None:
    """Move tables between SQLite, PostgreSQL and DuckDB: exact values, a plan before, a proof after."""
    from toolkit.config import load_config

    # Help is there also where settings are wrong.
    if not ctx.resilient_parsing and ctx.invoked_subcommand != "help":
        if env_file is not None:
            _set_variables(env_file)
        ctx.obj = load_config(metadata=metadata, application=application)


def _set_variables(file: Path) -> None:
    """Set the variables of a `.env` file that are not set. Raises ConfigurationError: it cannot be read."""
    from dotenv import dotenv_values

    try:
        require_ours([file], "says which modules are run and which databases are used")
        with file.open(encoding="utf-8") as stream:
            values = dotenv_values(stream=stream)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(f"{file} cannot be read: {reason}.", "Name another with --env-file.") from error
    for name, value in values.items():
        os.environ.setdefault(name, value or "")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    sys.exit(as_process(lambda: run(arguments)))


def as_process(command: Callable[[], int]) -> int:
    """Run what is all that this process does, set up for it; its exit code."""
    # The thread that sends rows waits for the one that digests them: 5 ms a time by default, 0.5 ms here. A verified
    # load of a million todos takes 9.0 instead of 11.2 s. The process is the command line's own to set.
    sys.setswitchinterval(_SWITCH_SECONDS)
    # The libraries' modules, which never become garbage, are walked through again and again while they load, and once
    # more at the end: a command that takes 1.15 s takes 0.75 s without. Most make between 100,000 and 200,000 objects
    # that stay; to walk through them once takes 64 ms of 1,500.
    gc.set_threshold(_COLLECT_EVERY)
    open_streams()
    let_libraries_through()
    code = command()
    give_up_lost()
    # What DuckDB's binding finds uncollected at the end it prints, as its own leaks.
    if "duckdb" not in sys.modules:
        gc.freeze()
    return code


def run(arguments: list[str]) -> int:
    """Run the command line; the exit code. Errors go to stderr as a fact and what to do next."""
    if ASKED_BY in os.environ:
        from toolkit.cli.completion import answer_shells

        answer_shells()
    return guarded(lambda: toolkit.main(arguments, prog_name="toolkit", standalone_mode=False), arguments)


def guarded(command: Callable[[], Any], arguments: Sequence[str]) -> int:
    """Run a command that was given these arguments; the exit code. Errors are told as by `run`."""
    with _Interrupt() as interrupt:
        try:
            try:
                result = command()
                flush_results()
            finally:
                interrupt.is_over = True
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last place that can tell the user
            return _tell(error, arguments, interrupt)
        return result if isinstance(result, int) else 0


class _Interrupt:
    """Remembers Ctrl-C: some libraries turn what it raises into an error of their own.

    What is under way in native code is waited for, which a server that is silent makes endless: whoever presses it
    again after a while leaves at once, as if the process were killed.
    """

    def __init__(self) -> None:
        self._at: float | None = None
        self._before: Any = None
        self.received = False
        """Whether it was pressed while the command was at work."""
        self.is_over = False
        """Whether the command has ended: Ctrl-C then changes nothing of what is said of it, nor its exit code."""

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _receive(self, number: int, frame: Any) -> None:
        if self._at is None:
            self._at = time.monotonic()
        elif time.monotonic() - self._at > _PATIENCE_SECONDS:
            # Not by click, whose stream may be in the midst of a write.
            say_at_once("Interrupted at once; what was not committed is rolled back.")
            os._exit(EXIT_INTERRUPTED)
        # Raised once: what lets go of databases and threads is not broken off in its midst.
        if self.is_over or self.received:
            return
        self.received = True
        signal.default_int_handler(number, frame)


def _tell(error: BaseException, arguments: Sequence[str], interrupt: _Interrupt) -> int:
    """Say on stderr why a command ended; the exit code."""
    if interrupt.received or isinstance(error, click.Abort | KeyboardInterrupt):
        # Of a question that was not answered; ADBC hears Ctrl-C itself while it is at work.
        is_heard = interrupt.received or isinstance(error.__cause__ or error, KeyboardInterrupt)
        word = "Interrupted" if is_heard else "Aborted"
        say(f"{word}; what was not committed is rolled back.", err=True)
        for note in (*getattr(error, "__notes__", ()), *getattr(error.__cause__, "__notes__", ())):
            say(note, err=True)
        return EXIT_INTERRUPTED
    if isinstance(error, LostOutputError) and error.is_unread and not error.done:
        # Whoever read it has seen enough, as `head` has.
        return error.exit_code
    if isinstance(error, click.ClickException):
        shown = io.StringIO()
        error.show(shown)
        say_all(shown.getvalue())
        return error.exit_code
    if "--debug" in arguments:
        say_all(f"{traceback.format_exc()}\n")
    if isinstance(error, ToolkitError):
        from toolkit.cli.render import show_error

        show_error(error)
        if error.details and "--json" in arguments:
            print_json({"error": error.fact, "advice": error.advice, **error.details})
        return error.exit_code
    reason = str(error).partition("\n")[0]
    say(f"Error: unexpected {type(error).__name__}{f' ({reason})' if reason else ''}.", err=True)
    say("       Run again with --debug for the traceback, and report it, please.", err=True)
    return EXIT_FAILURE
