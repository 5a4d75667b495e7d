"""A signed form that a person has read becomes a Consent that can be applied; the paper stays the authority.

The derived Consent carries the numbers of the form it was read from, so that whatever ends the form ends it too (rule S7). It comes
in by the same line as every message. Source: reference/consent.md 1.2 (practical path for B2), decision 029.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from bridge.consent import form as forms_of_paper
from bridge.consent.decide import decide, prepare
from bridge.consent.house_ruling import ruling
from bridge.core.envelope import FHIR
from bridge.core.errors import SettingsError
from bridge.core.outcome import Outcome, Rejected
from bridge.core.ports import Work
from bridge.core.rows import HeldItem
from bridge.pipeline.bridge import Bridge
from bridge.pipeline.custody import KIND, kind_of, releases, victims
from bridge.pipeline.decide import policy_for, request
from bridge.pipeline.forms import FORM, form_of
from bridge.pipeline.house import between
from bridge.pipeline.read import Inbound, Incoming, arrive
from bridge.pipeline.receive import receive
from bridge.referral.match import records, survivor
from bridge.referral.partner import Partner, reference
from bridge.referral.terms import PARTNER, PROFILE

Resource = dict[str, Any]
BY = "urn:sdoh-bridge:transcribed-by"
"""Extension of Consent: who read the form."""
APPROVED = "urn:sdoh-bridge:approved-by"
"""Extension of Consent: the second person, where a site wants two."""
NUMBER = "urn:sdoh-bridge:transcription"
"""Identifier system of a form that has no number of its own."""
EHR = "ehr"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
BEARERS = ("urn:sdoh-bridge:consent-mode", "urn:sdoh-bridge:as-sent")


@dataclass(frozen=True, slots=True)
class Line:
    """What the filter would say of one thing for one partner: `about` is `referral`, or a label on it."""

    partner: str
    about: str
    decision: str
    rules: tuple[str, ...]
    review: tuple[str, ...] = ()


def original(named: str, bridge: Bridge) -> tuple[Resource, HeldItem | None]:
    """The form on file by the id (or its beginning) of the held question or of the Consent, with the question if it is open.

    Raises SettingsError when it names nothing, or several.
    """
    asked = [one for one in bridge.ledger.held("") if one.table == FORM]
    fitting = [one for one in asked if one.id.startswith(named)]
    if len(fitting) > 1:
        raise SettingsError("several questions begin so; give more of the id")
    with bridge.ledger.work() as work:
        if fitting:
            return _of_question(fitting[0], bridge), fitting[0]
        found = work.resource(f"Consent/{named}")
        if found is None:
            raise SettingsError("no form on file has this id; see `sdoh-bridge held list`")
        code = form_of(found, _patient(found, work), bridge)
    return found, next((one for one in asked if one.code == code and one.state == "open"), None)


def _of_question(item: HeldItem, bridge: Bridge) -> Resource:
    stored = bridge.ledger.outputs(item.message_id)
    found = [one for (type_, _), (one, _) in stored.items() if type_ == "Consent"]
    for one in found:
        if form_of(one, one["patient"]["reference"].removeprefix("Patient/"), bridge) == item.code:
            return one
    if len(found) == 1:  # the person's records were merged meanwhile
        return found[0]
    raise SettingsError("the message of this question has no such form any more")


def person(named: str, work: Work) -> str:
    """The patient on file with the number `system|value`; raises SettingsError when nobody has it."""
    system, _, value = named.rpartition("|")
    found = work.persons([(system, value)]).get((system, value), "")
    if not found:
        raise SettingsError("patient: nobody on file has this number; write system|value")
    return survivor(found, work)


def draw(form: Mapping[str, Any], source: Resource | None, by: str, bridge: Bridge, *, proposed: bool = False) -> Resource:
    """The derived Consent of a form that `by` has read; `source` is the form on file, if there is one.

    `proposed` leaves it without effect until a second person approves it. Raises SettingsError naming what is wrong.
    """
    provision = forms_of_paper.provision(form, lambda word: _who(word, bridge))
    with bridge.ledger.work() as work:
        patient = _patient(source, work) if source else person(str(form.get("patient") or ""), work)
        known = work.resource(f"Patient/{patient}")
    signed = forms_of_paper.date(form, "signed") or (source or {}).get("dateTime", "")
    if not signed:
        raise SettingsError("signed: the date of the signature")
    numbers = list((source or {}).get("identifier", ())) or [
        {"system": NUMBER, "value": bridge.ids.uuid("transcription", patient, str(form.get("original") or ""), signed)}]
    made: Resource = {
        "resourceType": "Consent", "id": bridge.ids.uuid("Consent", "transcribed", patient, orjson.dumps(provision).decode(), by),
        "meta": {"profile": [PROFILE + "SDOHCC-Consent"], "lastUpdated": bridge.clock().isoformat()},
        "extension": [*_carried(source), {"url": BY, "valueString": by}],
        "identifier": numbers, "status": "proposed" if proposed else "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": ACT_CODE, "code": "IDSCL"}]}], "patient": {"reference": f"Patient/{patient}"},
        "dateTime": signed, "performer": [_signer(form.get("signed_by"), patient)], "organization": [_keeper(form, source, known, bridge)],
        **_paper(form, source), "policyRule": _policy(source), "verification": [_verified(form, patient, bridge)], "provision": provision,
    }
    if wrong := [issue for issue in bridge.profiles.check(made) if issue.severity in ("error", "fatal")]:
        raise SettingsError(f"the form makes no valid Consent: {wrong[0].where}: {wrong[0].text}")
    return made


def approved(proposal: Resource, by: str, bridge: Bridge) -> Resource:
    """The proposed Consent in force; raises SettingsError when it is none, or `by` is the one who proposed it."""
    if proposal.get("status") != "proposed":
        raise SettingsError("this Consent is not proposed")
    if any(one["url"] == BY and one.get("valueString") == by for one in proposal.get("extension", ())):
        raise SettingsError("somebody else has to approve what you have transcribed")
    return {**_again(proposal, bridge), "status": "active", "extension": [*proposal["extension"], {"url": APPROVED, "valueString": by}]}


def withdrawn(source: Resource, by: str, bridge: Bridge) -> Resource:
    """An inactive copy of a form on file, which ends it and what was read from it."""
    return {**_again(source, bridge), "status": "inactive", "extension": [*_carried(source), {"url": BY, "valueString": by}]}


def _again(consent: Resource, bridge: Bridge) -> Resource:
    profiles = {"profile": consent["meta"]["profile"]} if consent.get("meta", {}).get("profile") else {}
    patient = {"reference": consent["patient"]["reference"]}
    return {**consent, "patient": patient, "meta": {**profiles, "lastUpdated": bridge.clock().isoformat()}}


def examine(made: Resource, bridge: Bridge) -> list[Line]:
    """What the filter will make of a Consent, with all that is on file, before it is stored: for every partner a referral of it,
    then of each label the Consent names, and of one that it does not."""
    with bridge.ledger.work() as work:
        patient = _patient(made, work)
        consents = [one for record in records(patient, work) for one in work.consents(record)]
    consents = [*consents, {**made, "patient": {"reference": f"Patient/{patient}"}}]
    return [line for partner in bridge.partners.values() if partner.kind != EHR for line in _lines(partner, patient, made, consents, bridge)]


def _lines(partner: Partner, patient: str, made: Resource, consents: Sequence[Resource], bridge: Bridge) -> Iterator[Line]:
    keepers = [str(one.get("identifier", {}).get("value", "")) for one in made.get("organization", ())]
    holder = next((bridge.partners[one] for one in keepers if one in bridge.partners), None)
    policy = policy_for(partner, bridge, holder)
    counted = releases(consents) if victims(partner, holder) else consents
    ready, asked = prepare(counted, policy), request(partner, bridge.clock(), policy, holder)
    rules = ruling(bridge.house, between(partner, holder, "", bridge), asked, policy)
    whole = [decide(asked, one, ready, policy, rules) for one in _referral(patient, partner, bridge)]
    worst = min(whole, key=lambda one: one.effect != "deny")
    yield Line(partner.id, "referral", worst.effect, worst.rules, worst.review)
    for label in sorted(_labels(made.get("provision", {}))):
        answer = decide(asked, _need(patient, label), ready, policy, rules)
        yield Line(partner.id, label, answer.effect, answer.rules, answer.review)


def _referral(patient: str, partner: Partner, bridge: Bridge) -> list[Resource]:
    about = {"reference": f"Patient/{patient}"}
    return [{"resourceType": "Patient", "id": patient},
            {"resourceType": "ServiceRequest", "id": "sample", "status": "active", "intent": "order", "subject": about},
            {"resourceType": "Task", "id": "sample", "status": "requested", "intent": "order", "for": about,
             "owner": reference(partner, bridge.ids)}]


def _need(patient: str, label: str) -> Resource:
    system = ACT_CODE if label not in ("R", "V") else "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
    return {"resourceType": "Condition", "id": "sample", "subject": {"reference": f"Patient/{patient}"},
            "meta": {"security": [{"system": system, "code": label}]}}


def _labels(node: Mapping[str, Any]) -> set[str]:
    """Every label that a rule of the Consent names, and R for what it does not."""
    found = {"R"} | {each["code"] for each in node.get("securityLabel", ()) if each.get("code") not in ("U", "L", "M", "N")}
    return found.union(*(_labels(kid) for kid in node.get("provision", ())))


def file(made: Resource, item: HeldItem | None, by: str, bridge: Bridge) -> Outcome:
    """Take the Consent in as a message of the site's own, and close the question that asked for it."""
    arrival = arrive(Incoming(FHIR, orjson.dumps(made)), bridge.clock(), Inbound(bridge.feeds, bridge.ids))
    (stored,) = bridge.ledger.store([arrival])
    (outcome,) = receive(bridge.ledger.inbox([stored.id]), bridge)
    if item is not None and item.state == "open" and made["status"] != "proposed" and not isinstance(outcome, Rejected):
        bridge.ledger.update_held(item.id, "released", f"Consent/{made['id']}", by)
    return outcome


