"""What is on file and what a message says, put together: event time decides, late facts are added, nothing moves back.

The law: a visit's messages in any order, each any number of times, end in the same resources. See `told` for how.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bridge.consent.mark import remembered
from bridge.core.draft import Draft
from bridge.core.ports import Work
from bridge.core.rows import InboxRow
from bridge.pipeline.told import Told, entered, packed, pieces, read, stamp, tell

Resource = dict[str, Any]

STAYS = ("Patient", "MessageHeader", "Provenance")
"""What is about a record as it was, and stays with it when another replaces it."""
WHOLE = frozenset({"Consent", "QuestionnaireResponse", "MessageHeader", "Provenance"})
"""Resources that are made once: each copy is kept as it is."""

PROGRESS = {"unknown": 0, "planned": 1, "arrived": 2, "triaged": 3, "in-progress": 4, "onleave": 4, "finished": 5}
"""Encounter.status by how far a visit is; without an undoing event it never becomes smaller (hl7v2.md a10)."""
OVER = ("cancelled", "entered-in-error")
"""A visit that never was, until it is admitted or discharged again."""

DISCHARGES = frozenset({"ADT^A03"})
ADMITS = frozenset({"ADT^A01", "ADT^A04", "ADT^A05", "ADT^A06", "ADT^A07", "ADT^A14"})
CANCELS_DISCHARGE = frozenset({"ADT^A13"})
CANCELS_VISIT = frozenset({"ADT^A11", "ADT^A23", "ADT^A27", "ADT^A38"})
UNLINKS = frozenset({"ADT^A37"})
UNDOING = CANCELS_DISCHARGE | CANCELS_VISIT | UNLINKS | {"ADT^A12", "ADT^A25"}
"""Cancel admit, delete a visit, cancel pending admit and pre-admit, cancel discharge, unlink, cancel transfer and pending
discharge (HL7 table 0003). A cancelled transfer says itself where the patient is."""

TAKEN_BACK = {
    "Encounter": ("period.end", "hospitalization.dischargeDisposition", "hospitalization.destination"),
    "Patient": ("deceased[x]",),
}
"""What a cancelled discharge has said: its end, where to, and that the patient left by dying."""


@dataclass(frozen=True, slots=True)
class OnFile:
    """A draft with each resource as it is to be kept, and by `Type/id` which message its elements are from."""

    draft: Draft
    told: Mapping[str, Told] = field(default_factory=dict)

    @property
    def stands(self) -> bool:
        """Whether what happened in this message still holds for its visit; true without a visit."""
        event = self.draft.event
        for one in self.draft.of_type("Encounter"):
            if event in CANCELS_VISIT:
                return one["status"] in OVER
            if event in CANCELS_DISCHARGE:
                return not self.discharged and one["status"] not in OVER
            return one["status"] not in OVER and (event not in DISCHARGES or self.discharged)
        return True

    @property
    def discharged(self) -> bool:
        """Whether the visit has been discharged by an event of its own that was not cancelled since."""
        return any(one["status"] == "finished" and left > back for one, left, back in self._discharges())

    @property
    def kept_back(self) -> bool:
        """Whether the visit goes on because its discharge was cancelled, and waits for the next one."""
        return any(one["status"] != "finished" and back > left for one, left, back in self._discharges())

    def _discharges(self) -> Iterator[tuple[Resource, str, str]]:
        """Each visit with when it was discharged last, and when a discharge was cancelled last."""
        for one in self.draft.of_type("Encounter"):
            at = self.told[f"Encounter/{one['id']}"].at
            yield one, entered(at.get("did discharge", "")), entered(at.get("did cancel discharge", ""))


def on_file(draft: Draft, row: InboxRow, work: Work, homes: Mapping[str, str]) -> OnFile:
    """The draft with each resource as it is to be kept; `homes` are the records that its resources name, by `Type/id`."""
    of = stamp(draft, row.control_id, row.envelope.id, undoing=draft.event in UNDOING)
    kept, told = [], dict[str, Told]()
    for resource in draft.resources:
        ref = f"{resource['resourceType']}/{resource['id']}"
        if resource["resourceType"] in WHOLE:
            kept.append(resource)
            continue
        stored, home = work.resource(ref), homes.get(ref, draft.patient)
        gone = (*draft.cleared.get(ref, ()), *undone(resource, draft))
        before = known(ref, work) if stored else Told(home)
        merged, at = merge(resource, gone, of, draft.event, stored, before)
        kept.append(merged)
        told[ref] = Told(home if of >= max(before.at.values(), default="") else before.home, at)
    return OnFile(replace(draft, resources=tuple(kept)), told)


def known(ref: str, work: Work) -> Told:
    """What is remembered of a stored resource; one that was put before this was kept counts as told at once."""
    told = read(work.told(ref))
    if told is None or not told.at:
        time = work.event_time(ref)
        blank = Draft((), "", time, "", "") if time else None
        return Told(told.home if told else "", {"": stamp(blank, "", "", undoing=False)} if blank else {})
    return told


def merge(new: Resource, gone: tuple[str, ...], of: str, event: str, stored: Resource | None = None,
          told: Told | None = None) -> tuple[Resource, dict[str, str]]:
    """The resource to keep after a message at `of` said `new` and deleted `gone`, and the time of each of its pieces.

    An empty field says nothing; HL7 null deletes. Source: reference/hl7v2.md b1 (order).
    """
    if stored is None:
        merged, at = new, {"": of, **dict.fromkeys((path for path in gone if path not in pieces(new)), of)} if gone else {"": of}
    elif not gone and told is not None and told.at.keys() == {""} and _same(new, stored):  # a place, a doctor: told each time
        return new, {"": max(of, told.at[""])}
    else:
        merged, at = tell(new, gone, of, stored, told)
    if stored is not None:
        merged = remembered(remembered(merged, new), stored)
    if new["resourceType"] == "Encounter":
        merged = _visit(merged, at, _said(new, event, of, stored, told))
    elif new["resourceType"] == "Patient":
        merged = _person(merged, at)
    return merged, at if stored is None else packed(at, merged)


def _same(new: Resource, stored: Resource) -> bool:
    """Whether both say the same, but for the number of the version."""
    labels = {name: value for name, value in stored.get("meta", {}).items() if name != "versionId"}
    return new.get("meta", {}) == labels and {**stored, "meta": 0} == {**new, "meta": 0}


def undone(resource: Resource, draft: Draft) -> Iterator[str]:
    """Paths that the event itself takes back, whatever the message says or leaves out."""
    if draft.event in CANCELS_DISCHARGE:
        yield from TAKEN_BACK.get(resource["resourceType"], ())
    if draft.event in UNLINKS and resource["resourceType"] == "Patient":
        others = [one["id"] for one in draft.of_type("Patient") if one["id"] != resource["id"]]
        yield from [f"link[Patient/{id_}]" for id_ in others]


def _said(new: Resource, event: str, of: str, stored: Resource | None, told: Told | None) -> dict[str, str]:
    """When each status of a visit was said last, and when it was admitted, discharged and cancelled."""
    said = {path: time for path, time in (told.at if told else {}).items() if path.startswith(("status ", "did "))}
    if stored is not None and not said:
        said[f"status {stored['status']}"] = (told.at if told else {}).get("", "")
    did = [f"status {new['status']}"]
    did += ["did discharge", "did begin"] if event in DISCHARGES else ["did begin"] if event in ADMITS else []
    did += ["did cancel discharge"] if event in CANCELS_DISCHARGE else []
    for path in did:
        said[path] = max(said.get(path, ""), of, key=entered)
    return said


def _visit(merged: Resource, at: dict[str, str], said: Mapping[str, str]) -> Resource:
    """The visit with the furthest status that was not undone, and one active place: where it was last."""
    at.pop("status", None)
    at |= said
    merged = {**merged, "status": _status({path: entered(time) for path, time in said.items()})}
    places = merged.get("location", ())
    if len(places) > 1:
        usual = at.get("", "")
        last = max(at.get(path, usual) for path in pieces({"resourceType": "Encounter", "location": places}))
        merged["location"] = [
            {**one, "status": "completed"} if one.get("status") == "active" and at.get(_path(one), usual) < last else one for one in places]
    return merged


def _path(place: Resource) -> str:
    return next(iter(pieces({"resourceType": "Encounter", "location": [place]})))


def _status(said: Mapping[str, str]) -> str:
    over = max(OVER, key=lambda word: said.get(f"status {word}", ""))
    if said.get(f"status {over}", "") > said.get("did begin", ""):
        return over
    if said.get("status finished", "") <= said.get("did cancel discharge", ""):
        said = {path: time for path, time in said.items() if path != "status finished"}
    return max((word for word in PROGRESS if f"status {word}" in said), key=PROGRESS.__getitem__, default="unknown")


def _person(merged: Resource, at: dict[str, str]) -> Resource:
    """A Patient whose links have changed is active unless another record replaces it."""
    if not any(path.startswith("link[") for path in (*at, *pieces(merged))):
        return merged
    at.pop("active", None)
    return {**merged, "active": not any(link.get("type") == "replaced-by" for link in merged.get("link", ()))}
