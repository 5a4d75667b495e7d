"""Everything this package makes, judged by the independent validator."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bridge.core.ids import Ids
from bridge.referral.finding import draft as screened
from bridge.referral.open import recall, refer
from bridge.referral.respond import apply
from tests.unit.referral.conftest import HOSPITAL, condition, draft, encounter, openings, patient
from tests.unit.referral.test_intake_records import answer
from tests.unit.referral.test_screening_forms import AHC, HITS, PRAPARE, response

Resource = dict[str, Any]


def referrals(ids: Ids) -> list[Resource]:
    """The three programmes opened, answered in four ways, one called off."""
    of = draft(patient(), encounter(), condition(), condition("homelessness", "Z59.01"))
    wanted = [one for name in ("need-to-food-pantry", "evctp", "medical-respite") for one in openings(of, name)]
    opened = refer(of, wanted, (), ids, message_id="m1", hospital=HOSPITAL)
    held = {f"{one['resourceType']}/{one['id']}": one for one in (*of.resources, *opened.resources)}
    tasks = [one for one in opened.resources if one["resourceType"] == "Task"]
    pantry, agency, shelter = (held[f"Task/{one['id']}"] for one in tasks)

    def keep(made: tuple[Resource, ...]) -> None:
        held.update({f"{one['resourceType']}/{one['id']}": one for one in made})

    for kind, more in (("service", {"record_id": "x-0", "amount": 12.5, "service_start": "2026-05-05", "service_end": "2026-05-06"}),
                       ("status", {"status": "on-hold", "reason_code": "waitlist", "enrollment_status": "not-enrolled-on-waitlist"}),
                       ("outcome", {"record_id": "x-9", "updated_at": "2026-05-07T10:00:00Z"})):
        ref = f"Task/{pantry['id']}"
        done = apply(answer(kind, **more), held[ref], held[held[ref]["focus"]["reference"]], ids, sender="corner-pantry")
        assert not done.issues
        keep((*done.resources, *done.steps))
    rejected = apply(answer(cbo_org_id="agency", status="rejected", reason_code="no-capacity"), agency,
                     held[agency["focus"]["reference"]], ids, sender="agency")
    keep(rejected.steps)
    keep(recall(shelter, held[shelter["focus"]["reference"]], event="ADT^A13", at="2026-05-05T10:00:00-05:00").resources)
    return list(held.values())


def screenings(ids: Ids) -> list[Resource]:
    """An AHC form with everything in it and a PRAPARE form with numbers and refusals."""
    ahc = response(AHC, **{"71802-3": "LA31995-6", "96778-6": ["LA28580-1", "LA31998-0"], "88122-7": "LA28397-0", "93030-5": "LA33-6",
                           "96779-4": "LA32002-0", "76513-1": "LA15832-1", "93159-2": "LA30122-8", "44250-9": "LA6571-9",
                           "44255-8": "LA6571-9", "89555-7": "LA6113-0", "68516-4": "LA28855-7", "96780-2": None,
                           **dict.fromkeys(HITS, "LA6482-9")})
    prapare = response(PRAPARE, **{"63512-8": 3, "63586-2": 20000, "93031-3": ["LA30125-1", "LA30126-9"], "67875-5": "LA17956-6"})
    return [one for form in (ahc, {**prapare, "id": "r2"}) for one in screened(form, ids, received="2025-02-01T10:00:00Z")[0].resources]


def test_all_that_is_made_conforms_to_sdohcc_and_us_core(shared: Path, ids: Ids) -> None:
    """No error from validators that we did not write, for referrals in five states and two screenings."""
    validate = shared / "tools" / "fhir-validate" / "validate"
    if not validate.exists():
        pytest.skip("no fhir-validate")
    made = [*referrals(ids), *{f"{one['resourceType']}/{one['id']}": one for one in screenings(ids)}.values()]
    body = "\n".join(json.dumps(one) for one in made)
    ran = subprocess.run([str(validate)], input=body, capture_output=True, text=True, timeout=240, check=False)
    if ran.returncode == 2:
        pytest.skip("fhir-validate is not set up")
    assert (ran.returncode, ran.stdout) == (0, "")
