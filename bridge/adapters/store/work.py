"""The unit of work: reads see its own writes; the writes are flushed together, in few statements, at the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from bridge.adapters.store import outbox, record
from bridge.adapters.store.codec import dump, dump_issues, keyed, micros
from bridge.adapters.store.desk import Desk
from bridge.adapters.store.docket import Docket
from bridge.adapters.store.overlay import Overlay
from bridge.adapters.store.shelf import Shelf
from bridge.adapters.store.sql import Pairs, insert, run, run_many, update
from bridge.core.issue import Issue
from bridge.core.rows import DecisionRow, Disclosure, HeldItem, Outgoing, Referral

OUTCOMES = frozenset(("", "accepted", "held", "retry", "rejected"))

_PERSONS = "SELECT system, value, patient FROM identifiers WHERE (system, value) IN PAIRS"
_LINK = insert("identifiers", ("system", "value", "patient"),
               "ON CONFLICT (system, value) DO UPDATE SET patient = excluded.patient")
_FINISH = update("inbox", ("outcome", "issues", "mapping", "version", "patient", "outputs", "due_us"), ("id",),
                 added=("attempts",))


class SqlWork:
    """Implements core.ports.Work on one connection inside one transaction.

    What cannot be stored is refused when it is handed in (ValueError), never at the flush: one message must not fail
    the batch. Text that a database cannot hold (NUL, broken Unicode) is stored with U+FFFD in its place.
    """

    __slots__ = ("_connection", "_decisions", "_desk", "_disclosures", "_docket", "_finished", "_known", "_linked",
                 "_outgoing", "_overlay", "_settled", "_shelf")

    def __init__(self, connection: Connection) -> None:
        self._connection, self._overlay = connection, Overlay()
        self._shelf, self._desk = Shelf(connection, self._overlay), Desk(connection, self._overlay)
        self._docket = Docket(connection, self._overlay)
        self._known: dict[tuple[str, str], str] = {}
        self._linked: dict[tuple[str, str], str] = {}
        self._outgoing: dict[str, tuple[Any, ...]] = {}
        self._settled: dict[str, tuple[Any, ...]] = {}
        self._finished: dict[str, tuple[Any, ...]] = {}
        self._decisions: list[tuple[tuple[Any, ...], str]] = []
        self._disclosures: list[tuple[Any, ...]] = []

    def preload(self, refs: Iterable[str], patients: Iterable[str]) -> None:
        wanted = sorted(set(patients))
        self._shelf.preload(refs)
        if wanted:
            self._shelf.preload_consents(wanted)
            self._desk.preload(wanted)

    def savepoint(self) -> AbstractContextManager[None]:
        return self._overlay.savepoint()

    def resource(self, ref: str) -> dict[str, Any] | None:
        return self._shelf.resource(ref)

    def event_time(self, ref: str) -> str:
        found = self._shelf.newest(ref)
        return found.event_time if found else ""

    def told(self, ref: str) -> str:
        found = self._shelf.newest(ref)
        return found.told if found else ""

    def of_patient(self, patient: str, *types: str) -> list[dict[str, Any]]:
        return self._shelf.of_patient(patient, types)

    def persons(self, identifiers: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
        wanted = {pair: (keyed(pair[0]), keyed(pair[1])) for pair in identifiers}
        missing = {key for key in wanted.values() if key not in self._linked and key not in self._known}
        if missing:
            rows = run(self._connection, _PERSONS, Pairs.of(missing))
            self._known.update(dict.fromkeys(missing, ""))
            self._known.update({(system, value): patient for system, value, patient in rows})
        found = {pair: self._linked.get(key) or self._known.get(key, "") for pair, key in wanted.items()}
        return {pair: patient for pair, patient in found.items() if patient}

    def people(self, birth_date: str, family: str) -> list[dict[str, Any]]:
        return self._shelf.people(birth_date, family)

    def consents(self, patient: str) -> list[dict[str, Any]]:
        return self.of_patient(patient, "Consent")

    def generation(self, patient: str) -> int:
        return self._shelf.generation(patient)

    def expect(self, patient: str, due: datetime | None) -> None:
        self._shelf.expect(patient, due)

    def referrals(self, patient: str) -> list[Referral]:
        return self._desk.of_patient(patient)

    def referral(self, reference: str) -> Referral | None:
        return self._desk.find(reference)

    def put(self, resource: Mapping[str, Any], patient: str, message_id: str, event_time: str, told: str = "") -> int:
        return self._shelf.put(resource, patient, message_id, event_time, told)

    def link(self, identifier: tuple[str, str], patient: str) -> None:
        system, value = identifier
        self._overlay.set(self._linked, (keyed(system), keyed(value)), patient)

    def refer(self, referral: Referral) -> None:
        self._desk.refer(referral)

    def decided(self, row: DecisionRow) -> None:
        self._overlay.append(self._decisions, record.decision(row))

    def disclosed(self, row: Disclosure) -> None:
        self._overlay.append(self._disclosures, record.disclosure(row))

    def enqueue(self, row: Outgoing) -> None:
        if row.id not in self._outgoing:
            self._overlay.set(self._outgoing, row.id, outbox.row(row))

    def outgoing(self, patient: str) -> list[Outgoing]:
        stored = outbox.select_outgoing(self._connection, "", "", patient)
        return outbox.overlaid(stored, patient, self._outgoing.values(), self._settled)

    def disclosures(self, patient: str) -> list[Disclosure]:
        own = [record.disclosed(*row) for row in self._disclosures]
        return record.select_disclosures(self._connection, patient) + [one for one in own if one.patient == patient]

    def settle(self, id_: str, state: str, why: str = "", due: datetime | None = None) -> None:
        change = outbox.settlement(id_, state, why, due)
        before = self._settled.get(id_)
        if before:
            change = (*change[:3], change[3] + before[3], id_)
        self._overlay.set(self._settled, id_, change)

    def ask(self, item: HeldItem) -> None:
        self._docket.ask(item)

    def finish(self, message_id: str, outcome: str, *, issues: Sequence[Issue] = (), mapping: str = "",
               version: str = "", patient: str = "", outputs: Sequence[tuple[str, int]] = (),
               due: datetime | None = None) -> None:
        if outcome not in OUTCOMES:
            raise ValueError("a message ends accepted, held, retry or rejected")
        text = "[]" if not issues else dump_issues(issues)
        instant = None if due is None else micros(due)
        row = (outcome, text, mapping, version, patient, dump(outputs), instant, int(outcome == "retry"), message_id)
        self._overlay.set(self._finished, message_id, row)

    def flush(self) -> None:
        """Write everything, in an order in which shared rows are locked the same way by every process."""
        connection = self._connection
        self._shelf.flush()
        run_many(connection, _LINK, [(*key, patient) for key, patient in sorted(self._linked.items())])
        self._desk.flush()
        outbox.flush(connection, self._outgoing.values(), self._settled.values())
        self._docket.flush()
        run_many(connection, _FINISH, list(self._finished.values()))
        record.flush(connection, self._decisions, self._disclosures)  # last: others wait for the end of the chain
