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

UNKNOWN = "nobody on file has the identifier given; release it when the person is known"


def identify(draft: Draft, work: Work, own: str, answer: str = "") -> Draft | Held:
    """Link the draft's patient to the person on file, or hold it with a question.

    `own` is the id of a person whom only this sender knows: for a message without any number that links.

    `answer` is a person's choice for a message that was held before: a patient id, or "new". Identifiers of the
    message become links of the person found. A name or a birth date alone never links (consent.md 6).
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
    people = {answer} if answer else set(work.persons(strong).values())
    if len(people) > 1:
        return _ask("identifiers of one message belong to several persons on file", tuple(sorted(people)))
    if not people and is_stub(patient) and draft.event not in AHEAD:
        return _ask(UNKNOWN, ())
    person = people.pop() if people else draft.patient
    for identifier in strong:
        work.link(identifier, person)
    if is_stub(patient):
        draft = replace(draft, resources=tuple(r for r in draft.resources if r is not patient))
    return draft if person == draft.patient else renamed(draft, person)


def is_stub(patient: dict[str, Any]) -> bool:
    """Whether this Patient only names a person (the subject of a form) and says nothing about them."""
    return any(tag.get("code") == "stub" for tag in patient.get("meta", {}).get("tag", ()))


def strong_identifiers(patient: dict[str, Any]) -> list[tuple[str, str]]:
    """(system, value) of the identifiers that link: of a type of STRONG, else the first that has no type at all."""
    usable = [i for i in patient.get("identifier", ()) if i.get("system") and i.get("value")]
    strong = [i for i in usable if STRONG & _types(i)]
    return [(i["system"], i["value"]) for i in strong or [i for i in usable if not _types(i)][:1]]


def _types(identifier: dict[str, Any]) -> set[str]:
    return {coding.get("code", "") for coding in identifier.get("type", {}).get("coding", ())}


def renamed(draft: Draft, person: str) -> Draft:
    """The same draft about another patient id: the resource, every reference to it and what was cleared."""
    old, new = f'"Patient/{draft.patient}"'.encode(), f'"Patient/{person}"'.encode()
    resources = []
    for resource in draft.resources:
        moved = orjson.loads(orjson.dumps(resource).replace(old, new))
        if moved["resourceType"] == "Patient" and moved["id"] == draft.patient:
            moved["id"] = person
        resources.append(moved)
    cleared = {ref.replace(draft.patient, person): paths for ref, paths in draft.cleared.items()}
    return replace(draft, resources=tuple(resources), patient=person, cleared=cleared)


def _ask(text: str, choices: tuple[str, ...]) -> Held:
    issue = Issue("error", "BRG-R001", "Patient.identifier", text, "answer with `sdoh-bridge held answer`", "multiple-matches")
    return Held(Question("patient", text, "Patient.identifier", choices=choices), (issue,))
