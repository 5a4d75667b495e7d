"""The tests inside a rule of the house: who asks for what under which consent, and what the rule leaves of it.

A case is written in the officer's words (`permit: {until: 2027-01-01}`, `data: {code: icd10|F64.0}`) or in FHIR (`consents`,
`resource`); the evaluator answers it with this rule alone on top.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bridge.consent import house_file
from bridge.consent.decide import decide
from bridge.consent.house import PREFIX, Exchange, House, Side, side
from bridge.consent.house_file import SYSTEMS, Shelf, Written
from bridge.consent.house_ruling import ruling
from bridge.consent.request import Policy, Request
from bridge.consent.terms import ACT_CODE, ACT_REASON, CONFIDENTIALITY, ICD10, load
from bridge.core.decision import Decision
from bridge.language.cases import Case, Result, run
from bridge.language.syntax import Entries, Items, Node, Scalar, entries, fault, items, word

KEYS = ("name", "given", "expect")
GIVEN = ("recipient", "custodian", "programme", "purpose", "action", "at", "no-consent", "permit", "deny", "consents", "data", "resource")
SIDE = ("partner", "kind", "flag")
SAID = ("to", "purpose", "label", "type", "code", "from", "until", "by", "form", "dated", "attached", "verified")
DATA = ("type", "label", "code", "category", "reason", "with")
EXPECT = ("decision", "paths", "rules", "obligations")
AT = "2026-11-21T12:00:00-05:00"
PATIENT = {"reference": "Patient/p"}
URLS = {ICD10: "http://hl7.org/fhir/sid/icd-10-cm"}


def test(written: Written) -> list[Result]:
    """Run every test of one rule; raises MappingError for a test that cannot be read."""
    return run([_case(entries(each, "a test")) for each in written.tests], lambda case: _observer(decided(written, case)))


def test_all(shelf: Shelf) -> list[Result]:
    """The tests of every rule, in order."""
    return [result for each in shelf.written for result in test(each)]


def acts(written: Written) -> list[bool]:
    """For each test, whether the rule makes a difference in it: for lint, which wants both."""
    cases = [_case(entries(each, "a test")) for each in written.tests]
    return [f"{PREFIX}{written.rule.name}" in decided(written, case).rules for case in cases]


def _case(node: Entries) -> Case:
    _only(node, KEYS)
    expect = node.get("expect")
    if expect is None or node.get("given") is None:
        raise fault(node.place, "a test has `given:` and `expect:`", hint="given: {recipient: {kind: vsp}, permit: {}, data: {}}, expect: permit")
    wanted: dict[str, tuple[str, ...]] = {}
    if isinstance(expect, Scalar):
        wanted["decision"] = (expect.literal,)
    else:
        _only(tree := entries(expect, "expect:"), EXPECT)
        wanted = {key.text: tuple(word(each, f"{key.text}:") for each in items(value)) for key, value in tree}
    given = entries(node.values["given"], "given:")
    _check(given)
    name = word(node.get("name"), "name:") if node.get("name") is not None else f"line {node.place.line}"
    return Case(name, node.place, "", expect=wanted, more={"given": _json(given)})


def _check(given: Entries) -> None:
    """Every key of a case is one that is read."""
    _only(given, GIVEN)
    for keys, names in ((SIDE, ("recipient", "custodian")), (SAID, ("permit", "deny")), (DATA, ("data",))):
        for each in (one for name in names for one in items(given.get(name))):
            _only(entries(each, "given:"), keys)
    for asked in (each for name in ("recipient", "custodian") for each in items(given.get(name))):
        for flag in items(entries(asked, "given:").get("flag")):
            if word(flag, "flag:") not in house_file.flags():
                raise fault(flag.place, "no such flag", word(flag, "flag:"), house_file.flags())


def _only(tree: Entries, known: Iterable[str]) -> None:
    for key, _ in tree:
        if key.text not in known:
            raise fault(key.place, f"no key `{key.text}` here", key.text, known)


def _json(node: Node) -> Any:
    """The tree as JSON values; `true` and `false` without quotes are those."""
    if isinstance(node, Scalar):
        return {"true": True, "false": False}.get(node.text, node.literal) if node.plain else node.literal
    if isinstance(node, Items):
        return [_json(each) for each in node.items]
    return {key.text: _json(value) for key, value in node}


def decided(written: Written, case: Case) -> Decision:
    """What the evaluator and this rule say of a case."""
    given: Mapping[str, Any] = case.more["given"]
    recipient = given.get("recipient") or {}
    policy = Policy(no_consent=given.get("no-consent", "deny"))
    request = Request.parse({"recipient": {"reference": f"Organization/{recipient.get('partner', 'partner')}",
                                           "memberOf": [{"reference": "Organization/network"}]},
                             "purpose": given.get("purpose", "TREAT"), "action": given.get("action", "disclose"), "at": given.get("at", AT)}, policy)
    custodian = given.get("custodian")
    exchange = Exchange(party(recipient), party(custodian) if custodian is not None else None, given.get("programme", ""),
                        frozenset({written.rule.jurisdiction} - {""}))
    narrow = ruling(House((written.rule,)), exchange, request, policy)
    resource = given.get("resource") or _resource(given.get("data") or {})
    consents = [*given.get("consents", ()), *_consents("permit", given), *_consents("deny", given)]
    return decide(request, resource, consents, policy, narrow)


def party(given: Mapping[str, Any]) -> Side:
    """A partner from the words of a case: `partner`, `kind` (any of its names) and `flag`."""
    return side(str(given.get("partner") or "partner"), str(given.get("kind") or ""), tuple(_list(given.get("flag"))))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value in (None, "") else [value]


def _consents(kind: str, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Consents in the officer's words, as FHIR; `permit: {}` is a permit for this recipient and nothing more."""
    listed = given.get(kind, [])
    return [_consent(kind, place, said if isinstance(said, dict) else {}, given)
            for place, said in enumerate(listed if isinstance(listed, list) else [listed])]


