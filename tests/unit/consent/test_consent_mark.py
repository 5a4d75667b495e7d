"""Labels put on and kept: a copy may raise what is known, never lower it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bridge.consent import labels as labelling
from bridge.consent.mark import INLINED, REDACTED, is_redacted, joined, raised, remembered
from tests.unit.consent.build import labels, purposes

Json = dict[str, Any]
CODES = ["N", "R", "V", "SUD", "HIV", "42CFRPart2", "NORDSCLCD", "CTCOMPT"]
some = st.lists(st.sampled_from(CODES), max_size=4, unique=True).map(lambda codes: labels(*codes))


def codes(security: list[Json]) -> list[str]:
    return [each["code"] for each in security]


@given(some, some, some)
def test_the_order_of_copies_changes_nothing(one: list[Json], two: list[Json], three: list[Json]) -> None:
    """Any order of arrival, each any number of times, ends in the same labels."""
    def arrive(*copies: list[Json]) -> set[tuple[str, str]]:
        held: Json = {"resourceType": "Condition"}
        for copy in copies:
            held = remembered({"resourceType": "Condition", "meta": {"security": copy}}, held)
        return {(each["system"], each["code"]) for each in held["meta"]["security"]}

    if one and two and three:
        assert arrive(one, two, three) == arrive(three, one, two, one) == arrive(two, three, three, one)


@given(some, some)
def test_a_copy_never_lowers(known: list[Json], told: list[Json]) -> None:
    """What is kept has the sensitivities, refrains and compartments of both, the higher level, and one level alone."""
    ask = labelling.load().asserted
    both, kept = joined(known, told), ask(joined(known, told))
    for one in (ask(known), ask(told)):
        assert kept.rank >= one.rank
        assert kept.sensitivities >= one.sensitivities
        assert kept.compartments >= one.compartments
        assert kept.refrained or not one.refrained
    assert sum(code in "NRV" for code in codes(both)) <= 1 or not (known and told)


def test_a_copy_without_labels_keeps_those_that_are_known() -> None:
    """The same record returned unlabelled is still R, and one that is on file without labels is not touched."""
    stored = {"resourceType": "Condition", "meta": {"versionId": "3", "security": labels("R", "SUD")}}
    copy = {"resourceType": "Condition", "meta": {"profile": ["urn:p"]}, "note": []}
    assert remembered(copy, stored)["meta"] == {"profile": ["urn:p"], "security": labels("R", "SUD")}
    assert remembered(copy, {"resourceType": "Condition"}) is copy
    assert remembered(copy, None) is copy


def test_a_purpose_tag_only_narrows() -> None:
    """Purposes: what both allow; a copy cannot add one, and where they share none the known ones stay."""
    assert codes(joined(purposes("TREAT", "HPAYMT"), purposes("TREAT", "HMARKT"))) == ["TREAT"]
    assert codes(joined(purposes("TREAT"), purposes("HMARKT"))) == ["TREAT"]
    assert codes(joined(purposes("TREAT"), labels("R"))) == ["R", "TREAT"]


def test_inline_processing_lifts_only_where_both_copies_have_it() -> None:
    """A label that covered the whole is not moved to an element by a copy that says so."""
    assert INLINED not in codes(joined(labels("SUD"), labels("SUD", INLINED)))
    assert INLINED in codes(joined(labels("SUD", INLINED), labels("SUD", INLINED)))


def test_the_mark_of_redaction_is_no_label() -> None:
    """REDACTED is seen with its system or without any, and the whole does not inherit it."""
    assert is_redacted({"meta": {"security": [REDACTED]}})
    assert is_redacted({"meta": {"security": [{"code": "REDACTED"}]}})
    assert not is_redacted({"meta": {"security": [{"system": "urn:x", "code": "REDACTED"}]}})
    assert not is_redacted({"resourceType": "Patient"})
    whole = {"resourceType": "Condition", "meta": {}}
    assert remembered(whole, {"meta": {"security": [REDACTED]}}) is whole


def test_a_raised_resource_is_restricted() -> None:
    """L2: a sensitivity raises to R at least and lowers no V; a local one stands under its own system."""
    resource = {"resourceType": "Task", "meta": {"security": labels("V")}}
    assert codes(raised(resource, ["SUD"])["meta"]["security"]) == ["V", "SUD"]
    assert raised({"resourceType": "Task"}, ["custody"])["meta"]["security"][1] == {"system": "urn:sdoh-bridge:sensitivity", "code": "custody"}
    once = raised(resource, ["SUD"])
    assert raised(once, ["SUD"])["meta"] == once["meta"]