def _patient(consent: Mapping[str, Any], work: Work) -> str:
    return survivor(str(consent["patient"]["reference"]).removeprefix("Patient/"), work)


def _who(word: str, bridge: Bridge) -> Resource:
    """A partner by its id, or all of a kind: `kind:housing`."""
    if word in bridge.partners:
        return reference(bridge.partners[word], bridge.ids)
    kind = word.removeprefix("kind:")
    if kind != word and kind in {kind_of(one) for one in bridge.partners.values()}:
        return {"identifier": {"system": KIND, "value": kind}, "display": f"partners of kind {kind}"}
    raise SettingsError(f"who: no partner and no kind of partner; there are {', '.join(sorted(bridge.partners))}")


def _carried(source: Mapping[str, Any] | None) -> list[Resource]:
    return [one for one in (source or {}).get("extension", ()) if one.get("url") in BEARERS]


def _signer(said: Any, patient: str) -> Resource:
    if not said or said == "patient":
        return {"reference": f"Patient/{patient}"}
    return {"type": "RelatedPerson", "display": str(said)}


def _keeper(form: Mapping[str, Any], source: Mapping[str, Any] | None, known: Mapping[str, Any] | None, bridge: Bridge) -> Resource:
    """The organisation whose consent it is (rule S8): the form's, else the partner on file, else the hospital that knows the person."""
    if named := form.get("organization"):
        if named not in bridge.partners:
            raise SettingsError("organization: no such partner in the settings")
        return reference(bridge.partners[str(named)], bridge.ids)
    listed = [one for one in (source or {}).get("organization", ()) if one.get("identifier", {}).get("system") == PARTNER]
    return dict(listed[0]) if listed else reference(bridge.asker("", known), bridge.ids)


