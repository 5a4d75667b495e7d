"""Questions inside one unit of work: what it has filed and counted, over the database's work list."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from bridge.adapters.store import hold
from bridge.adapters.store.overlay import Overlay
from bridge.core.rows import HeldItem


class Docket:
    """Files questions. `_open` caches the open code questions that the database has."""

    __slots__ = ("_again", "_connection", "_fresh", "_keys", "_open", "_overlay")

    def __init__(self, connection: Connection, overlay: Overlay) -> None:
        self._connection, self._overlay = connection, overlay
        self._open: dict[Any, HeldItem] = {}
        self._fresh: dict[Any, HeldItem] = {}
        self._keys: dict[str, Any] = {}
        self._again: dict[str, tuple[Any, ...]] = {}

    def ask(self, item: HeldItem) -> None:
        """Count a code question that is open in its feed; open an id again that was filed before; else file it.

        Raises ValueError when the id belongs to another question, or a column cannot be.
        """
        hold.row(item)
        key = _key(item)
        if self._keys.get(item.id, key) != key:
            raise ValueError("this id belongs to another question")
        fresh = self._fresh.get(key)
        if fresh is not None:
            self._overlay.set(self._fresh, key, replace(fresh, count=fresh.count + _more(item)))
        elif filed := self._filed(item, key):
            self._repeat(filed, _more(item))
        else:
            self._overlay.set(self._fresh, key, item)
        self._overlay.set(self._keys, item.id, key)

    def _filed(self, item: HeldItem, key: Any) -> HeldItem | None:
        """The open code question that asks the same, else the entry with this id."""
        if key not in self._open:
            rows = hold.look_up(self._connection, item)
            same = [one for one in rows if item.kind == one.kind == "code" and one.state == "open" and _key(one) == key]
            if not same:
                if any(_key(one) != key for one in rows):
                    raise ValueError("this id belongs to another question")
                return rows[0] if rows else None
            self._open[key] = same[0]
        return self._open[key]

    def _repeat(self, filed: HeldItem, more: int) -> None:
        before = self._again.get(filed.id, ("", "", "", 0))[3]
        answer = (filed.answer, filed.answered_by) if filed.state == "open" else ("", "")
        self._overlay.set(self._again, filed.id, ("open", *answer, before + more, filed.id))

    def flush(self) -> None:
        hold.flush(self._connection, self._fresh.values(), self._again.values())


def _key(item: HeldItem) -> Any:
    return hold.question(item) if item.kind == "code" else item.id


def _more(item: HeldItem) -> int:
    return item.count if item.kind == "code" else 0
