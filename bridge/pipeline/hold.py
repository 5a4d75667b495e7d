"""The work list: questions that a person can answer, and what runs again when they are."""

from __future__ import annotations

from collections.abc import Iterable

from bridge.core.errors import SettingsError
from bridge.core.outcome import Held, Outcome, Retry
from bridge.core.rows import HeldItem
from bridge.pipeline.bridge import Bridge
from bridge.pipeline.receive import receive


def answer(id_: str, value: str, by: str, bridge: Bridge) -> HeldItem:
    """Record a person's answer; a code's answer is saved in that sender's table, for all its messages from now on.

    Raises SettingsError when there is no such open item, or a patient question is answered with a stranger.
    """
    found = next((one for one in bridge.ledger.held("open") if one.id.startswith(id_)), None)
    if found is None:
        raise SettingsError("no open item has this id; see `sdoh-bridge held list`")
    if found.choices and value not in (*found.choices, "new"):
        raise SettingsError(f"answer with one of {', '.join(found.choices)} or new")
    if found.question_kind == "patient" and not found.choices and not _on_file(value, bridge):
        raise SettingsError("answer with the id of a patient on file")
    if found.question_kind == "code":
        if not found.code:
            raise SettingsError(f"what was sent is too long for a code; see {found.where} of the message, and ask the sender")
        table = bridge.mappings.ground.tables.get(found.table)
        if table is not None and table.by_target and value not in table.by_target and table.find(value) is None:
            raise SettingsError(f"no code of table {found.table}; there are {', '.join(sorted(filter(None, table.by_target)))}, "
                                "and the codes that the table translates")
        bridge.ledger.save_answer(found.feed, found.table, found.system, found.code, value, by)
    updated = bridge.ledger.update_held(found.id, "answered", value, by)
    if updated is None:
        raise SettingsError("this item was changed meanwhile; look again with `sdoh-bridge held list`")
    return updated


def release(items: Iterable[HeldItem], bridge: Bridge) -> list[tuple[str, Outcome]]:
    """Run the messages again that waited for these answers; (message id, outcome) each.

    An answered code releases every decision that waited for the same code of the same feed. What is held again for the
    same question, or has to be tried again later, stays on the list.
    """
    items = list(items)
    waiting = waiting_for(items, bridge)
    chosen = {one.message_id: one for one in waiting}
    rows = bridge.ledger.inbox(list(chosen))
    outcomes = dict(zip((row.envelope.id for row in rows), receive(rows, bridge, chosen), strict=True))
    still_open = {one.id for one in bridge.ledger.held("open")}
    for one in {one.id: one for one in (*waiting, *items)}.values():
        outcome = outcomes.get(one.message_id) if one in waiting else None
        if not (isinstance(outcome, Retry) or (isinstance(outcome, Held) and one.id in still_open)):
            bridge.ledger.update_held(one.id, "released", one.answer, one.answered_by)
    return list(outcomes.items())


def waiting_for(items: Iterable[HeldItem], bridge: Bridge) -> list[HeldItem]:
    """The items whose messages have something to gain from these answers."""
    found = []
    for one in items:
        if one.question_kind != "code":
            found.append(one)
            continue
        same = (one.feed, one.table, one.system, one.code)
        found += [other for other in (*bridge.ledger.held("open"), *bridge.ledger.held("answered"))
                  if other.kind == "decision" and (other.feed, other.table, other.system, other.code) == same]
        found += [one] if one.kind == "decision" else []
    return list({one.id: one for one in found}.values())


def _on_file(patient: str, bridge: Bridge) -> bool:
    with bridge.ledger.work() as work:
        return work.resource(f"Patient/{patient}") is not None


def discard(id_: str, by: str, bridge: Bridge) -> HeldItem:
    """Close an item without an answer; the message stays in the inbox as it is. Raises SettingsError if there is none."""
    found = next((one for one in (*bridge.ledger.held("open"), *bridge.ledger.held("answered")) if one.id.startswith(id_)), None)
    updated = bridge.ledger.update_held(found.id, "discarded", "", by) if found else None
    if updated is None:
        raise SettingsError("no open item has this id; see `sdoh-bridge held list`")
    return updated
