"""The backend that an application registers for an archive, so that rows moved there find their files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advanced_alchemy.types.file_object.backends.obstore import ObstoreBackend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advanced_alchemy.types.file_object.base import PathLike


class ArchiveBackend(ObstoreBackend):
    """Reads the files that rows point at in an archive, and removes none: other rows and snapshots may need the same.

    Advanced Alchemy removes the file of each row that is deleted or is given another. What no row needs any more is
    removed by `toolkit archive prune --from NAME`.
    """

    def delete_object(self, paths: PathLike | Sequence[PathLike]) -> None:
        """Leave the objects where they are."""

    async def delete_object_async(self, paths: PathLike | Sequence[PathLike]) -> None:
        """Leave the objects where they are."""
