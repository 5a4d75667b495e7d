"""What other rules would have done with the deliveries on record: decided again, twice, at the moment of the record.

Once under the present rules and once under the changed ones, so that a consent that came meanwhile is not taken for an effect of
the rules. Reads the ledger and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from bridge.core.decision import Decision
from bridge.core.ports import Work
from bridge.core.rows import DecisionRow, InboxRow, Outgoing
from bridge.pipeline.bridge import Bridge
from bridge.pipeline.decide import Kept, carried, decide, followed, withheld

PAGE = 200
"""Messages in memory at a time."""
STAGES = ("commit", "send")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """One message: how far in time the run is, the decisions compared, what would change, and what changed without the rules.

    `changes` are rows with message, recipient, kind, resource, version, `was` (on record), `now` (present rules, today's
    consents), `would`, `change`, `paths` and `rules` (those that one of the two has and the other lacks). `deliveries` counts
    deliveries that would be `withheld` or `released` as a whole, `failed` decisions that could not be taken.
    """

    received: datetime
    compared: int
    changes: tuple[Row, ...] = ()
    otherwise: int = 0
    deliveries: Mapping[str, int] | None = None
    failed: int = 0


def simulate(present: Bridge, changed: Bridge, since: datetime, until: datetime, limit: int) -> Iterator[Seen]:
    """Every message received from `since` until before `until`, oldest first, at most `limit`."""
    for done, row in enumerate(messages(present, since, until)):
        if done >= limit:
            return
        yield look(row, present, changed)


def messages(bridge: Bridge, since: datetime, until: datetime) -> Iterator[InboxRow]:
    """The messages of a stretch of time, a page at a time: a stretch with more than a page is halved."""
    if since >= until:
        return
    rows = bridge.ledger.find(since=since.isoformat(), until=until.isoformat(), limit=PAGE + 1)
    half = since + (until - since) / 2
    if len(rows) <= PAGE or until - since <= timedelta(microseconds=1):
        yield from rows
        return
    del rows
    yield from messages(bridge, since, half)
    yield from messages(bridge, half, until)


def look(row: InboxRow, present: Bridge, changed: Bridge) -> Seen:
    """Compare every decision of one message."""
    recorded = {(one.recipient, one.resource): one for one in present.ledger.decisions(message_id=row.envelope.id) if one.stage in STAGES}
    changes: list[Row] = []
    compared = otherwise = failed = 0
    deliveries = {"withheld": 0, "released": 0}
    with present.ledger.work() as work:
        for queued in present.ledger.outgoing(message_id=row.envelope.id):
            known = [one for (recipient, _), one in recorded.items() if recipient == queued.recipient]
            if queued.recipient not in present.partners or not known:
                continue
            at, outgoing = datetime.fromisoformat(known[-1].at), followed(queued, work)
            offered = carried(outgoing, work, {})
            now, would = (_decided(outgoing, offered, at, work, bridge) for bridge in (present, changed))
            compared += len(offered)
            failed += sum("evaluation-failed" in one.rules for one in would)
            for (ref, (_, version)), before, after in zip(offered.items(), now, would, strict=True):
                record = recorded.get((outgoing.recipient, ref))
                otherwise += record is not None and (record.effect, record.redact_paths) != (before.effect, before.redact_paths)
                if kind := change(before, after):
                    changes.append(_row(outgoing, ref, version, record, before, after, kind))
            stays = [bool(withheld(list(zip([one for one, _ in offered.values()], said, strict=True)))) for said in (now, would)]
            if stays[0] != stays[1]:
                deliveries["withheld" if stays[1] else "released"] += 1
    return Seen(row.envelope.received, compared, tuple(changes), otherwise, deliveries, failed)


def _decided(outgoing: Outgoing, offered: Kept, at: datetime, work: Work, bridge: Bridge) -> list[Decision]:
    """The decisions on a delivery under the rules of a bridge, at that moment; nothing is recorded."""
    return decide(outgoing, offered, at, work, bridge)[1]


def change(before: Decision, after: Decision) -> str:
    """`withheld`, `released`, `cut` (less of it goes), `opened` (more of it goes), or "" when the same leaves."""
    if (before.effect == "deny") != (after.effect == "deny"):
        return "withheld" if after.effect == "deny" else "released"
    if before.effect == "deny" or set(before.redact_paths) == set(after.redact_paths):
        return ""
    return "cut" if set(after.redact_paths) - set(before.redact_paths) else "opened"


def _row(outgoing: Outgoing, ref: str, version: int, record: DecisionRow | None, before: Decision, after: Decision, kind: str) -> Row:
    """One change, by keyed ids, codes and paths only."""
    partly = before.effect == after.effect == "redact"
    return {
        "message": outgoing.message_id, "recipient": outgoing.recipient, "kind": outgoing.kind, "resource": ref, "version": version,
        "was": record.effect if record else "", "now": before.effect, "would": after.effect, "change": kind,
        "paths": sorted(set(before.redact_paths) ^ set(after.redact_paths)) if partly else list(after.redact_paths),
        "rules": [rule for rule in (*after.rules, *before.rules) if (rule in after.rules) != (rule in before.rules)] or list(after.rules),
    }


def with_rules(bridge: Bridge, *, house: Any = None, jurisdictions: frozenset[str] | None = None, no_consent: str = "") -> Bridge:
    """The bridge under other rules: a house, overlays in place of the site's and the partners', another contract default."""
    partners = dict(bridge.partners)
    if jurisdictions is not None:
        partners = {id_: replace(one, jurisdictions=()) for id_, one in partners.items()}
    if no_consent:
        partners = {id_: replace(one, no_consent=no_consent) for id_, one in partners.items()}
    return replace(bridge, partners=partners, house=house or bridge.house,
                   jurisdictions=bridge.jurisdictions if jurisdictions is None else jurisdictions)
