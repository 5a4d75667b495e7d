"""The accounting of disclosures: everything, or what a person may ask for under HIPAA or 42 CFR part 2.

Everything is written down; what a view leaves out is counted by its reason (reference/consent.md 3.1).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from bridge.consent import notice, terms
from bridge.core.rows import Disclosure
from bridge.pipeline.part2 import OBLIGATION
from bridge.pipeline.reconsider import WITHDRAWAL
from bridge.referral.partner import Partner

Entry = dict[str, Any]
YEARS = {"all": 0, "hipaa": 6, "part2": 3}
"""How far back each view goes at most: 45 CFR 164.528(a)(1), 42 CFR 2.24 and 2.25; 0 for no end."""


def account(left: Iterable[Disclosure], view: str, since: datetime | None, until: datetime | None, now: datetime,
            partners: Mapping[str, Partner]) -> tuple[list[Entry], Counter[str]]:
    """(the disclosures of this view between these moments, oldest first; how many were left out, by reason)."""
    reason = REASONS[view]
    oldest = back(now, YEARS[view]) if YEARS[view] else None
    entries, out = [], Counter[str]()
    for one in left:
        at = datetime.fromisoformat(one.at)
        if (since and at < since) or (until and at >= until):
            continue
        why = f"more than {YEARS[view]} years ago" if oldest and at < oldest else reason(one)
        if why:
            out[why] += 1
        else:
            entries.append(entry(one, partners.get(one.recipient)))
    return entries, out


def back(now: datetime, years: int) -> datetime:
    """The same moment so many years ago; 29 February becomes 1 March."""
    try:
        return now.replace(year=now.year - years)
    except ValueError:
        return now.replace(year=now.year - years, month=3, day=1)


def entry(left: Disclosure, partner: Partner | None) -> Entry:
    """One disclosure with what an accounting must say: date, recipient's name and address, what, and for which purpose."""
    words = notice.load().words["purposes"]
    kinds = Counter(ref.split("/")[0] for ref in left.resources)
    what = ", ".join(kind if count == 1 else f"{kind} ({count})" for kind, count in sorted(kinds.items()))
    return {
        **asdict(left), "recipient_name": partner.name if partner else "", "recipient_address": partner.address if partner else "",
        "description": f"{left.kind}: {what}", "purpose_text": words.get(left.purpose, left.purpose),
    }


def _hipaa(left: Disclosure) -> str:
    """Why a covered entity need not account for it (45 CFR 164.528(a)(1)); "" when it must."""
    known = terms.load()
    if left.kind == WITHDRAWAL:
        return "no health information: the news that a consent is gone"
    if known.within(left.purpose, known.facts["default_purposes"]):
        return "treatment, payment or health care operations"
    if known.within(left.purpose, ("PATRQT",)):
        return "to the individual"
    return "under the individual's authorization" if left.consents else ""


def _part2(left: Disclosure) -> str:
    return "" if OBLIGATION in left.obligations else "no record of a Part 2 programme"


REASONS: Mapping[str, Callable[[Disclosure], str]] = {"all": lambda _: "", "hipaa": _hipaa, "part2": _part2}
