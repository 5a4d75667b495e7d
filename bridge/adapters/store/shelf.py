"""Resources inside one unit of work: what it has put, over what it has read, over the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from bridge.adapters.store.codec import fold, join, keyed, later, load, micros, names, plain, same, split
from bridge.adapters.store.overlay import Overlay
from bridge.adapters.store.sql import delete, insert, run, run_many, update
from bridge.core.errors import StoreUnavailable


class Version(NamedTuple):
    """One row of `resources`, in the order in which statements want it; `prior` is the version in the database when read."""

    version: int
    type: str
    patient: str
    event_time: str
    message_id: str
    body: str
    meta: str
    told: str
    ref: str
    prior: int


_STORED = Version._fields[:-1]
_KEPT = tuple(name for name in _STORED if name != "told")
"""Columns of `history`: of a version that is over nobody asks any more which message told what."""
_COLUMNS = ", ".join(_KEPT)
_READ = f"{', '.join(_STORED)}, version"
_BY_REF = f"SELECT {_READ} FROM resources WHERE ref IN LIST"
_BY_PATIENT = f"SELECT {_READ} FROM resources WHERE patient IN LIST"
_OF_TYPES = f"{_BY_PATIENT} AND type IN LIST"
_BY_NAME = f"SELECT {_READ} FROM resources WHERE ref IN (SELECT ref FROM people WHERE birth_date = ? AND family = ?)"
_ARCHIVE = (f"INSERT INTO history ({_COLUMNS}) SELECT {_COLUMNS} FROM resources WHERE ref IN LIST ORDER BY ref "
            "ON CONFLICT (ref, version) DO NOTHING")
_REPLACED = insert("history", _KEPT)
_NEW = insert("resources", _STORED, "ON CONFLICT (ref) DO NOTHING")
_CHANGE = update("resources", _STORED[:-1], ("ref", "version"))
_FORGET_NAME = delete("people", ("birth_date", "family", "ref"))
_NAME = insert("people", ("birth_date", "family", "ref"), "ON CONFLICT DO NOTHING")
_CONSENT = "Consent"
_GENERATIONS = "SELECT patient, number FROM generations WHERE patient IN LIST"
_EXPIRING = "SELECT patient FROM generations WHERE due_us <= ? ORDER BY due_us LIMIT ?"
_MOVE = insert("generations", ("patient", "number"),
               "ON CONFLICT (patient) DO UPDATE SET number = generations.number + excluded.number")
_EXPECT = insert("generations", ("patient", "number", "due_us"), "ON CONFLICT (patient) DO UPDATE SET due_us = excluded.due_us")


class Shelf:
    """Reads and puts of resources.

    `_read` and `_whole` cache what the database has, `_mine` says which refs may be a patient's: no savepoint takes
    them back. `_put`, `_replaced`, `_people`, `_moved` (changes of consent by patient) and `_expected` are what will be
    written.
    """

    __slots__ = ("_connection", "_expected", "_generations", "_mine", "_moved", "_overlay", "_people", "_put", "_read",
                 "_replaced", "_whole")

    def __init__(self, connection: Connection, overlay: Overlay) -> None:
        self._connection, self._overlay = connection, overlay
        self._read: dict[str, Version | None] = {}
        self._whole: dict[tuple[str, str], tuple[str, ...]] = {}
        self._put: dict[str, Version] = {}
        self._mine: dict[str, set[str]] = {}
        self._replaced: list[Version] = []
        self._people: dict[str, tuple[tuple[str, str], ...]] = {}
        self._generations: dict[str, int] = {}
        self._moved: dict[str, int] = {}
        self._expected: dict[str, int | None] = {}

    def preload(self, refs: Iterable[str]) -> None:
        missing = sorted({plain(ref) for ref in refs}.difference(self._read))
        if missing:
            self._read.update(dict.fromkeys(missing))
            self._keep(run(self._connection, _BY_REF, missing))

    def preload_consents(self, patients: list[str]) -> None:
        self._load(patients, (_CONSENT, "Flag"))

    def generation(self, patient: str) -> int:
        """The number under which what is worked out from this patient's consents may be kept; 0 for not at all."""
        if (patient, _CONSENT) not in self._whole:
            self._load([patient], (_CONSENT,))
        return 0 if patient in self._moved else self._generations.get(patient, 0)

    def expect(self, patient: str, due: datetime | None) -> None:
        self._overlay.set(self._expected, patient, None if due is None else micros(due))

    def _load(self, patients: list[str], types: tuple[str, ...]) -> None:
        if _CONSENT in types:  # the number first: consents that come in between count as the older generation
            self._generations.update(generations(self._connection, patients))
        rows = self._keep(run(self._connection, _OF_TYPES, patients, list(types)))
        found: dict[tuple[str, str], list[str]] = {(patient, type_): [] for patient in patients for type_ in types}
        for row in rows:
            found[row.patient, row.type].append(row.ref)
        self._whole.update({key: tuple(refs) for key, refs in found.items()})

    def _keep(self, rows: Iterable[Any]) -> list[Version]:
        versions = [Version._make(row) for row in rows]
        self._read.update({version.ref: version for version in versions})
        return versions

    def newest(self, ref: str) -> Version | None:
        """The newest version as this unit of work sees it."""
        found = self._put.get(ref)
        if found is None:
            if ref not in self._read:
                self.preload((ref,))
            found = self._read.get(ref)
        return found

    def resource(self, ref: str) -> dict[str, Any] | None:
        found = self.newest(ref)
        return join(found.body, found.meta, found.version) if found else None

    def of_patient(self, patient: str, types: tuple[str, ...]) -> list[dict[str, Any]]:
        """Newest versions of this patient's resources of these types (of all when none is named), by `Type/id`."""
        if types:
            unknown = tuple(type_ for type_ in types if (patient, type_) not in self._whole)
            if unknown:  # a decision that asks for consents asks for flags too
                self._load([patient], (*unknown, "Flag") if "Consent" in unknown else unknown)
            refs = {ref for type_ in types for ref in self._whole[patient, type_]}
        else:
            refs = {row.ref for row in self._keep(run(self._connection, _BY_PATIENT, [patient]))}
        refs.update(self._mine.get(patient, ()))
        rows = [row for ref in sorted(refs) if (row := self.newest(ref)) and row.patient == patient]
        rows = [row for row in rows if row.type in types] if types else rows
        return [join(row.body, row.meta, row.version) for row in rows]

    def people(self, birth_date: str, family: str) -> list[dict[str, Any]]:
        """Patient resources under this birth date and folded family name, by `Patient/id`."""
        name = (keyed(birth_date), keyed(fold(family)))
        if not all(name):
            return []
        refs = {row.ref for row in self._keep(run(self._connection, _BY_NAME, *name))}
        refs = {ref for ref in refs if name in self._people.get(ref, (name,))}
        refs.update(ref for ref, known in self._people.items() if name in known)
        rows = [row for ref in sorted(refs) if (row := self.newest(ref))]
        return [join(row.body, row.meta, row.version) for row in rows]

    def put(self, resource: Mapping[str, Any], patient: str, message_id: str, event_time: str, told: str = "") -> int:
        """Store a new version and return its number.

        The same content keeps its version and its message; its meta is replaced, and its event time only moves on.
        Without a new `told` the old one stays.
        """
        ref, body, meta = split(resource)
        old = self.newest(ref)
        type_ = resource["resourceType"]
        if old is not None and same(old.body, body):
            time = event_time if later(event_time, old.event_time) else old.event_time
            new = old._replace(patient=patient, event_time=time, meta=old.meta if same(old.meta, meta) else meta,
                               told=told or old.told)
            if new == old:
                return old.version
        elif old is None:
            new = Version(1, type_, patient, event_time, message_id, body, meta, told, ref, 0)
        else:
            new = Version(old.version + 1, type_, patient, event_time, message_id, body, meta, told or old.told, ref, old.prior)
            if old.version > old.prior:
                self._overlay.append(self._replaced, old)
        if type_ == "Patient":
            self._name(ref, resource, old, new)
        if type_ == _CONSENT:
            for one in {patient, old.patient if old else patient}:
                self._overlay.set(self._moved, one, self._moved.get(one, 0) + 1)
        self._overlay.set(self._put, ref, new)
        self._mine.setdefault(patient, set()).add(ref)
        return new.version

    def _name(self, ref: str, resource: Mapping[str, Any], old: Version | None, new: Version) -> None:
        """Note the names under which a Patient is found, when they may have changed."""
        if old is None or old.body != new.body:
            found = names(resource)
            if old is None or found != names(load(old.body)):
                self._overlay.set(self._people, ref, found)

    def flush(self) -> None:
        """Write what was put, by `Type/id` so that two processes lock shared rows in one order.

        Raises StoreUnavailable when another process has put a newer version since we read: the work must run again.
        """
        changed = sorted(ref for ref, row in self._put.items() if row.version > row.prior > 0)
        if changed:
            run(self._connection, _ARCHIVE, changed)
        run_many(self._connection, _REPLACED, [(*row[:-3], row.ref) for row in self._replaced])
        rows = [row for _, row in sorted(self._put.items())]
        new, old = [row[:-1] for row in rows if not row.prior], [row for row in rows if row.prior]
        if run_many(self._connection, _NEW, new) + run_many(self._connection, _CHANGE, old) != len(rows):
            raise StoreUnavailable("another process put a newer version meanwhile: run it again", after=0.1)
        self._flush_names()
        run_many(self._connection, _MOVE, sorted(self._moved.items()))
        run_many(self._connection, _EXPECT, [(patient, 0, due) for patient, due in sorted(self._expected.items())])

    def _flush_names(self) -> None:
        stale = [(*name, ref) for ref in self._people if (old := self._read[ref]) for name in names(load(old.body))]
        run_many(self._connection, _FORGET_NAME, sorted(stale))
        run_many(self._connection, _NAME,
                 sorted((*name, ref) for ref, found in self._people.items() for name in found))


def generations(connection: Connection, patients: Iterable[str]) -> dict[str, int]:
    """How often the consents of these patients have changed, for those that have any."""
    return dict(map(tuple, run(connection, _GENERATIONS, sorted(set(patients)))))


def expiring(connection: Connection, limit: int, now: datetime) -> list[str]:
    """Patients whose moment (`expect`) has come, longest ago first."""
    return [patient for (patient,) in run(connection, _EXPIRING, micros(now), limit)]


_VERSION = ("SELECT body, meta FROM resources WHERE ref = ? AND version = ? "
            "UNION ALL SELECT body, meta FROM history WHERE ref = ? AND version = ?")


def version(connection: Connection, ref: str, number: int) -> dict[str, Any] | None:
    """One version of `Type/id`; None when there is none."""
    rows = run(connection, _VERSION, ref, number, ref, number) if number > 0 else []
    return join(rows[0][0], rows[0][1], number) if rows else None
