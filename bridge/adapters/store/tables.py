"""The ledger's tables. What a row means is written in core.rows; here is only how it is stored.

Times that are compared are UTC microseconds since 1970 (`*_us`); a time that must come back as it was given is ISO text
beside it. Lists are JSON text. SQLite tables are STRICT, so that both databases refuse the same nonsense.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, MetaData, Table, Text, text

META = MetaData()
BIG = Integer().with_variant(BigInteger(), "postgresql")
"""SQLite's INTEGER has 64 bits; its AUTOINCREMENT wants that very word."""


def _table(name: str, *parts: Any, keyed: bool = False) -> Table:
    """A STRICT table; `keyed` keeps small rows inside the primary key's tree instead of beside it."""
    return Table(name, META, *parts, sqlite_strict=True, sqlite_with_rowid=not keyed)


def _text(name: str, default: str | None = None, **options: Any) -> Column[str]:
    return Column(name, Text, nullable=False, server_default=default, **options)


def _number(name: str, default: str | None = None, **options: Any) -> Column[int]:
    return Column(name, BIG, nullable=False, server_default=default, **options)


def _sequence() -> Column[int]:
    return Column("seq", BIG, primary_key=True, autoincrement=True)


def _partial(name: str, *columns: Any, where: str, unique: bool = False) -> Index:
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))


UNFINISHED = "outcome IN ('', 'retry')"
WAITING = "state = 'waiting'"
OPEN_CODE = "kind = 'code' AND state = 'open'"

schema = _table("schema_version", _number("version", primary_key=True, autoincrement=False), _text("title"))

inbox = _table(
    "inbox",
    Column("seq", BIG, primary_key=True, autoincrement=False),
    _text("id", unique=True),
    _text("source"), _text("control_id"), _text("body_hash"), _text("key"), _text("event"), _text("feed"),
    _text("received"), _number("received_us"), _number("conflict"),
    _text("outcome", ""), _text("issues", "[]"), _text("mapping", ""), _text("version", ""), _text("patient", ""),
    _text("outputs", "[]"), _number("attempts", "0"), Column("due_us", BIG),
    Index("inbox_duplicate", "control_id", "source", "body_hash", unique=True),
    Index("inbox_received", "received_us"),
    _partial("inbox_patient", "patient", where="patient <> ''"),
    _partial("inbox_unfinished", "seq", where=UNFINISHED),
    _partial("inbox_waiting_key", "key", "seq", where="outcome = 'retry'"),
)
"""Assigned in the order stored and never reused while a row lives, under the store's own lock."""

envelopes = _table(
    "envelopes",
    Column("seq", BIG, ForeignKey("inbox.seq", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    _text("content_type"), _text("headers"), Column("body", LargeBinary, nullable=False),
)
"""What never changes of a message, apart from the row that does: an update must not write the body again."""

_RESOURCE = ("type", "patient", "event_time", "message_id", "body", "meta")
resources = _table(
    "resources",
    _text("ref", primary_key=True), _number("version"), *(_text(name) for name in _RESOURCE), _text("told", ""),
    Index("resources_patient", "patient", "type"),
)
"""The newest version of each `Type/id`; `told` says which message each of its elements is from (pipeline.told)."""

history = _table(
    "history",
    _text("ref", primary_key=True), _number("version", primary_key=True, autoincrement=False),
    *(_text(name) for name in _RESOURCE),
)
"""Versions that a newer one has replaced."""

people = _table(
    "people",
    _text("birth_date", primary_key=True), _text("family", primary_key=True), _text("ref", primary_key=True),
    keyed=True,
)
identifiers = _table(
    "identifiers",
    _text("system", primary_key=True), _text("value", primary_key=True), _text("patient"), keyed=True,
)

referrals = _table(
    "referrals",
    _sequence(), _text("id", unique=True), _text("short"), _text("patient"), _text("request"), _text("programme"),
    _text("need"), _text("recipient"), _text("status"), _number("closed"), _text("opened_by"), _text("visit"),
    _text("due"),
    Index("referrals_short", "short"),
    _partial("referrals_open", "patient", "programme", "need", "recipient", where="closed = 0", unique=True),
    _partial("referrals_closed", "patient", where="closed = 1"),
)
"""Every row is in one of the two patient indexes: one page less to write than with an index over all."""

outbox = _table(
    "outbox",
    _sequence(), _text("id", unique=True), _text("recipient"), _text("kind"), _text("patient"), _text("refs"),
    _text("message_id"), _number("shard"), _text("referral"),
    _text("state", "waiting"), _text("why", ""), _number("attempts", "0"), Column("due_us", BIG),
    Index("outbox_message", "message_id"),
    Index("outbox_patient", "patient", "recipient", "seq"),
    _partial("outbox_order", "seq", where=WAITING),
)

decisions = _table(
    "decisions",
    _sequence(), _text("message_id"), _text("stage"), _text("at"), _text("recipient"), _text("patient"),
    _text("purpose"), _text("entries"), _text("digest", ""),
    Index("decisions_message", "message_id"),
    Index("decisions_patient", "patient"),
)
"""One row per release (message, stage, moment, recipient, patient, purpose); `entries` holds a list per resource.

Rows of `decisions` and `disclosures` are added and never changed; `seq` and `digest` chain them (store.chain).
"""

disclosures = _table(
    "disclosures",
    _sequence(), _text("delivery_id"), _text("at"), _text("recipient"), _text("patient"), _text("resources"),
    _text("purpose"), _text("consents"), _text("kind"),
    _text("versions", "[]"), _text("redacted", "[]"), _text("obligations", "[]"), _text("confidentiality", "[]"),
    _text("digest", ""),
    Index("disclosures_patient", "patient"),
)
chain = _table("chain", _text("name", primary_key=True), _number("number"), _text("digest"), keyed=True)
"""Where the chain of each table ends."""

generations = _table(
    "generations",
    _text("patient", primary_key=True), _number("number"), Column("due_us", BIG),
    _partial("generations_due", "due_us", where="due_us IS NOT NULL"),
)
"""How often the consents on file for a patient have changed, and when time alone changes what they say."""

held = _table(
    "held",
    _sequence(), _text("id", unique=True), _text("kind"), _text("message_id"), _text("feed"), _text("question_kind"),
    _text("text"), _text("opened"), _text("code_table"), _text("system"), _text("code"), _text("place"),
    _text("choices"), _text("programme"), _text("state"), _text("answer"), _text("answered_by"), _number("count"),
    Index("held_state", "state"),
    Index("held_message", "message_id"),
    _partial("held_open_code", "feed", "code_table", "system", "code", where=OPEN_CODE, unique=True),
)
answers = _table(
    "answers",
    *(_text(name, primary_key=True) for name in ("feed", "code_table", "system", "code")),
    _text("target"), _text("answered_by"), keyed=True,
)
plans = _table(
    "plans",
    _sequence(), _text("id", unique=True), _text("created"), _text("selection"), _text("ids"), _text("digest"),
    _text("state"), _text("mode"), _number("cursor"), _text("results"),
)
