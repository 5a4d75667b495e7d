"""Part 2 programmes and providers of one kind of care: what being named by, or coming from, one of them reveals.

The rows are a site's facts, in `registry.csv` beside its label rules (`profiles/consent/labels/registry.csv` says how).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from bridge.consent import labels
from bridge.consent import terms as vocabulary
from bridge.core.errors import SettingsError

KINDS = ("sender", "facility", "unit", "authority", "provider")
NONE: frozenset[str] = frozenset()


class Registry:
    """Labels by kind and name; empty for a site that has registered nobody."""

    __slots__ = ("_rows",)

    def __init__(self, rows: Iterable[Mapping[str, str]] = ()) -> None:
        self._rows: dict[tuple[str, str], frozenset[str]] = {}
        known = set(vocabulary.load().canonical.values()) | {vocabulary.PART2}
        for row in rows:
            given = frozenset(row["labels"].split())
            if row["kind"] not in KINDS or not row["name"].strip() or not given or given - known:
                raise SettingsError(f"consent/labels/registry.csv: row {row['id']} has no name, an unknown kind or an unknown label")
            key = (row["kind"], _fold(row["name"]))
            self._rows[key] = self._rows.get(key, NONE) | given

    def __bool__(self) -> bool:
        return bool(self._rows)

    def of(self, kind: str, names: Iterable[str]) -> frozenset[str]:
        """What these names reveal together as this kind; names are compared without case and doubled blanks."""
        return frozenset().union(*(self._rows.get((kind, _fold(name)), NONE) for name in names if name)) if self._rows else NONE


def names(resource: Mapping[str, Any]) -> Iterator[str]:
    """What an organisation, place or practitioner is called: identifiers, with and without system, and a name that is a text."""
    for identifier in resource.get("identifier") or ():
        yield from identified(identifier)
    if isinstance(resource.get("name"), str):
        yield resource["name"]


def identified(identifier: Mapping[str, Any]) -> Iterator[str]:
    """An identifier's value, alone and with its system."""
    value = str(identifier.get("value") or "")
    yield value
    yield value.removeprefix("urn:oid:")
    yield f"{identifier.get('system') or ''}|{value}"


@lru_cache(16)
def load(*folders: str) -> Registry:
    """The registry of these folders, without any the packaged one, which is empty; read once per process."""
    return Registry(row for place in ([Path(each) for each in folders] or [labels.packaged()]) for row in rows(place))


def rows(folder: Traversable) -> list[dict[str, str]]:
    """The rows of a folder's registry; none when it has no such file."""
    file = folder.joinpath("registry.csv")
    return vocabulary.rows(file) if file.is_file() else []


def _fold(name: str) -> str:
    return " ".join(name.split()).casefold()
