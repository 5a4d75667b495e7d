"""Signed forms without rules: asked about, transcribed by a person, ended with the paper."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.consent.house import House, Rule
from bridge.core.envelope import FHIR
from bridge.core.errors import SettingsError
from bridge.core.outcome import Accepted
from bridge.pipeline import transcribe
from tests.unit.pipeline.town import MRN, Town, adt, consent

CON = "CON|1|001^Release of information^HL70496||F77^EXGENERAL||||||W|{status}||{decided}|20261101|20271101"
FORM: dict[str, Any] = {"signed": "2026-11-20", "until": "2027-11-20", "verified": {"with": "patient", "on": "2026-11-21"},
                        "permit": [{"who": ["harbor-pantry"]}]}


def con(status: str = "A", decided: str = "20261120150000-0500", **changes: Any) -> bytes:
    """A discharge that opens a pantry referral, with a consent form of this status."""
    return adt(diagnoses=("Z59.41",), more=[CON.format(status=status, decided=decided)], **changes)


def states(town: Town, recipient: str = "harbor-pantry") -> set[str]:
    town.send()
    return {row.state for row in town.outbox(recipient=recipient)}


def asked(town: Town) -> list[str]:
    return [one.id for one in town.bridge.ledger.held() if one.table == "consent-form"]


def entered(town: Town, form: dict[str, Any] | None = None, by: str = "kim", **changes: Any) -> dict[str, Any]:
    """The form of the only open question, transcribed and taken in."""
    source, item = transcribe.original(asked(town)[0], town.bridge)
    made = transcribe.draw(form or FORM, source, by, town.bridge, **changes)
    assert isinstance(transcribe.file(made, item, by, town.bridge), Accepted)
    return made


def test_a_form_in_hl7v2_is_asked_about_once_and_released_when_transcribed(town: Town) -> None:
    """CON permits nothing; however often it is repeated it is one question, and its transcription lets the referral go."""
    town.take(con())
    town.take(con(control="C-2", at="20261121100000"))
    assert states(town) == {"withheld"}
    assert len(asked(town)) == 1
    entered(town)
    assert asked(town) == []
    assert states(town) == {"sent"}


def test_the_form_repeated_in_a_later_message_takes_nothing_back(town: Town) -> None:
    """A form is as old as its signature: sent again with the next message, it neither replaces its transcription nor asks again."""
    town.take(con())
    entered(town)
    town.later(hours=2)
    town.take(con(control="C-2", at="20261121140000"))
    assert asked(town) == []
    assert states(town) == {"sent"}


@pytest.mark.parametrize("status", ["X", "R"])
def test_what_ends_the_form_ends_its_transcription(town: Town, status: str) -> None:
    """CON-11 X or R in a later message stops what was transcribed, although CON-13 is still the day of the signature."""
    town.take(con())
    entered(town)
    town.later(hours=2)
    town.take(con(status, control="C-2", at="20261121140000"))
    assert states(town) == {"withheld"}


def test_a_fhir_form_without_rules_is_asked_about(town: Town) -> None:
    """The Consent of SDOH Clinical Care as its guide shows it, with a document and no provision, is a question; its deletion ends
    what was read from it."""
    town.take(adt(diagnoses=("Z59.41",)))
    document = json.loads(consent("GH1001", name="paper"))
    del document["provision"]
    town.take(json.dumps(document).encode(), kind=FHIR)
    assert len(asked(town)) == 1
    entered(town)
    assert asked(town) == []
    gone = {"resourceType": "Bundle", "type": "history", "entry": [{"request": {"method": "DELETE", "url": "Consent/paper"}}]}
    town.later(hours=1)
    town.take(json.dumps(gone).encode(), kind=FHIR)
    assert states(town) == {"withheld"}


def test_the_derived_consent_is_sdohcc_and_leads_to_the_paper(town: Town) -> None:
    """It is valid SDOHCC-Consent, names its source, who it was verified with and who read it, and carries the form's number."""
    town.take(con())
    made = entered(town)
    assert town.bridge.profiles.check(made) == []
    assert made["meta"]["profile"] == ["http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition/SDOHCC-Consent"]
    assert made["sourceReference"]["reference"].startswith("Consent/")
    assert made["verification"][0]["verifiedWith"] == made["patient"]
    assert {"url": transcribe.BY, "valueString": "kim"} in made["extension"]
    source = town.resource(made["sourceReference"]["reference"])
    assert source is not None
    assert made["identifier"] == source["identifier"]


