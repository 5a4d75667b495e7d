"""What became of a referral, as the segments of an ORU^R01 for the hospital's EHR (HL7 v2.5.1 ch. 7).

Everything handed in has been decided and redacted already. `bridge.hl7v2.build.write` encodes the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bridge.core.issue import Issue
from bridge.hl7v2.build import Field, head, stamp
from bridge.referral.rows import by
from bridge.referral.state import TERMINAL, instant
from bridge.referral.terms import BUSINESS, LOINC, OUTCOME, OUTPUT, REASON, REFERENCE, SNOMED, TEMPORARY, UNITS, coded

LOCAL = "99SDOHBR"
_SYSTEMS = {LOINC: "LN", SNOMED: "SCT", "http://hl7.org/fhir/sid/icd-10-cm": "I10"}
_CLASS = {"IMP": "I", "EMER": "E", "AMB": "O", "PRENC": "P", "OBSENC": "I"}
_SEX = {"male": "M", "female": "F", "other": "O", "unknown": "U"}


@dataclass(frozen=True, slots=True)
class Ehr:
    """Where an answer goes: HL7 application and facility on both sides, and the hospital's assigning authorities.

    `systems` is namespace -> identifier system URI as in its feed file; only identifiers of these systems are its own.
    """

    application: str
    facility: str
    systems: Mapping[str, str] = field(default_factory=dict)
    sender: tuple[str, str] = ("SDOHBRIDGE", "")
    processing: str = "P"


def oru(
    task: Mapping[str, Any], request: Mapping[str, Any], patient: Mapping[str, Any],
    procedures: Sequence[Mapping[str, Any]], observations: Sequence[Mapping[str, Any]], ehr: Ehr, *,
    control_id: str, at: datetime, encounter: Mapping[str, Any] | None = None,
) -> list[list[Field]] | Issue:
    """The segments of the answer, or an Issue when the EHR could not know whom it is about.

    One OBR for the referral; OBX for status, progress, reason, need and outcome, for each service given with its time
    and units, and for each Observation. `at` carries an offset.
    """
    own = _identifiers(patient.get("identifier", ()), ehr)
    if not own:
        return Issue("error", "BRG-R401", "Patient.identifier", "the patient has no identifier of this hospital",
                     "list the hospital's assigning authority under `systems` in its feed file", "not-found")
    final = task["status"] in TERMINAL
    segments: list[list[Field]] = [
        head(sender=ehr.sender, receiver=(ehr.application, ehr.facility), time=at, event=("ORU", "R01", "ORU_R01"),
             control_id=control_id, processing=ehr.processing),
        _pid(patient, own),
    ]
    if encounter is not None:
        segments.append(_pv1(encounter, ehr))
    segments.append(_obr(task, request, final))
    status = "F" if final else "P"
    contents = [*_about(task, request), *(one for given in procedures for one in _given(given)),
                *(one for each in observations for one in _observed(each))]
    for index, (identity, type_, value, unit, when, state) in enumerate(contents, 1):
        segments.append(["OBX", str(index), type_, identity, None, value, unit, None, None, None, None,
                         state or status, None, None, _time(when or task.get("lastModified", "")), *[None] * 8,
                         task.get("owner", {}).get("display", "")])
    return segments


_Line = tuple[Field, str, Field, Field, str, str]


def _about(task: Mapping[str, Any], request: Mapping[str, Any]) -> Iterable[_Line]:
    yield _line("status", (task["status"], None, LOCAL))
    business = coded(task.get("businessStatus"), BUSINESS)
    if business:
        yield _line("business", (business, None, LOCAL))
    reason = task.get("statusReason", {})
    if reason:
        yield _line("reason", (coded(reason, REASON), reason.get("text", ""), LOCAL if coded(reason, REASON) else None))
    for category in request.get("category", ()):
        if coded(category, TEMPORARY):
            yield _line("need", (coded(category, TEMPORARY), category.get("text", ""), LOCAL))
    if task.get("owner", {}).get("display"):
        yield _line("partner", task["owner"]["display"])
    for output in task.get("output", ()):
        value = output.get("valueCodeableConcept", {})
        if coded(output["type"], OUTPUT) == "outcome":
            yield _line("outcome", (coded(value, OUTCOME), None, LOCAL))
        elif coded(output["type"], TEMPORARY) == "resulting-activity" and value:
            yield _line("service", _concept(value))
    for note in task.get("note", ()):
        yield _line("note", note.get("text", ""), when=note.get("time", ""))


def _given(procedure: Mapping[str, Any]) -> Iterable[_Line]:
    period = procedure.get("performedPeriod", {})
    when = procedure.get("performedDateTime") or period.get("start", "")
    yield _line("service", _concept(procedure.get("code", {})), when=when, state="F")
    if when:
        yield _line("performed", _time(when), when=when, state="F")
    for extension in procedure.get("extension", ()):
        if extension["url"] == UNITS:
            quantity = extension["valueQuantity"]
            unit = (str(quantity.get("unit", "")), None, LOCAL)
            yield _line("units", str(quantity["value"]), unit=unit, when=when, state="F")


def _observed(observation: Mapping[str, Any]) -> Iterable[_Line]:
    """An Observation by its own code: a screening answer or score (LOINC), an enrolment; without a value, nothing."""
    when = observation.get("effectiveDateTime", "")
    state = "C" if observation.get("status") == "corrected" else "F"
    identity = _concept(observation.get("code", {}))
    if not identity[0] and observation.get("valueCodeableConcept"):
        identity = _line("enrolment", "")[0]  # type: ignore[assignment]
    if "valueCodeableConcept" in observation:
        yield identity, "CWE", _concept(observation["valueCodeableConcept"]), None, when, state
    elif "valueQuantity" in observation:
        quantity = observation["valueQuantity"]
        unit = (quantity.get("code", ""), None, "UCUM") if quantity.get("code") else None
        yield identity, "NM", str(quantity.get("value", "")), unit, when, state
    elif "valueString" in observation:
        yield identity, "ST", observation["valueString"], None, when, state


def _line(item: str, value: Field, *, unit: Field = None, when: str = "", state: str = "") -> _Line:
    row = by("outbound/oru-codes.csv", "item")[item]
    return (row["code"], row["text"], row["system"]), row["type"], value, unit, when, state


def _concept(concept: Mapping[str, Any]) -> tuple[str, str, str]:
    """A CodeableConcept as code, text and coding system; a system that HL7 has no name for is ours to name."""
    codings = [coding for coding in concept.get("coding", ()) if coding.get("code")]
    best = next((coding for coding in codings if coding.get("system") in _SYSTEMS), codings[0] if codings else {})
    text = concept.get("text") or best.get("display", "")
    return best.get("code", ""), text, _SYSTEMS.get(best.get("system", ""), LOCAL) if best else ""


def _identifiers(identifiers: Iterable[Mapping[str, Any]], ehr: Ehr) -> list[Any]:
    """The identifiers that this hospital gave, as CX."""
    names = {uri: namespace for namespace, uri in ehr.systems.items()}
    return [
        (one["value"], None, None, names[one["system"]], next(
            (coding.get("code", "") for coding in one.get("type", {}).get("coding", ())), "MR"))
        for one in identifiers if one.get("system") in names and one.get("value")
    ]


def _pid(patient: Mapping[str, Any], own: list[Any]) -> list[Field]:
    name: Mapping[str, Any] = next(iter(patient.get("name", ())), {})
    given = name.get("given", [])
    shown = (name.get("family", ""), given[0] if given else "", " ".join(given[1:]))
    if not any(shown):  # PID-5 is required; S says that a name is withheld on purpose (HL7 table 0200)
        shown = ("", "", "", "", "", "", "S")
    return ["PID", "1", None, own, None, shown, None, patient.get("birthDate", "").replace("-", ""),
            _SEX.get(patient.get("gender", ""), "")]


def _pv1(encounter: Mapping[str, Any], ehr: Ehr) -> list[Field]:
    code = _CLASS.get(encounter.get("class", {}).get("code", ""), "U")
    visit = _identifiers(encounter.get("identifier", ()), ehr)[:1]
    return ["PV1", "1", code, *[None] * 16, visit[0][:4] if visit else None]


def _obr(task: Mapping[str, Any], request: Mapping[str, Any], final: bool) -> list[Field]:
    label = next((one["value"] for one in task.get("identifier", ()) if one.get("system") == REFERENCE), task["id"])
    changed = _time(task.get("lastModified", ""))
    segment: list[Field] = ["OBR", "1", None, (label, "SDOHBRIDGE"), _concept(request.get("code", {})), None, None,
                            _time(task.get("authoredOn", ""))]
    return [*segment, *[None] * 14, changed, None, None, "F" if final else "P"]


def _time(text: str) -> str:
    """A FHIR date or dateTime as HL7 writes it, as precise as it is and with its own offset."""
    if "T" not in text:
        return text.replace("-", "")
    return stamp(instant(text))
