"""42 CFR 2.32 and 2.33: what goes with a Part 2 record, and who may not pass it on."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from bridge.consent import notice
from bridge.core.envelope import FHIR
from bridge.core.outcome import Accepted, Rejected
from bridge.pipeline import part2
from tests.unit.pipeline.town import Town, adt, consent, screening

AGENCY = "valley-elders"
LEVEL = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
PART2 = {"system": ACT, "code": "42CFRPart2"}
CODES = {"42CFRPart2", "NORDSCLCD"}


def protected(town: Town, *labels: str) -> None:
    """A referral whose records are a Part 2 programme's, under a consent that names these labels."""
    town.take(adt())
    person, (referral,) = town.patient(), town.referrals()
    with town.bridge.ledger.work() as work:
        for ref in (f"Task/{referral.id}", f"ServiceRequest/{referral.request}"):
            stored = work.resource(ref)
            assert stored is not None
            work.put({**stored, "meta": {**stored["meta"], "security": [PART2]}}, person, "m", "")
    provision = json.loads(consent("GH1001", AGENCY))["provision"]
    if labels:
        provision["securityLabel"] = [{"system": LEVEL if code == "N" else ACT, "code": code} for code in labels]
    town.take(consent("GH1001", AGENCY, provision=provision), kind=FHIR)
    town.send()


def sent(town: Town) -> dict[str, Any]:
    (delivery,) = town.mail(AGENCY).got
    bundle: dict[str, Any] = json.loads(delivery.body)
    return bundle


def labels(resource: dict[str, Any]) -> set[str]:
    return {one["code"] for one in resource.get("meta", {}).get("security", ())}


def test_notice_and_scope_go_with_a_consented_part_2_disclosure(town: Town) -> None:
    """The Bundle holds a Communication with the notice and the consent's scope about each protected record, and is R4."""
    protected(town, "SUD", "N")
    bundle = sent(town)
    resources = {one["resource"]["resourceType"]: one["resource"] for one in bundle["entry"]}
    message = resources["Communication"]
    long, scope = [one["contentString"] for one in message["payload"]]
    assert all(word in long for word in ("42 CFR part 2", "civil, criminal, administrative or legislative", "court", "not enough"))
    assert "substance use disorder records" in scope
    assert "for treatment, until 2027-11-20" in scope
    assert town.bridge.partners[AGENCY].name in scope
    assert "42 CFR part 2" in message["topic"]["text"]
    inside = {f"{kind}/{one['id']}" for kind, one in resources.items()}
    assert {one["reference"] for one in message["about"]} <= inside
    assert {one["reference"].split("/")[0] for one in message["about"]} == {"Task", "ServiceRequest"}
    assert not [issue for issue in town.bridge.profiles.check(bundle) if issue.severity in ("error", "fatal")]


def test_what_is_part_2_is_marked_and_the_rest_is_not(town: Town) -> None:
    """meta.security says 42CFRPart2 and NORDSCLCD on the protected records, the notice and the Bundle, on nothing else."""
    protected(town, "SUD", "N")
    bundle = sent(town)
    assert labels(bundle) >= CODES
    for resource in (one["resource"] for one in bundle["entry"]):
        assert (labels(resource) >= CODES) is (resource["resourceType"] in ("Task", "ServiceRequest", "Communication"))


def test_the_disclosure_says_that_a_notice_went_with_it(town: Town) -> None:
    """The obligations of the decision are in the record of what left."""
    protected(town, "SUD", "N")
    (left,) = town.bridge.ledger.disclosures(town.patient())
    assert left.obligations == ("part2-notice", "copy-of-consent")


def test_without_a_consent_that_describes_them_part_2_records_stay(town: Town) -> None:
    """F2 from end to end: a general permit does not release them, with or without a notice."""
    protected(town)
    assert AGENCY not in town.boxes or town.mail(AGENCY).got == []
    assert [row.state for row in town.outbox()] == ["withheld"]


def test_an_ordinary_delivery_has_no_notice(town: Town) -> None:
    """Nothing is added to what is not Part 2."""
    town.take(adt())
    town.take(consent("GH1001", AGENCY), kind=FHIR)
    town.send()
    assert "Communication" not in {one["resource"]["resourceType"] for one in sent(town)["entry"]}
    assert "42CFR" not in json.dumps(sent(town))


def test_the_scope_names_no_other_recipient_and_no_other_label(town: Town) -> None:
    """A consent for several recipients and labels tells each its own part alone."""
    document = json.loads(consent("GH1001", AGENCY, "harbor-pantry"))
    document["provision"]["securityLabel"] = [{"system": ACT, "code": code} for code in ("HIV", "SUD")]
    (scope,) = notice.load().scope([document], "Agency")
    assert "HIV" not in scope
    assert "pantry" not in scope
    assert "signed it on 2026-11-20" in scope


def test_a_notice_stands_in_an_oru_too(town: Town) -> None:
    """The texts follow PID as NTE segments, for an engine that reads no FHIR."""
    from bridge.hl7v2.message import parse
    from bridge.pipeline.send import oru

    protected(town, "SUD", "N")
    hospital = town.bridge.partners["example-general"]
    (referral,) = town.referrals()
    refs = (f"Task/{referral.id}", f"ServiceRequest/{referral.request}", f"Patient/{town.patient()}")
    leaving = [one for ref in refs if (one := town.resource(ref))]
    (row,) = town.outbox()
    made = oru(replace(row, kind="oru"), leaving, hospital, town.bridge, part2.texts([], hospital))
    assert isinstance(made, bytes)
    names = [segment.name for segment in parse(made).segments]
    assert names[:4] == ["MSH", "PID", "NTE", "OBR"]
    assert b"42 CFR part 2" in made


def labelled(*codes: str) -> bytes:
    security = {"meta": {"security": [{"system": ACT, "code": code} for code in codes]}} if codes else {}
    return json.dumps({**json.loads(screening()), **security}).encode()


def test_a_relay_by_a_community_organisation_is_refused(town: Town) -> None:
    """What carries a label that forbids to pass it on is refused from one who got it, and taken from a hospital."""
    town.take(adt())
    for number, (codes, feed, taken) in enumerate(((("42CFRPart2",), "harbor-pantry", False), (("NORDSCLCD",), AGENCY, False), (("R",), AGENCY, True),
                               ((), "harbor-pantry", True), (("42CFRPart2",), "", True))):
        (outcome,) = town.take(labelled(*codes).replace(b'"s1"', f'"s-{number}"'.encode()), feed=feed, kind=FHIR)
        assert isinstance(outcome, Accepted if taken else Rejected), (codes, feed, outcome)
        if isinstance(outcome, Rejected):
            assert [one.code for one in outcome.issues] == ["BRG-C010"]