def test_what_the_form_does_not_name_is_not_permitted(town: Town) -> None:
    """Another partner, another purpose, and sensitive data that the form does not name stay where they are."""
    town.take(con())
    source, _ = transcribe.original(asked(town)[0], town.bridge)
    lines = transcribe.examine(transcribe.draw({**FORM, "permit": [{"who": ["harbor-pantry"], "labels": ["MH"]}]}, source, "kim", town.bridge), town.bridge)
    said = {(line.partner, line.about): line.decision for line in lines}
    assert said[("harbor-pantry", "referral")] == "permit"
    assert said[("harbor-pantry", "MH")] == "permit"
    assert said[("harbor-pantry", "R")] == "deny"
    assert {decision for (partner, _), decision in said.items() if partner != "harbor-pantry"} == {"deny"}


def test_what_the_house_withholds_is_not_promised(town: Town) -> None:
    """The dry run asks the rules of the house too: a form cannot let go what the site keeps back."""
    town.take(con())
    source, _ = transcribe.original(asked(town)[0], town.bridge)
    made = transcribe.draw({**FORM, "permit": [{"who": ["harbor-pantry"]}]}, source, "kim", town.bridge)
    for house, decision in ((House(), "permit"), (House((Rule("nothing", "withhold", "because."),)), "deny")):
        lines = transcribe.examine(made, replace(town.bridge, house=house))
        assert [line.decision for line in lines if (line.partner, line.about) == ("harbor-pantry", "referral")] == [decision]


def test_a_dry_run_stores_nothing(town: Town) -> None:
    """To examine a form leaves ledger and question as they were."""
    town.take(con())
    source, _ = transcribe.original(asked(town)[0], town.bridge)
    transcribe.examine(transcribe.draw(FORM, source, "kim", town.bridge), town.bridge)
    assert states(town) == {"withheld"}
    assert len(asked(town)) == 1


def test_a_kind_of_partner_may_be_named(town: Town) -> None:
    """`kind:cbo-minimum` permits every partner of that kind and no other."""
    town.take(con())
    entered(town, {**FORM, "permit": [{"who": ["kind:cbo-minimum"]}], "deny": [{"who": ["valley-elders"]}]})
    assert states(town) == {"sent"}
    assert states(town, "valley-elders") == {"withheld"}


def test_two_persons_where_a_site_wants_two(town: Town) -> None:
    """A proposed transcription has no effect; who proposed it cannot approve it, somebody else can."""
    town.take(con())
    made = entered(town, proposed=True)
    assert states(town) == {"withheld"}
    assert len(asked(town)) == 1
    with town.bridge.ledger.work() as work:
        (proposal,) = [one for one in work.consents(town.patient()) if one["status"] == "proposed"]
    with pytest.raises(SettingsError, match="somebody else"):
        transcribe.approved(proposal, "kim", town.bridge)
    _, item = transcribe.original(proposal["id"], town.bridge)
    town.later(minutes=1)
    transcribe.file(transcribe.approved(proposal, "lee", town.bridge), item, "lee", town.bridge)
    assert states(town) == {"sent"}
    assert made["status"] == "proposed"


def test_a_form_that_is_only_on_paper(town: Town) -> None:
    """Without anything on file the form names the person by number, and a withdrawal ends it."""
    town.take(adt(diagnoses=("Z59.41",)))
    made = transcribe.draw({**FORM, "patient": f"{MRN}|GH1001", "original": "binder 4"}, None, "kim", town.bridge)
    transcribe.file(made, None, "kim", town.bridge)
    assert states(town) == {"sent"}
    town.take(adt("A13", control="C-2", at="20261121103000", diagnoses=("Z59.41",)))
    with town.bridge.ledger.work() as work:
        (kept,) = work.consents(town.patient())
    town.later(hours=1)
    transcribe.file(transcribe.withdrawn(kept, "kim", town.bridge), None, "kim", town.bridge)
    assert states(town) == {"sent", "withheld"}


