"""The ledger's rows, as values. What each table means is written here; how it is stored is the store's matter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bridge.core.envelope import Envelope
from bridge.core.issue import Issue


@dataclass(frozen=True, slots=True)
class Arrival:
    """An envelope with what was read off it before anything else: enough to store, deduplicate and order it.

    `source` and `control_id` are the duplicate key with `body_hash` (SHA-256 hex of the content without MSH-7):
    MSH-3 + MSH-4 and MSH-10 for HL7v2, the source system and record id for a CBO. `key` is the patient key that orders
    the message ("" when none could be read), `event` e.g. `ADT^A03`.
    """

    envelope: Envelope
    source: str
    control_id: str
    body_hash: str
    key: str
    event: str


@dataclass(frozen=True, slots=True)
class Stored:
    """What `store` found: `new`, `pending` (known, not finished), `done` (a resend; `outcome` answers it) or `conflict`
    (same control id, other content: stored as new and flagged)."""

    id: str
    state: str
    outcome: str = ""
    issues: tuple[Issue, ...] = ()


@dataclass(frozen=True, slots=True)
class InboxRow:
    """One received message as the ledger knows it. `outcome` is "" until it is finished."""

    seq: int
    envelope: Envelope
    source: str
    control_id: str
    key: str
    event: str
    outcome: str
    issues: tuple[Issue, ...]
    mapping: str
    version: str
    attempts: int
    due: datetime | None
    conflict: bool
    patient: str = ""


@dataclass(frozen=True, slots=True)
class Referral:
    """One need (or programme) of one patient at one recipient; at most one is open per (patient, programme, need,
    recipient). `id` is the Task id. `status` is the Task's, `closed` when that status is terminal. `short` is the
    reference printed for people. `opened_by` and `visit` say which message and Encounter opened it."""

    id: str
    short: str
    patient: str
    request: str
    programme: str
    need: str
    recipient: str
    status: str
    closed: bool
    opened_by: str
    visit: str
    due: str = ""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One outbox row: what to send to whom. The payload is rendered, and decided again, when it is sent.

    `refs` are `Type/id` of the resources it carries, the first is its focus. `kind` as in Delivery. `state` is
    `waiting`, `sent`, `withheld`, `refused`. `seq` orders a patient's rows; `shard` is that of the patient key.
    """

    id: str
    recipient: str
    kind: str
    patient: str
    refs: tuple[str, ...]
    message_id: str
    shard: int
    referral: str = ""
    seq: int = 0
    state: str = "waiting"
    attempts: int = 0
    due: datetime | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """One recorded decision: for which message, recipient and resource version, at what moment, with which result.

    `stage` is `commit` (when the message was processed), `send` (again, at delivery) or `consent` (again, because the
    patient's consents have changed: of what waits, and of what the recipient already holds).
    """

    message_id: str
    stage: str
    at: str
    recipient: str
    patient: str
    resource: str
    version: int
    purpose: str
    effect: str
    rules: tuple[str, ...]
    consents: tuple[str, ...] = ()
    redact_paths: tuple[str, ...] = ()
    review: tuple[str, ...] = ()
    obligations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Disclosure:
    """One thing that left: what, to whom, when, for which purpose and under which consent (`id/version`).

    `versions` are those of `resources`, in their order; `redacted` are the resources that left in part, by the consent
    decision; `obligations` what went with them. `confidentiality` is the v3-Confidentiality code that each carried ("" for
    none).
    """

    delivery_id: str
    at: str
    recipient: str
    patient: str
    resources: tuple[str, ...]
    purpose: str
    consents: tuple[str, ...]
    kind: str
    versions: tuple[int, ...] = ()
    redacted: tuple[str, ...] = ()
    obligations: tuple[str, ...] = ()
    confidentiality: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HeldItem:
    """One entry of the work list.

    `kind`: `message` (the whole message waits), `decision` (a programme's decision waits, the rest is done) or `code`
    (nothing waits, the table wants a row). `question` fields are those of core.draft.Question. `state`: open,
    answered, released, discarded. The same open question of a feed (table, system, code) is one item with `count`.
    """

    id: str
    kind: str
    message_id: str
    feed: str
    question_kind: str
    text: str
    opened: str
    table: str = ""
    system: str = ""
    code: str = ""
    where: str = ""
    choices: tuple[str, ...] = ()
    programme: str = ""
    state: str = "open"
    answer: str = ""
    answered_by: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """A frozen replay: ids chosen once, in order, with a hash; `cursor` is how many are done."""

    id: str
    created: str
    selection: str
    ids: tuple[str, ...]
    digest: str
    state: str = "planned"
    mode: str = ""
    cursor: int = 0
    results: dict[str, Any] | None = None
