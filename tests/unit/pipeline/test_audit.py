"""The record as FHIR: an AuditEvent for each decision and disclosure, Provenance for what came in and what left."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.audit import resources
from bridge.core.envelope import FHIR
from tests.unit.pipeline.town import Town, adt, consent

AGENCY = "valley-elders"
BALP = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."


def lived(town: Town) -> list[dict[str, Any]]:
    """A day with a denial, a permit, a disclosure and a revocation; its whole record."""
    town.take(adt(diagnoses=("I50.9", "Z59.41", "F10.20")))
    town.take(consent("GH1001", AGENCY, meta={"lastUpdated": "2026-11-21T10:00:00Z"}), kind=FHIR)
    town.send()
    town.take(consent("GH1001", AGENCY, status="inactive", meta={"lastUpdated": "2026-11-21T12:00:00Z"}), kind=FHIR)
    town.send()
    return list(resources([town.patient()], None, None, town.bridge))


def kinds(record: list[dict[str, Any]], code: str) -> list[dict[str, Any]]:
    return [one for one in record if one["resourceType"] == "AuditEvent" and one["type"]["code"] == code]


def test_every_decision_and_every_disclosure_has_one(town: Town) -> None:
    """As many security alerts as decisions, as many exports as disclosures; a withdrawal is none; the ids are their own."""
    record = lived(town)
    left = town.bridge.ledger.disclosures(town.patient())
    assert len(kinds(record, "110113")) == len(town.bridge.ledger.decisions(patient=town.patient())) > 0
    assert len(kinds(record, "110106")) == len([one for one in left if one.kind != "withdrawal"]) > 0
    assert any(one.kind == "withdrawal" for one in left)
    assert len({(one["resourceType"], one["id"]) for one in record}) == len(record)
    assert record == list(resources([town.patient()], None, None, town.bridge))


def test_the_record_is_r4(town: Town) -> None:
    """Our own check finds no error in any resource of it."""
    for one in lived(town):
        wrong = [str(issue) for issue in town.bridge.profiles.check(one) if issue.severity in ("error", "fatal")]
        assert not wrong, (one["resourceType"], wrong)


def test_an_independent_validator_finds_no_error(town: Town, shared: Path, tmp_path: Path) -> None:
    """The validators that this project did not write agree."""
    tool = shared / "tools/fhir-validate/validate"
    if not tool.exists() or not (Path.home() / ".cache/fhir-validate").exists():
        pytest.skip("fhir-validate is not set up")
    (tmp_path / "record.ndjson").write_text("\n".join(map(json.dumps, lived(town))), encoding="utf-8")
    done = subprocess.run([tool, tmp_path / "record.ndjson"], capture_output=True, text=True, timeout=120, env=os.environ, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-500:]


def test_a_decision_by_consent_has_the_agents_and_entities_of_balp(town: Town) -> None:
    """AuthZ-consent: client with network, recipient as requestor, its organisation, ourselves as the source; the entities are
    the patient and the consents with their version, and nothing else."""
    (first, *_) = by_consent = [one for one in kinds(lived(town), "110113") if "meta" in one]
    assert by_consent
    assert {one["code"] for one in first["subtype"]} == {"AuthZ-Consent"}
    assert (first["action"], first["meta"]["profile"]) == ("E", [BALP + "AuthZconsent"])
    agents = {one["type"]["coding"][0]["code"]: one for one in first["agent"]}
    assert agents.keys() == {"110150", "IRCP", "PROV", "authserver"}
    assert "network" in agents["110150"]
    assert [agents[code]["requestor"] for code in ("110150", "IRCP", "PROV", "authserver")] == [False, True, False, False]
    assert agents["authserver"]["who"] == first["source"]["observer"]
    for event in by_consent:
        types = [(one["type"]["code"], one["what"]["reference"].split("/")[0]) for one in event["entity"]]
        assert types[0] == ("1", "Patient")
        assert set(types[1:]) == {("Consent", "Consent")}
        assert all("/_history/" in one["what"]["reference"] for one in event["entity"][1:])


def test_a_denial_is_recorded_too_and_says_why(town: Town) -> None:
    """Outcome 0 permits, 4 refuses; what was left out is named by its place, the rule by its letters."""
    events = kinds(lived(town), "110113")
    assert {one["outcome"] for one in events} == {"0", "4"}
    denied = [one for one in events if one["outcome"] == "4"]
    assert all(one["outcomeDesc"].startswith("deny of ") and " by " in one["outcomeDesc"] for one in denied)


def test_a_disclosure_has_the_agents_and_entities_of_balp(town: Town) -> None:
    """Privacy disclosure at its source: source and recipient with network, custodian, the patient who authorized it; the
    patient, every resource with its version, and the consent."""
    (event,) = [one for one in kinds(lived(town), "110106") if f"partner:{AGENCY}" in json.dumps(one)]
    (left,) = [one for one in town.bridge.ledger.disclosures(town.patient()) if (one.recipient, one.kind) == (AGENCY, "referral")]
    assert event["subtype"][0]["code"] == "disclose"
    assert (event["action"], event["outcome"], event["meta"]["profile"]) == ("R", "0", [BALP + "PrivacyDisclosure.Source"])
    agents = {one["type"]["coding"][0]["code"]: one for one in event["agent"]}
    assert agents.keys() == {"110153", "110152", "159541003", "429577009"}
    assert agents["110153"]["who"] == event["source"]["observer"]
    assert all("network" in agents[code] for code in ("110153", "110152"))
    assert agents["429577009"]["requestor"]
    data = [one["what"]["reference"] for one in event["entity"] if one["type"]["code"] == "2"]
    assert data == [f"{ref}/_history/{version}" for ref, version in zip(left.resources, left.versions, strict=True)]
    assert [one["what"]["reference"].split("/")[0] for one in event["entity"] if one["type"]["code"] == "Consent"] == ["Consent"]


def test_each_copy_that_left_has_its_provenance(town: Town) -> None:
    """Target is what the recipient has, revision the version it was made from, policy the consent."""
    made = [one for one in lived(town) if one["resourceType"] == "Provenance" and one["entity"][0]["role"] == "revision"]
    for one in made:
        assert one["activity"]["coding"][0]["code"] in ("transform", "deidentify")
        assert "/_history/" in one["entity"][0]["what"]["reference"]
        assert {agent["type"]["coding"][0]["code"] for agent in one["agent"]} == {"assembler", "author"}
    bodies = "".join(one.body.decode() for one in town.mail(AGENCY).got)
    targets = [one["target"][0]["reference"] for one in made if "Consent/" in json.dumps(one.get("policy", ""))]
    assert targets
    assert all(ref.split("/")[1] in bodies for ref in targets)


def test_everything_that_was_produced_names_its_message(town: Town) -> None:
    """ServiceRequest and Task too: target with version, entity source with MSH-10 and a digest of the message."""
    record = lived(town)
    made = [one for one in record if one["resourceType"] == "Provenance" and one["entity"][0]["role"] == "source"]
    message = next(one for one in made if one["entity"][0]["what"]["identifier"]["value"] == "C-1")
    targets = {one["reference"].split("/")[0] for one in message["target"]}
    assert {"Patient", "Encounter", "Condition", "ServiceRequest", "Task"} <= targets
    assert len(message["entity"][1]["what"]["identifier"]["value"]) == 64


def test_the_record_holds_ids_and_paths_alone(town: Town) -> None:
    """No code, name, number or text of the person is in it."""
    text = json.dumps(lived(town))
    for secret in ("ADLER", "ROSE", "GH1001", "Z59.41", "F10.20", "I50.9", "DAYTON", "1948", "food", "5550101"):
        assert secret not in text