@pytest.mark.parametrize("wrong, said", [
    ({"permit": [{"who": []}]}, "who"), ({"permit": [{"who": ["nobody"]}]}, "who"), ({"until": ""}, "until"), ({"permitt": []}, "unknown keys"),
    ({"permit": [{"who": ["harbor-pantry"], "labels": ["SECRET"]}]}, "labels"), ({"permit": [{"who": ["harbor-pantry"], "purpose": ["X"]}]}, "purpose"),
    ({"signed": "yesterday"}, "signed"), ({"permit": []}, "says nothing"), ({"permit": [{"who": ["harbor-pantry"], "codes": ["Z59"]}]}, "codes"),
])
def test_a_form_that_cannot_be_meant_is_refused_by_its_key(town: Town, wrong: dict[str, Any], said: str) -> None:
    """What is wrong is named by its place, before anything is stored, and no value is quoted."""
    town.take(con())
    source, _ = transcribe.original(asked(town)[0], town.bridge)
    with pytest.raises(SettingsError, match=said) as raised:
        transcribe.draw({**FORM, **wrong}, source, "kim", town.bridge)
    assert not {"nobody", "SECRET", "yesterday"} & set(str(raised.value).replace(",", " ").split())


@pytest.mark.parametrize("fields", [{"CON-20": "E"}, {"CON-21": "N"}, {"CON-25": "6"}, {"CON-16": "N"}, {"CON-11": "P"}])
def test_a_form_that_nobody_gave_is_a_draft_and_no_question(town: Town, fields: dict[str, str]) -> None:
    """Bypassed, not informed, given by a practitioner or by somebody who could not: a draft, which no transcription can come of."""
    segment = dict(enumerate(["CON", *CON.format(status="A", decided="20261120").split("|")[1:], *[""] * 12])) | {
        int(name.split("-")[1]): value for name, value in fields.items()}
    town.take(adt(diagnoses=("Z59.41",), more=["|".join(segment.get(place, "") for place in range(26))]))
    with town.bridge.ledger.work() as work:
        assert [one["status"] for one in work.consents(town.patient())] == ["draft"]
    assert asked(town) == []


def test_an_opt_out_of_the_senders_registry_is_asked_about(town: Town) -> None:
    """ARV-3 OO is a draft opt-out, which changes nothing by itself, and a question."""
    body = adt(diagnoses=("Z59.41",)).replace(b"\rPV1|", b"\rARV|1|A|OO^Opt out^HL70717\rPV1|").replace(b"|2.5.1|", b"|2.6|")
    town.take(consent("GH1001", "harbor-pantry"), kind=FHIR)
    town.take(body)
    assert len(asked(town)) == 1
    with town.bridge.ledger.work() as work:
        assert sorted(one["status"] for one in work.consents(town.patient())) == ["active", "draft"]


def test_every_consent_and_flag_we_make_is_valid(town: Town, shared: Path) -> None:
    """Validators that we did not write find no error in a transcription, in what records say of consent, and in flags."""
    validate = shared / "tools" / "fhir-validate" / "validate"
    if not validate.exists():
        pytest.skip("no fhir-validate")
    town.take(con())
    entered(town, {**FORM, "permit": [{"who": ["harbor-pantry", "kind:housing"], "labels": ["SUD", "42CFRPart2"], "classes": ["Patient"],
                                       "codes": ["http://loinc.org|88122-7"], "data_from": "2026-01-01", "authored_by": ["lakeside"]}],
                   "deny": [{"who": ["valley-elders"]}]})
    pantry = next(one for one in town.referrals() if one.recipient == "harbor-pantry")
    told = {"consent_at": "2026-11-21T11:00:00-05:00", "consent_method": "paper"}
    town.answer(pantry, status="accepted", sensitive_labels=["lgbtq"], dv_flag=True, preferred_name="Robin", consent_status="permit", **told)
    town.answer(pantry, 2, "2026-11-21T14:00:00-05:00", status="in-progress", part2_flag=True, consent_status="deny", **told)
    with town.bridge.ledger.work() as work:
        made = work.of_patient(pantry.patient, "Consent", "Flag", "Task", "ServiceRequest")
    assert len([one for one in made if one["resourceType"] == "Consent"]) == 4
    ran = subprocess.run([str(validate)], input="\n".join(json.dumps(one) for one in made), capture_output=True, text=True, timeout=240, check=False)
    if ran.returncode == 2:
        pytest.skip("fhir-validate is not set up")
    assert (ran.returncode, ran.stdout) == (0, "")
