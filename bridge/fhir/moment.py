"""What a FHIR date or dateTime can mean: the first and the last instant, and whether two of them are surely in order."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import datetime, timedelta, timezone

FORM = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d:\d\d):(\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)?)?)?)?\Z")
FIRST, LAST = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))
"""Where a day begins first, and where it ends last."""

Span = tuple[datetime, datetime]


def spans(one: str, other: str) -> tuple[Span, Span]:
    """Both as (first instant, last instant); where only one of them has a zone, the other may be in any. Raises ValueError."""
    found, second = span(one), span(other)
    if found[0].tzinfo and not second[0].tzinfo:
        second = anywhere(second)
    elif second[0].tzinfo and not found[0].tzinfo:
        found = anywhere(found)
    return found, second


def span(text: str) -> Span:
    """The first and the last instant; second 60 (R4 datatypes.html#dateTime) counts as 59. Raises ValueError for no date."""
    found = FORM.match(text)
    if not found:
        raise ValueError("not a date")
    year, month, day, clock, second, fraction, zone = found.groups()
    if clock:
        moment = datetime.fromisoformat(f"{year}-{month}-{day}T{clock}:{min(second, '59')}{(fraction or '.0')[:7]}{zone or ''}")
        return moment, moment
    last = day or f"{monthrange(int(year), int(month or 12))[1]:02}"
    return datetime.fromisoformat(f"{year}-{month or '01'}-{day or '01'}"), datetime.fromisoformat(f"{year}-{month or '12'}-{last}T23:59:59.999999")


def anywhere(of: Span) -> Span:
    """A span without a zone, as wide as the earth's zones make it."""
    return of[0].replace(tzinfo=FIRST), of[1].replace(tzinfo=LAST)
