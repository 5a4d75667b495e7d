"""Changes to the segments of a message, on their escaped text. Each says whether it changed anything."""

from __future__ import annotations

from collections.abc import Callable, Collection

from bridge.hl7v2.message import NULL, Segment
from bridge.hl7v2.path import Path
from bridge.hl7v2.separators import Separators, escape

Segments = list[Segment]
Edit = Callable[[Segments], bool]
Change = Callable[[str, Separators], str]
"""From the escaped text of a repetition, or of its component, to the new one."""

SUFFIXES = frozenset(("JR", "SR", "II", "III", "IV"))


def read(segments: Segments, place: Path) -> str:
    """Return the escaped text at the place in its first segment and repetition; "" when absent, empty or null."""
    for segment in segments:
        if segment.name == place.segment:
            raw = _repetitions(segment.field(place.field), segment.seps)[0]
            if place.component and raw:
                parts = raw.split(segment.seps.component)
                raw = parts[place.component - 1] if place.component <= len(parts) else ""
            return "" if raw == NULL else raw
    return ""


def put(segments: Segments, place: Path, raw: str) -> bool:
    """Write a whole field in the first segment of that name."""
    for index, segment in enumerate(segments):
        if segment.name == place.segment:
            if segment.field(place.field) == raw:
                return False
            segments[index] = segment.replaced({place.field: raw})
            return True
    return False


def append(segments: Segments, source: Path, target: Path, kind: str) -> bool:
    """Add the identifiers of one field to those of another, leaving out those it has; `kind` fills an empty CX.5."""
    found = next((segment for segment in segments if segment.name == source.segment), None)
    into = next((segment for segment in segments if segment.name == target.segment), None)
    if found is None or into is None or not found.field(source.field):
        return False
    seps = found.seps
    there = [one for one in _repetitions(into.field(target.field), seps) if one]
    known = {one.split(seps.component)[0] for one in there}
    for one in _repetitions(found.field(source.field), seps):
        parts = one.split(seps.component)
        if one == NULL or not parts[0] or parts[0] in known:
            continue
        if kind:
            parts += [""] * (5 - len(parts))
            parts[4] = parts[4] or escape(kind, seps)
        there.append(seps.component.join(parts))
    put(segments, target, (seps.repetition or seps.component).join(there))
    return True


def fill(segments: Segments, place: Path, raw: str, only: Collection[str], but: Collection[str]) -> bool:
    """Write into every empty place of that path; for a component, where the first one has content and CX.5 fits."""

    def change(value: str, seps: Separators) -> str:
        parts = value.split(seps.component)
        kind = parts[4] if len(parts) > 4 else ""
        if not parts[0] or value == NULL or kind in but or (only and kind not in only):
            return value
        parts += [""] * (place.component - len(parts))
        parts[place.component - 1] = parts[place.component - 1] or raw
        return seps.component.join(parts)

    if place.component:
        return rewrite(segments, Path(place.segment, field=place.field), change)
    empty = [
        index
        for index, segment in enumerate(segments)
        if segment.name == place.segment and not segment.field(place.field)
    ]
    for index in empty:
        segments[index] = segments[index].replaced({place.field: raw})
    return bool(empty)


def rewrite(segments: Segments, place: Path, change: Change) -> bool:
    """Change every repetition of the field, or its component, in every segment of that name; null stays null."""
    changed = False
    name = place.segment
    for index in [index for index, segment in enumerate(segments) if segment.name == name]:
        segment = segments[index]
        raw, seps = segment.field(place.field), segment.seps
        if not raw:
            continue
        new = (seps.repetition or "").join([_changed(one, place.component, seps, change) for one in _repetitions(raw, seps)])
        if new != raw:
            segments[index] = segment.replaced({place.field: new})
            changed = True
    return changed


def mapped(raw: str, seps: Separators, change: Callable[[str], str]) -> str:
    """Change every subcomponent."""
    return seps.component.join(
        seps.sub.join(map(change, part.split(seps.sub))) if seps.sub else change(part)
        for part in raw.split(seps.component)
    )


def comma_name(start: int) -> Change:
    """Return the change of `FAMILY,GIVEN MIDDLE` at a component into name components; others keep their places."""

    def change(raw: str, seps: Separators) -> str:
        parts = raw.split(seps.component)
        if len(parts) < start or "," not in parts[start - 1] or any(parts[start : start + 2]):
            return raw
        family, _, rest = parts[start - 1].partition(",")
        words = rest.replace(",", " ").split()
        names = [word for word in words if word.rstrip(".").upper() not in SUFFIXES]
        suffix = next((word for word in words if word not in names), "")
        parts += [""] * (start + 3 - len(parts))
        parts[start - 1 : start + 2] = [family.strip(), names[0] if names else "", " ".join(names[1:])]
        parts[start + 2] = parts[start + 2] or suffix
        while not parts[-1] and len(parts) > start:
            parts.pop()
        return seps.component.join(parts)

    return change


def triplet_first(system: str) -> Change:
    """Return the change of a coded value that puts the triplet (code, text, system) of this system first.

    The versions of the coding systems (CWE.7, CWE.8) change places with their triplets.
    """

    def change(raw: str, seps: Separators) -> str:
        parts = raw.split(seps.component)
        if len(parts) < 6 or parts[2] == system or parts[5] != system:
            return raw
        parts[0:6] = [*parts[3:6], *parts[0:3]]
        if len(parts) > 6:
            parts += [""] * (8 - len(parts))
            parts[6:8] = [parts[7], parts[6]]
        return seps.component.join(parts).rstrip(seps.component)

    return change


def one_per_name(segments: Segments, place: Path) -> bool:
    """Keep of the people (XCN) with one name the repetition that holds an NPI, else the first."""
    changed = False
    for index, segment in enumerate(segments):
        if segment.name != place.segment or not segment.field(place.field):
            continue
        kept: dict[str, str] = {}
        people = _repetitions(segment.field(place.field), segment.seps)
        for one in people:
            parts = [*one.split(segment.seps.component), *[""] * 13]
            name = f"{parts[1]}\0{parts[2]}".casefold() if parts[1] else one
            if name not in kept or ("NPI" in (parts[8][:3], parts[12]) and not _npi(kept[name], segment.seps)):
                kept[name] = one
        if len(kept) < len(people):
            segments[index] = segment.replaced({place.field: segment.seps.repetition.join(kept.values())})
            changed = True
    return changed


def written(word: str, segments: Segments) -> str:
    """Return a word of a feed file as this message writes it."""
    return escape(word, segments[0].seps)


def _npi(raw: str, seps: Separators) -> bool:
    parts = [*raw.split(seps.component), *[""] * 13]
    return "NPI" in (parts[8][:3], parts[12])


def _repetitions(raw: str, seps: Separators) -> list[str]:
    return raw.split(seps.repetition) if seps.repetition else [raw]


def _changed(raw: str, component: int, seps: Separators, change: Change) -> str:
    if raw == NULL or not raw:
        return raw
    if not component:
        return change(raw, seps)
    parts = raw.split(seps.component)
    if component <= len(parts) and parts[component - 1] not in ("", NULL):
        parts[component - 1] = change(parts[component - 1], seps)
    return seps.component.join(parts)
