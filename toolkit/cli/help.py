"""`toolkit help`: the guides of the README by topic, and the help of commands."""

from __future__ import annotations

from difflib import get_close_matches

import click

# What is asked for, the heading of the README that it is below, and what it is about.
TOPICS: dict[str, tuple[str, str]] = {
    "application": ("Your own application", "use an application's models, migrations and databases"),
    "archive": ("Archive", "keep the files that rows point at in an object store"),
    "completion": ("Shell completion", "let bash, zsh or fish complete commands, options and names"),
    "configuration": ("Configuration", "name databases and stores"),
    "conversions": ("Conversions", "change values on their way, by --convert"),
    "databases": ("Any database, without a line of Python", "move a database without any models"),
    "development": ("Development", "how the toolkit itself is made"),
    "diff": ("Diff", "find what differs between two databases"),
    "exit-codes": ("Exit codes", "what a script is told"),
    "fixtures": ("Fixtures", "dump rows to files, and load them"),
    "inspect": ("Inspect", "see what a database holds, and what would become of it elsewhere"),
    "migrations": ("Migrations", "one Alembic history for all engines"),
    "output": ("Output", "terminals, pipes, logs and JSON"),
    "python": ("From Python", "call the same from a program"),
    "rejects": ("Rows that do not fit", "leave out rows that the target cannot hold"),
    "safety": ("Safety", "what is guaranteed, locked, refused and executed"),
    "speed": ("Speed", "what was measured"),
    "start": ("Two minutes, on your own data", "the first commands"),
    "status": ("Status", "what is configured, and what is there"),
    "sync": ("Sync", "keep two databases in step"),
    "testing": ("Seeding test databases", "give each test a database with rows"),
    "workers": ("Workers", "large tables in parts, by several processes or machines"),
    "values": ("Values", "which types there are, and how exact they are"),
}


def _offered(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """What a shell offers: topics and commands, then the commands of a group."""
    words = ctx.params.get("topic") or ()
    group = ctx.parent and ctx.parent.command
    for word in words:
        group = group.get_command(ctx, word) if isinstance(group, click.Group) else None
    names = group.list_commands(ctx) if isinstance(group, click.Group) else []
    return sorted({name for name in [*names, *([] if words else TOPICS)] if name.startswith(incomplete)})


@click.command("help")
@click.argument("topic", nargs=-1, metavar="[TOPIC|COMMAND]...", shell_complete=_offered)
@click.pass_context
def help_(ctx: click.Context, topic: tuple[str, ...]) -> None:
    """Show the guide of a topic, or the help of a command.

    Without either, the topics and commands that there are. What is both has the command's help first.
    """
    from toolkit.cli.output import show_pages

    parent = ctx.parent
    assert parent is not None
    assert isinstance(parent.command, click.Group)
    name = " ".join(topic)
    if not topic:
        show_pages(_overview(parent))
        return
    parts = [part for part in (_command_help(parent, topic), _guide(name)) if part]
    if not parts:
        known = [*TOPICS, *parent.command.list_commands(parent)]
        close = get_close_matches(name, known, 1)
        meant = f" Did you mean {close[0]!r}?" if close else ""
        ctx.fail(f"There is neither a topic nor a command {name!r}.{meant} `{ctx.command_path}` lists them.")
    show_pages("\n\n".join(parts))


def _overview(ctx: click.Context) -> str:
    assert isinstance(ctx.command, click.Group)
    width = max(map(len, TOPICS))
    topics = [f"  {name:{width}}  {about}" for name, (_, about) in TOPICS.items()]
    commands = [f"  {name:{width}}  {_about(ctx, name)}" for name in ctx.command.list_commands(ctx) if name != "help"]
    own = f"{ctx.command_path} help"
    return "\n".join(
        [f"Guides, shown by `{own} TOPIC`:", *topics, "", f"Commands, shown by `{own} COMMAND`:", *commands]
    )


def _about(ctx: click.Context, name: str) -> str:
    assert isinstance(ctx.command, click.Group)
    command = ctx.command.get_command(ctx, name)
    return "" if command is None else command.get_short_help_str(80).rstrip(".")


def _command_help(ctx: click.Context, words: tuple[str, ...]) -> str | None:
    """What `--help` says of a command, or of one in a group of commands; None if there is none."""
    for word in words:
        found = ctx.command.get_command(ctx, word) if isinstance(ctx.command, click.Group) else None
        if found is None:
            return None
        ctx = click.Context(found, info_name=word, parent=ctx)
    return ctx.command.get_help(ctx)


def _guide(topic: str) -> str | None:
    """A topic's section of the README, as text; None if there is no such topic."""
    if topic not in TOPICS:
        return None
    from toolkit.cli.guides import as_text, section
    from toolkit.cli.output import width_of_results
    from toolkit.config.bundled import bundled

    readme = bundled("README.md").read_text(encoding="utf-8")
    return as_text(section(readme, TOPICS[topic][0]), min(width_of_results() or _WIDEST, _WIDEST))


_WIDEST = 100
