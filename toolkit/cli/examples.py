"""Two examples of each command, which end its help."""

from __future__ import annotations

from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[str, str]] = {
    "archive audit": ("archive audit", "archive audit --from postgres --remove-orphans --dry-run"),
    "archive cat": ("archive cat latest report.pdf > report.pdf", "archive cat 20260102T0304 photo:7 --store offsite"),
    "archive diff": ("archive diff latest 20260102T0304", "archive diff 20260102T0304 20260202T0304 --json"),
    "archive find": ("archive find report.pdf", "archive find 4edb15da --store offsite"),
    "archive forget": (
        'archive forget --row "photo:user_id = 7" --dry-run',
        'archive forget --row "photo:user_id = 7" --store offsite',
    ),
    "archive list": ("archive list", "archive list --of postgres --json"),
    "archive prune": ("archive prune --keep-daily 7 --keep-monthly 12 --dry-run", "archive prune --keep-last 10"),
    "archive push": ("archive push photo --older-than 90d --move --to offsite", "archive push --workers local:4"),
    "archive remove": ("archive remove 20260102T0304 --dry-run", "archive remove 20260102T0304 --store offsite"),
    "archive restore": ("archive restore latest --dry-run", 'archive restore latest --only "photo:id = 7"'),
    "archive rotate-key": ("archive rotate-key --dry-run", "archive rotate-key --store offsite"),
    "archive show": ("archive show latest", "archive show 20260102T0304 --json"),
    "archive verify": ("archive verify --all", "archive verify latest --read-data"),
    "database branches": ("database branches", "database branches --verbose"),
    "database check": ("database check", "database check --all"),
    "database downgrade": ("database downgrade", "database downgrade base --database sqlite:///dev.sqlite3"),
    "database drop-all": ("database drop-all --database sqlite:///dev.sqlite3", "database drop-all --no-prompt"),
    "database heads": ("database heads", "database heads --verbose"),
    "database history": ("database history", "database history --rev-range 0001:head"),
    "database init": ("database init", "database init history"),
    "database make-migrations": (
        'database make-migrations -m "add column todo.colour"',
        "database make-migrations -m first --database sqlite:///empty.sqlite3",
    ),
    "database merge-migrations": ("database merge-migrations", "database merge-migrations 0002_a,0002_b"),
    "database show": ("database show head", "database show current --database postgres"),
    "database show-current-revision": ("database show-current-revision", "database show-current-revision --all"),
    "database stamp-migration": ("database stamp-migration head", "database stamp-migration 0001 --database postgres"),
    "database upgrade": ("database upgrade --database postgres", "database upgrade --sql > upgrade.sql"),
    "demo": ("demo", "demo > demo.txt"),
    "diff": ("diff --from sqlite --to postgres", "diff todo --from sqlite --to postgres --rows 5 --report diff.html"),
    "dump-data": ("dump-data --from postgres", 'dump-data --where "todo:id < 100" --closure both --natural'),
    "help": ("help safety", "help archive push"),
    "init": ("init --dry-run", "init"),
    "inspect": ("inspect sqlite:///app.db --for postgres", "inspect postgres todo --json"),
    "load-data": ("load-data --to sqlite", "load-data role --to postgres --match role:slug --dry-run"),
    "schema": ("schema sync", 'schema "archive push"'),
    "status": ("status", "status postgres --json"),
    "sync": (
        "sync --from sqlite --to postgres --dry-run",
        "sync --from sqlite:///app.db --to postgresql://app@localhost/app",
    ),
    "vacuum": ("vacuum --database lake --dry-run", "vacuum --database lake --keep-hours 720"),
    "workers check": (
        "workers check --workers local:2",
        "workers check prod --store archive --workers tls://scheduler:8786",
    ),
}


def epilog(command: str) -> str | None:
    """The end of a command's help, as click takes it; None of one without examples."""
    if command not in EXAMPLES:
        return None
    return "\b\nExamples:\n" + "\n".join(f"  toolkit {each}" for each in EXAMPLES[command])
