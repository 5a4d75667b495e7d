"""The accounting of disclosures: what each view tells, what it leaves out, and why."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bridge.core.rows import Disclosure
from bridge.pipeline.accounting import account, back
from bridge.referral.partner import Partner

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PANTRY = {"pantry": Partner("pantry", "Harbor Pantry", address="1 Dock St, Dayton OH")}
LEFT = Disclosure("d1", "2026-11-01T09:00:00-05:00", "pantry", "p1", ("Task/t", "Organization/a", "Organization/b"), "TREAT", ("c1/2",), "referral")


def told(view: str, *left: Disclosure, since: datetime | None = None, until: datetime | None = None) -> tuple[list[str], dict[str, int]]:
    entries, out = account(left, view, since, until, NOW, PANTRY)
    return [one["delivery_id"] for one in entries], dict(out)


def test_an_entry_says_what_an_accounting_must_say() -> None:
    """Date, the recipient's name and address, a short description, the purpose, and the consent with its version."""
    ((entry,), _) = account([LEFT], "all", None, None, NOW, PANTRY)
    assert (entry["recipient_name"], entry["recipient_address"]) == ("Harbor Pantry", "1 Dock St, Dayton OH")
    assert entry["description"] == "referral: Organization (2), Task"
    assert (entry["at"], entry["purpose"], entry["purpose_text"], entry["consents"]) == (LEFT.at, "TREAT", "treatment", ("c1/2",))


def test_a_partner_that_left_the_settings_is_still_accounted_for() -> None:
    """Without a name the recipient's id stands."""
    ((entry,), _) = account([replace(LEFT, recipient="gone")], "all", None, None, NOW, PANTRY)
    assert (entry["recipient"], entry["recipient_name"]) == ("gone", "")


@pytest.mark.parametrize(("changes", "why"), [
    ({}, "treatment, payment or health care operations"),
    ({"purpose": "COC"}, "treatment, payment or health care operations"),
    ({"purpose": "CAREMGT"}, "treatment, payment or health care operations"),
    ({"purpose": "PATRQT"}, "to the individual"),
    ({"purpose": "HRESCH"}, "under the individual's authorization"),
    ({"purpose": "PUBHLTH", "consents": ()}, ""),
    ({"purpose": "PUBHLTH", "consents": (), "kind": "withdrawal"}, "no health information: the news that a consent is gone"),
    ({"purpose": "PUBHLTH", "consents": (), "at": "2020-11-21T11:59:59+00:00"}, "more than 6 years ago"),
    ({"purpose": "PUBHLTH", "consents": (), "at": "2020-11-21T12:00:00+00:00"}, ""),
])
def test_what_hipaa_asks_for(changes: dict[str, object], why: str) -> None:
    """45 CFR 164.528: six years, without treatment, payment and operations, the individual, and authorizations; each counted."""
    assert told("hipaa", replace(LEFT, **changes)) == (([], {why: 1}) if why else (["d1"], {}))


def test_what_part_2_asks_for() -> None:
    """42 CFR 2.24, 2.25: three years of Part 2 records, whatever their purpose."""
    record = replace(LEFT, obligations=("part2-notice", "copy-of-consent"))
    old = replace(record, delivery_id="d3", at="2023-11-21T11:59:59+00:00")
    assert told("part2", record, replace(LEFT, delivery_id="d2"), old) == (
        ["d1"], {"no record of a Part 2 programme": 1, "more than 3 years ago": 1})


def test_dates_bound_every_view() -> None:
    """`since` is included, `until` is not; what lies outside is not counted as left out."""
    at = datetime.fromisoformat(LEFT.at)
    assert told("all", LEFT, since=at, until=at + timedelta(seconds=1)) == (["d1"], {})
    assert told("all", LEFT, until=at) == ([], {})
    assert told("all", LEFT, since=at + timedelta(seconds=1)) == ([], {})
    assert told("all", replace(LEFT, at="1999-01-01T00:00:00+00:00")) == (["d1"], {})


def test_a_leap_day_has_its_anniversary() -> None:
    """Six years before 29 February is 1 March."""
    assert back(datetime(2028, 2, 29, 8, tzinfo=UTC), 6) == datetime(2022, 3, 1, 8, tzinfo=UTC)
