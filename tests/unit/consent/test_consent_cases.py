"""The sample corpus of cases, and what the case format does with nonsense."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from bridge.consent.cases import run_case
from bridge.consent.decide import decide, prepare
from bridge.consent.request import Policy, Request
from tests.unit.consent.build import P1, case, condition, consent, permit, referral


def test_sample_cases_agree(shared: Path) -> None:
    """Every sample case has the decision, the redacted paths and the obligations it expects."""
    cases = json.loads((shared / "corpus" / "consent_cases_sample.json").read_text("utf-8"))
    wrong = []
    for each in cases:
        answer = run_case(each)
        expected = (
            each["expect"],
            set(each.get("redact_paths", ())),
            set(each.get("obligations", answer["obligations"])),
        )
        if (answer["decision"], set(answer["redact_paths"]), set(answer["obligations"])) != expected:
            wrong.append(each["id"])
    assert wrong == []


def test_answer_has_the_documented_fields() -> None:
    """A case's answer has exactly the fields that `consent decide` documents."""
    fields = ["id", "decision", "redact_paths", "obligations", "rules", "consents", "review"]
    assert list(run_case(case([consent(permit())]))) == fields


@pytest.mark.parametrize("broken", [{}, {"request": 1}, {"request": {}, "resource": {}}, [], None, 7, "text"])
def test_a_case_that_cannot_be_read_is_denied_for_review(broken: Any) -> None:
    """Fail closed: nonsense is a deny with a review entry, never an exception."""
    answer = run_case(broken)
    assert answer["decision"] == "deny"
    assert answer["review"] or answer["rules"] == ["V1"]


def test_a_malformed_consent_denies_unless_it_does_not_matter() -> None:
    """A consent in force that cannot be read denies; an inactive one, or someone else's, changes nothing."""
    good, bad = consent(permit()), consent({"type": "permit", "period": {"end": "soon"}}, id="bad")
    assert run_case(case([good, bad]))["review"] == ["evaluation-failed:ValueError"]
    assert run_case(case([good, {**bad, "status": "draft"}]))["decision"] == "permit"
    assert run_case(case([good, {**bad, "patient": {"reference": "Patient/p2"}}]))["decision"] == "permit"


def test_a_failure_is_logged_by_its_kind_alone(caplog: pytest.LogCaptureFixture) -> None:
    """No value of the record reaches the log."""
    with caplog.at_level(logging.DEBUG):
        run_case(case([consent({"type": "permit", "period": {"end": "Canary Person"}})]))
    assert "Canary" not in caplog.text
    assert "ValueError" in caplog.text


def test_prepared_consents_answer_as_raw_ones() -> None:
    """Preparing is for speed only, for one resource and for a Bundle."""
    policy = Policy()
    request = Request.parse(case([])["request"], policy)
    consents = [consent(permit()), consent({"type": "deny", "purpose": [{"code": "HMARKT"}]}, id="c2")]
    ready = prepare(consents, policy)
    bundle = {
        "resourceType": "Bundle",
        "entry": [{"resource": referral()}, {"resource": condition("E11.9", subject={"reference": "Patient/p2"})}],
    }
    for resource in (referral(), condition("F10.20"), bundle):
        assert decide(request, resource, ready, policy) == decide(request, resource, consents, policy)


def test_audit_names_versions_and_places_only() -> None:
    """Rules, consents, paths and review hold ids, versions and places; nothing of the record's content."""
    secret = consent(permit(), id="c9", meta={"versionId": "4"})
    answer = run_case(case([secret], referral(note=[{"text": "Canary"}], subject=P1)))
    assert answer["consents"] == ["c9/4"]
    assert "Canary" not in json.dumps(answer)
