"""What the pipeline asks of the outside world. Adapters implement these; nothing here imports one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

from bridge.core.delivery import Delivery, Receipt
from bridge.core.issue import Issue
from bridge.core.rows import (
    Arrival,
    DecisionRow,
    Disclosure,
    HeldItem,
    InboxRow,
    Outgoing,
    Plan,
    Referral,
    Stored,
)

Clock = Callable[[], datetime]
"""Now, with an offset."""


class Work(Protocol):
    """One unit of work: reads see its own earlier writes, and all of it is committed once or not at all.

    Writes are kept in memory and flushed together (executemany) at commit, so a batch of a hundred messages costs a
    handful of statements.
    """

    def preload(self, refs: Iterable[str], patients: Iterable[str]) -> None:
        """Fetch these `Type/id` and these patients' consents and referrals in one round trip each."""

    def savepoint(self) -> AbstractContextManager[None]:
        """What is written inside is forgotten when the block raises; the exception goes on."""

    def resource(self, ref: str) -> dict[str, Any] | None:
        """The newest version of `Type/id`, with meta.versionId; a fresh copy each time."""

    def event_time(self, ref: str) -> str:
        """The event time under which the newest version was put; "" if there is none."""

    def told(self, ref: str) -> str:
        """What was handed to `put` with the newest version about the messages behind its elements; "" if nothing."""

    def of_patient(self, patient: str, *types: str) -> list[dict[str, Any]]:
        """The newest versions of this patient's resources of these types."""

    def persons(self, identifiers: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """Patient id by (system, value), for those that are linked."""

    def people(self, birth_date: str, family: str) -> list[dict[str, Any]]:
        """Patients with this birth date and family name (case and accents folded): candidates, never a link."""

    def consents(self, patient: str) -> list[dict[str, Any]]:
        """Every Consent on file for the patient, whatever its status."""

    def generation(self, patient: str) -> int:
        """How often the patient's consents on file have changed: what is worked out from them may be kept under this number.
        0: none are on file, or this unit of work has changed them, and nothing may be kept."""

    def expect(self, patient: str, due: datetime | None) -> None:
        """Time alone changes what the patient's consents say at this moment next (never, for None)."""

    def referrals(self, patient: str) -> list[Referral]:
        """All referrals of the patient, open and closed, oldest first."""

    def referral(self, reference: str) -> Referral | None:
        """By Task id or by the short reference."""

    def put(self, resource: Mapping[str, Any], patient: str, message_id: str, event_time: str, told: str = "") -> int:
        """Store a new version and return its number; an unchanged resource (but for meta) keeps its version. `told` says
        which message each element is from; without it, what was said before stays."""

    def link(self, identifier: tuple[str, str], patient: str) -> None:
        """From now on this (system, value) is this patient."""

    def refer(self, referral: Referral) -> None:
        """Open or change a referral; opening a second one while one is open is refused with ValueError."""

    def decided(self, row: DecisionRow) -> None: ...

    def disclosed(self, row: Disclosure) -> None: ...

    def enqueue(self, row: Outgoing) -> None:
        """Queue for delivery; the same id again is no second row."""

    def outgoing(self, patient: str) -> list[Outgoing]:
        """Every delivery about this patient, in order, as this unit of work has left it; one that it has queued itself has
        no number yet (`seq` 0)."""

    def disclosures(self, patient: str) -> list[Disclosure]:
        """What has left about this patient, in order, this unit of work's own at the end."""

    def settle(self, id_: str, state: str, why: str = "", due: datetime | None = None) -> None:
        """Move an outbox row: sent, withheld, refused, or waiting again from `due`."""

    def ask(self, item: HeldItem) -> None:
        """File a question; the same open code question of a feed raises the count instead."""

    def finish(self, message_id: str, outcome: str, *, issues: Sequence[Issue] = (), mapping: str = "",
               version: str = "", patient: str = "", outputs: Sequence[tuple[str, int]] = (),
               due: datetime | None = None) -> None:
        """Write the outcome on the inbox row (`accepted`, `held`, `retry` with `due`, `rejected`) and what it stored,
        as (`Type/id`, version). A retry counts as an attempt."""


class Ledger(Protocol):
    """Inbox, resources, outbox, decisions, disclosures and the work list, in one database."""

    def store(self, arrivals: Sequence[Arrival]) -> list[Stored]:
        """Write the envelopes durably, before anything else; in the order given, duplicates answered."""

    def work(self, *, alone: bool = False) -> AbstractContextManager[Work]:
        """A transaction: commits when the block ends, rolls back when it raises. One that is `alone` begins when no other
        is open, and no other begins before it has ended."""

    def pending(self, limit: int, now: datetime) -> list[InboxRow]:
        """Messages that are not finished, oldest first; a patient with an earlier unfinished one that is not due waits."""

    def unfinished(self, ids: Sequence[str], now: datetime) -> list[InboxRow]:
        """What is due of these messages and of all others of their patients, oldest first."""

    def outputs(self, message_id: str) -> dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any] | None]]:
        """By (type, id): each resource in the version that this message stored, and the version before it."""

    def inbox(self, ids: Sequence[str]) -> list[InboxRow]:
        """These messages, in the order asked."""

    def attempt(self, ids: Sequence[str]) -> None:
        """Count an attempt before it is made, durably, so that a crash is counted too."""

    def find(self, *, since: str = "", until: str = "", feed: str = "", event: str = "", outcome: str = "",
             code: str = "", version: str = "", patient: str = "", limit: int = 10_000) -> list[InboxRow]:
        """Messages by selection, oldest first; `code` is an issue code, `version` a mapping version."""

    def waiting(self, recipients: Sequence[str], limit: int, now: datetime, shards: Sequence[int] | None = None) -> list[Outgoing]:
        """Outbox rows that are due, in order; per (recipient, patient) only when every earlier row has left."""

    def outgoing(self, *, message_id: str = "", recipient: str = "", patient: str = "") -> list[Outgoing]: ...

    def decisions(self, patient: str = "", message_id: str = "") -> list[DecisionRow]: ...

    def disclosures(self, patient: str = "") -> list[Disclosure]: ...

    def generations(self, patients: Iterable[str]) -> dict[str, int]:
        """Work.generation of these patients, as it is committed now; those without any are left out."""

    def expiring(self, limit: int, now: datetime) -> list[str]:
        """Patients whose consents say something else since a moment that has passed, longest ago first."""

    def held(self, state: str = "open") -> list[HeldItem]: ...

    def update_held(self, id_: str, state: str, answer: str = "", by: str = "") -> HeldItem | None: ...

    def save_answer(self, feed: str, table: str, system: str, code: str, target: str, by: str) -> None: ...

    def answers(self) -> dict[tuple[str, str, str, str], str]:
        """Target code by (feed, table, system, code)."""

    def save_plan(self, plan: Plan) -> None: ...

    def plan(self, id_: str) -> Plan | None: ...

    def plans(self) -> list[Plan]: ...

    def lease(self, name: str) -> bool:
        """Whether this process has the lease of that name, taking it if nobody does; it ends with the process."""

    def counts(self) -> dict[str, int]:
        """inbox by outcome (`inbox.accepted`), `outbox.waiting`, `held.open`, ...: for doctor, metrics and the demo."""

    def upgrade(self) -> list[str]:
        """Create or migrate the schema; returns the steps done."""

    def close(self) -> None: ...


class Connector(Protocol):
    """Hands deliveries to one partner's system."""

    def deliver(self, deliveries: Sequence[Delivery]) -> list[Receipt]:
        """One receipt per delivery, in order; sending the same id twice has one effect. Never raises for one of them."""

    def close(self) -> None: ...
