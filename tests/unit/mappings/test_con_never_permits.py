"""A Consent made of CON says that something was signed; it never lets anything leave (docs/consent.md, rule B2)."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.consent.cases import run_case
from tests.unit.mappings import packaged

HEAD = "MSH|^~\\&|ADT|EAST|||20260301101500-0500||ADT^A08^ADT_A01|F-1|P|2.6\rPID|1||E1^^^EAST^MR||DOE^JO\r"
WORDS = st.sampled_from(
    ["", '""', "A", "L", "R", "P", "X", "B", "ACTIVE", "001", "001^ROI^HL70496", "003", "permit", "PERMIT", "OPTIN", "OPTIN^^v3-ActCode",
     "emrgonly^^http://terminology.hl7.org/CodeSystem/consentcategorycodes",
     "001^ROI^HL70496^emrgonly^Emergency^http://terminology.hl7.org/CodeSystem/consentcategorycodes",
     "001^ROI^HL70496^OPTIN^x^http://terminology.hl7.org/CodeSystem/v3-ActCode", "Y", "N", "1", "20260301", "20270301", "DOE^JANE"])


def consents(segment: str) -> tuple[list[dict[str, Any]], str]:
    """The Consents of a message with this segment, and the patient's id."""
    draft = packaged.draft((HEAD + segment).encode())
    return draft.of_type("Consent"), draft.patient


@settings(max_examples=60, deadline=None)
@given(st.lists(WORDS, min_size=24, max_size=24), st.sampled_from(["TREAT", "ETREAT", "HPAYMT", "BTG"]))
def test_no_consent_form_of_hl7v2_permits_anything(fields: list[str], purpose: str) -> None:
    """Whatever a sender writes into CON, no recipient may see anything for it, in no purpose, not even in an emergency."""
    made, patient = consents("CON|1|" + "|".join(fields) + "\r")
    for consent in made:
        assert "type" not in consent.get("provision", {})
        answer = run_case({
            "id": "x", "consents": [consent],
            "request": {"recipient": {"reference": "Organization/pantry"}, "purpose": purpose, "action": "disclose", "at": "2026-06-01T12:00:00-05:00"},
            "resource": {"resourceType": "ServiceRequest", "id": "1", "status": "active", "intent": "order", "subject": {"reference": f"Patient/{patient}"}}})
        assert answer["decision"] == "deny", consent


def test_only_a_granted_form_is_active() -> None:
    """A and L were granted; pending, refused, rescinded, bypassed, unknown and unsaid were not."""
    active = [status for status in ("A", "L", "R", "P", "X", "B", "", "ZZ", '""')
              if consents(f"CON|1|001^ROI^HL70496|||||||||{status}\r")[0][0]["status"] == "active"]
    assert active == ["A", "L"]
