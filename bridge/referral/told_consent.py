"""What an organisation's record says of consent, as a Consent: a refusal or withdrawal told to it denies at once, in both directions; a
permit lets its own records go home to the hospital that asked, and nothing else (rules S8, S11; reference/cbo.md 3.6).
"""

from __future__ import annotations

from typing import Any

from bridge.core.ids import Ids
from bridge.referral.intake import Answer
from bridge.referral.match import COPIES
from bridge.referral.partner import Partner, reference
from bridge.referral.terms import ACT_CODE, SDOH_CONSENT, concept

Resource = dict[str, Any]
REFUSED = ("deny", "revoked")
SCOPES = {
    "referral": ("ServiceRequest", "Task"), "status": ("ServiceRequest", "Task"),
    "outcome": ("ServiceRequest", "Task", "Procedure", "Observation"),
    "screening": ("QuestionnaireResponse", "Observation", "Condition"), "notes": (), "billing": (),
}
"""Resource types that a word of `consent_scope` is about; the person goes with each. Notes and bills are no resource of ours."""
WRITTEN = ("paper", "electronic", "guardian", "platform")
"""`consent_method` with something signed behind it."""
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
RECEIVER, CUSTODIAN = concept(PARTICIPATION, "IRCP"), concept(PARTICIPATION, "CST")


def consent(answer: Answer, patient: str, partner: Partner, hospital: Partner | None, ids: Ids) -> Resource | None:
    """The Consent of a record; None when it says nothing of one, or nobody could receive for it."""
    status = answer.get("consent_status")
    if status in REFUSED:
        # without a number of its own no later record replaces it: a hospital or a person lifts a refusal
        return _consent(answer, patient, partner, ids, _both(partner, ids), [])
    if status in ("permit", "expired", "pending") and hospital is not None:
        copies = [{"system": f"{COPIES}{partner.id}", "value": ids.uuid("told-consent", patient, partner.id)}]
        made = _consent(answer, patient, partner, ids, _home(answer, partner, hospital, ids), copies)
        return made if status == "permit" else {**made, "status": "inactive"}
    return None


def _consent(answer: Answer, patient: str, partner: Partner, ids: Ids, provision: Resource, copies: list[Resource]) -> Resource:
    written = answer.get("consent_method") in WRITTEN
    return {
        "resourceType": "Consent", "id": ids.uuid("Consent", answer.key, patient),
        "meta": {"lastUpdated": answer.at, **({"profile": [SDOH_CONSENT]} if written else {})},
        **({"identifier": copies} if copies else {}), "status": "active",
        "scope": concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        "category": [concept(ACT_CODE, "IDSCL")], "patient": {"reference": f"Patient/{patient}"},
        "dateTime": answer.get("consent_at") or answer.event_at, "performer": [{"reference": f"Patient/{patient}"}],
        "organization": [reference(partner, ids)],
        **({"sourceAttachment": {"title": f"{answer.get('consent_method')} consent kept by {partner.name}"}} if written else {}),
        "policyRule": concept("http://terminology.hl7.org/CodeSystem/consentpolicycodes", "hipaa-auth"), "provision": provision,
    }


def _both(partner: Partner, ids: Ids) -> Resource:
    """Nothing to the organisation and nothing from it."""
    named = reference(partner, ids)
    return {"type": "deny", "actor": [{"role": RECEIVER, "reference": named}, {"role": CUSTODIAN, "reference": named}]}


def _home(answer: Answer, partner: Partner, hospital: Partner, ids: Ids) -> Resource:
    """From the organisation to the hospital, of normal confidentiality, in the scope that was agreed, until it ends."""
    classes = dict.fromkeys(one for word in answer.get("consent_scope") or () for one in ("Patient", *SCOPES[word]))
    end = answer.get("consent_expires")
    return {
        "type": "permit", **({"period": {"end": end}} if end else {}),
        "actor": [{"role": RECEIVER, "reference": reference(hospital, ids)}, {"role": CUSTODIAN, "reference": reference(partner, ids)}],
        "securityLabel": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "N"}],
        "purpose": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": hospital.purpose}],
        **({"class": [{"system": "http://hl7.org/fhir/resource-types", "code": one} for one in classes]} if classes else {}),
    }
