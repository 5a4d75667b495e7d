"""Short ways to write consent cases: the recipient is a food bank, the purpose treatment, unless a test says
otherwise."""

from __future__ import annotations

from typing import Any

from bridge.consent.cases import run_case

ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
CONF = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
LOINC = "http://loinc.org"
CBO = "http://example.org/ids/cbo"
INLINE = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"
AT = "2026-05-04T10:00:00-05:00"
P1 = {"reference": "Patient/p1"}

Json = dict[str, Any]


def concept(system: str, *codes: str) -> Json:
    return {"coding": [{"system": system, "code": code} for code in codes]}


def labels(*codes: str) -> list[Json]:
    """securityLabel or meta.security from bare codes."""
    return [{"system": CONF if code in "ULMNRV" else ACT, "code": code} for code in codes]


def actor(reference: str = "", role: str = "IRCP", **more: Any) -> Json:
    who = {**({"reference": reference} if reference else {}), **more}
    return {"role": concept("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", role), "reference": who}


FOOD_BANK, SHELTER, HOSPITAL = (
    actor("Organization/food-bank"),
    actor("Organization/shelter"),
    actor("Organization/hospital"),
)
ADAMS = actor("Practitioner/adams")


def purposes(*codes: str) -> list[Json]:
    return [{"system": REASON, "code": code} for code in codes]


def actions(*codes: str) -> list[Json]:
    return [concept("http://terminology.hl7.org/CodeSystem/consentaction", code) for code in codes]


def classes(*types: str) -> list[Json]:
    return [{"system": "http://hl7.org/fhir/resource-types", "code": type_} for type_ in types]


def rule(kind: str | None = "permit", *nested: Json, **elements: Any) -> Json:
    """One provision; kind None leaves the type out."""
    return {**({"type": kind} if kind else {}), **elements, **({"provision": list(nested)} if nested else {})}


def permit(*nested: Json, **elements: Any) -> Json:
    return rule("permit", *nested, **elements)


def deny(*nested: Json, **elements: Any) -> Json:
    return rule("deny", *nested, **elements)


def consent(provision: Json | None = None, base: str = "", **elements: Any) -> Json:
    """An active privacy Consent of p1; `base` is the policyRule code, None values take elements out."""
    made: Json = {
        "resourceType": "Consent",
        "id": "c1",
        "status": "active",
        "scope": concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        "category": [concept(ACT, "IDSCL")],
        "patient": P1,
        "dateTime": "2026-01-10",
        **({"provision": provision} if provision is not None else {}),
        **({"policyRule": concept(ACT, base)} if base else {}),
        **elements,
    }
    return {name: value for name, value in made.items() if value is not None}


def referral(**elements: Any) -> Json:
    return {
        "resourceType": "ServiceRequest",
        "id": "sr1",
        "status": "active",
        "intent": "order",
        "subject": P1,
        **elements,
    }


def condition(*codes: str, **elements: Any) -> Json:
    return {"resourceType": "Condition", "id": "k1", "code": concept(ICD, *codes), "subject": P1, **elements}


def labelled(*codes: str, **elements: Any) -> Json:
    """An Observation whose source put these labels on it."""
    return {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": concept(LOINC, "8302-2"),
        "subject": P1,
        **({"meta": {"security": labels(*codes)}} if codes else {}),
        **elements,
    }


def case(
    consents: list[Json],
    resource: Json | None = None,
    *,
    who: str = "food-bank",
    purpose: str = "TREAT",
    action: str = "disclose",
    at: str = AT,
    policy: Json | None = None,
    custodian: Json | None = None,
    **recipient: Any,
) -> Json:
    """A case in the format of the corpus."""
    asker = who if "/" in who else f"Organization/{who}"
    return {
        "id": "case",
        "consents": consents,
        "resource": referral() if resource is None else resource,
        "request": {
            "recipient": {"reference": asker, **recipient},
            "purpose": purpose,
            "action": action,
            "at": at,
            **({"custodian": custodian} if custodian else {}),
        },
        **({"policy": policy} if policy else {}),
    }


def ask(*arguments: Any, **named: Any) -> Json:
    """Decide a case written as for `case`."""
    return run_case(case(*arguments, **named))


def row(why: str, expect: str, **named: Any) -> tuple[str, str, Json]:
    """A case as a row: `expect` is the decision, then the redacted paths, then the obligations; `named` as for `case`."""
    return why, expect, named


ANYONE = consent(permit())
OPEN = {"no_consent": "permit"}


def decision(*arguments: Any, **named: Any) -> str:
    return str(ask(*arguments, **named)["decision"])


def paths(*arguments: Any, **named: Any) -> list[str]:
    return list(ask(*arguments, **named)["redact_paths"])


OWN = "https://bridge.example.org/fhir"
"""The base of cases that name none."""
FB = permit(actor=[FOOD_BANK], purpose=purposes("TREAT"))
"""What most cases begin with: the food bank, for treatment."""
