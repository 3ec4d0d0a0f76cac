"""`toolkit database …`: the schema of the databases and its history."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from toolkit.cli.options import DATABASE, Commands
from toolkit.cli.output import ask, print_json, report, say
from toolkit.cli.progress import Notes
from toolkit.cli.project_options import BY_DEFAULT, general_options
from toolkit.cli.render import show_error
from toolkit.cli.render_database import (
    show_check,
    show_current,
    show_dropped,
    show_history,
    show_migration,
)
from toolkit.errors import EXIT_DIFFERENT, CancelledError, ToolkitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from toolkit.config import Config, Database
    from toolkit.operations.migrations.migrate import Check, CurrentRevision, Dropped, Migration

F = TypeVar("F", bound="Callable[..., Any]")
Result = TypeVar("Result")

one_database = click.option(
    "--database",
    "name",
    **DATABASE,
    **BY_DEFAULT,
    help="A configured database, or a URL.",
)
every_database = click.option("--all", "every", is_flag=True, help="Every configured database, one after the other.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")
verbose = click.option("--verbose", is_flag=True, help="Also show the file and the neighbours of each migration.")
message = functools.partial(click.option, "-m", "--message", metavar="TEXT", show_default=True)
branch_label = click.option("--branch-label", metavar="NAME", help="Name the branch that begins with the migration.")
rev_id = click.option("--rev-id", metavar="ID", help="Its identifier, in place of a made one.")
tag = click.option("--tag", metavar="TEXT", help="Handed to env.py (`context.get_tag_argument()`).")
sql = click.option("--sql", is_flag=True, help="Only print the statements.")
no_prompt = click.option("--no-prompt", is_flag=True, help="Do not ask.")
# Advanced Alchemy asks before these, too; ours lose nothing and do not ask, but take the option of scripts for those.
never_asks = click.option("--no-prompt", is_flag=True, hidden=True, expose_value=False)


@click.group(cls=Commands)
def database() -> None:
    """Migrate, compare and drop tables."""


class _Stepping(click.Command):
    """A command that takes `-2` for two steps back, as Alembic's own do, and not for an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The same arguments, with steps back behind all options."""
        steps = [] if "--" in args else [each for each in args if re.fullmatch(r"-\d+", each)]
        rest = [each for each in args if each not in steps]
        return super().parse_args(ctx, [*rest, "--", *steps] if steps else rest)


def command(name: str | None = None) -> Callable[[F], click.Command]:
    """A command of the group, with the options that all commands have."""

    def register(function: F) -> click.Command:
        return database.command(name, cls=_Stepping)(general_options(function))

    return register


@command()
@click.argument("revision", default="head")
@one_database
@every_database
@sql
@tag
@as_json
@never_asks
@click.pass_obj
def upgrade(config: Config, /, revision: str, name: str, every: bool, as_json: bool, **options: Any) -> None:
    """Run the migrations.

    Up to REVISION (default: all), in one transaction; on MariaDB, where statements commit by themselves, one by one.
    """
    from toolkit.operations.migrations import migrate

    def run(each: Database) -> Migration:
        return migrate.upgrade(each, config, revision, progress=Notes(), **options)

    _for_each(_chosen(config, name, every), run, show_migration, as_json, every)


@command()
@click.argument("revision", default="-1")
@one_database
@every_database
@sql
@tag
@as_json
@no_prompt
@click.pass_obj
def downgrade(
    config: Config, /, revision: str, name: str, every: bool, as_json: bool, no_prompt: bool, **options: Any
) -> None:
    """Undo migrations, after asking.

    Down to REVISION (default: the last one; `base`: all), in one transaction; on MariaDB one by one.

    What a migration made goes, with all that is in it.
    """
    from toolkit.operations.migrations import migrate

    chosen = _chosen(config, name, every)
    if not (no_prompt or options["sql"]):
        _confirm(f"Undo migrations down to {revision}, and lose what is in their tables and columns,", chosen)

    def run(each: Database) -> Migration:
        return migrate.downgrade(each, config, revision, progress=Notes(), **options)

    _for_each(chosen, run, show_migration, as_json, every)


