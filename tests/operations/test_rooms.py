"""How the room of transfers is kept: nothing is called back."""

from __future__ import annotations

from dataclasses import fields

from toolkit.operations.transfer.request import Transfer


def test_a_transfer_is_told_values_and_is_handed_nothing_to_call_back() -> None:
    assert not [field.name for field in fields(Transfer) if "Callable" in str(field.type)]
