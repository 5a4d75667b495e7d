"""Which partner covers which address, and what stands for it in FHIR."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.core.ids import Ids
from bridge.referral.partner import Partner, organization, owner, reference


@pytest.mark.parametrize(("area", "address", "covered"), [
    ({}, {}, True),
    ({"states": ("VA",)}, {"state": "va"}, True),
    ({"states": ("VA",)}, {"state": "NC"}, False),
    ({"states": ("VA",)}, {}, False),
    ({"counties": ("York County",)}, {"district": "york"}, True),
    ({"counties": ("York",), "states": ("VA",)}, {"district": "York", "state": "PA"}, False),
    ({"counties": ("VA/York",)}, {"district": "York County", "state": "VA"}, True),
    ({"counties": ("VA/York",)}, {"district": "York", "state": "PA"}, False),
    ({"counties": ("York",)}, {"postalCode": "23690"}, False),
    ({"zips": ("010",)}, {"postalCode": "01002-1234"}, True),
    ({"zips": ("01002",)}, {"postalCode": "1002"}, True),
    ({"zips": ("01002",)}, {"postalCode": "99201"}, False),
    ({"counties": ("York",), "zips": ("010",)}, {"district": "Hampshire", "postalCode": "01002"}, True),
])
def test_an_area_is_counties_or_zips_narrowed_by_states(area: dict[str, Any], address: dict[str, str], covered: bool) -> None:
    """No area covers everything; counties and ZIP codes name what is covered; states narrow or stand alone."""
    assert Partner("a", "A", **area).covers(address) is covered


def test_the_owner_of_a_task_is_read_off_its_reference(ids: Ids) -> None:
    """A reference to a partner resolves to its Organization and names the partner."""
    partner = Partner("a", "A", identifiers=(("urn:oid:1", "7"),))
    assert reference(partner, ids)["reference"] == f"Organization/{organization(partner, ids)['id']}"
    assert owner({"owner": reference(partner, ids)}) == "a"
    assert owner({}) == ""
