"""Loading the schema that a user named: `module:attribute` → its `MetaData`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolkit.errors import ConfigurationError
from toolkit.references import Wanted, kind_of, load_reference

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import MetaData


def load_metadata(reference: str, search_path: Path) -> MetaData:
    """The metadata that `reference` names: a `MetaData`, a declarative base (or a model), or a registry.

    `search_path` is where the user's modules are; it is put first on `sys.path` for the import.

    Raises:
        ConfigurationError: the reference is malformed, the module is not there or fails, the attribute is
            missing or something else, or the schema is without tables, or without some that others refer to.
    """
    found = load_reference(reference, search_path, _METADATA)
    if not _has_metadata(found):
        raise ConfigurationError(
            f"{reference!r} is {kind_of(found)}, not a schema.",
            "Name a MetaData, a declarative base class or a registry.",
        )
    metadata: MetaData = getattr(found, "metadata", found)
    require_models(metadata, f"the metadata {reference!r}")
    return metadata


def require_models(metadata: MetaData, shown: str) -> None:
    """Where modules of models were not imported, nothing would be done, or too little, and no one told.

    Raises:
        ConfigurationError: there are no tables, or not those that others refer to.
    """
    from sqlalchemy.exc import NoReferencedColumnError, NoReferencedTableError

    advice = "Name a module that imports all of your models, and of it a base, a metadata or any model."
    if not metadata.tables:
        raise ConfigurationError(f"{shown[0].upper()}{shown[1:]} has no tables.", advice)
    for table in metadata.tables.values():
        for key in table.foreign_keys:
            try:
                key.column  # noqa: B018 - is looked up when it is asked for
            except (NoReferencedTableError, NoReferencedColumnError) as error:
                raise ConfigurationError(
                    f"{table.fullname}.{key.parent.name} refers to {key.target_fullname}, which {shown} does not have.",
                    advice,
                ) from error


def _has_metadata(found: Any) -> bool:
    from sqlalchemy import MetaData

    return isinstance(found, MetaData) or isinstance(getattr(found, "metadata", None), MetaData)


_METADATA = Wanted("metadata", "a schema", "myapp.models:metadata or myapp.models:Base", _has_metadata)
