"""What a recipient is told when consent for something that it holds is gone. No word of it is health data (consent.md 1.4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Resource = dict[str, Any]
HELD = "urn:sdoh-bridge:resource"
"""System of the ids under which a recipient knows what it holds: `Type/id` as it was delivered."""
TEXT = ("The person's consent does not cover the information listed here any more. From now on it may not be used or passed on "
        "under that consent. What was done with it before stays lawful. Questions go to the organisation that referred the person.")
ADDRESSED = ("identifier", "status", "statusReason", "businessStatus", "intent", "code", "authoredOn", "lastModified")
"""Of a Task that was called off: which one it is, that it is off, and why. Its recipient had the rest before."""


def resources(id_: str, tasks: Iterable[Resource], subject: Sequence[Resource], held: Iterable[str], sent: str) -> list[Resource]:
    """The Tasks that were called off, and a Communication that names what else is withdrawn.

    `subject` are the identifiers under which the recipient knows the person, `held` the `Type/id` under which it knows what
    it holds.
    """
    person = {"subject": {"type": "Patient", "identifier": subject[0]}} if subject else {}
    about = [{"type": ref.split("/")[0], "identifier": {"system": HELD, "value": ref}} for ref in held]
    notice = {
        "resourceType": "Communication", "id": id_, "status": "completed", **person, "topic": {"text": "Consent withdrawn or ended"},
        "about": about, "sent": sent, "payload": [{"contentString": TEXT}],
    }
    return [*(_off(one, subject) for one in tasks), notice]


def _off(task: Resource, subject: Sequence[Resource]) -> Resource:
    kept = {name: task[name] for name in ADDRESSED if name in task}
    person = {"for": {"type": "Patient", "identifier": subject[0]}} if subject else {}
    return {"resourceType": "Task", "id": task["id"], **kept, **person}
