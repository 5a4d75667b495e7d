"""Laws of the conversions between values and columns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.adapters.store.codec import (
    bound,
    dump,
    dump_issues,
    fold,
    join,
    keyed,
    later,
    load,
    load_issues,
    micros,
    moment,
    names,
    plain,
    plain_rows,
    same,
    split,
)
from bridge.core.issue import Issue

TEXTS = st.text(st.characters(codec=None, exclude_categories=()), max_size=300)


@given(TEXTS)
def test_plain_text_can_be_stored(text: str) -> None:
    """Whatever text comes in, what goes out is UTF-8 without NUL, has the same length, and stays as it is."""
    stored = plain(text)
    assert "\0" not in stored.encode().decode()
    assert len(stored) <= 3 * len(text)
    assert plain(stored) == stored
    assert plain_rows([(text, 1, None)]) == [(stored, 1, None)]


@given(TEXTS.map(lambda text: text * 40))
def test_a_key_fits_an_index(text: str) -> None:
    """A key column is short enough for PostgreSQL's index rows and depends on the whole text."""
    assert len(keyed(text).encode()) <= 1020
    if len(text) > 300:
        assert keyed(text) != keyed(text + "x")


@given(st.datetimes(timezones=st.sampled_from((UTC, timezone(timedelta(hours=-5)), timezone(timedelta(minutes=345))))))
def test_moments_keep_their_microsecond(value: datetime) -> None:
    """A moment is the same instant after storing it, at any offset."""
    assert moment(micros(value)) == value


def test_a_moment_needs_an_offset() -> None:
    """Without an offset nobody knows which instant it is."""
    with pytest.raises(ValueError, match="offset"):
        micros(datetime(2025, 1, 1))  # noqa: DTZ001


def test_bounds_are_read_in_iso() -> None:
    """A date is its first instant in UTC; an offset counts; nonsense is named without being quoted."""
    assert moment(bound("since", "2025-03-01")) == datetime(2025, 3, 1, tzinfo=UTC)
    assert moment(bound("since", "2025-03-01T08:30:00-05:00")) == datetime(2025, 3, 1, 13, 30, tzinfo=UTC)
    with pytest.raises(ValueError, match=r"^until is no ISO"):
        bound("until", "yesterday")


def test_later_compares_instants() -> None:
    """Offsets count, equal instants are not later, anything is after none, and partial dates compare as text."""
    assert later("2025-03-01T08:00:00-05:00", "2025-03-01T12:59:59Z")
    assert not later("2025-03-01T08:00:00-05:00", "2025-03-01T13:00:00Z")
    assert later("2025-03-01T08:00:00Z", "")
    assert not later("", "")
    assert not later("", "2025-03-01T08:00:00Z")
    assert later("2025-04", "2025-03")
    assert later("2025-04-01", "2025-03-01T08:00:00Z")


def test_resources_come_back_from_two_texts() -> None:
    """Splitting and joining gives the resource with the ledger's versionId, and leaves the one given as it was."""
    given_ = {"resourceType": "Task", "id": "t", "meta": {"versionId": "9", "lastUpdated": "x", "tag": [1]}, "note": "é\0"}
    before = load(dump(given_))
    ref, body, meta = split(given_)
    assert (ref, given_) == ("Task/t", before)
    assert join(body, meta, 3) == {**given_, "meta": {"tag": [1], "versionId": "3"}}


def test_same_ignores_the_order_of_keys_only() -> None:
    """Key order does not matter, list order, types and digits do."""
    assert same('{"a":1,"b":[1,2]}', '{"b":[1,2],"a":1}')
    assert not same('{"a":1,"b":[1,2]}', '{"b":[2,1],"a":1}')
    assert not same('{"a":1}', '{"a":1.0}')
    assert not same('{"a":true}', '{"a":1}')


def test_decimals_keep_their_digits() -> None:
    """A Decimal is written as it was, also with an exponent."""
    assert dump([Decimal("1.50"), Decimal("1E+3"), Decimal("1E-9")]) == "[1.50,1e3,1e-9]"
    assert load(dump(Decimal("1E+3"))) == 1000


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("Infinity"), object(), "\ud800", 2**70, {1: 2}])
def test_what_is_no_json_is_refused_without_quoting_it(value: object) -> None:
    """A value that JSON cannot say raises ValueError that repeats nothing of it, not even as its context."""
    with pytest.raises(ValueError, match="not JSON") as caught:
        dump(["Rivera", value])
    assert "Rivera" not in f"{caught.value} {caught.value.__context__}"


def test_issues_come_back_whole() -> None:
    """Every field of an issue survives."""
    issues = (Issue("error", "BRG-H001", "MSH-9", "text", "hint", "structure"), Issue("warning", "BRG-H002", "", "é"))
    assert load_issues(dump_issues(issues)) == issues
    assert load_issues(dump_issues(())) == ()


def test_names_are_folded() -> None:
    """Case, accents, ligatures, width and punctuation go; letters of every script stay."""
    folded = {"O'Brien-Núñez": "obriennunez", "ØSTERGÅRD": "ostergard", "Straße": "strasse", "ﬁne": "fine", "Ｗａｎｇ": "wang",
              "İnan": "inan", "Đặng": "dang", "王": "王", "de la Cruz III.": "delacruziii", "": "", "12": ""}
    assert {name: fold(name) for name in folded} == folded


def test_a_patient_is_found_by_every_family_name_it_has() -> None:
    """Without a birth date or a family name there is nothing to find; a broken name list does no harm."""
    two = {"birthDate": "1980", "name": [{"family": "A"}, {"family": "b"}, {"text": "C"}, {"family": "a"}]}
    assert names(two) == (("1980", "a"), ("1980", "b"))
    assert names({"name": [{"family": "A"}]}) == names({"birthDate": "1980"}) == names({"birthDate": 1}) == ()
