"""A partner's answer, applied to the referral it is about: Task steps, what was given, what became of the request.

Only the partner that owns a Task may move it. Shapes: SDOHCC-Procedure, ProgramEnrollmentStatus (reference/gravity.md
1.5, 1.8); a Procedure is what was really given, never a copy of what was asked (reference/gravity.md 4).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.core.ids import Ids
from bridge.core.issue import Issue
from bridge.referral.intake import Answer
from bridge.referral.partner import owner
from bridge.referral.rows import rows
from bridge.referral.state import Moved, move, settle
from bridge.referral.terms import (
    AMOUNT,
    CPT,
    HCPCS,
    OUTCOME,
    OUTPUT,
    RECORD,
    SDOH_ENROLLMENT,
    SDOH_PROCEDURE,
    SERVICE_TYPE,
    SNOMED,
    TEMPORARY,
    UNITS,
    US_CORE_CATEGORY,
    coded,
    concept,
)

Resource = dict[str, Any]
ABOUT = frozenset({"status", "service", "outcome", "contact", "intake"})
"""Record types that may speak about a referral; screening and capacity do not."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What one answer changes: `steps` are Task versions in order, `resources` what was reported and the request."""

    moved: Moved
    resources: tuple[Resource, ...] = ()
    issues: tuple[Issue, ...] = ()

    @property
    def steps(self) -> tuple[Resource, ...]:
        """The new versions of the Task, the last is the current one."""
        return self.moved.steps


def apply(answer: Answer, task: Mapping[str, Any], request: Mapping[str, Any], ids: Ids, *, sender: str) -> Applied:
    """Apply one answer to the Task and ServiceRequest it names, or say why not.

    `sender` is the partner that really sent it (by its connector or feed); it must own the Task, and the record must not
    speak for another. The same record again changes nothing.
    """
    refusal = foreign(answer, task, sender)
    if refusal:
        return Applied(Moved("refused", (), (refusal,)), (), (refusal,))
    made = [one for one in (_procedure(answer, task, request, ids), _enrollment(answer, task, request, ids)) if one]
    outputs = [_output(one) for one in made]
    to = answer.get("status") or task["status"]
    outputs += _outcome(answer, task, request, to, outputs)
    moved = move(
        task, to, by="target", at=answer.at, reason_code=answer.get("reason_code"), reason_text=answer.get("reason_text"),
        business_status=answer.get("business_status") or _business(answer), outputs=outputs,
        native_status=answer.get("source_status"),
    )
    if moved.effect in ("refused", "none"):
        return Applied(moved, (), moved.issues)
    closed = settle(request, moved.steps[-1], by="target") if moved.steps else None
    return Applied(moved, (*made, *([closed] if closed else [])), moved.issues)


def foreign(answer: Answer, task: Mapping[str, Any], sender: str) -> Issue | None:
    """Why this sender may not speak of this referral; None when it may."""
    if answer.kind not in ABOUT:
        return Issue("error", "BRG-R310", "record_type", f"{answer.kind} is not about a referral", kind="not-supported")
    if not sender or owner(task) != sender:
        return Issue("error", "BRG-R311", "bridge_referral_id", "this referral belongs to another organisation",
                     "check the reference on the form", "forbidden")
    if answer.partner != sender:
        return Issue("error", "BRG-R312", "cbo_org_id", "an organisation answers for itself only",
                     "use the id of the sending organisation", "forbidden")
    return None


def _business(answer: Answer) -> str:
    """What a record says by its kind when it gives no business status."""
    if answer.get("appointment_at"):
        return "appointment-scheduled"
    return {"service": "service-delivered", "contact": "outreach-attempted"}.get(answer.kind, "")


def _procedure(answer: Answer, task: Mapping[str, Any], request: Mapping[str, Any], ids: Ids) -> Resource | None:
    """The service that was given; None when the record reports none."""
    if not (answer.get("units") or answer.get("service_start")) or answer.get("status") == "rejected":
        return None
    category = domain(request)
    coding, text = _given(answer, category)
    made: Resource = {
        "resourceType": "Procedure", "id": ids.uuid("Procedure", answer.key), "meta": {"profile": [SDOH_PROCEDURE]},
        "identifier": [{"system": RECORD, "value": answer.key}],
        "basedOn": [{"reference": f"ServiceRequest/{request['id']}"}], "status": "completed",
        "category": {"coding": [{"system": SNOMED, "code": "410606002"},
                                *([{"system": TEMPORARY, "code": category}] if category else [])]},
        "code": {"coding": coding, "text": text}, "subject": request["subject"], **_performed(answer),
    }
    if "owner" in task:
        made["performer"] = [{"actor": task["owner"]}]
    if request.get("reasonReference"):
        made["reasonReference"] = request["reasonReference"]
    extras = [*_quantity(answer)]
    return {**made, **({"extension": extras} if extras else {})}


