"""Referrals inside one unit of work: what it has opened and changed, over the database."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection

from bridge.adapters.store.codec import plain
from bridge.adapters.store.overlay import Overlay
from bridge.adapters.store.sql import insert, run, run_many
from bridge.core.rows import Referral

_ROW = ("id", "short", "patient", "request", "programme", "need", "recipient", "status", "closed", "opened_by", "visit",
        "due")
_SELECT = f"SELECT {', '.join(_ROW)} FROM referrals"
_OF_PATIENTS = (f"SELECT {', '.join(_ROW)}, seq FROM referrals WHERE closed = 0 AND patient IN LIST UNION ALL "
                f"SELECT {', '.join(_ROW)}, seq FROM referrals WHERE closed = 1 AND patient IN LIST ORDER BY seq")
_BY_NAME = f"{_SELECT} WHERE id = ? OR short = ?"
_ASIDE = "UPDATE referrals SET closed = 1 WHERE closed = 0 AND id IN LIST"
_WRITE = insert("referrals", _ROW, "ON CONFLICT (id) DO UPDATE SET "
                + ", ".join(f"{name} = excluded.{name}" for name in _ROW[1:]))


class Desk:
    """Reads and changes of referrals."""

    __slots__ = ("_changed", "_connection", "_overlay", "_read", "_stored")

    def __init__(self, connection: Connection, overlay: Overlay) -> None:
        self._connection, self._overlay = connection, overlay
        self._read: dict[str, list[Referral]] = {}
        self._stored: set[str] = set()
        self._changed: dict[str, Referral] = {}

    def preload(self, patients: Iterable[str]) -> None:
        missing = sorted(set(patients).difference(self._read))
        if missing:
            self._read.update({patient: [] for patient in missing})
            for row in run(self._connection, _OF_PATIENTS, missing, missing):
                referral = _referral(*row[:-1])
                self._stored.add(referral.id)
                self._read[referral.patient].append(referral)

    def of_patient(self, patient: str) -> list[Referral]:
        """All of the patient's, oldest first."""
        self.preload((patient,))
        found = {referral.id: referral for referral in self._read[patient]} | self._changed
        return [referral for referral in found.values() if referral.patient == patient]

    def find(self, reference: str) -> Referral | None:
        """By Task id, else by short reference; None when two carry that short reference, as it names neither."""
        if reference in self._changed:
            return self._changed[reference]
        wanted = plain(reference)
        rows = [_referral(*row) for row in run(self._connection, _BY_NAME, wanted, wanted)]
        found = {referral.id: referral for referral in rows} | self._changed
        if reference in found:
            return found[reference]
        named = [referral for referral in found.values() if referral.short == reference]
        return named[0] if len(named) == 1 else None

    def refer(self, referral: Referral) -> None:
        """Open or change. Raises ValueError when another one is open for the same patient, programme, need, recipient."""
        if not referral.closed:
            wanted = (referral.programme, referral.need, referral.recipient)
            for other in self.of_patient(referral.patient):
                key = (other.programme, other.need, other.recipient)
                if key == wanted and not other.closed and other.id != referral.id:
                    raise ValueError("a referral for this patient, programme, need and recipient is open already")
        self._overlay.set(self._changed, referral.id, referral)

    def flush(self) -> None:
        """Put what changes aside first, so that no order of writing has two open in one place for a moment."""
        aside = sorted(self._stored.intersection(self._changed))
        if aside:
            run(self._connection, _ASIDE, aside)
        if self._changed:
            run_many(self._connection, _WRITE, [_row(one) for one in self._changed.values()])


def _row(one: Referral) -> tuple[Any, ...]:
    return (
        one.id, one.short, one.patient, one.request, one.programme, one.need, one.recipient, one.status,
        int(one.closed), one.opened_by, one.visit, one.due,
    )


def _referral(
    id_: str, short: str, patient: str, request: str, programme: str, need: str, recipient: str, status: str,
    closed: int, opened_by: str, visit: str, due: str,
) -> Referral:
    return Referral(id_, short, patient, request, programme, need, recipient, status, bool(closed), opened_by, visit, due)
