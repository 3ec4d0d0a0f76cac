"""What `toolkit status` found, as text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.cli.output import say
from toolkit.cli.render import plural, show_other_records, show_table, unmodelled

if TYPE_CHECKING:
    from toolkit.operations.status import DatabaseStatus, SchemaStatus, Status


def show_status(result: Status, *, tables: bool) -> None:
    """The project, its databases (each with its `tables` if that is asked for) and its stores."""
    root, there = result.root, {True: "there", False: "not there yet", None: "not asked"}
    fixtures = f"{_near(result.fixtures, root)}, {there[result.fixtures.is_dir()]}"
    say(f"project     {root}")
    for schema in result.schemas or (result,):
        _show_schema(schema, root)
    if result.hint:
        say(f"            {result.hint}")
    say(f"fixtures    {fixtures}")
    say()
    show_table(
        ("database", "engine", "where", "rows", "revision", "state"),
        [
            (each.name, each.engine, _near(each.place, root), _count(each), each.revision or "-", each.state)
            for each in result.databases
        ],
    )
    for each in result.databases:
        _show_problems(each)
        if tables and each.tables:
            say()
            show_table(
                (f"table in {each.name}", "rows"),
                [(table.table, "-" if table.rows is None else table.rows) for table in each.tables],
            )
    if result.last_syncs:
        say()
        show_table(
            ("last sync", "to", "at (UTC)", "written", "proved"),
            [
                (each.source, each.target, each.ended[:16], each.written, "yes" if each.verified else "no")
                for each in result.last_syncs
            ],
        )
    say()
    show_table(
        ("store", "where", "state"),
        [(each.name, _near(each.place, root), there[each.exists]) for each in result.stores],
    )


def _show_schema(schema: Status | SchemaStatus, root: Path) -> None:
    history = f"{_near(schema.migrations, root)}, head {schema.head or 'none'}" if schema.migrations else "none"
    models = f"{schema.metadata}, {plural(len(schema.tables), 'table')}"
    say(f"models      {models if schema.metadata else 'none: the tables are those of the databases'}")
    for refusal in schema.refusals:
        say(f"            left out: {refusal}")
    say(f"migrations  {history}")


def _show_problems(database: DatabaseStatus) -> None:
    for problem in database.problems:
        say(problem)
    if database.advice:
        say(f"       {database.advice}")
    show_other_records(database.warnings)
    if left := unmodelled(database.warnings):
        say(f"{database.name} also has what is not in the models: {left}.")


def _count(database: DatabaseStatus) -> int | str:
    return database.rows if database.tables else "-"


def _near(place: str | Path, root: Path) -> str:
    """A path as it is seen from the project, anything else as it is."""
    path = Path(place)
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(place)
