"""Run stored messages again: look what would differ, send stored outputs again, or map them anew.

A plan freezes ids, so that messages which arrive later are never caught by an old question.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from bridge.core.draft import Draft
from bridge.core.errors import SettingsError
from bridge.core.outcome import name
from bridge.core.rows import InboxRow, Plan
from bridge.hl7v2 import dialect
from bridge.mapping.library import around
from bridge.pipeline.bridge import Bridge, Words
from bridge.pipeline.check import check
from bridge.pipeline.draft import draft_of
from bridge.pipeline.receive import attempt, receive
from bridge.referral.intake import Answer
from bridge.referral.match import is_stub, renamed

KEYS = ("id", "since", "until", "feed", "event", "outcome", "error", "version", "patient")
MODES = ("verify", "redeliver", "reprocess")
CHUNK = 100
Resource = dict[str, Any]


def select(words: Sequence[str]) -> dict[str, str]:
    """`feed=general event=ADT^A03 since=2026-11-01` as a selection. Raises SettingsError naming the valid keys."""
    chosen: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in KEYS or not value:
            raise SettingsError(f"a selection is made of KEY=VALUE with {', '.join(KEYS)}")
        chosen[key] = f"{chosen[key]},{value}" if key == "id" and key in chosen else value
    if not chosen:
        raise SettingsError("choose what to replay, e.g. feed=general event=ADT^A03 since=2026-11-01T00:00:00-05:00")
    return chosen


def plan(words: Sequence[str], bridge: Bridge, limit: int = 1_000_000) -> Plan:
    """Freeze the ids of a selection, oldest first, with their hash; stored under an id of its own."""
    chosen = select(words)
    if "id" in chosen:
        rows = bridge.ledger.inbox(chosen["id"].split(","))
    else:
        given = {("code" if key == "error" else key): value for key, value in chosen.items()}
        try:
            rows = bridge.ledger.find(**given, limit=limit)
        except ValueError as error:
            raise SettingsError(str(error)) from None
    ids = tuple(row.envelope.id for row in rows)
    now = bridge.clock()
    digest = hashlib.sha256("\n".join(ids).encode()).hexdigest()
    made = Plan(f"plan-{now:%Y%m%d-%H%M%S}-{digest[:6]}", now.isoformat(), " ".join(words), ids, digest)
    bridge.ledger.save_plan(made)
    return made


def find(plan_id: str, bridge: Bridge) -> Plan:
    """The plan of this id. Raises SettingsError when there is none."""
    found = bridge.ledger.plan(plan_id)
    if found is None:
        raise SettingsError(f"there is no plan {plan_id}; see `sdoh-bridge replay status`")
    return found


def steps(chosen: Plan, mode: str, bridge: Bridge, *, partner: str = "", again: str = "",
          older: bool = False) -> Iterator[list[dict[str, Any]]]:
    """Run a plan, a chunk at a time, one finding per message; stops at once when the plan is paused or cancelled.

    The cursor is saved after each chunk, so a run that was killed goes on where it was. A finished plan runs again only
    with a reason (`again`). `older` lets `reprocess` touch patients about whom something newer has arrived.
    """
    if mode not in MODES:
        raise SettingsError(f"a replay is one of {', '.join(MODES)}")
    if chosen.state == "cancelled" or (chosen.state == "done" and not again):
        raise SettingsError(f"plan {chosen.id} is {chosen.state}; to run it once more say why with --again REASON")
    if mode == "redeliver" and partner not in bridge.partners:
        raise SettingsError(f"redeliver sends to one partner: name it with --partner; there are {', '.join(bridge.partners)}")
    cursor = chosen.cursor if chosen.state in ("running", "paused") and chosen.mode == mode else 0
    bridge.ledger.save_plan(replace(chosen, state="running", mode=mode, cursor=cursor))
    while cursor < len(chosen.ids):
        rows = bridge.ledger.inbox(chosen.ids[cursor:cursor + CHUNK])
        found = _run(mode, rows, bridge, partner, older)
        cursor += CHUNK
        current = find(chosen.id, bridge)
        state = current.state if current.state in ("paused", "cancelled") else "running"
        bridge.ledger.save_plan(replace(current, cursor=min(cursor, len(chosen.ids)), state=state))
        yield found
        if state != "running":
            return
    bridge.ledger.save_plan(replace(find(chosen.id, bridge), state="done"))


def _run(mode: str, rows: Sequence[InboxRow], bridge: Bridge, partner: str, older: bool) -> list[dict[str, Any]]:
    if mode == "verify":
        return [_verify(row, bridge) for row in rows]
    return [_redeliver(row, partner, bridge) for row in rows] if mode == "redeliver" else _reprocess(rows, bridge, older)


def _verify(row: InboxRow, bridge: Bridge) -> dict[str, Any]:
    """Map the stored bytes again and compare with what they gave then; sends and stores nothing."""
    read = attempt(lambda: draft_of(row.envelope, bridge))
    if not isinstance(read, Draft):
        return {"id": row.envelope.id, "was": row.outcome, "now": "answer" if isinstance(read, Answer) else "rejected", "differs": {}}
    draft = check(_about(row.patient, read), bridge.profiles)
    stored = bridge.ledger.outputs(row.envelope.id)
    differs: Counter[str] = Counter()
    for resource in draft.resources:
        then = stored.get((resource["resourceType"], resource["id"]))
        if then is None:
            differs[f"{resource['resourceType']} added"] += 1
        else:
            differs.update(differences(resource, *then))
    for kind, id_ in stored.keys() - {(one["resourceType"], one["id"]) for one in draft.resources}:
        if kind not in ("ServiceRequest", "Task", "Organization") and id_:
            differs[f"{kind} gone"] += 1
    return {"id": row.envelope.id, "was": row.outcome, "now": "accepted", "mapped": f"{row.mapping}@{row.version}" if row.mapping else "",
            "mapping": f"{draft.mapping}@{draft.version}", "differs": dict(differs)}


def by_element(differs: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """`{"Encounter.status changed": 12}` as `{"Encounter.status": {"changed": 12}}`, the most frequent first."""
    found: dict[str, dict[str, int]] = {}
    for text, count in sorted(differs.items(), key=lambda each: (-each[1], each[0])):
        element, _, kind = text.rpartition(" ")
        found.setdefault(element, {})[kind] = count
    return found


def against(folder: Path, bridge: Bridge) -> Bridge:
    """The bridge with the mappings and feeds of a folder in front of its own, to verify them before they are in use."""
    mappings = around([folder], bridge.mappings)
    feeds = [place / "feeds" for place in mappings.folders if (place / "feeds").is_dir()]
    return replace(bridge, mappings=mappings, feeds=dialect.load(*feeds), words=Words(bridge.words.answers))


def _about(person: str, draft: Draft) -> Draft:
    """The draft as the line took it: about the person it was given to, without a Patient that only names them."""
    draft = replace(draft, resources=tuple(one for one in draft.resources if not (one["resourceType"] == "Patient" and is_stub(one))))
    return renamed(draft, person) if person and draft.patient and draft.patient != person else draft


def differences(new: Resource, stored: Resource, before: Mapping[str, Any] | None) -> Iterator[str]:
    """`Type.element changed|added|gone` between a mapped resource and the version its message stored.

    What the stored version owes to earlier messages (`before`, the version it replaced) is no difference.
    """
    kind = new["resourceType"]
    for element in (new.keys() | stored.keys()) - {"meta", "resourceType", "id"}:
        if element in new and element not in stored:
            yield f"{kind}.{element} added"
        elif element not in new:
            if (before or {}).get(element) != stored[element]:
                yield f"{kind}.{element} gone"
        elif new[element] != stored[element] and not _merged(new[element], stored[element], (before or {}).get(element)):
            yield f"{kind}.{element} changed"


def _merged(new: Any, stored: Any, before: Any) -> bool:
    """Whether `stored` is `new` with parts that were on file before."""
    if isinstance(new, list) and isinstance(stored, list):
        return all(one in stored for one in new) and all(one in new or one in (before or []) for one in stored)
    if isinstance(new, dict) and isinstance(stored, dict):
        return all(stored.get(key) == value for key, value in new.items()) and all(
            key in new or (before or {}).get(key) == value for key, value in stored.items())
    return False


def _redeliver(row: InboxRow, partner: str, bridge: Bridge) -> dict[str, Any]:
    """Queue this message's stored outputs for one partner again, under the same ids; consent is asked when they leave."""
    queued = [one for one in bridge.ledger.outgoing(message_id=row.envelope.id) if one.recipient == partner]
    with bridge.ledger.work() as work:
        for one in queued:
            work.settle(one.id, "waiting", "replay")
    return {"id": row.envelope.id, "queued": len(queued)}


def _reprocess(rows: Sequence[InboxRow], bridge: Bridge, older: bool) -> list[dict[str, Any]]:
    """Map again under current rules as new versions, in order; refuses a patient with newer messages unless `older`."""
    chosen = {row.envelope.id for row in rows}
    kept, found = [], []
    for row in rows:
        newer = [] if older or not row.patient else [
            one for one in bridge.ledger.find(patient=row.patient) if one.seq > row.seq and one.envelope.id not in chosen]
        if newer:
            found.append({"id": row.envelope.id, "refused": "newer messages of this patient are live; --allow-older does it anyway"})
        else:
            kept.append(row)
    outcomes = receive(kept, bridge) if kept else []
    return found + [{"id": row.envelope.id, "was": row.outcome, "now": name(outcome)}
                    for row, outcome in zip(kept, outcomes, strict=True)]


def due(now: datetime, started: datetime, done: int, rate: float) -> float:
    """Seconds to wait so that `done` messages since `started` stay within `rate` a second; 0 for no limit."""
    return max(0.0, done / rate - (now - started).total_seconds()) if rate else 0.0


