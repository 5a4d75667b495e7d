"""F7: what a community organisation has flagged needs a permit that names the flag or the label above it."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.consent.cases import run_case

SENSITIVITY, ACT_CODE = "urn:sdoh-bridge:sensitivity", "http://terminology.hl7.org/CodeSystem/v3-ActCode"
INLINE = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"


def coding(code: str) -> dict[str, str]:
    levels = ("N", "R")
    return {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality" if code in levels else
            SENSITIVITY if code.startswith("flag-") else ACT_CODE, "code": code}


def asked(labels: list[str] | None, resource: dict[str, Any], kind: str = "permit") -> dict[str, Any]:
    """The decision under one consent with these labels (None: it names none)."""
    provision: dict[str, Any] = {"type": kind, **({"securityLabel": [coding(each) for each in labels]} if labels is not None else {})}
    consent = {"resourceType": "Consent", "id": "c", "status": "active", "patient": {"reference": "Patient/p"}, "dateTime": "2026-01-01",
               "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
               "category": [{"coding": [{"system": ACT_CODE, "code": "IDSCL"}]}], "policy": [{"uri": "https://example.org"}], "provision": provision}
    return run_case({"id": "x", "consents": [consent], "resource": resource, "request": {
        "recipient": {"reference": "Organization/o"}, "purpose": "TREAT", "action": "disclose", "at": "2026-05-04T10:00:00-05:00"}})


def task(*labels: str) -> dict[str, Any]:
    return {"resourceType": "Task", "id": "t", "status": "requested", "intent": "order", "for": {"reference": "Patient/p"},
            "meta": {"security": [coding(each) for each in labels]}}


@pytest.mark.parametrize("listed, flags, decision", [
    (None, ["flag-dv"], "deny"), (["R"], ["flag-dv"], "deny"), (["N"], ["flag-dv"], "deny"), (["N", "SDV"], ["flag-dv"], "permit"),
    (["flag-dv"], ["flag-dv"], "permit"), (["N", "MH"], ["flag-dv"], "deny"), (["R", "SDV"], ["flag-dv", "flag-minor"], "deny"),
    (["SDV", "ADOL"], ["flag-dv", "flag-minor"], "permit"), (["VIO"], ["flag-dv"], "deny"), (["BH"], ["flag-mh"], "permit"),
    (None, ["MH"], "permit"), (["R"], ["MH"], "permit"),
])
def test_a_permit_must_name_what_is_flagged(listed: list[str] | None, flags: list[str], decision: str) -> None:
    """Neither silence nor a level reaches a flag; the label above it does, when all of them are named; other data is as before."""
    answer = asked(listed, task(*flags))
    assert answer["decision"] == decision
    assert ("F7" in answer["rules"]) == (decision == "deny" and listed in (None, ["R"], ["R", "SDV"]))


def test_a_deny_of_the_label_reaches_the_flag() -> None:
    """Who denies SDV denies what is flagged so."""
    assert asked(["SDV"], task("flag-dv"), "deny")["decision"] == "deny"


def test_a_mark_takes_out_the_element_alone() -> None:
    """A place that is marked is redacted under a permit that does not name it, the rest of the person is sent."""
    mark = {"extension": [{"url": INLINE, "valueCoding": coding("flag-place")}], "city": "Dayton"}
    patient = {"resourceType": "Patient", "id": "p", "address": [{"city": "York"}, mark], "gender": "female"}
    answer = asked(None, patient)
    assert (answer["decision"], answer["redact_paths"]) == ("redact", ["address[1]"])
    assert asked(["N", "LOCIS"], patient)["decision"] == "permit"
