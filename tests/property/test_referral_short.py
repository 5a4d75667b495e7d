"""The short reference survives a telephone."""

from __future__ import annotations

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bridge.referral import short

DIGEST = st.binary(min_size=5, max_size=32)


@settings(max_examples=200)
@given(DIGEST)
def test_what_was_made_is_read_however_it_is_written(digest: bytes) -> None:
    """Case, hyphens, blanks and the letters O, I and L do not matter."""
    label = short.make(digest)
    typed = f" {label[:4].lower()}-{label[4:]} ".replace("0", "o").replace("1", "l")
    assert len(label) == 8
    assert short.read(typed) == label


@settings(max_examples=200)
@given(DIGEST, st.integers(0, 7), st.sampled_from(short.ALPHABET))
def test_one_wrong_character_is_found(digest: bytes, place: int, other: str) -> None:
    """No single change gives another valid reference."""
    label = short.make(digest)
    assume(label[place] != other)
    assert short.read(label[:place] + other + label[place + 1:]) == ""


@settings(max_examples=200)
@given(st.text(max_size=12))
def test_anything_may_be_typed(text: str) -> None:
    """Reading never fails: a reference or nothing."""
    assert short.read(text) == "" or len(short.read(text)) == 8
