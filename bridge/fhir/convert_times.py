"""HL7 v2 times to FHIR: what was said is kept, what was not said is not invented.

Precision stays as sent down to the day; FHIR has no hour or minute precision, so those are padded with zeros (FHIR
R4 datatypes, dateTime). A sent offset is kept as sent. A time without one is read on the sender's clock; when nobody
knows that clock, only the day is certain. HL7 v2.5.1 chapter 2A, sections 2.A.21, 2.A.22, 2.A.75, 2.A.77.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, tzinfo
from typing import Any

from bridge.fhir.convert_value import Sender, Value

_DAY = r"(\d{4})(?:{0}(0[1-9]|1[0-2])(?:{0}(0[1-9]|[12]\d|3[01])"
_CLOCK = r"([01]\d|2[0-3])(?:{0}([0-5]\d)(?:{0}([0-5]\d)(?:\.(\d{{1,9}}))?)?)?"
_OFFSET = r"([+-](?:(?:0\d|1[0-3]){0}[0-5]\d|14{0}00)|Z)?\Z"
_STAMP = re.compile(_DAY.replace("{0}", "") + "(?:" + _CLOCK.format("") + ")?)?)?" + _OFFSET.format(""), re.ASCII)
_ISO = re.compile(_DAY.replace("{0}", "-") + "(?:[T ]" + _CLOCK.format(":") + ")?)?)?" + _OFFSET.format(":?"), re.ASCII)
_MOMENT = re.compile(r"([12]\d{3})(0[1-9]|1[0-2])(0[1-9]|1\d|2[0-8])([01]\d|2[0-3])([0-5]\d)([0-5]\d)([+-](?:0\d|1[0-3]))([0-5]\d)\Z", re.ASCII)
"""The usual form of a moment, every part of it sent and on a day that each month has: a shorter way to the same."""
_LEAD = re.compile(r"\d{8}|\d{6}(?!\d)|\d{4}-\d\d(?:-\d\d)?|\d{4}(?!\d)", re.ASCII)
_TIME = re.compile(_CLOCK.format(":?") + _OFFSET.format(":?"), re.ASCII)

_DIGITS = {"Y": 1, "L": 2, "D": 3}
"""TS.2, degree of precision, kept in HL7 for older senders: how many parts of TS.1 count."""

IMPOSSIBLE, NO_ZONE, GAP, FOLD, PARTIAL = "BRG-M201", "BRG-M202", "BRG-M203", "BRG-M204", "BRG-M205"

Parts = tuple[str | None, ...]
"""Year, month, day, hour, minute, second, fraction, offset; None from the first one that was not sent."""


def date_time(value: Value, sender: Sender) -> str | None:
    """TS or DTM -> dateTime."""
    if found := _MOMENT.match(value.raw):
        year, month, day_, hour, minute, second, hours, minutes = found.groups()
        return f"{year}-{month}-{day_}T{hour}:{minute}:{second}{hours}:{minutes}"
    parts = _read(value, sender)
    return _written(parts, sender) if parts else None


def day(value: Value, sender: Sender) -> str | None:
    """TS, DTM or DT -> date: the first eight digits, as many as were sent; the time of day is not looked at."""
    text = value.text().strip()
    if not text:
        return None
    found = _LEAD.match(text)
    found = found and _STAMP.match(found[0].replace("-", ""))
    if found is None or not _exists(found):
        _impossible(sender)
        return None
    return _day(found[1], found[2], found[3])


def instant(value: Value, sender: Sender) -> str | None:
    """TS or DTM -> instant; a stamp that is no moment (only a day, or no zone known) gives nothing and is reported."""
    written = date_time(value, sender)
    if written is None or len(written) > 10:
        return written
    sender.report("warning", PARTIAL, "not precise enough for a moment in time; the element stays out",
                  "the sender should send time of day and offset, or give the feed a zone")
    return None


def time(value: Value, sender: Sender) -> str | None:
    """TM, or the time of day of a TS or DTM -> time; FHIR's time has no offset, so one that was sent is left."""
    text = value.text()
    if not text:
        return None
    parts = _TIME.match(text[8:] if len(text) > 8 and text[:8].isdigit() else text)
    if parts is None:
        _impossible(sender)
        return None
    fraction = f".{parts[4]}" if parts[4] else ""
    return f"{parts[1]}:{parts[2] or '00'}:{parts[3] or '00'}{fraction}"


