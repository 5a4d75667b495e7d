"""Laws of what leaves: nothing withheld, nothing that points at it, and a plain permit when it is decided again.

Every text of a generated record is a canary of its own, so that a leak is found whatever way it took.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from itertools import count
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.consent.decide import decide
from bridge.consent.mark import is_redacted
from bridge.consent.redact import redact
from bridge.consent.release import release, verify_release
from bridge.consent.request import Policy, Request
from tests.unit.consent.build import ICD, INLINE, LOINC, P1, case, concept, consent, deny, labels, permit

FEW = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
BASE = "https://bridge.example.org/fhir"
NUMBERS = "urn:example:number"
KINDS = ["", "", "", "", "cbo-minimum", "meals", "housing", "vsp", "payer", "clinic", "ehr"]
"""Without an allow-list more often than with one: there the redaction is on its own."""
SDOH = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
CONSENTS = [
    [consent(permit(deny(securityLabel=labels("HIV"))))],
    [consent(permit(deny(securityLabel=labels("SUD", "MH"))))],
    [consent(permit(securityLabel=labels("N")))],
    [consent(permit()), consent(deny(securityLabel=labels("HIV")), id="c2")],
    [consent(permit(deny(code=[concept(ICD, "B20")])))],
    [consent(permit())],
    [],
]

Json = dict[str, Any]

codes = st.sampled_from(["Z59.41", "B20", "F10.20", "F33.1", "I10", "Z59.00"]).map(lambda code: concept(ICD, code))
answers = st.sampled_from(["88122-7", "75622-1", "44260-8", "76501-6", "8302-2"])
marked = st.sampled_from(["HIV", "SUD"]).map(lambda code: {"text": "t", "extension": [{"url": INLINE, "valueCoding": labels(code)[0]}]})
texts = st.just([{"text": "t"}])


def reference(names: list[Json]) -> st.SearchStrategy[Json]:
    return st.sampled_from(names).map(lambda one: {**deepcopy(one), "display": "t"})


TARGETS = [
    {"reference": name} for kind in ("Condition/k", "Observation/o", "Encounter/e")
    for name in (kind, f"{BASE}/{kind}", f"{kind}/_history/3", f"urn:uuid:{kind[-1]}")
] + [{"identifier": {"system": NUMBERS, "value": each}} for each in ("k", "o", "e")] + [{"reference": "#in"}]
refs = st.lists(reference(TARGETS), min_size=1, max_size=3)
narrative = st.just({"status": "generated", "div": "<div>all</div>"})
contained = st.lists(st.one_of(
    codes.map(lambda code: {"resourceType": "Condition", "id": "in", "code": code, "subject": P1}),
    codes.map(lambda code: {"resourceType": "Observation", "id": "other", "status": "final", "code": code, "subject": P1,
                            "hasMember": [{"reference": "#in"}]}),
), max_size=2, unique_by=lambda one: str(one["id"]))
security = st.lists(st.sampled_from(["N", "R", "SUD", "HIV", "PROCESSINLINELABEL"]), max_size=2, unique=True).map(
    lambda listed: {"security": labels(*listed)})
home = st.sampled_from(["food-insecurity", "homelessness"]).map(lambda code: [concept(SDOH, code)])


def items(below: st.SearchStrategy[list[Json]]) -> st.SearchStrategy[list[Json]]:
    one = st.fixed_dictionaries(
        {"linkId": answers.map(lambda code: f"/{code}")}, optional={"item": below, "answer": st.just([{"valueString": "t"}])})
    return st.lists(one, min_size=1, max_size=3)


form_items = items(items(st.just([])))
of_type: dict[str, tuple[Json, Json]] = {
    "ServiceRequest": ({"status": st.just("active"), "intent": st.just("order"), "subject": st.just(P1), "code": codes},
                       {"reasonCode": st.lists(st.one_of(codes, marked), max_size=3), "reasonReference": refs, "note": texts, "supportingInfo": refs,
                        "contained": contained}),
    "Condition": ({"subject": st.just(P1), "code": codes}, {"category": home, "evidence": st.lists(codes.map(lambda c: {"code": [c]}), max_size=2),
                                                          "note": texts, "encounter": reference(TARGETS)}),
    "Observation": ({"status": st.just("final"), "subject": st.just(P1), "code": codes},
                    {"category": home, "component": st.lists(codes.map(lambda c: {"code": c, "valueString": "t"}), max_size=3), "hasMember": refs,
                     "valueString": st.just("t"), "contained": contained}),
    "Encounter": ({"status": st.just("finished"), "class": st.just({"code": "AMB"}), "subject": st.just(P1)},
                  {"diagnosis": refs.map(lambda listed: [{"condition": one} for one in listed]), "reasonCode": st.lists(codes, max_size=2)}),
    "QuestionnaireResponse": ({"status": st.just("completed"), "subject": st.just(P1), "item": form_items}, {}),
    "List": ({"status": st.just("current"), "mode": st.just("working"), "subject": st.just(P1)},
             {"entry": refs.map(lambda listed: [{"item": one} for one in listed])}),
    "Task": ({"status": st.just("requested"), "intent": st.just("order"), "for": st.just(P1)},
             {"focus": reference(TARGETS), "reasonCode": codes, "note": texts, "input": refs.map(
                 lambda listed: [{"type": {"text": "t"}, "valueReference": one} for one in listed])}),
}
IDS = {"Condition": "k", "Observation": "o", "Encounter": "e"}


def resource(kind: str) -> st.SearchStrategy[Json]:
    needed, further = of_type[kind]
    id_ = IDS.get(kind, "x")
    fixed = {"resourceType": st.just(kind), "id": st.just(id_), **needed}
    if kind in IDS:
        fixed["identifier"] = st.just([{"system": NUMBERS, "value": id_}])
    return st.fixed_dictionaries(fixed, optional={**further, "meta": security, "text": narrative})


single = st.sampled_from(sorted(of_type)).flatmap(resource)
bundles = st.lists(st.sampled_from(sorted(of_type)), min_size=1, max_size=5, unique=True).flatmap(
    lambda kinds: st.tuples(*(resource(kind) for kind in kinds))).map(lambda listed: {
        "resourceType": "Bundle", "type": "searchset", "total": len(listed),
        "entry": [{"fullUrl": f"urn:uuid:{IDS.get(one['resourceType'], one['resourceType'])}", "resource": one} for one in listed]})
records = st.one_of(single, bundles).map(lambda one: alive(one, count()))
requests = st.sampled_from(KINDS).map(lambda kind: Request.parse(case([], profile=kind)["request"], Policy()))
policies = st.sampled_from([Policy(), Policy(silent=True), Policy(no_consent="permit")])


def alive(value: Any, numbers: Iterator[int]) -> Any:
    """The same with every text and display a canary, and every narrative telling all of its resource."""
    if isinstance(value, list):
        return [alive(each, numbers) for each in value]
    if not isinstance(value, dict):
        return value
    made = {name: f"canary-{next(numbers)}." if child == "t" else alive(child, numbers) for name, child in value.items() if child not in ([], {}, {"security": []})}
    if "coding" in made:
        made["text"] = f"canary-{next(numbers)}."
    if isinstance(made.get("text"), dict):
        made["text"]["div"] = f"<div>{' '.join(canaries(made))}</div>"
    return made


def canaries(value: Any) -> list[str]:
    return re.findall(r"canary-\d+\.", json.dumps(value))


def at(resource: Any, path: str) -> Any:
    """What stands at a redact path; a narrative aside, which retells."""
    for name, place in re.findall(r"([A-Za-z]\w*)(?:\[(\d+)\])?", path):
        resource = resource.get(name) if isinstance(resource, dict) else None
        resource = resource[int(place)] if place and resource is not None else resource
    return resource


def told_of(value: Any) -> set[str]:
    if isinstance(value, dict):
        value = {name: child for name, child in value.items() if not (name == "text" and isinstance(child, dict))}
    return set(canaries(value))


def addresses(value: Any) -> Iterator[tuple[str, Any]]:
    """Every reference below a value, as it is written, and every identifier that a Reference gives."""
    if isinstance(value, list):
        for each in value:
            yield from addresses(each)
    elif isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield "reference", value["reference"]
        if isinstance(value.get("identifier"), dict):
            yield "identifier", value["identifier"].get("value")
        for each in value.values():
            yield from addresses(each)


def forbidden(record: Json, paths: tuple[str, ...]) -> set[tuple[str, Any]]:
    """Every way to name a resource that was taken out whole."""
    found: set[tuple[str, Any]] = set()
    for path in paths:
        gone = at(record, path)
        if path.startswith("entry[") and path.endswith("]") and path.count("[") == 1:
            one = gone["resource"]
            name = f"{one['resourceType']}/{one['id']}"
            found |= {("reference", each) for each in (name, f"{BASE}/{name}", f"{name}/_history/3", gone["fullUrl"])}
            found |= {("identifier", each["value"]) for each in one.get("identifier", ())}
    return found


@FEW
@given(records, st.sampled_from(CONSENTS), requests, policies)
def test_what_leaves_holds_nothing_withheld(record: Json, consents: list[Json], request: Request, policy: Policy) -> None:
    """For any record and decision: no withheld text, no reference to what is withheld, a plain permit when decided again."""
    decision = decide(request, record, consents, policy)
    copy = release(record, decision, request.profile, policy=policy, request=request)
    if decision.effect == "deny":
        assert copy is None
        return
    assert copy is not None, decision
    lost = set().union(*(told_of(at(record, path)) for path in decision.redact_paths if path.rpartition(".")[2] != "text"))
    assert lost.isdisjoint(canaries(copy)), decision
    assert forbidden(record, decision.redact_paths).isdisjoint(addresses(copy)), decision
    assert verify_release(request, copy, consents, policy), (decision, decide(request, copy, consents, policy))
    if decision.redact_paths:
        assert "total" not in copy
        assert "<div>" not in json.dumps(copy)
        assert is_redacted(copy) is not policy.silent


@FEW
@given(records, st.sampled_from(CONSENTS), requests, policies)
def test_what_leaves_has_no_loose_ends(record: Json, consents: list[Json], request: Request, policy: Policy) -> None:
    """No `#id` of a contained resource that is gone, no contained resource left without the reference that it had, no empty object."""
    decision = decide(request, record, consents, policy)
    copy = release(record, decision, request.profile, policy=policy, request=request)
    for one in whole(copy) if copy else ():
        here = {f"#{inner['id']}" for inner in one.get("contained", ())}
        before = next(each for each in whole(record) if (each["resourceType"], each["id"]) == (one["resourceType"], one["id"]))
        was = {f"#{inner['id']}" for inner in before.get("contained", ())}
        named, once = ({ref for kind, ref in addresses(each) if kind == "reference" and ref.startswith("#")} for each in (one, before))
        assert (named & was) <= here
        assert here - named <= was - once
        assert empty(one) == []


@FEW
@given(single, st.sampled_from(CONSENTS), requests, policies)
def test_redaction_is_done_once(record: Json, consents: list[Json], request: Request, policy: Policy) -> None:
    """A copy without anything to take out stays as it is, and the original is never touched."""
    before = deepcopy(record)
    decision = decide(request, record, consents, policy)
    if decision.effect != "deny":
        copy = redact(record, decision.redact_paths, policy)
        assert redact(copy, (), policy) == copy
    assert record == before


@FEW
@given(resource("ServiceRequest").map(lambda one: alive(one, count())), resource("Condition").map(lambda one: alive(one, count(1000))))
def test_a_withheld_resource_of_the_same_delivery_is_not_named(request: Json, withheld: Json) -> None:
    """What points at a resource that does not go, by address or number, goes too, with the display that retells it."""
    named = [{**each, "display": "secret"} for each in TARGETS if "Condition" in str(each) or "'k'" in str(each)]
    copy = redact({**request, "insurance": named}, (), Policy(), [withheld])
    assert "secret" not in json.dumps(copy)
    assert "insurance" not in copy


def test_a_contained_resource_goes_with_the_one_that_named_it() -> None:
    """What only a withheld contained resource referred to goes too; what nothing ever referred to stays (dom-3)."""
    inner = [{"resourceType": "Condition", "id": "a", "stage": [{"assessment": [{"reference": "#b"}]}]},
             {"resourceType": "Observation", "id": "b", "hasMember": [{"reference": "#c"}]},
             {"resourceType": "Observation", "id": "c"}, {"resourceType": "Observation", "id": "loose"}]
    record = {"resourceType": "ServiceRequest", "id": "x", "contained": inner, "text": {"status": "generated", "div": "<div>all</div>"},
              "reasonReference": [{"reference": "#a"}], "subject": P1}
    copy = redact(record, ["contained[0]"], Policy())
    assert [one["id"] for one in copy["contained"]] == ["loose"]
    assert "reasonReference" not in copy
    assert "text" not in copy


def whole(record: Json) -> list[Json]:
    return [each["resource"] for each in record["entry"]] if record["resourceType"] == "Bundle" else [record]


def empty(value: Any, path: str = "") -> list[str]:
    """Objects and lists with nothing in them, which FHIR JSON forbids."""
    if isinstance(value, (dict, list)):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        return ([path] if not value else []) + [found for name, each in inner for found in empty(each, f"{path}.{name}")]
    return []


def test_the_canaries_are_alive() -> None:
    """The net catches: a copy that keeps a withheld reason is found by its canary."""
    record = alive({"resourceType": "ServiceRequest", "id": "x", "status": "active", "intent": "order", "subject": P1,
                    "code": concept(LOINC, "8302-2"), "reasonCode": [concept(ICD, "B20")], "text": {"div": ""}}, count())
    lost = told_of(at(record, "reasonCode[0]"))
    assert lost
    assert not lost.isdisjoint(canaries({**record, "reasonCode": []}))
    assert not lost.isdisjoint(canaries(record))
