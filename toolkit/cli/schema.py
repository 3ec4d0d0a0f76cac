"""`toolkit schema`: what the JSON documents of the commands hold, as JSON Schema."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from toolkit.errors import UnknownNameError

# By command, what its --json prints; of `database` commands with --all, a list of these.
RESULTS = {
    "archive audit": "toolkit.operations.archive.audit:AuditResult",
    "archive diff": "toolkit.operations.archive.changes:SnapshotDiff",
    "archive find": "toolkit.operations.archive.finding:FoundFiles",
    "archive forget": "toolkit.operations.archive.erasing:ForgetResult",
    "archive list": "toolkit.operations.archive.listing:SnapshotList",
    "archive prune": "toolkit.operations.archive.prune_values:PruneResult",
    "archive push": "toolkit.operations.archive.push_values:PushResult",
    "archive remove": "toolkit.operations.archive.prune_values:PruneResult",
    "archive restore": "toolkit.operations.archive.restore_values:RestoreResult",
    "archive rotate-key": "toolkit.operations.archive.rotating:RotateResult",
    "archive show": "toolkit.operations.archive.listing:SnapshotDocument",
    "archive verify": "toolkit.operations.archive.verify:VerifyResult",
    "database check": "toolkit.operations.migrations.migrate:Check",
    "database downgrade": "toolkit.operations.migrations.migrate:Migration",
    "database drop-all": "toolkit.operations.migrations.migrate:Dropped",
    "database show-current-revision": "toolkit.operations.migrations.migrate:CurrentRevision",
    "database stamp-migration": "toolkit.operations.migrations.migrate:Migration",
    "database upgrade": "toolkit.operations.migrations.migrate:Migration",
    "diff": "toolkit.operations.diff.compare:DiffResult",
    "dump-data": "toolkit.operations.fixtures.dump:DumpResult",
    "inspect": "toolkit.operations.inspect:Inspection",
    "load-data": "toolkit.core.plan:SyncResult",
    "status": "toolkit.operations.status:Status",
    "sync": "toolkit.core.plan:SyncResult",
    "workers check": "toolkit.operations.parts.checking:WorkersCheck",
}


@click.command()
@click.argument("command", required=False)
def schema(command: str | None) -> None:
    """Print the JSON Schema of what a command's --json prints.

    COMMAND is its name, such as sync or "archive push"; without, it is those of all. Every document has a
    schema_version, which grows when a member is taken away or means something else; new members may come without.
    """
    from toolkit.cli.output import print_json

    if command is not None and command not in RESULTS:
        raise UnknownNameError("command with a schema", command, RESULTS)
    print_json({each: schema_of(each) for each in RESULTS} if command is None else schema_of(command))


def schema_of(command: str) -> dict[str, Any]:
    """The JSON Schema of a command's document."""
    import msgspec

    from toolkit.cli.output import SCHEMA_VERSION

    module, _, name = RESULTS[command].partition(":")
    found = msgspec.json.schema(getattr(import_module(module), name), schema_hook=lambda _: {"type": "string"})
    document: dict[str, Any] = found["$defs"][name]
    document["properties"] = {"schema_version": {"const": SCHEMA_VERSION}, **document["properties"]}
    document["required"] = ["schema_version", *document.get("required", ())]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"toolkit {command} --json", **found}
