"""The archive of attachments from Python: the same verbs as the command line.

For example, `archive.push(load_config(), "sqlite", options=archive.PushOptions(move=True))`.
"""

from __future__ import annotations

from toolkit.core.retention import Policy
from toolkit.operations.archive.audit import AuditResult, audit
from toolkit.operations.archive.listing import SnapshotFiles, SnapshotList, list_snapshots, show
from toolkit.operations.archive.outcomes import Finding, Outcome
from toolkit.operations.archive.prune import PruneResult, prune
from toolkit.operations.archive.push import PushOptions, PushResult, push
from toolkit.operations.archive.restore import RestoreOptions, RestoreResult, restore
from toolkit.operations.archive.verify import VerifyResult, verify

__all__ = [
    "AuditResult",
    "Finding",
    "Outcome",
    "Policy",
    "PruneResult",
    "PushOptions",
    "PushResult",
    "RestoreOptions",
    "RestoreResult",
    "SnapshotFiles",
    "SnapshotList",
    "VerifyResult",
    "audit",
    "list_snapshots",
    "prune",
    "push",
    "restore",
    "show",
    "verify",
]
