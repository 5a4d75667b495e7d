"""One received message, one straight line, one commit (DESIGN section 2)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from bridge.consent.mark import is_redacted
from bridge.core.draft import Draft
from bridge.core.envelope import HL7V2
from bridge.core.errors import Transient, Unreadable
from bridge.core.issue import Issue
from bridge.core.outcome import Accepted, Held, Outcome, Rejected, Retry, name
from bridge.core.ports import Work
from bridge.core.rows import HeldItem, InboxRow
from bridge.observe.log import logger
from bridge.pipeline.bridge import Bridge
from bridge.pipeline.check import check
from bridge.pipeline.draft import draft_of
from bridge.pipeline.fault import fault_issue
from bridge.pipeline.merge import on_file
from bridge.pipeline.outgoing import ref_of
from bridge.pipeline.person import homes, join, joins, land
from bridge.pipeline.question import item
from bridge.pipeline.refer import Referred, answered, refer
from bridge.pipeline.release import release
from bridge.pipeline.source import from_performers, from_source
from bridge.referral.intake import Answer
from bridge.referral.match import identify, strong_identifiers

Read = Draft | Answer | Outcome
REUSED = Issue("information", "BRG-R023", "MSH-10", "this sender used the id before for another message; both were taken",
               "ask the sender to number messages without repeats", "informational")
PERSONAL = ("ADT", "PPR", "PGL", "REF", "RRI", "SIU")
"""Messages that are nothing without the person they are about."""


def receive(rows: Sequence[InboxRow], bridge: Bridge, answers: Mapping[str, HeldItem] | None = None) -> list[Outcome]:
    """Turn stored messages into committed results, in order, in one transaction; one outcome each.

    Pure work (reading, mapping) runs before the transaction opens; a message that fails never fails its batch.
    `answers` are the work-list items, by message id, that a person has answered. Raises Transient when the ledger
    cannot commit: nothing has happened then, and the same call is safe later.
    """
    started = time.perf_counter()
    bridge.refresh()
    now = bridge.clock()
    bridge = replace(bridge, clock=lambda: now)  # one transaction, one moment
    read: list[Read] = [attempt(lambda row=row: draft_of(row.envelope, bridge)) for row in rows]
    outcomes: list[Outcome] = []
    waiting: dict[str, Retry] = {}
    # a merge of two records looks at what both shards have done, and neither may do more meanwhile (DESIGN 2, ordering); a
    # consent looks at what has left, and nothing may be written down as sent meanwhile
    alone = any(isinstance(one, Draft) and (joins(one) or one.of_type("Consent")) for one in read)
    with bridge.ledger.work(alone=alone) as work:
        _preload(read, work)
        for row, one in zip(rows, read, strict=True):
            answer = (answers or {}).get(row.envelope.id)
            outcome = waiting.get(row.key) or attempt(
                lambda row=row, one=one, answer=answer: _take(row, one, work, bridge, answer), work)
            if isinstance(outcome, Retry) and row.key:
                waiting[row.key] = outcome  # later messages of this patient wait with it, in order
            if not isinstance(outcome, Accepted):
                _close(row, outcome, work, bridge)
            outcomes.append(outcome)
    for row, outcome in zip(rows, outcomes, strict=True):
        _report(row, outcome, bridge)
    bridge.metrics.batch.observe(len(rows))
    bridge.metrics.commit.observe(time.perf_counter() - started)
    return outcomes


def park(row: InboxRow, bridge: Bridge) -> Outcome:
    """Reject a message that has ended the process each time it was begun; its bytes are kept and can be replayed."""
    issue = Issue("fatal", "BRG-X501", "", f"processing ended abruptly {row.attempts} times", "report it, then replay it", "exception")
    with bridge.ledger.work() as work:
        work.finish(row.envelope.id, "rejected", issues=[issue])
    outcome = Rejected((issue,))
    _report(row, outcome, bridge)
    return outcome


def _take(row: InboxRow, read: Read, work: Work, bridge: Bridge, answer: HeldItem | None) -> Outcome:
    """The half of the line that reads what is on file; every write goes into the open transaction."""
    if isinstance(read, Answer):
        referred = answered(row, read, work, bridge)
        if isinstance(referred, Referred):
            referred = replace(referred, draft=from_source(referred.draft, row.envelope.feed, bridge))
    elif isinstance(read, Draft):
        blocking = next((question for question in read.questions if question.kind == "message"), None)
        if blocking is not None and answer is None:  # the mapping said `or_hold`
            return Held(blocking, read.issues)
        if cut := [one for one in read.resources if is_redacted(one) and work.resource(ref_of(one))]:
            return Rejected((Issue("error", "BRG-C003", cut[0]["resourceType"], "a redacted copy of what is on file is no source to update it from",
                                   "send the whole, or nothing", "business-rule"),))
        own = bridge.ids.uuid("Patient", row.source, read.patient)
        found = identify(read, work, own, answer.answer if answer and answer.question_kind == "patient" else "")
        if isinstance(found, Held):
            return found
        own_records = homes(found)
        joined = join(on_file(found, row, work, own_records), row, work, bridge) if joins(found) else None
        filed = on_file(land(found, work), row, work, own_records)
        referred = replace(refer(row, filed, work, bridge), told=filed.told, home=found.patient)
        if joined is not None:
            referred = replace(referred.with_recall(joined.recall), joined=True, moved=joined.moved)
    else:
        return read
    if not isinstance(referred, Referred):
        return referred
    if row.conflict and row.envelope.content_type == HL7V2:
        referred = replace(referred, draft=replace(referred.draft, issues=(*referred.draft.issues, REUSED)))
    referred = replace(referred, draft=check(from_performers(referred.draft, bridge), bridge.profiles))
    if lost := _without_person(read, referred.draft, bridge):
        return lost
    release(row, referred, work, bridge)
    return Accepted(referred.draft, tuple(question for _, question in referred.waiting))


def _without_person(read: Read, draft: Draft, bridge: Bridge) -> Rejected | None:
    """An admission without a person, or whose person is not even R4, can become nothing; nor can an event that no mapping of its
    own reads. Other messages may have none."""
    if not isinstance(read, Draft):
        return None
    program = bridge.mappings.programs.get(read.mapping)
    if program is not None and program.general and not read.patient:
        return Rejected((Issue("error", "BRG-M404", "MSH-9", "no mapping for this event, and it names nobody",
                               "add one to mappings/ or stop sending it; the message is kept and can be replayed", "not-supported"),))
    if not read.event.startswith(PERSONAL):
        return None
    if not read.patient:
        where, text = "PID-3", "no person can be made of this message"
    elif not any(one["resourceType"] == "Patient" for one in draft.resources):
        where, text = "PID", "the person as sent is not valid"
    else:
        return None
    issue = Issue("error", "BRG-R002", where, text, "correct PID and send the message again", "required")
    return Rejected((issue, *(one for one in draft.issues if one.severity in ("error", "fatal"))))


def attempt(step: Callable[[], Read], work: Work | None = None) -> Read:
    """Run one message's step; what goes wrong becomes its outcome, and what it wrote is forgotten."""
    try:
        if work is None:
            return step()
        with work.savepoint():
            return step()
    except Unreadable as error:
        return Rejected((error.issue,))
    except Transient as error:
        return Retry(error.after, error.code)
    except Exception as error:  # noqa: BLE001 - a bug of ours must not stop the next message; it is named and kept
        return Rejected((fault_issue(error),))


