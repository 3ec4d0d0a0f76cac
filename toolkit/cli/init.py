"""`toolkit init`."""

from __future__ import annotations

from pathlib import Path

import click

from toolkit.cli.project_options import general_options


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only show what would be written.")
@general_options
@click.pass_context
def init(ctx: click.Context, yes: bool, dry_run: bool) -> None:
    """Find the application that is here, and write settings for it.

    Looks for configurations of Advanced Alchemy, models, migrations and database files, without running any code; shows
    what it would write into pyproject.toml, or without one into toolkit.toml; asks; and ends with what `toolkit status`
    says.
    """
    from toolkit.cli.output import ask, say
    from toolkit.cli.render_status import show_status
    from toolkit.config import load_config
    from toolkit.operations.init import plan_settings, write_settings
    from toolkit.operations.status import status

    settings = plan_settings(Path.cwd())
    say(f"{settings.file.name}:")
    say()
    for line in settings.text.splitlines():
        say(line)
    if dry_run:
        return
    if not yes:
        ask("Write this?")
    write_settings(settings)
    say(f"Written to {settings.file.name}.")
    say()
    ctx.find_root().obj = ctx.obj = load_config()
    show_status(status(ctx.obj), tables=False)
