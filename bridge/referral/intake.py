"""A partner's canonical intake record: what it must hold, and what it says (reference/cbo.md 3.6).

The field table is `mappings/cbo/intake-fields.csv`. Values never stand in an issue: field names, allowed codes, remedies.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from bridge.core.issue import Issue
from bridge.referral.rows import by
from bridge.referral.state import NEEDS_REASON

FIELDS = "cbo/intake-fields.csv"


@dataclass(frozen=True, slots=True)
class Answer:
    """A record that says what it must. `fields` holds every given field, typed (text, bool, int, float, list of codes).

    `key` is `source_system|record_id`, the idempotency key. `partner` is `cbo_org_id`, `referral` a Task id or the short
    reference ("" = unsolicited). `at` (updated_at) orders records, `event_at` is when it happened in the world.
    """

    key: str
    kind: str
    partner: str
    referral: str
    at: str
    event_at: str
    fields: Mapping[str, Any]

    def get(self, field: str) -> Any:
        """The field's value, "" when it was not given."""
        return self.fields.get(field, "")


def read(record: Mapping[str, Any]) -> Answer | list[Issue]:
    """One record, from JSON (typed) or from a CSV row (texts, `;` lists), or all that is wrong with it.

    An empty text and null mean "not given"; an empty JSON array is an empty list.
    """
    table, found, issues = by(FIELDS, "field"), dict[str, Any](), list[Issue]()
    for field, raw in record.items():
        if field not in table:
            issues.append(_unknown(field, table))
        elif not (raw is None or (isinstance(raw, str) and not raw.strip())):
            value, wrong = _TYPES[table[field]["type"]](raw, table[field])
            if wrong:
                issues.append(Issue("error", "BRG-R302", field, wrong, kind="value"))
            else:
                found[field] = value
    issues += _missing(record, found)
    if issues:
        return issues
    return Answer(
        f"{found['source_system']}|{found['record_id']}", found["record_type"], found["cbo_org_id"],
        found.get("bridge_referral_id", ""), found["updated_at"], found["event_at"], found,
    )


def _unknown(field: str, table: Mapping[str, Any]) -> Issue:
    near = difflib.get_close_matches(str(field)[:60], list(table), 1)
    remedy = f"did you mean {near[0]}?" if near else "leave it out, or map it to a field of the canonical record"
    shown = field if re.fullmatch(r"\w{1,60}", str(field)) else "a field name"
    return Issue("error", "BRG-R301", str(shown), "not a field of the canonical record", remedy, "structure")


def _missing(record: Mapping[str, Any], found: Mapping[str, Any]) -> list[Issue]:
    """Fields that this record type, status or reason needs and that were not given at all."""
    kind, status = found.get("record_type", ""), found.get("status", "")
    needed = {field: f"a record of type {kind or 'any'} needs it" for field, row in by(FIELDS, "field").items()
              if {"*", kind} & set(row["required"].split())}
    if status in NEEDS_REASON:
        needed["reason_code"] = f"status {status} needs a reason"
    if found.get("reason_code") == "other":
        needed["reason_text"] = "reason other needs words"
    given = {field for field, raw in record.items() if not (raw is None or (isinstance(raw, str) and not raw.strip()))}
    return [
        Issue("error", "BRG-R303", field, f"missing: {why}", _remedy(field), "required")
        for field, why in needed.items() if field not in given
    ]


def _remedy(field: str) -> str:
    row = by(FIELDS, "field")[field]
    if row["values"]:
        return f"one of {', '.join(row['values'].split())}"
    return {"time": "a date and time with offset, 2026-02-03T09:05:00-05:00", "date": "a date, 2026-02-03",
            "truth": "true or false"}.get(row["type"], "fill it in")


Reader = Callable[[Any, Mapping[str, str]], tuple[Any, str]]


def _text(raw: Any, _row: Mapping[str, str]) -> tuple[Any, str]:
    if isinstance(raw, (dict, list, bool)):
        return None, "must be text"
    return str(raw).strip(), ""


def _code(raw: Any, row: Mapping[str, str]) -> tuple[Any, str]:
    value = str(raw).strip()
    return (value, "") if value in row["values"].split() else (None, f"not one of {', '.join(row['values'].split())}")


def _codes(raw: Any, row: Mapping[str, str]) -> tuple[Any, str]:
    items = raw if isinstance(raw, list) else str(raw).split(";")
    values = [str(item).strip() for item in items if str(item).strip()]
    wrong = [value for value in values if value not in row["values"].split()]
    return (None, f"a list of {', '.join(row['values'].split())}") if wrong else (values, "")


def _time(raw: Any, _row: Mapping[str, str]) -> tuple[Any, str]:
    remedy = "must be a date and time with offset, 2026-02-03T09:05:00-05:00"
    if not isinstance(raw, str) or not _MOMENT.fullmatch(raw.strip()):
        return None, remedy
    try:
        datetime.fromisoformat(raw.strip())
    except ValueError:
        return None, "no such date or time: " + remedy
    return raw.strip(), ""


def _date(raw: Any, _row: Mapping[str, str]) -> tuple[Any, str]:
    if not isinstance(raw, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", raw.strip()):
        return None, "must be a date, 2026-02-03"
    try:
        date.fromisoformat(raw.strip())
    except ValueError:
        return None, "no such day in the calendar"
    return raw.strip(), ""


def _truth(raw: Any, _row: Mapping[str, str]) -> tuple[Any, str]:
    value = raw if isinstance(raw, bool) else {"true": True, "false": False}.get(str(raw).strip().lower())
    return (None, "must be true or false") if value is None else (value, "")


def _number(raw: Any, row: Mapping[str, str]) -> tuple[Any, str]:
    whole = row["type"] == "whole"
    text = "" if isinstance(raw, bool) else str(raw).strip()
    if not re.fullmatch(r"[+-]?\d{1,15}" if whole else r"[+-]?\d{1,15}(\.\d{1,10})?", text):
        return None, "must be a whole number" if whole else "must be a number with a decimal point"
    value = int(text) if whole else float(text)
    least = row["least"]
    if least == ">0" and value <= 0:
        return None, "must be above zero"
    if least and least != ">0" and value < float(least):
        return None, f"must be {least} or more"
    return (value if whole or not math.isfinite(value) or value != int(value) else int(value)), ""


_TYPES: dict[str, Reader] = {
    "text": _text, "code": _code, "codes": _codes, "time": _time, "date": _date, "truth": _truth, "whole": _number,
    "number": _number,
}
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})")
