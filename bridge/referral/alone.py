"""What a partner's record says by itself, as FHIR: for `convert`, and for a person who has no referral yet."""

from __future__ import annotations

from typing import Any

from bridge.core.draft import Draft
from bridge.core.ids import Ids
from bridge.referral.intake import Answer
from bridge.referral.respond import ABOUT, apply
from bridge.referral.rows import by
from bridge.referral.terms import (
    HEALTH_CONCERN,
    PARTNER,
    RECORD,
    REFERENCE,
    SDOH_CONDITION,
    TASK_CODE,
    TEMPORARY,
    US_CORE,
    US_CORE_CATEGORY,
    VERIFICATION,
    concept,
)

Resource = dict[str, Any]
CLIENT = "urn:sdoh-bridge:client:"
"""Prefix of the identifier system for a partner's own numbers; the partner's id follows."""

UNKNOWN = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}
"""US Core lets a missing mandatory element say so (us-core-patient, "Missing Data"); the record has no sex and maybe no name."""


def draft(answer: Answer, ids: Ids) -> Draft:
    """The record as resources that stand for themselves; nothing is known of the referral or person it may belong to.

    A status, service or outcome gives the Task as far as the record tells it, and what was given; an intake gives the
    Patient and the need as an unconfirmed Condition; a capacity gives nothing that FHIR R4 could hold without its service.
    """
    person = _person(answer, ids)
    made = [person]
    if answer.kind in ABOUT:
        made += _about(answer, person, ids)
    elif answer.get("need_domain"):
        made.append(_need(answer, person, ids))
    return Draft(tuple(made), f"record/{answer.kind}", answer.at, "cbo/intake", "", person["id"])


def _person(answer: Answer, ids: Ids) -> Resource:
    number = str(answer.get("client_mrn") or answer.get("client_local_id") or answer.key)
    name = {key: value for key, value in (
        ("family", answer.get("family")), ("given", [answer.get("given")] if answer.get("given") else None)) if value}
    address = {key: value for key, value in (
        ("line", [answer.get("address_line")] if answer.get("address_line") else None), ("city", answer.get("city")),
        ("state", answer.get("state")), ("postalCode", answer.get("postal_code"))) if value}
    telecom = [{"system": system, "value": answer.get(field)} for system, field in (("phone", "phone"), ("email", "email"))
               if answer.get(field)]
    made: Resource = {
        "resourceType": "Patient", "id": ids.uuid("Patient", CLIENT + answer.partner, number),
        "meta": {"profile": [f"{US_CORE}us-core-patient"]},
        "identifier": [{"system": CLIENT + answer.partner, "value": number}], "gender": "unknown",
        "name": [name or {"extension": [UNKNOWN]}],
    }
    optional = {"birthDate": answer.get("birth_date"), "telecom": telecom or None,
                "address": [address] if address and answer.get("address_confidential") is not True else None}
    return made | {key: value for key, value in optional.items() if value}


def _about(answer: Answer, person: Resource, ids: Ids) -> list[Resource]:
    """The Task after this record, and what was given; the ServiceRequest is only named by its reference."""
    subject = {"reference": f"Patient/{person['id']}"}
    reference = {"system": REFERENCE, "value": answer.referral or answer.key}
    sender = {"identifier": {"system": PARTNER, "value": answer.partner}}
    task: Resource = {
        "resourceType": "Task", "id": ids.uuid("Task", answer.partner, reference["value"]), "identifier": [reference],
        "status": "requested", "intent": "order", "code": concept(TASK_CODE, "fulfill"), "for": subject, "owner": sender,
        "authoredOn": answer.at,
    }
    request: Resource = {"resourceType": "ServiceRequest", "id": ids.uuid("ServiceRequest", answer.partner, reference["value"]),
                         "status": "active", "intent": "order", "subject": subject}
    applied = apply(answer, task, request, ids, sender=answer.partner)
    given = [{**one, "basedOn": [{"identifier": reference}]} if "basedOn" in one else one
             for one in applied.resources if one["resourceType"] != "ServiceRequest"]
    return [applied.steps[-1] if applied.steps else task, *given]


def _need(answer: Answer, person: Resource, ids: Ids) -> Resource:
    """The need as an unconfirmed health concern: an intake is what the person said, not a diagnosis."""
    domain = answer.get("need_domain")
    code = by("cbo/need-codes.csv", "need").get(domain, {}).get("code", "")
    coding = [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": code}] if code else []
    return {
        "resourceType": "Condition", "id": ids.uuid("Condition", answer.key), "meta": {"profile": [SDOH_CONDITION]},
        "identifier": [{"system": RECORD, "value": answer.key}],
        "clinicalStatus": concept("http://terminology.hl7.org/CodeSystem/condition-clinical", "active"),
        "verificationStatus": concept(VERIFICATION, "unconfirmed"),
        "category": [concept(HEALTH_CONCERN, "health-concern"), concept(US_CORE_CATEGORY, "sdoh"), concept(TEMPORARY, domain)],
        "code": {**({"coding": coding} if coding else {}), "text": answer.get("need_text") or domain},
        "subject": {"reference": f"Patient/{person['id']}"}, "recordedDate": answer.event_at,
    }
