"""Progress as the library tells it: a protocol, and the silent version that is the default."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told of the steps of an operation; never decides anything."""

    def whole(self, rows: int) -> None:
        """So many rows will be handled in all by the steps that come."""

    def step(self, label: str, rows: int | None = None) -> None:
        """A step begins; `rows` is how many it will handle, if that is known."""

    def advance(self, rows: int) -> None:
        """So many more rows of the present step are done."""

    def files(self, label: str, files: int, size: int) -> None:
        """A step begins that handles so many files of so many bytes in all; `advance_file` tells of them."""

    def advance_file(self, files: int, size: int) -> None:
        """So many more files and bytes of the present step are done."""

    def note(self, message: str) -> None:
        """Something worth a line of its own."""


class Silent:
    """Progress that nobody watches."""

    def whole(self, rows: int) -> None:
        """Say nothing."""

    def step(self, label: str, rows: int | None = None) -> None:
        """Say nothing."""

    def advance(self, rows: int) -> None:
        """Say nothing."""

    def files(self, label: str, files: int, size: int) -> None:
        """Say nothing."""

    def advance_file(self, files: int, size: int) -> None:
        """Say nothing."""

    def note(self, message: str) -> None:
        """Say nothing."""


SILENT = Silent()
