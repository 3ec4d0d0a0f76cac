"""What an engine is to all others: what each must bring, and what it may.

To add one: a package beside `sqlite/` with a module whose `ENGINE` is an `Engine`, and an entry in `registry.ENGINES`.
`portable/` has all that is needed to begin with, right on any engine that SQLAlchemy has a dialect for: an `Engine` for
databases that are one file (`FileEngine`), a connection (`DatabaseConnection`) and a repository (`TableRepository`). A
package overrides single methods of these where its engine differs or does better; whoever uses an engine asks what is
declared here, never for its name. `tests/contracts` is what it has to pass, `tests/engines/fourth` a short example.
"""

from toolkit.engines.contract.capabilities import Capabilities
from toolkit.engines.contract.configured import Configured, EngineSettings, StoreAccess
from toolkit.engines.contract.connection import Connection, Table
from toolkit.engines.contract.engine import Engine, Templates
from toolkit.engines.contract.features import SchemaFeatures
from toolkit.engines.contract.loads import (
    CommitsParts,
    FilesRun,
    FillsParts,
    Loaded,
    LoadsInParts,
    Rewriting,
    Run,
    RunAbout,
    WrittenPart,
)
from toolkit.engines.contract.lossy_cast import LossyCast
from toolkit.engines.contract.parts import PART_BYTES, Part, ReadsInParts, SharesSnapshot
from toolkit.engines.contract.passthrough import CopiesWithinDatabase, PassesThrough
from toolkit.engines.contract.rewriting import RewritesFiles
from toolkit.engines.contract.script import Script, TableScript

__all__ = [
    "PART_BYTES",
    "Capabilities",
    "CommitsParts",
    "Configured",
    "Connection",
    "CopiesWithinDatabase",
    "Engine",
    "EngineSettings",
    "FilesRun",
    "FillsParts",
    "Loaded",
    "LoadsInParts",
    "LossyCast",
    "Part",
    "PassesThrough",
    "ReadsInParts",
    "RewritesFiles",
    "Rewriting",
    "Run",
    "RunAbout",
    "SchemaFeatures",
    "Script",
    "SharesSnapshot",
    "StoreAccess",
    "Table",
    "TableScript",
    "Templates",
    "WrittenPart",
]
