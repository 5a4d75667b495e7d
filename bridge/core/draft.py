"""What a mapping made of one message; nothing is stored yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.core.issue import Issue


@dataclass(frozen=True, slots=True)
class Question:
    """A question that a person can answer, with what the answer will change.

    kind "code": `table` has no row for (`system`, `code`) of this feed; the answer is a target code.
    kind "patient": several known persons fit; the answer is one of `choices` (patient ids) or "new".
    kind "consent", "message": something a person must read first; the answer is free.
    `code` is a code from the message (never a name, number or date of the patient).
    """

    kind: str
    text: str
    where: str = ""
    table: str = ""
    system: str = ""
    code: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """FHIR R4 resources as plain dicts, each with `resourceType` and `id`, references as `Type/id`.

    `patient` is the id of the Patient this message is about ("" if none). `event` is `ADT^A03`,
    `QuestionnaireResponse` or `record/status`. `event_time` is a FHIR instant: EVN-6, else EVN-2, else MSH-7, or the
    record's own. `cleared` names the elements a sender deleted with HL7 null, by `Type/id`. `mapping` and `version`
    (content hash) say what made it.
    """

    resources: tuple[dict[str, Any], ...]
    event: str
    event_time: str
    mapping: str
    version: str
    patient: str = ""
    issues: tuple[Issue, ...] = ()
    questions: tuple[Question, ...] = ()
    cleared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def of_type(self, *types: str) -> list[dict[str, Any]]:
        """The resources of these types, in the order the mapping made them."""
        return [resource for resource in self.resources if resource["resourceType"] in types]
