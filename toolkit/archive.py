"""The archive of attachments from Python: the same verbs as the command line.

For example, `archive.push(load_config(), "sqlite", options=archive.PushOptions(move=True))`. `ArchiveBackend` is what
an application registers with Advanced Alchemy, under the name of the archive's store, before rows are moved there:

    storages.register_backend(ArchiveBackend(key="archive", fs="s3://bucket/prefix"))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolkit.core.retention import Policy
    from toolkit.models.archive_backend import ArchiveBackend
    from toolkit.operations.archive.audit import AuditResult, audit
    from toolkit.operations.archive.changes import Change, FileChange, SnapshotDiff, diff
    from toolkit.operations.archive.erasing import ForgetResult, forget
    from toolkit.operations.archive.finding import FileContent, FoundFiles, cat, find
    from toolkit.operations.archive.listing import SnapshotFiles, SnapshotList, list_snapshots, show
    from toolkit.operations.archive.orphans import OrphanResult, remove_orphans
    from toolkit.operations.archive.outcomes import Finding, Outcome
    from toolkit.operations.archive.prune import prune
    from toolkit.operations.archive.prune_values import KeptMoves, PruneResult
    from toolkit.operations.archive.push import push
    from toolkit.operations.archive.push_values import PushOptions, PushResult
    from toolkit.operations.archive.removal import remove
    from toolkit.operations.archive.restore import restore
    from toolkit.operations.archive.restore_values import RestoreOptions, RestoreResult
    from toolkit.operations.archive.rotating import RotateResult, rotate_key
    from toolkit.operations.archive.verify import VerifyResult, verify

__all__ = [
    "ArchiveBackend",
    "AuditResult",
    "Change",
    "FileChange",
    "FileContent",
    "Finding",
    "ForgetResult",
    "FoundFiles",
    "KeptMoves",
    "OrphanResult",
    "Outcome",
    "Policy",
    "PruneResult",
    "PushOptions",
    "PushResult",
    "RestoreOptions",
    "RestoreResult",
    "RotateResult",
    "SnapshotDiff",
    "SnapshotFiles",
    "SnapshotList",
    "VerifyResult",
    "audit",
    "cat",
    "diff",
    "find",
    "forget",
    "list_snapshots",
    "prune",
    "push",
    "remove",
    "remove_orphans",
    "restore",
    "rotate_key",
    "show",
    "verify",
]

# Loaded when asked for: an application that registers a backend needs none of the libraries behind the verbs.
_MODULES = {
    "ArchiveBackend": "toolkit.models.archive_backend",
    "AuditResult": "toolkit.operations.archive.audit",
    "Change": "toolkit.operations.archive.changes",
    "FileChange": "toolkit.operations.archive.changes",
    "FileContent": "toolkit.operations.archive.finding",
    "ForgetResult": "toolkit.operations.archive.erasing",
    "forget": "toolkit.operations.archive.erasing",
    "FoundFiles": "toolkit.operations.archive.finding",
    "SnapshotDiff": "toolkit.operations.archive.changes",
    "cat": "toolkit.operations.archive.finding",
    "diff": "toolkit.operations.archive.changes",
    "find": "toolkit.operations.archive.finding",
    "Finding": "toolkit.operations.archive.outcomes",
    "KeptMoves": "toolkit.operations.archive.prune_values",
    "OrphanResult": "toolkit.operations.archive.orphans",
    "remove_orphans": "toolkit.operations.archive.orphans",
    "Outcome": "toolkit.operations.archive.outcomes",
    "Policy": "toolkit.core.retention",
    "PruneResult": "toolkit.operations.archive.prune_values",
    "PushOptions": "toolkit.operations.archive.push_values",
    "PushResult": "toolkit.operations.archive.push_values",
    "RestoreOptions": "toolkit.operations.archive.restore_values",
    "RestoreResult": "toolkit.operations.archive.restore_values",
    "RotateResult": "toolkit.operations.archive.rotating",
    "SnapshotFiles": "toolkit.operations.archive.listing",
    "SnapshotList": "toolkit.operations.archive.listing",
    "VerifyResult": "toolkit.operations.archive.verify",
    "audit": "toolkit.operations.archive.audit",
    "list_snapshots": "toolkit.operations.archive.listing",
    "prune": "toolkit.operations.archive.prune",
    "remove": "toolkit.operations.archive.removal",
    "push": "toolkit.operations.archive.push",
    "restore": "toolkit.operations.archive.restore",
    "rotate_key": "toolkit.operations.archive.rotating",
    "show": "toolkit.operations.archive.listing",
    "verify": "toolkit.operations.archive.verify",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
