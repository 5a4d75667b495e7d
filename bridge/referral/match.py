"""Whose record is this: link by strong identifiers, never by name alone, and ask when several people fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson

from bridge.core.draft import Draft, Question
from bridge.core.issue import Issue
from bridge.core.outcome import Held
from bridge.core.ports import Work

STRONG = frozenset({"MR", "PI", "PT"})
"""Identifier types (v2-0203) under which one value is one person for its assigner. A social security or insurance number
is not among them: one mistyped digit would join two people."""

NEW = "new"
"""The answer that says: nobody we know."""


AHEAD = frozenset({"Consent"})
"""What may come before its person does: a refusal must count from the first message about them."""

STUB = "stub"
"""meta.tag of a Patient that only names a person (the subject of a form) and says nothing about them."""
BY_REFERENCE = "by-reference"
"""meta.tag of a stub whose only number is one of the sender's server: until a person has said whose it is, nobody knows."""
COPIES = "urn:sdoh-bridge:consent:"
"""Begin of the identifier systems of Consents; one beside a stub's own number says whose that Consent is."""

UNKNOWN = "nobody on file has the identifier given; release it when the person is known"


def identify(draft: Draft, work: Work, own: str, answer: str = "") -> Draft | Held:
    """Link the draft's patient to the person on file, or hold it with a question.

    `own` is the id of a person whom only this sender knows: for a message without any number that links.

    `answer` is a person's choice for a message that was held before: a patient id, or "new". Identifiers of the
    message become links of the person found. A name or a birth date alone never links (consent.md 6). A number stays
    with the record it was first given to; of records that were merged (A40), all numbers are one person's.
    """
    if not draft.patient:
        return draft
    patient = next((r for r in draft.resources if r["resourceType"] == "Patient" and r["id"] == draft.patient), None)
    if patient is None:
        on_file = work.resource(f"Patient/{answer or draft.patient}") is not None
        return draft if on_file and not answer else renamed(draft, answer) if on_file else _ask(UNKNOWN, ())
    strong = strong_identifiers(patient)
    if not strong and not answer and not is_stub(patient):
        return renamed(draft, own)
    if answer == NEW:
        return renamed(draft, own)  # somebody nobody knows: the numbers stay with those who have them
    linked = work.persons(strong)
    people = {survivor(one, work) for one in linked.values()}
    if len(people) > 1 and not answer:
        return _ask("identifiers of one message belong to several persons on file", tuple(sorted(people)))
    if not people and not answer and is_stub(patient) and (draft.event not in AHEAD or not strong or _tagged(patient, BY_REFERENCE)):
        return _ask(UNKNOWN, ())
    person = answer or next((linked[one] for one in strong if one in linked), draft.patient)
    for identifier in strong:
        if answer or identifier not in linked:
            work.link(identifier, person)
    for identifier in patient.get("identifier", ()):
        if str(identifier.get("system", "")).startswith(COPIES):
            work.link((identifier["system"], identifier["value"]), person)
    draft = _others(draft, person, work)
    if is_stub(patient):
        draft = replace(draft, resources=tuple(r for r in draft.resources if r is not patient))
    return draft if person == draft.patient else renamed(draft, person)


def _others(draft: Draft, person: str, work: Work) -> Draft:
    """The draft with the other records that it names (the one that A40 retires) under the ids they have on file.

    One whose number is this person's already has nothing to say: the two were never apart here.
    """
    for other in [one for one in draft.of_type("Patient") if one["id"] != draft.patient]:
        strong = strong_identifiers(other)
        linked = work.persons(strong)
        record = next((linked[one] for one in strong if one in linked), other["id"])
        for identifier in strong:
            if identifier not in linked:
                work.link(identifier, record)
        if record in (person, draft.patient):
            kept = tuple(_unlinked(one, other["id"]) for one in draft.resources if one is not other)
            draft = replace(draft, resources=kept)
        else:
            draft = renamed(draft, record, other["id"])
    return draft