def period(value: Value, sender: Sender) -> dict[str, Any] | None:
    """DR -> Period; an end before the start is reported and left out (FHIR per-1)."""
    return span(value.component(1), value.component(2), sender)


def span(start: Value, end: Value, sender: Sender) -> dict[str, Any] | None:
    """Two TS -> Period."""
    made = {}
    if begin := date_time(start, sender):
        made["start"] = begin
    if finish := date_time(end, sender):
        if begin and _precedes(finish, begin):
            sender.report("warning", IMPOSSIBLE, "the period ends before it starts; its end stays out")
        else:
            made["end"] = finish
    return made or None


def _precedes(one: str, other: str) -> bool:
    """Whether a dateTime lies before another, as far as the less precise of the two can tell."""
    if len(one) > 10 and len(other) > 10:
        return datetime.fromisoformat(one) < datetime.fromisoformat(other)
    known = min(len(one), len(other), 10)
    return one[:known] < other[:known]


def _read(value: Value, sender: Sender) -> Parts | None:
    text = value.text().strip()
    if not text:
        return None
    found = _STAMP.match(text) or _ISO.match(text)
    if found is None or not _exists(found):
        _impossible(sender)
        return None
    parts: Parts = found.groups()
    if len(value.parts) > 1 and (kept := _DIGITS.get(value.text(2))):
        parts = parts[:kept] + (None,) * (8 - kept)
    return parts


def _exists(found: re.Match[str]) -> bool:
    """Whether the calendar has the day; FHIR knows no year 0000."""
    year, month, day_ = found[1], found[2], found[3]
    if year == "0000":
        return False
    if day_ is None or day_ < "29":
        return True
    try:
        date(int(year), int(month), int(day_))
    except ValueError:
        return False
    return True


def _day(year: str | None, month: str | None, day_: str | None) -> str:
    if day_:
        return f"{year}-{month}-{day_}"
    return f"{year}-{month}" if month else f"{year}"


def _written(parts: Parts, sender: Sender) -> str:
    year, month, day_, hour, minute, second, fraction, offset = parts
    if hour is None:
        return _day(year, month, day_)
    minute, second = minute or "00", second or "00"
    if offset is None:
        if sender.zone is None:
            sender.report("warning", NO_ZONE, "time without an offset and no zone known; kept to the day",
                          "set `zone` in the sender's feed file")
            return f"{year}-{month}-{day_}"
        wall = datetime.fromisoformat(f"{year}-{month}-{day_}T{hour}:{minute}:{second}")
        wall, offset = _placed(wall, sender.zone, sender)
        stamp = wall.isoformat(timespec="seconds")
    else:
        stamp = f"{year}-{month}-{day_}T{hour}:{minute}:{second}"
        if offset != "Z" and ":" not in offset:
            offset = f"{offset[:3]}:{offset[3:]}"
    return f"{stamp}.{fraction}{offset}" if fraction else f"{stamp}{offset}"


def _placed(wall: datetime, zone: tzinfo, sender: Sender) -> tuple[datetime, str]:
    """The wall clock and offset of a zone-less time: across a gap it moves forward, in a fold the first one counts."""
    first = wall.replace(tzinfo=zone)
    offset, second = first.utcoffset(), first.replace(fold=1).utcoffset()
    assert offset is not None
    assert second is not None
    if offset < second:
        sender.report("warning", GAP, "this time of day did not exist (clocks went forward); moved forward",
                      "the sender should send the offset")
        wall = (wall - offset).replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None)
        offset = second
    elif second < offset:
        sender.report("warning", FOLD, "this time of day happened twice (clocks went back); the first is meant",
                      "the sender should send the offset")
    minutes = round(offset.total_seconds() / 60)
    sign = "-" if minutes < 0 else "+"
    hours, rest = divmod(abs(minutes), 60)
    return wall, f"{sign}{hours:02d}:{rest:02d}"


def _impossible(sender: Sender) -> None:
    sender.report("warning", IMPOSSIBLE, "not a possible date or time; the element stays out",
                  "HL7 wants YYYY[MM[DD[HH[MM[SS[.S]]]]]][+/-ZZZZ]")