def _consent(kind: str, place: int, said: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    recipient = (given.get("recipient") or {}).get("partner", "partner")
    to = {"recipient": recipient, "group": "network"}.get(str(said.get("to", "recipient")), said.get("to"))
    period = {name: said[key] for key, name in (("from", "start"), ("until", "end")) if said.get(key)}
    actor = {"role": {"coding": [{"code": "IRCP"}]}, "reference": {"reference": f"Organization/{to}"}}
    provision: dict[str, Any] = {"type": kind, "actor": [actor]}
    provision |= {"period": period} if period else {}
    provision |= {"purpose": [{"system": ACT_REASON, "code": each} for each in _list(said["purpose"])]} if said.get("purpose") else {}
    provision |= {"securityLabel": [_label(each) for each in _list(said["label"])]} if said.get("label") else {}
    types = [{"system": "http://hl7.org/fhir/resource-types", "code": each} for each in _list(said.get("type"))]
    provision |= {"class": types} if types else {}
    provision |= {"code": [{"coding": [_coding(each)]} for each in _list(said["code"])]} if said.get("code") else {}
    return {
        "resourceType": "Consent", "id": f"{kind}{place or ''}", "status": "active", "patient": PATIENT,
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": ACT_CODE, "code": "IDSCL"}]}],
        **({} if said.get("dated") in (False, "no") else {"dateTime": "2026-01-10"}),
        **({"performer": [PATIENT if said["by"] == "patient" else {"reference": f"RelatedPerson/{said['by']}"}]} if said.get("by") else {}),
        **({"verification": [{"verified": said["verified"] in (True, "yes")}]} if "verified" in said else {}),
        **({"sourceReference": {"reference": "DocumentReference/form"}} if said.get("attached") in (True, "yes") else {}),
        **({"policy": [{"uri": said["form"]}]} if said.get("form") else {}),
        "provision": provision,
    }


def _resource(said: Mapping[str, Any]) -> dict[str, Any]:
    """A resource about the patient in the officer's words."""
    type_ = str(said.get("type") or "ServiceRequest")
    places = load().elements["patient"]
    whose = next((path for path in places.get(type_, places["default"]) if "." not in path), "subject")
    made: dict[str, Any] = {"resourceType": type_, "id": "p"} if type_ == "Patient" else {"resourceType": type_, "id": "r", whose: PATIENT}
    made |= {"code": {"coding": [_coding(said["code"])]}} if said.get("code") else {}
    made |= {"category": [{"coding": [{"code": each}]} for each in _list(said["category"])]} if said.get("category") else {}
    made |= {"reasonCode": [{"coding": [_coding(each)]} for each in _list(said["reason"])]} if said.get("reason") else {}
    made |= {"meta": {"security": [_label(each) for each in _list(said["label"])]}} if said.get("label") else {}
    return made | dict(said.get("with") or {})


def _label(code: str) -> dict[str, str]:
    if code in load().ranks:
        return {"system": CONFIDENTIALITY, "code": code}
    system = next((system for system, known in load().canonical if known == code and system), ACT_CODE)
    return {"system": system, "code": code}


def _coding(said: str) -> dict[str, str]:
    system, _, code = str(said).partition("|")
    name = SYSTEMS.get(system, system)
    return {"system": URLS.get(name, name), "code": code}


def _observer(decision: Decision) -> Any:
    """What `expect` may ask: `decision`, `paths`, `rules` of the house, `obligations`."""
    found = {"decision": [decision.effect], "paths": [*decision.redact_paths], "obligations": [*decision.obligations],
             "rules": [each.removeprefix(PREFIX) for each in decision.rules if each.startswith(PREFIX)]}
    return lambda key: found[key]
