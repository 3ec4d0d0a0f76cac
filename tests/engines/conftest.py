"""A database of one engine alone."""

from tests.operations.conftest import alone

__all__ = ["alone"]