def _paper(form: Mapping[str, Any], source: Mapping[str, Any] | None) -> Resource:
    """Where the signed form is: on file here, or with whoever keeps the paper."""
    if source and source.get("id"):
        return {"sourceReference": {"reference": f"Consent/{source['id']}"}}
    return {"sourceAttachment": {"title": str(form.get("original") or "signed form on paper")}}


def _policy(source: Mapping[str, Any] | None) -> Resource:
    """The form's own words, without a base rule: what it permits stands in its provisions."""
    text = (source or {}).get("policyRule", {}).get("text")
    codings = [{"system": "http://terminology.hl7.org/CodeSystem/consentpolicycodes", "code": "hipaa-auth"}]
    return {"coding": codings, **({"text": text} if text else {})}


def _verified(form: Mapping[str, Any], patient: str, bridge: Bridge) -> Resource:
    """With whom the transcription was checked: the person, or somebody named; against the paper alone if nobody."""
    said = form.get("verified")
    if not isinstance(said, Mapping):
        return {"verified": True, "verificationDate": bridge.clock().isoformat()}
    named = {"reference": f"Patient/{patient}"} if said.get("with") == "patient" else {"display": str(said.get("with") or "")}
    return {"verified": True, "verifiedWith": named, "verificationDate": forms_of_paper.date(said, "on") or bridge.clock().isoformat()}
