"""What is wrong is taken out, the rest stays."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.fhir.prune import without

PATIENT: dict[str, Any] = {
    "resourceType": "Patient", "gender": "x", "active": True,
    "name": [{"family": "A", "given": ["B", "C"], "_given": [None, {"id": "1"}]}, {"period": {"start": "2020"}}],
}


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ("Patient.gender", {key: value for key, value in PATIENT.items() if key != "gender"}),
        ("Patient.name[1].period.start", PATIENT | {"name": PATIENT["name"][:1]}),
        ("Patient.name[1].period.end", PATIENT | {"name": PATIENT["name"][:1]}),
        ("Patient.name[0]", PATIENT | {"name": PATIENT["name"][1:]}),
        ("Patient.name[0].given[1]", PATIENT | {"name": [{"family": "A"}, PATIENT["name"][1]]}),
        ("Patient.birthDate", None),
        ("Patient", None),
    ],
)
def test_the_smallest_part_goes(where: str, kept: dict[str, Any] | None) -> None:
    """The element goes, what becomes empty with it too; what is missing takes the element that lacks it."""
    assert without(PATIENT, where) == kept
