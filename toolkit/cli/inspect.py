"""`toolkit inspect`."""

from __future__ import annotations

import click

from toolkit.cli.options import DATABASE, TABLES, convert_option, table_names
from toolkit.cli.project_options import general_options


@click.command()
@click.argument("database", **DATABASE)
@click.argument("tables", **TABLES)
@click.option(
    "--for",
    "for_engine",
    metavar="ENGINE",
    help="Also what would become of it there: sqlite, postgres, duckdb, or a database, which is not opened.",
)
@click.option(
    "--exclude", multiple=True, metavar="TABLE", shell_complete=table_names, help="Not this table; may be repeated."
)
@convert_option
@click.option("--ddl", is_flag=True, help="Print the statements that make the tables there, and nothing else.")
@click.option("--show-pii", is_flag=True, help="Show values of columns that look personal, which are masked otherwise.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@general_options
@click.pass_context
def inspect(
    ctx: click.Context,
    database: str,
    tables: tuple[str, ...],
    for_engine: str | None,
    exclude: tuple[str, ...],
    convert: tuple[str, ...],
    ddl: bool,
    show_pii: bool,
    as_json: bool,
) -> int:
    """Show what is in a database, and what would become of it elsewhere.

    Its tables as they are, without any models, and what is stored in them.

    With --for, which type each column would get in another engine, and why; what would be carried there, and what not;
    and how many values it could not hold. Nothing is written.
    """
    from toolkit.cli.output import print_json
    from toolkit.cli.progress import progress_on_stderr
    from toolkit.cli.render_inspect import show_definitions, show_inspection
    from toolkit.operations import inspect as operation

    if ddl:
        found = operation.definitions(
            ctx.obj, database, tables, for_engine=for_engine, exclude=exclude, convert=convert
        )
        print_json(found) if as_json else show_definitions(found)
        return 0
    with progress_on_stderr() as progress:
        result = operation.inspect(
            ctx.obj,
            database,
            tables,
            for_engine=for_engine,
            exclude=exclude,
            convert=convert,
            show_pii=show_pii,
            progress=progress,
        )
    print_json(result) if as_json else show_inspection(result)
    return 0
