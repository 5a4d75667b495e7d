"""Writes that are not in the database yet, and how to take the last of them back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_ABSENT: Any = object()


class Overlay:
    """A log of changes to dicts and lists, undone in reverse order: a savepoint costs nothing until it is needed."""

    __slots__ = ("_undo",)

    def __init__(self) -> None:
        self._undo: list[tuple[Any, Any, Any]] = []

    def set(self, place: dict[Any, Any], key: Any, value: Any) -> None:
        self._undo.append((place, key, place.get(key, _ABSENT)))
        place[key] = value

    def append(self, place: list[Any], value: Any) -> None:
        self._undo.append((place, None, _ABSENT))
        place.append(value)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what was set and appended inside when the block raises."""
        mark = len(self._undo)
        try:
            yield
        except BaseException:
            self._rewind(mark)
            raise

    def _rewind(self, mark: int) -> None:
        while len(self._undo) > mark:
            place, key, before = self._undo.pop()
            if isinstance(place, list):
                place.pop()
            elif before is _ABSENT:
                del place[key]
            else:
                place[key] = before