def _unlinked(resource: dict[str, Any], record: str) -> dict[str, Any]:
    """A Patient without its link to that record."""
    if resource["resourceType"] != "Patient" or "link" not in resource:
        return resource
    links = [one for one in resource["link"] if one.get("other", {}).get("reference") != f"Patient/{record}"]
    return {**{key: value for key, value in resource.items() if key != "link"}, **({"link": links} if links else {})}


def survivor(person: str, work: Work) -> str:
    """The person under whom a record goes on: the record itself, or the one that replaces it, however many merges on."""
    seen = [person]
    while (found := _replaced_by(seen[-1], work)) and found not in seen:
        seen.append(found)
    return seen[-1] if not found else person


def records(person: str, work: Work) -> list[str]:
    """The person's own record and every one that was merged into it, directly or by way of another."""
    found = [person]
    for one in found:
        patient = work.resource(f"Patient/{one}") or {}
        for link in patient.get("link", ()):
            other = _record(link)
            if link.get("type") == "replaces" and other not in found and survivor(other, work) == person:
                found.append(other)
    return found


def _replaced_by(person: str, work: Work) -> str:
    patient = work.resource(f"Patient/{person}") or {}
    return next((_record(link) for link in patient.get("link", ()) if link.get("type") == "replaced-by"), "")


def _record(link: dict[str, Any]) -> str:
    return str(link.get("other", {}).get("reference", "")).removeprefix("Patient/")


def is_stub(patient: dict[str, Any]) -> bool:
    """Whether this Patient only names a person (the subject of a form) and says nothing about them."""
    return _tagged(patient, STUB)


def _tagged(patient: dict[str, Any], tag: str) -> bool:
    return any(one.get("code") == tag for one in patient.get("meta", {}).get("tag", ()))


def strong_identifiers(patient: dict[str, Any]) -> list[tuple[str, str]]:
    """(system, value) of the identifiers that link: of a type of STRONG, else the first that has no type at all.

    A number that a record had before (`use` old) is that of the record which it replaced, and no link to this one.
    """
    retired = patient.get("active") is False
    usable = [i for i in patient.get("identifier", ()) if i.get("system") and i.get("value") and (retired or i.get("use") != "old")]
    strong = [i for i in usable if STRONG & _types(i)]
    return [(i["system"], i["value"]) for i in strong or [i for i in usable if not _types(i)][:1]]


def _types(identifier: dict[str, Any]) -> set[str]:
    return {coding.get("code", "") for coding in identifier.get("type", {}).get("coding", ())}


def renamed(draft: Draft, person: str, before: str = "") -> Draft:
    """The same draft with another patient id (`before`, else the one it is about): resource, references, what was cleared."""
    before = before or draft.patient
    if before == person:
        return draft
    resources = []
    for resource in draft.resources:
        moved = repointed(resource, before, person)
        if moved["resourceType"] == "Patient" and moved["id"] == before:
            moved["id"] = person
        resources.append(moved)
    cleared = {f"Patient/{person}" if ref == f"Patient/{before}" else ref: paths for ref, paths in draft.cleared.items()}
    return replace(draft, resources=tuple(resources), cleared=cleared, patient=person if before == draft.patient else draft.patient)


def repointed(resource: dict[str, Any], before: str, person: str) -> dict[str, Any]:
    """The resource with every reference to the one patient leading to the other."""
    moved: dict[str, Any] = orjson.loads(orjson.dumps(resource).replace(f'"Patient/{before}"'.encode(), f'"Patient/{person}"'.encode()))
    return moved


def _ask(text: str, choices: tuple[str, ...]) -> Held:
    issue = Issue("error", "BRG-R001", "Patient.identifier", text, "answer with `sdoh-bridge held answer`", "multiple-matches")
    return Held(Question("patient", text, "Patient.identifier", choices=choices), (issue,))
