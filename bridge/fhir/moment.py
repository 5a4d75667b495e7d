"""The earliest and the latest instant that a FHIR date or dateTime can mean (FHIRPath N1 lowBoundary, highBoundary)."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import datetime

FORM = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)?)?)?)?\Z")


def low(text: str) -> str:
    """The first instant: a date without a zone begins where the day begins first, at +14:00. Raises ValueError for no date."""
    return _boundary(text, "01", lambda year, month: "01", "00:00:00", "+14:00")


def high(text: str) -> str:
    """The last instant, at -12:00. Raises ValueError for no date."""
    return _boundary(text, "12", lambda year, month: f"{monthrange(year, month)[1]:02}", "23:59:59.999", "-12:00")


def _boundary(text: str, month: str, day: object, time: str, zone: str) -> str:
    found = FORM.match(text)
    if not found:
        raise ValueError("not a date")
    if found[4]:
        fraction = found[5] or (".999" if time.endswith(".999") else ".000")
        return f"{text[:10]}T{found[4]}{fraction}{found[6] or zone}"
    known = found[2] or month
    last = found[3] or day(int(found[1]), int(known))  # type: ignore[operator]
    return f"{found[1]}-{known}-{last}T{time}{zone}"


def instant(text: str) -> datetime:
    """A boundary as a moment; second 60 (R4 datatypes.html#dateTime) counts as 59. Raises ValueError."""
    return datetime.fromisoformat(re.sub(r":60(?=[.Z+-])", ":59", text))
