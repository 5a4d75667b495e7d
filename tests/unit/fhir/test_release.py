"""Down to an older release and up again: the same resource, or what is lost is named."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from bridge.fhir.profile import Profiles
from bridge.fhir.release import down, facts, releases, up

T = facts()["system"]
SDOH = "http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition/"


def examples(shared: Path, name: str, guide: str = SDOH) -> list[dict[str, Any]]:
    """The published examples that claim a profile of the guide."""
    with tarfile.open(shared / "fhir-definitions" / f"{name}.tgz") as archive:
        read = [json.load(archive.extractfile(each)) for each in archive if each.name.endswith(".json")]  # type: ignore[arg-type]
    return [each for each in read if any(claim.startswith(guide) for claim in each.get("meta", {}).get("profile", ()))]


@pytest.mark.parametrize("release", releases())
def test_there_and_back_is_the_same(release: str, shared: Path) -> None:
    """Every published example of 3.0.0 comes back as it went, but for the codes that are named as lost."""
    listed = examples(shared, "sdohcc-3.0.0")
    assert len(listed) > 50
    for resource in listed:
        lower, lost = down(resource, release)
        if not lost:
            assert up(lower, release) == resource, resource["id"]
            assert down(up(lower, release), release)[0] == lower, resource["id"]


@pytest.mark.parametrize("release", ["2.2", "2.3"])
def test_nothing_that_the_release_lacks_is_left(release: str, shared: Path) -> None:
    """No code and no profile of 3.0.0 alone stays in what goes to an older release."""
    differs = facts()["releases"][release]
    for resource in examples(shared, "sdohcc-3.0.0"):
        text = json.dumps(down(resource, release)[0])
        assert not any(claim in text for claim in differs["claims"]), resource["id"]
        assert not any(json.dumps({"system": T, "code": code})[1:-1] in text for code in [*differs["unknown"], *differs["domain"]]), resource["id"]


def test_what_comes_up_is_valid(shared: Path, profiles: Profiles) -> None:
    """Published examples of 2.3.0 are valid by the profiles of 3.0.0 when they have come up."""
    known = [one for one in examples(shared, "sdohcc-2.3.0") if set(one["meta"]["profile"]) <= set(profiles.by_url)
             and one["resourceType"] not in ("Group", "HealthcareService", "Questionnaire")]
    assert len(known) > 30
    for resource in known:
        assert [each for each in profiles.check(up(resource, "2.3")) if each.severity == "error"] == [], resource["id"]


def test_what_is_taken_in_as_fhir_is_the_same_in_every_release(shared: Path) -> None:
    """No published QuestionnaireResponse or Consent of 2.3.0 changes on its way up, so the pipeline reads them as they come."""
    listed = [each for each in examples(shared, "sdohcc-2.3.0", "") if each.get("resourceType") in ("QuestionnaireResponse", "Consent")]
    assert {each["resourceType"] for each in listed} == {"QuestionnaireResponse", "Consent"}
    for resource in listed:
        assert up(resource, "2.3") == up(resource, "2.2") == {**resource, "meta": up(resource, "2.3")["meta"]}, resource["id"]


def test_a_screening_answer_of_2_2_comes_up() -> None:
    """The category that 3.0.0 demands is put there, the one that 2.2 demanded goes; old names are read."""
    old = {"resourceType": "Observation", "meta": {"profile": [SDOH + "SDOHCC-ObservationScreeningResponse"]}, "category": [
        {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "social-history"}]},
        {"coding": [{"system": T.replace("SDOHCC-CodeSystemTemporaryCodes", "sdohcc-temporary-codes"), "code": "health-literacy"}]}]}
    assert up(old, "2.2")["category"] == [
        {"coding": [{"system": T, "code": "personal-health-literacy"}]},
        {"coding": [{"system": "http://hl7.org/fhir/us/core/CodeSystem/us-core-category", "code": "sdoh"}]}]


def test_a_domain_that_the_release_lacks_is_unspecified_with_its_name() -> None:
    """SDOH Clinical Care: a domain outside the list is unspecified, and the text names it."""
    made, lost = down({"resourceType": "Condition", "category": [{"coding": [{"system": T, "code": "protective-factor"}]}]}, "2.3")
    assert (made["category"], lost) == ([{"coding": [{"system": T, "code": "sdoh-category-unspecified"}], "text": "protective-factor"}], [])


def test_what_cannot_be_kept_is_named() -> None:
    """A code whose concept has words of its own is lost, and said to be."""
    task = {"resourceType": "Task", "output": [{"type": {"coding": [{"system": T, "code": "additional-content"}], "text": "More"}, "valueString": "x"}]}
    assert down(task, "2.2") == ({"resourceType": "Task", "output": [{"type": {"text": "More"}, "valueString": "x"}]}, ["additional-content"])