@command("stamp-migration")
@click.argument("revision")
@one_database
@every_database
@sql
@tag
@click.option("--purge", is_flag=True, help="Forget what was recorded, also when the history does not know it.")
@as_json
@click.pass_obj
def stamp_migration(config: Config, /, revision: str, name: str, every: bool, as_json: bool, **options: Any) -> None:
    """Record a revision without running anything.

    The database then stands at REVISION.
    """
    from toolkit.operations.migrations import migrate

    def run(each: Database) -> Migration:
        return migrate.stamp(each, config, revision, **options)

    _for_each(_chosen(config, name, every), run, show_migration, as_json, every)


@command("show-current-revision")
@one_database
@every_database
@as_json
@click.pass_obj
def show_current_revision(config: Config, /, name: str, every: bool, as_json: bool) -> None:
    """Show at which revision a database stands."""
    from toolkit.operations.migrations import migrate

    def run(each: Database) -> CurrentRevision:
        return migrate.show_current_revision(each, config)

    _for_each(_chosen(config, name, every), run, show_current, as_json, every, only_looks=True)


@command()
@one_database
@every_database
@as_json
@click.pass_context
def check(context: click.Context, name: str, every: bool, as_json: bool) -> None:
    """Compare a database with the models.

    The exit code is 3 when they differ.
    """
    from toolkit.operations.migrations import migrate

    config: Config = context.obj

    def run(each: Database) -> Check:
        return migrate.check(each, config, Notes())

    found = _for_each(_chosen(config, name, every), run, show_check, as_json, every, only_looks=True)
    if any(each.changes for each in found):
        context.exit(EXIT_DIFFERENT)


@command("drop-all")
@one_database
@every_database
@no_prompt
@as_json
@click.pass_obj
def drop_all(config: Config, /, name: str, every: bool, no_prompt: bool, as_json: bool) -> None:
    """Drop the tables of the models, after asking.

    And the record of the revision.
    """
    from toolkit.operations.migrations import migrate

    chosen = _chosen(config, name, every)
    if not no_prompt:
        _confirm(f"Drop all tables of {config.of(*(each.name for each in chosen)).metadata}", chosen)

    def run(each: Database) -> Dropped:
        return migrate.drop_all(each, config)

    _for_each(chosen, run, show_dropped, as_json, every)


@command("make-migrations")
@message(default="autogenerated", help="What the migration does.")
@click.option("--autogenerate/--no-autogenerate", default=True, help="Fill it with the differences from the models.")
@one_database
@click.option("--head", metavar="REVISION", default="head", show_default=True, help="The migration it follows.")
@click.option("--splice", is_flag=True, help="Let it follow a migration that is no head.")
@branch_label
@click.option("--version-path", metavar="DIRECTORY", help="Where to write it, if there are several places.")
@rev_id
@as_json
@never_asks
@click.pass_obj
def make_migrations(config: Config, /, name: str, as_json: bool, **options: Any) -> None:
    """Write a migration from the models.

    It makes a database like them.
    """
    from toolkit.operations.migrations import history

    made = history.make_migrations(config.database(name), config, progress=Notes(), **options)
    if as_json or made is not None:
        show_history(made, [made] if made else [], as_json, verbose=True)
    else:
        say(f"{name} matches the models: no migration is needed (--no-autogenerate makes an empty one).", err=True)


@command("merge-migrations")
@click.argument("revisions", default="heads")
@message(default="merge", help="What the migration does.")
@branch_label
@rev_id
@as_json
@never_asks
@click.pass_obj
def merge_migrations(config: Config, /, revisions: str, as_json: bool, **options: Any) -> None:
    """Write a migration that joins others.

    REVISIONS are separated by commas (default: all heads).
    """
    from toolkit.operations.migrations import history

    made = history.merge(config, revisions, **options)
    show_history(made, [made], as_json, verbose=True)


