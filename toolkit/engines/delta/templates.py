"""Templates and clones for tests of a lake that is a directory."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import quote

from toolkit.engines.delta.place import place_of
from toolkit.engines.portable.file_templates import FileTemplates


class LakeTemplates(FileTemplates):
    """The same as of files, of directories."""

    def drop(self, address: str) -> None:
        """Remove a clone's folder."""
        place = place_of(self._database.at(address))
        shutil.rmtree(Path(place.root).parent, ignore_errors=True)

    def _copy(self, template: Path, clone: Path) -> None:
        shutil.copytree(template, clone)

    def _address(self, file: Path) -> str:
        return f"delta+file://{quote(str(file))}"
