"""What is encrypted is read again by its key and name alone, and nothing that was done to it goes unnoticed."""

from __future__ import annotations

import base64
import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import DamagedObjectError
from toolkit.stores import sealing
from toolkit.stores.sealing import Key, checked_without_key, plain_size, seal, sealed_size, unseal

KEY = Key(bytes(range(32)))
OTHER = Key(bytes(32))
CHUNK, TAG, HEADER = 64 << 10, 16, 48
NAME = "objects/ab/" + "ab" * 32
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 5]


def sealed(content: bytes, key: Key = KEY, name: str = NAME) -> bytes:
    return b"".join(seal([content], key, name))


def pieces(content: bytes, size: int) -> Iterator[bytes]:
    return (content[start : start + size] for start in range(0, len(content), size))


def opened(content: bytes, key: Key = KEY, name: str = NAME) -> bytes:
    return b"".join(unseal(pieces(content, 100_003), key, name, "store"))


@pytest.mark.parametrize("size", SIZES)
def test_content_comes_back_whatever_pieces_it_goes_in(size: int) -> None:
    content = os.urandom(size)
    for step in (7_001, 1 << 20):
        stored = b"".join(seal(pieces(content, step), KEY, NAME))
        assert len(stored) == sealed_size(size)
        assert plain_size(len(stored)) == size
        assert b"".join(unseal(pieces(stored, step), KEY, NAME, "store")) == content
        assert checked_without_key(pieces(stored, step)) == (KEY.id, None)
    assert content[:20] not in stored or size < 20


@given(st.integers(0, 1 << 40))
def test_a_size_that_no_content_has_is_none(size: int) -> None:
    plain = plain_size(size)
    assert plain == -1 or sealed_size(plain) == size


def test_what_was_written_by_this_format_once_is_read_for_ever() -> None:
    stored = base64.b64decode(
        "dG9vbGtpdAG4y3jVrh/ynlGAEcCzjLXdvAWqxf69xUgXahv/KxcRKW0/Xj8UDm0HRpudH20Mk9X4YTzZ"
        "r+V5wDR3Pzpyb1yLjq+Zdi8URVHPDqvftYCDuR5Z6E7lgNBGYV7pVoIInjxH5as/5w=="
    )
    assert KEY.id == "b8cb78d5ae1ff29e"
    assert opened(stored) == b"a test vector"
    assert KEY.name_of("snapshots/one") == "snapshots/bf/bf92279abcc36ef257933ba2ec8e025b20a751"


def _swap_chunks(stored: bytes) -> bytes:
    step = CHUNK + TAG
    first, second = (stored[HEADER + n * step : HEADER + (n + 1) * step] for n in (0, 1))
    return stored[:HEADER] + second + first + stored[HEADER + 2 * step :]


def _flip(place: int) -> Callable[[bytes], bytes]:
    def flipped(stored: bytes) -> bytes:
        changed = bytearray(stored)
        changed[place] ^= 1
        return bytes(changed)

    return flipped


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda stored: stored[:-1], id="cut off by a byte"),
        pytest.param(lambda stored: stored[:-32], id="without its checksum"),
        pytest.param(lambda stored: stored[: HEADER + 2 * (CHUNK + TAG)], id="cut off between chunks"),
        pytest.param(lambda stored: stored[: HEADER + CHUNK + TAG] + stored[-32:], id="cut off, with a checksum"),
        pytest.param(lambda stored: stored[:HEADER], id="a header alone"),
        pytest.param(lambda stored: stored[:10], id="half a header"),
        pytest.param(lambda stored: b"", id="empty"),
        pytest.param(lambda stored: stored + b"x", id="longer"),
        pytest.param(lambda stored: stored[:HEADER] + stored[HEADER + CHUNK + TAG :], id="without its first chunk"),
        pytest.param(_swap_chunks, id="chunks in another order"),
        pytest.param(lambda stored: b"x" * len(stored), id="nothing of ours"),
        *(pytest.param(_flip(place), id=f"bit flipped at {place}") for place in (0, 7, 8, 20, 47, 48, 70_000, -40, -1)),
    ],
)
def test_whatever_is_done_to_it_is_noticed_and_no_other_content_is_given_out(harm: Callable[[bytes], bytes]) -> None:
    content = os.urandom(2 * CHUNK + 100)
    stored, given_out = harm(sealed(content)), bytearray()
    reading = unseal(pieces(stored, 50_000), KEY, NAME, "store")
    with pytest.raises(DamagedObjectError):
        deque(map(given_out.extend, reading), maxlen=0)
    assert content.startswith(given_out)
    assert checked_without_key([stored])[1] is not None


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(_swap_chunks, id="chunks in another order"),
        pytest.param(lambda stored: stored[: HEADER + 2 * (CHUNK + TAG)] + bytes(32), id="cut off between chunks"),
        pytest.param(lambda stored: stored[:HEADER] + stored[HEADER + CHUNK + TAG :], id="without its first chunk"),
        pytest.param(_flip(70_000), id="a bit flipped"),
    ],
)
def test_a_checksum_made_anew_does_not_help(harm: Callable[[bytes], bytes]) -> None:
    stored = harm(sealed(os.urandom(3 * CHUNK)))[:-32]
    stored += hashlib.sha256(stored).digest()
    assert checked_without_key([stored]) == (KEY.id, None)
    with pytest.raises(DamagedObjectError, match="changed, cut off, or another object's"):
        opened(stored)


def test_another_name_or_key_does_not_open_it() -> None:
    stored = sealed(b"secret")
    with pytest.raises(DamagedObjectError, match="another object's"):
        opened(stored, name=NAME.replace("a", "c"))
    with pytest.raises(DamagedObjectError, match="another key"):
        opened(stored, key=OTHER)
    with pytest.raises(DamagedObjectError, match="another object's"):
        opened(stored.replace(bytes.fromhex(KEY.id), bytes.fromhex(OTHER.id)), key=OTHER)


def test_a_name_is_always_the_same_and_says_nothing_without_its_key() -> None:
    name = KEY.name_of(NAME)
    assert name == KEY.name_of(NAME) != OTHER.name_of(NAME)
    assert KEY.key_of(name) == NAME
    assert OTHER.key_of(name) is None
    assert KEY.key_of(NAME) is None
    assert KEY.key_of(name.replace("objects", "snapshots")) is None
    assert "abab" not in name
    assert len(name.rpartition("/")[2]) < 255
    assert sealing.is_sealed_name(name)


def test_a_key_is_not_in_what_is_shown_of_it() -> None:
    assert bytes(range(32)).hex() not in f"{KEY!r} {KEY} {KEY.id}"
    assert "\\x01\\x02" not in repr(KEY)
