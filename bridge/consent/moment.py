"""FHIR dates and periods as comparable spans of time. Knows no consent and no clock.

A span is (first, last) in microseconds since 1970-01-01T00:00:00Z, both inclusive, as wide as the precision it was
written in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

Span = tuple[int, int]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
BEGINNING, END = -(10**18), 10**18
"""Before and after everything a four-digit year can say."""

_WRITTEN = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,12}))?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII)


def span(text: str, zone: tzinfo) -> Span:
    """The span a FHIR date, dateTime or instant covers; dates, and times without offset, are read in `zone`.

    S5 and M8: an end is inclusive at its own precision, so `2026` ends with the last microsecond of the local year.
    Raises ValueError (which never quotes the text) when it is not a FHIR date.
    """
    match = _WRITTEN.fullmatch(text)
    if match is None:
        raise ValueError("not a FHIR date or dateTime")
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    if hour is None:
        return _day(int(year), int(month) if month else None, int(day) if day else None, zone)
    at = datetime(int(year), int(month), int(day), int(hour), int(minute), tzinfo=_offset(offset) if offset else zone)
    first = (at - EPOCH) // MICROSECOND
    if second is None:
        return first, first + 60_000_000 - 1
    if int(second) > 60:  # 60 is a leap second
        raise ValueError("second out of range")
    first += int(second) * 1_000_000
    if fraction is None:
        return first, first + 1_000_000 - 1
    width = 10 ** max(6 - len(fraction), 0)
    first += int(fraction[:6].ljust(6, "0"))
    return first, first + width - 1


def _offset(text: str) -> tzinfo:
    if text == "Z":
        return UTC
    hours, minutes = int(text[1:3]), int(text[4:6])
    if minutes > 59:
        raise ValueError("offset out of range")
    delta = timedelta(hours=hours, minutes=minutes)
    return timezone(-delta if text[0] == "-" else delta)


def _day(year: int, month: int | None, day: int | None, zone: tzinfo) -> Span:
    """A local year, month or day: from its first midnight to just before the next one, whatever the clocks do."""
    first = datetime(year, month or 1, day or 1, tzinfo=zone)
    if day:
        # Adding a day to a local datetime moves the calendar, not the clock (Python datetime, aware arithmetic).
        following = None if (year, month, day) == (9999, 12, 31) else first + timedelta(days=1)
    elif month:
        following = None if (year, month) == (9999, 12) else datetime(year + month // 12, month % 12 + 1, 1, tzinfo=zone)
    else:
        following = None if year == 9999 else datetime(year + 1, 1, 1, tzinfo=zone)
    last = END if following is None else (following - EPOCH) // MICROSECOND - 1
    return (first - EPOCH) // MICROSECOND, last


def period(value: Mapping[str, Any], zone: tzinfo) -> Span:
    """The span of a FHIR Period, open where an end is absent; a reversed period gives a span with first > last."""
    start, end = value.get("start"), value.get("end")
    return (
        BEGINNING if start is None else span(start, zone)[0],
        END if end is None else span(end, zone)[1],
    )


def point(text: str) -> int | None:
    """The instant of a request: needs a time and an offset, else None (V1)."""
    match = _WRITTEN.fullmatch(text)
    if match is None or match.group(8) is None:
        return None
    return span(text, UTC)[0]


def instant(at: datetime) -> int:
    """A moment with an offset as microseconds since 1970 UTC."""
    return (at - EPOCH) // MICROSECOND


def contains(outer: Span, at: int) -> bool:
    """Whether the instant lies inside; never for a reversed span."""
    return outer[0] <= at <= outer[1]
