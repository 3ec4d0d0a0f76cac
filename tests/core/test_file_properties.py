"""What belongs to a file beside its content: by its row, and as far as a store takes it."""

from __future__ import annotations

import msgspec
import pytest

from toolkit.core.file_properties import Properties, acceptable, decode_properties, properties_of_row


def test_a_row_says_what_its_application_wrote_with_the_file() -> None:
    metadata = (
        b'{"author": "caf\\u00e9", "Cache-Control": "private", "n": {"a": [1]}, "archived_from": {"backend": "x"}}'
    )
    said = {"Content-Type": "a/b", "author": "caf\u00e9", "Cache-Control": "private", "n": '{"a": [1]}'}
    assert properties_of_row("a/b", metadata) == Properties(said)
    for nothing in (b"[]", b"{", b'{"a": "\\ud800"}'):
        assert properties_of_row(None, nothing) == Properties({})


def test_only_what_a_store_takes_is_given_to_it() -> None:
    said = {"Content-Type": "a/b", "Content-Language": "\u00e4", "My-Key": "1", "Ab_c": "2", "Storage-Class": "GLACIER"}
    said |= {"a b": "x", "": "x", "nl": "x\n", "tab": "\t", "z": "x" * 2048}
    assert acceptable(said, identifiers=False) == {"Content-Type": "a/b", "My-Key": "1", "Ab_c": "2"}
    assert acceptable(said, identifiers=True) == {"Content-Type": "a/b", "ab_c": "2"}
    fits = {f"k{number}": "x" * 1000 for number in range(3)}
    assert acceptable(fits, identifiers=False) == {name: fits[name] for name in ("k0", "k1")}


def test_a_file_has_what_is_wanted_if_all_of_it_is_there() -> None:
    wanted = Properties({"Author": "x", "Storage-Class": "COLD", "nl": "a\nb"}, 0o600)
    assert wanted.is_shown_by(Properties({"author": "x", "Content-Type": "binary/octet-stream"}))
    assert not wanted.is_shown_by(Properties({"author": "y"}))
    assert wanted.is_shown_by(Properties(mode=0o600))
    assert not wanted.is_shown_by(Properties(mode=0o644))
    assert Properties({"a": "b"}).is_shown_by(Properties(mode=0o644))


@pytest.mark.parametrize("text", ['{"mode": 2541}', '{"mode": -1}', '{"attributes": {"a": 1}}'])
def test_no_file_is_made_to_run_as_its_owner(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode_properties(text)