def _close(row: InboxRow, outcome: Outcome, work: Work, bridge: Bridge) -> None:
    """Write an outcome that left nothing but itself: held with its question, rejected with its issues, or due again."""
    message_id = row.envelope.id
    if isinstance(outcome, Held):
        work.ask(item("message", outcome.question, row, bridge))
        work.finish(message_id, "held", issues=outcome.issues)
    elif isinstance(outcome, Retry):
        work.finish(message_id, "retry", due=bridge.clock() + timedelta(seconds=outcome.after * 2 ** min(row.attempts, 6)))
    elif isinstance(outcome, Rejected):
        work.finish(message_id, "rejected", issues=outcome.issues)


def _preload(read: Sequence[Read], work: Work) -> None:
    """Fetch what the batch will ask for in a few statements: resources, people by their numbers, consents, referrals."""
    drafts = [one for one in read if isinstance(one, Draft)]
    patients = [one for draft in drafts for one in draft.of_type("Patient")]
    people = work.persons(number for patient in patients for number in strong_identifiers(patient))
    refs = [ref_of(resource) for draft in drafts for resource in draft.resources]
    work.preload(refs, {draft.patient for draft in drafts if draft.patient} | set(people.values()))


def _report(row: InboxRow, outcome: Outcome, bridge: Bridge) -> None:
    """One canonical event per message: ids, codes and counts."""
    word = name(outcome)
    bridge.metrics.outcomes.labels(row.event, word).inc()
    facts = {"message": row.envelope.id, "feed": row.envelope.feed, "trigger": row.event, "outcome": word}
    if isinstance(outcome, Accepted):
        draft = outcome.draft
        facts |= {"mapping": draft.mapping, "version": draft.version, "resources": len(draft.resources),
                  "issues": [issue.code for issue in draft.issues], "questions": len(draft.questions)}
    elif isinstance(outcome, (Held, Rejected)):
        facts |= {"issues": [issue.code for issue in outcome.issues]}
    else:
        facts |= {"reason": outcome.why}
    logger().info("message", **facts)
