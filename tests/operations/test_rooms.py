"""How the room of transfers is kept: nothing is called back."""

from __future__ import annotations

from toolkit.operations.transfer.request import Transfer


def test_a_transfer_is_told_values_and_is_handed_nothing_to_call_back() -> None:
    assert not [name for name, type_ in Transfer.__annotations__.items() if "Callable" in type_]
