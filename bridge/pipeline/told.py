"""Which message each element of a resource is from, so that any order of arrival ends in the same resource.

A resource is put together of pieces: an element, a part of a period, one entry of a list that grows. Each piece is what
the newest message about it said; a piece that was deleted leaves its time behind, so that an older message does not bring
it back. Newest of each, taken one message at a time, is the same whatever the order and however often.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from functools import lru_cache
from typing import Any

import orjson

from bridge.core.draft import Draft
from bridge.core.ports import Work
from bridge.referral.state import instant

Resource = dict[str, Any]
Pieces = dict[str, Any]

CHOICES = ("deceased", "multipleBirth", "onset", "abatement", "value", "effective", "performed", "occurrence", "asNeeded", "serviced")
"""Elements of several types (`deceased[x]`): one said in another type replaces the other."""

PARTS = {"Encounter": ("meta", "period", "hospitalization")}
"""Elements of which every part is a piece; `meta` is one everywhere."""


def _coded(concepts: Any) -> str:
    return ",".join(str(one.get("code") or one.get("display") or "") for concept in concepts or () for one in concept.get("coding", ()))


def _place(entry: Mapping[str, Any]) -> str:
    return str(entry.get("location", {}).get("reference", ""))


def _diagnosed(entry: Mapping[str, Any]) -> str:
    return f"{entry.get('condition', {}).get('reference', '')} {_coded([entry.get('use', {})])}"


def _number(entry: Mapping[str, Any]) -> str:
    return f"{entry.get('system', '')}|{entry.get('value', '')}"


GROWING: dict[tuple[str, str], Callable[[Mapping[str, Any]], str]] = {
    ("", "identifier"): _number,
    ("", "extension"): lambda entry: str(entry.get("url", "")),
    ("Encounter", "location"): _place,
    ("Encounter", "diagnosis"): _diagnosed,
    ("Encounter", "participant"): lambda entry: _coded(entry.get("type")),
    ("Patient", "link"): lambda entry: str(entry.get("other", {}).get("reference", "")),
    # PID-13 and PID-14 are told apart by their use: a message that leaves one out says nothing about it
    ("Patient", "telecom"): lambda entry: "work" if entry.get("use") == "work" else "",
}
"""Lists of which a message tells some entries: those with one key are a piece, the others stay. All other lists are whole."""

RECORDED = frozenset({"period.end", "hospitalization.dischargeDisposition", "hospitalization.destination"})
"""What a discharge says and its cancel takes back. Which of the two counts goes by when they were entered (EVN-2): EVN-6 of
a cancel names the event that it cancels (HL7 v2.5.1, 3.4.1.6), and a discharge may be entered again for an earlier hour."""


@dataclass(frozen=True, slots=True)
class Told:
    """When each piece was said: `at` by path, "" for the pieces that are not named. `home` is the person, before any merge
    of records, whom the resource is about."""

    home: str = ""
    at: Mapping[str, str] = field(default_factory=dict)

    def write(self) -> str:
        """As the ledger keeps it."""
        return orjson.dumps([self.home, self.at]).decode()


def read(text: str) -> Told | None:
    """What `write` wrote; None for a resource that no message tells about."""
    return Told(*orjson.loads(text)) if text else None


def home_of(ref: str, work: Work) -> str:
    """The record that a resource was told about; "" when nothing says so."""
    told = read(work.told(ref))
    return told.home if told else ""


def stamp(draft: Draft, control_id: str, message_id: str, *, undoing: bool) -> str:
    """A text that orders what messages said: when it happened, when it was entered, an undoing event after what it undoes,
    then the sender's own counter. Two messages never have the same, and one always has the same."""
    entered = next((one["meta"]["lastUpdated"] for one in draft.of_type("MessageHeader") if "lastUpdated" in one.get("meta", {})), "")
    happened = _moment(draft.event_time)
    return f"{happened}{_moment(entered) if entered else happened}{int(undoing)}{len(control_id):02}{control_id[:40]}.{message_id[:8]}"


def entered(of: str) -> str:
    """The same order by when it was entered first, then by when it happened."""
    return of[20:40] + of[:20] + of[40:]