@command()
@click.option("-r", "--rev-range", metavar="[START]:[END]", default=":", help="Only these; `current` may be an end.")
@click.option("--indicate-current", is_flag=True, help="Mark where the database stands.")
@one_database
@verbose
@as_json
@click.pass_obj
def history(config: Config, /, rev_range: str, indicate_current: bool, name: str, verbose: bool, as_json: bool) -> None:
    """List the migrations, the newest first."""
    from toolkit.operations.migrations import history

    asked = config.database(name) if indicate_current or "current" in rev_range else None
    found = history.revisions(config, rev_range, asked)
    show_history(found, found, as_json, verbose)


@command()
@click.option("--resolve-dependencies", is_flag=True, help="Leave out those that another depends on.")
@verbose
@as_json
@click.pass_obj
def heads(config: Config, /, resolve_dependencies: bool, verbose: bool, as_json: bool) -> None:
    """List the migrations that no other follows."""
    from toolkit.operations.migrations import history

    found = history.heads(config, resolve_dependencies=resolve_dependencies)
    show_history(found, found, as_json, verbose)


@command()
@verbose
@as_json
@click.pass_obj
def branches(config: Config, /, verbose: bool, as_json: bool) -> None:
    """List the migrations that several others follow."""
    from toolkit.operations.migrations import history

    found = history.branches(config)
    show_history(found, found, as_json, verbose)


@command()
@click.argument("revision")
@one_database
@as_json
@click.pass_obj
def show(config: Config, /, revision: str, name: str, as_json: bool) -> None:
    """Show migrations.

    Those that REVISION stands for: an identifier or its beginning, `head`, `current`.
    """
    from toolkit.operations.migrations import history

    found = history.show(config, revision, config.database(name) if revision == "current" else None)
    show_history(found, found, as_json, verbose=True)


@command()
@click.argument("directory", required=False, type=click.Path(path_type=Path, file_okay=False))
@as_json
@never_asks
@click.pass_obj
def init(config: Config, /, directory: Path | None, as_json: bool) -> None:
    """Make a migrations directory.

    DIRECTORY (default: the configured one) must not be there yet, or be empty.
    """
    from toolkit.operations.migrations import history

    made = history.init(directory or config.migrations)
    if as_json:
        print_json(made)
    else:
        for file in made.files:
            say(file)


# -- choosing and rendering --------------------------------------------------------------------------------


def _chosen(config: Config, name: str, every: bool) -> Sequence[Database]:
    return list(config.databases.values()) if every else [config.database(name)]


def _confirm(question: str, chosen: Iterable[Database]) -> None:
    places = ", ".join(dict.fromkeys(f"{each.name} ({each.shown_url})" for each in chosen))
    ask(f"{question} in {places}?")


def _for_each(
    databases: Sequence[Database],
    run: Callable[[Database], Result],
    show: Callable[[Result], None],
    as_json: bool,
    every: bool,
    only_looks: bool = False,
) -> list[Result]:
    """Run and print; JSON is one document: an object, or with `--all` an array of them.

    What `only_looks` goes on to the next database after an error, and tells all of them; what changes databases stops.
    """
    results: list[Result] = []
    errors: dict[str, ToolkitError] = {}
    for number, each in enumerate(databases, 1):
        try:
            results.append(run(each))
        except CancelledError:
            raise
        except ToolkitError as error:
            # What is wrong with all of them, such as the history, is said once.
            errors[str(error)] = error
            if only_looks:
                continue
            left = ", ".join(other.name for other in databases[number:])
            if left:
                say(f"Not tried: {left}.", err=True)
            break
        if not as_json:
            report(results[-1], show, as_json=False, done="" if only_looks else _done(results[-1:]))
    if as_json and (every or results):
        report(results if every else results[0], say, as_json=True, done="" if only_looks else _done(results))
    _raise_last(list(errors.values()))
    return results


def _done(results: Sequence[Any]) -> str:
    """What stays of it; of statements that were only printed, nothing does."""
    changed = [each.database for each in results if getattr(each, "sql", None) is None]
    return f"{', '.join(changed)}: it is done and committed" if changed else ""


def _raise_last(errors: Sequence[ToolkitError]) -> None:
    """Tell of all but the last, which is told where the command ends."""
    for error in errors[:-1]:
        show_error(error)
    if errors:
        raise errors[-1]
