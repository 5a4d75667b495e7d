"""From text to segment lines: line ends, continuation lines, misspelt names, and whether the end is missing."""

from __future__ import annotations

import re
from functools import lru_cache

from bridge.core.issue import Issue
from bridge.hl7v2 import tables
from bridge.hl7v2.separators import Separators
from bridge.hl7v2.text import unreadable

LONG = 1 << 16
"""Characters from which on a message is counted through before it is split."""

MOST_REPORTED = 50
"""Repairs of one kind that are listed one by one; further ones are only counted."""

MOST_SEGMENTS, MOST_FIELDS, MOST_REPETITIONS = 50_000, 1_000_000, 100_000
"""Of one message. Each segment and repetition may become a resource or an element, so that more of them would take minutes
and gigabytes; a laboratory's longest reports stay far below."""


def arrange(content: str, seps: Separators, whole: bool) -> tuple[list[str], list[Issue]]:
    """Return one line per segment and what was put right; raises Unreadable when a second MSH stands inside.

    Segments end with CR (HL7 v2.5.1 ch.2 §2.5.4); feeds also end them with LF or CRLF and leave such ends in text.
    """
    if "\n" in content:
        content = content.replace("\r\n", "\r").replace("\n", "\r")
    if len(content) > LONG:
        _bounded(content, seps)
    lines = content.split("\r")
    ended = whole or not lines[-1]
    if ended and not whole:
        lines.pop()
    fits = _segment(seps.field).match
    issues: list[Issue] = []
    if not all(map(fits, lines)):
        lines, issues = _joined(lines, seps)
    elif "\rMSH" in content:
        raise _second()
    lost = _tail(lines, seps, ended)
    if lost:
        issues.append(lost)
    return lines, issues


def _bounded(content: str, seps: Separators) -> None:
    for what, mark, most in (("segments", "\r", MOST_SEGMENTS), ("fields", seps.field, MOST_FIELDS),
                             ("repetitions", seps.repetition, MOST_REPETITIONS)):
        if mark and content.count(mark) > most:
            raise unreadable("BRG-H003", f"the message has more than {most} {what}",
                             "split it at the sender, or send large documents by reference")


@lru_cache(maxsize=64)
def _segment(mark: str) -> re.Pattern[str]:
    return re.compile(rf"[A-Z][A-Z0-9]{{2}}(?:{re.escape(mark)}|$)")


def _second() -> Exception:
    return unreadable(
        "BRG-H004", "a second MSH stands in the message", "split the file into its messages first (batch.split)"
    )


def _joined(lines: list[str], seps: Separators) -> tuple[list[str], list[Issue]]:
    """Join what is no segment to the segment before it, as text after a line break; drop blank lines elsewhere."""
    fits = _segment(seps.field).match
    pieces: list[list[str]] = []
    joined: dict[str, int] = {}
    renamed: dict[str, int] = {}
    blanks = 0
    for line in lines:
        if not line.strip(" \t\x0b\x1c\x00"):
            blanks += 1
            continue
        name = line if fits(line) else _renamed(line, seps)
        if name:
            if name is not line:
                _count(renamed, name[:3], len(pieces))
            if name.startswith("MSH") and pieces:
                raise _second()
            pieces.append([name])
        elif not pieces:
            raise unreadable(
                "BRG-H002", "MSH is not followed by its field separator", "the first segment must begin with MSH|^~\\&|"
            )
        else:
            pieces[-1].extend([""] * blanks)
            pieces[-1].append(line)
            _count(joined, pieces[-1][0][:3], len(pieces) - 1)
        blanks = 0
    return ["\n".join(piece) for piece in pieces], _reported(joined, renamed)


def _renamed(line: str, seps: Separators) -> str:
    """Return the line with its segment name put right, when blanks before it or small letters are all that is wrong."""
    bare = line.lstrip(" \t\x0b\x00\ufeff")
    name = bare[:3].upper()
    known = name.startswith("Z") or tables.segment_fields(name) or (name == "MSH")
    fits = _segment(seps.field).match(name + bare[3:])
    return name + bare[3:] if known and fits and bare[3:] else ""


def _count(found: dict[str, int], name: str, position: int) -> None:
    """Count one repair at a segment; past the limit only the kind of segment is named."""
    place = f"{name} (segment {position + 1})" if len(found) < MOST_REPORTED else name
    found[place] = found.get(place, 0) + 1


def _reported(joined: dict[str, int], renamed: dict[str, int]) -> list[Issue]:
    lines = [
        Issue(
            "warning",
            "BRG-H012",
            place.partition(" ")[0],
            f"{times} line(s) in {place} do not begin with a segment name; they were read as text after a line break",
            "ask the sender to write line breaks in text as \\.br\\",
            "structure",
        )
        for place, times in joined.items()
    ]
    names = [
        Issue(
            "information",
            "BRG-H013",
            place.partition(" ")[0],
            f"the segment name of {place} was written in small letters or after blanks",
            "segment names stand at the beginning of a line, in capital letters",
            "structure",
        )
        for place in renamed
    ]
    return lines + names


def _tail(lines: list[str], seps: Separators, ended: bool) -> Issue | None:
    """Say that the message is cut (BRG-H014) or lacks a later segment of its structure (BRG-H016)."""
    name = lines[-1][:3]
    if not ended and _torn(lines[-1], lines, seps):
        return _lost("BRG-H014", name, f"the last segment, {name}, ends in the middle: the message seems to be cut")
    if name in _LATE:
        return None
    missing = _missing(lines, seps)
    if missing and ended:
        return _lost(
            "BRG-H016", missing, f"the message ends after {name}, without the {missing} that its structure requires"
        )
    if missing:
        return _lost(
            "BRG-H014",
            missing,
            f"the message ends after {name} without line end and without {missing}: it seems to be cut",
        )
    return None


_LATE = {
    *("PV1", "PV2", "OBX", "DG1", "GT1", "IN1", "IN2", "IN3", "AL1", "PR1", "NTE", "MRG", "PDA", "ACC", "UB1", "UB2"),
    *("DB1", "SPM", "TXA", "AIS", "AIP", "AIL"),
}
"""Segments that stand late in a message: one that reaches them is not short of its beginning."""


def _torn(last: str, lines: list[str], seps: Separators) -> bool:
    """Whether an escape is left open at the end, or the segment lacks required fields that its sisters all have."""
    if seps.escape and last.rpartition(seps.field)[2].count(seps.escape) % 2:
        return True
    name, reached = last[:3], last.count(seps.field)
    sisters = [line.count(seps.field) for line in lines[:-1] if line[:3] == name]
    if not sisters:
        return False
    needed = max(
        (field for field in range(1, tables.segment_fields(name) + 1) if tables.required(name, field)), default=0
    )
    return reached < needed <= min(sisters)


def _missing(lines: list[str], seps: Separators) -> str:
    """Return the first segment that the structure of the message requires and that it lacks, "" when none."""
    header = lines[0].split(seps.field, 9)
    kind = header[8].partition(seps.repetition or "\0")[0].split(seps.component) if len(header) > 8 else []
    if len(kind) < 2:
        return ""
    names = {line[:3] for line in lines}
    sent = tables.required_segments(kind[2]) if len(kind) > 2 else ()
    needed = sent or tables.required_segments(tables.structure(kind[0], kind[1]))
    return next((name for name in needed if name not in names), "")


def _lost(code: str, where: str, text: str) -> Issue:
    return Issue("warning", code, where, text, "compare it with the sender's copy, or ask for it again", "incomplete")