@lru_cache(1024)
def _moment(text: str) -> str:
    """A FHIR dateTime as 20 digits of UTC."""
    try:
        moment = instant(text)
    except ValueError:  # a leap second, which FHIR allows and Python's clock does not have
        moment = instant(text.replace(":60", ":59"))
    try:
        return f"{moment.astimezone(UTC):%Y%m%d%H%M%S%f}".rjust(20, "0")
    except OverflowError:
        return "0" * 20


@lru_cache(1024)
def path_of(name: str) -> str:
    """The piece that an element belongs to: `_birthDate` to birthDate, deceasedDateTime to deceased[x]."""
    name = name.lstrip("_")
    stem = next((stem for stem in CHOICES if name.startswith(stem) and name[len(stem):len(stem) + 1].isupper()), "")
    return f"{stem}[x]" if stem else name


def pieces(resource: Mapping[str, Any]) -> Pieces:
    """Piece by path: the members of an element, those of its part (`period.end`), or the entries of a key (`link[...]`)."""
    type_ = resource["resourceType"]
    found: Pieces = {}
    for name, value in resource.items():
        key = GROWING.get(("", name)) or GROWING.get((type_, name))
        if key is not None and isinstance(value, list):
            for entry in value:
                found.setdefault(f"{name}[{key(entry)}]", []).append(entry)
        elif name in PARTS.get(type_, ("meta",)) and isinstance(value, dict):
            for part, inner in value.items():
                if part not in ("versionId", "lastUpdated"):
                    found.setdefault(f"{name}.{path_of(part)}", {})[part] = inner
        elif name not in ("resourceType", "id"):
            found.setdefault(path_of(name), {})[name] = value
    return found


def assemble(of: Mapping[str, Any], found: Pieces, at: Mapping[str, str]) -> Resource:
    """The resource of these pieces; in a list that grows, what was said last stands first."""
    made: Resource = {"resourceType": of["resourceType"], "id": of["id"]}
    lists: dict[str, list[str]] = {}
    for path, piece in found.items():
        name, dot, _ = path.partition(".")
        if isinstance(piece, list):
            lists.setdefault(path.partition("[")[0], []).append(path)
        elif dot:
            made.setdefault(name, {}).update(piece)
        else:
            made |= piece
    for name, paths in lists.items():
        made[name] = [entry for path in sorted(paths, key=at.__getitem__, reverse=True) for entry in found[path]]
    return made


def covering(path: str) -> str:
    """The path under which a deletion of the whole element is remembered."""
    return path if path.endswith("[x]") else path.partition("[")[0].partition(".")[0]


def newer(path: str, than: Mapping[str, str], of: str) -> bool:
    """Whether what `of` says of a piece is not older than what is known of it."""
    order = entered if path in RECORDED else str
    return all(order(of) >= order(than[known]) for known in (path, covering(path)) if known in than)


def tell(new: Resource, gone: Iterable[str], of: str, stored: Resource | None, told: Told | None) -> tuple[Resource, dict[str, str]]:
    """What is known after a message has said `new` and deleted the paths `gone`; with the time of each piece.

    The times are those of every piece, and of what is not there any more.
    """
    fresh = pieces(new)
    found = pieces(stored) if stored else {}
    at = dict(told.at) if told else {}
    usual = at.pop("", "")
    at = {**dict.fromkeys(found, usual), **at}
    for path, piece in fresh.items():
        if newer(path, at, of):
            found.pop(path, None)
            found[path] = piece
            at[path] = of
    for path in gone:
        if path in fresh:
            continue
        for known in [known for known in found if path in (known, covering(known)) and newer(known, at, of)]:
            del found[known], at[known]
        if newer(path, at, of):
            at[path] = of
    return assemble(new, found, at), at


def packed(at: Mapping[str, str], resource: Resource) -> dict[str, str]:
    """The times with the most usual one of what is there named once."""
    here = pieces(resource)
    usual = Counter(at[path] for path in here if path in at)
    common = max(usual, key=lambda time: (usual[time], time), default="")
    kept = {path: time for path, time in at.items() if path not in here or time != common}
    return {"": common, **kept}