def _given(answer: Answer, category: str) -> tuple[list[Resource], str]:
    """The codings and words of what was given: the partner's own code where it is a real one, else our table."""
    code, system = str(answer.get("service_type_code")), str(answer.get("service_type_system")) or "local"
    own = _standard(code) if system == "sdohcc" else ""
    unit = answer.get("unit_type")
    best = next(
        row for row in rows("cbo/service-codes.csv")
        if (not row["code"] or (row["system"], row["code"]) == (system, code))
        and row["domain"] in ("", category) and row["unit_type"] in ("", unit)
    )
    first = {"system": own, "code": code} if own else {"system": SNOMED, "code": best["target"]}
    local = [{"system": SERVICE_TYPE + system, "code": code}] if code and not own else []
    return [first, *local], best["text"] if not own else "Service given"


def _standard(code: str) -> str:
    """The code system of a US Core procedure code by its shape: SNOMED CT, CPT, HCPCS level II; "" if none."""
    if re.fullmatch(r"\d{6,18}", code):
        return SNOMED
    if re.fullmatch(r"\d{4}[0-9A-Z]", code):
        return CPT
    return HCPCS if re.fullmatch(r"[A-V]\d{4}", code) else ""


def _performed(answer: Answer) -> Resource:
    start, end = answer.get("service_start"), answer.get("service_end")
    if start and end and end != start:
        return {"performedPeriod": {"start": start, "end": end}}
    return {"performedDateTime": start or answer.event_at}


def _quantity(answer: Answer) -> list[Resource]:
    found: list[Resource] = []
    if answer.get("units"):
        found.append({"url": UNITS, "valueQuantity": {"value": answer.get("units"), "unit": answer.get("unit_type")}})
    if answer.get("amount") != "":
        found.append({"url": AMOUNT, "valueMoney": {"value": answer.get("amount"), "currency": answer.get("currency") or "USD"}})
    return found


def _enrollment(answer: Answer, task: Mapping[str, Any], request: Mapping[str, Any], ids: Ids) -> Resource | None:
    """Enrolment in the partner's programme, waiting list included."""
    status = answer.get("enrollment_status")
    if not status:
        return None
    category = domain(request)
    made: Resource = {
        "resourceType": "Observation", "id": ids.uuid("Observation", answer.key), "meta": {"profile": [SDOH_ENROLLMENT]},
        "identifier": [{"system": RECORD, "value": answer.key}], "status": "final",
        "category": [concept(US_CORE_CATEGORY, "sdoh"), concept(TEMPORARY, "program-enrollment"),
                     *([concept(TEMPORARY, category)] if category else [])],
        "code": {"text": answer.get("program_id") or "Programme of the organisation"}, "subject": request["subject"],
        "effectiveDateTime": answer.get("service_start") or answer.event_at,
        "valueCodeableConcept": concept(TEMPORARY, status),
    }
    if "owner" in task:
        made["performer"] = [task["owner"]]
    waiting = [f"{text} {answer.get(field)}" for field, text in (("waitlist_position", "position"), ("waitlist_eta_days", "days"))
               if answer.get(field) != ""]
    return {**made, **({"note": [{"text": "Waiting list: " + ", ".join(waiting)}]} if waiting else {})}


def _output(resource: Mapping[str, Any]) -> Resource:
    kind = "resulting-activity" if resource["resourceType"] == "Procedure" else "additional-content"
    return {"type": concept(TEMPORARY, kind), "valueReference": {"reference": f"{resource['resourceType']}/{resource['id']}"}}


def _outcome(
    answer: Answer, task: Mapping[str, Any], request: Mapping[str, Any], to: str, outputs: list[Resource],
) -> list[Resource]:
    """How it ended, and for a completed Task without a Procedure the activity that the partner says it completed.

    PerformedActivityCode only when no Procedure can be stored (reference/gravity.md 2.2).
    """
    made: list[Resource] = []
    outcome = answer.get("outcome_code")
    if outcome:
        made.append({"type": concept(OUTPUT, "outcome"), "valueCodeableConcept": concept(OUTCOME, outcome)})
    activity = coded({"coding": [coding for output in (*task.get("output", ()), *outputs)
                                 for coding in output["type"].get("coding", ())]}, TEMPORARY)
    if to == "completed" and not activity and outcome in ("", "need-met", "need-partially-met"):
        coding, text = _given(answer, domain(request))
        made.append({"type": concept(TEMPORARY, "resulting-activity"), "valueCodeableConcept": {"coding": coding, "text": text}})
    return made


def domain(request: Mapping[str, Any]) -> str:
    """The SDOHCC category of a ServiceRequest; "" if it has none."""
    return next((code for category in request.get("category", ()) if (code := coded(category, TEMPORARY))), "")
