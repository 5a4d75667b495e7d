"""The evaluator agrees with a literal, slow reading of reference/consent.md 1.2 on whatever can be generated."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.consent.cases import run_case
from tests.property.consent_literal import decide

ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
CONF = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
Json = dict[str, Any]


def concept(system: str, code: str) -> Json:
    return {"coding": [{"system": system, "code": code}]}


def tag(code: str) -> Json:
    return {"system": CONF if code in "ULMNRV" else REASON if code in ("TREAT", "HOPERAT") else ACT, "code": code}


def some(values: st.SearchStrategy[Any], most: int = 2) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, min_size=1, max_size=most)


DATES = ["2025", "2025-06", "2026-05-04", "2026-05-03", "2026-05", "2026-05-04T10:00:00-05:00", "2026-05-04T15:00:00Z", "2026-05-05T01:00:00+02:00"]
dates = st.sampled_from(DATES)
periods = st.fixed_dictionaries({}, optional={"start": dates, "end": dates}).filter(bool)
parties = st.sampled_from(["Organization/a", "Organization/b", "Group/g", "Organization/h"])
numbers = st.sampled_from([{"system": "urn:n", "value": "1"}, {"system": "urn:n", "value": "2"}, {"system": "urn:o", "value": "1"}])
meant = st.one_of(
    parties.map(lambda name: {"reference": name}),
    numbers.map(lambda number: {"identifier": number}),
    st.sampled_from(["1", "2"]).map(lambda value: {"identifier": {"value": value}}),
    st.just({"display": "x"}),
)
KINDS = ["N", "R", "V", "SUD", "ETHUD", "ETH", "BH", "SPI", "MH", "PSY", "PSYTHPN", "HIV", "VIO", "SDV", "42CFRPart2"]
elements = {
    "actor": some(meant.map(lambda who: {"role": concept("urn:role", "IRCP"), "reference": who})),
    "purpose": some(st.sampled_from(["TREAT", "COC", "ETREAT", "HOPERAT", "HRESCH", "HMARKT"]).map(lambda code: {"system": REASON, "code": code})),
    "action": some(st.sampled_from(["disclose", "access", "correct", "use"]).map(lambda code: concept("http://terminology.hl7.org/CodeSystem/consentaction", code))),
    "period": periods,
    "securityLabel": some(st.sampled_from(KINDS).map(tag), 3),
    "class": some(st.sampled_from(["ServiceRequest", "Condition"]).map(lambda type_: {"system": "http://hl7.org/fhir/resource-types", "code": type_}), 1),
    "code": some(st.sampled_from(["Z59", "F10", "B20", "F33.1"]).map(lambda code: concept(ICD, code))),
    "dataPeriod": periods,
    "data": some(st.sampled_from(["ServiceRequest/x", "ServiceRequest/y"]).map(lambda name: {"meaning": "instance", "reference": {"reference": name}}), 1),
}
node = st.builds(
    lambda kind, said: {**kind, **said},
    st.sampled_from([{"type": "permit"}, {"type": "permit"}, {"type": "deny"}, {}]),
    st.sets(st.sampled_from(sorted(elements)), max_size=3).flatmap(lambda names: st.fixed_dictionaries({name: elements[name] for name in sorted(names)})),
)
provisions = st.recursive(node, lambda inner: st.builds(lambda outer, kids: {**outer, "provision": kids}, node, some(inner, 3)), max_leaves=6)
SCOPES = ["patient-privacy"] * 6 + ["research", "treatment", "adr", "other"]
consent = st.fixed_dictionaries(
    {
        "resourceType": st.just("Consent"),
        "id": st.just("c"),
        "status": st.sampled_from(["active"] * 5 + ["inactive", "draft"]),
        "scope": st.sampled_from(SCOPES).map(lambda code: concept("http://terminology.hl7.org/CodeSystem/consentscope", code)),
        "category": some(st.sampled_from(["IDSCL", "IDSCL", "npp", "acd"]).map(lambda code: concept("urn:c", code))),
        "patient": st.sampled_from(["p1"] * 6 + ["p2"]).map(lambda name: {"reference": f"Patient/{name}"}),
        "dateTime": st.sampled_from(["2025", "2025-06", "2026-05-04T15:00:00Z", "2026-05-04T15:00:01Z"]),
    },
    optional={
        "provision": provisions,
        "policyRule": st.sampled_from(["OPTIN", "OPTOUT", "IMPLIED", "EMRGONLY", "else"]).map(lambda code: concept(ACT, code)),
        "identifier": st.sampled_from(["1", "2"]).map(lambda value: [{"system": "urn:c", "value": value}]),
        "meta": st.sampled_from(["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"]).map(lambda text: {"lastUpdated": text}),
        "performer": some(st.sampled_from(["Patient/p1", "Organization/a", "Group/g"]).map(lambda name: {"reference": name})),
        "organization": some(st.sampled_from(["Organization/h", "Organization/k"]).map(lambda name: {"reference": name})),
        "verification": some(st.booleans().map(lambda verified: {"verified": verified})),
        "implicitRules": st.just("urn:r"),
    },
)
plain = st.builds(
    lambda whole, names: {name: value for name, value in whole.items() if name not in names},
    consent,
    st.sets(st.sampled_from(["identifier", "meta", "performer", "organization", "verification", "implicitRules"]), min_size=4),
)
codes = st.sampled_from(["Z59.41", "F10.20", "F11.10", "B20", "F33.1", "T74.11XA", "E11.9"])
concepts = codes.map(lambda code: concept(ICD, code))
tags = st.sampled_from([*KINDS, "L", "TREAT", "HOPERAT", "CTCOMPT", "NORDSCLCD", "NOAUTH"]).map(tag)
subjects = st.sampled_from(["p1"] * 6 + ["p2"]).map(lambda name: {"reference": f"Patient/{name}"})
resources = st.fixed_dictionaries(
    {"resourceType": st.just("ServiceRequest"), "id": st.sampled_from(["x", "y"]), "subject": subjects, "code": concepts},
    optional={"reasonCode": some(concepts, 3), "authoredOn": dates, "meta": some(tags).map(lambda listed: {"security": listed}),
              "contained": concepts.map(lambda code: [{"resourceType": "Condition", "id": "in", "code": code}])},
).map(lambda made: {**made, **({"contained": [{**inner, "subject": made["subject"]} for inner in made["contained"]]} if "contained" in made else {})})
bundles = some(st.one_of(resources, st.just({"resourceType": "Organization", "id": "o"})), 3).map(
    lambda listed: {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": each} for each in listed]}
)
requests = st.fixed_dictionaries(
    {
        "recipient": st.fixed_dictionaries(
            {"reference": st.sampled_from(["Organization/a", "Organization/b"])},
            optional={"memberOf": st.just(["Group/g"]), "identifier": some(numbers), "clearances": st.just(["CTCOMPT"])},
        ),
        "purpose": st.sampled_from(["TREAT"] * 3 + ["COC", "BTG", "CAREMGT", "CLINTRCH", "HMARKT"]),
        "action": st.sampled_from(["disclose", "disclose", "access", "correct"]),
        "at": st.sampled_from(["2026-05-04T10:00:00-05:00", "2026-05-04T23:59:59Z", "2026-05-05T00:00:00Z"]),
    },
    optional={"custodian": st.just({"reference": "Organization/h"})},
)
cases = st.fixed_dictionaries(
    {"consents": st.lists(st.one_of(plain, plain, consent), max_size=4), "request": requests, "resource": st.one_of(resources, resources, bundles)},
    optional={"policy": st.fixed_dictionaries({}, optional={"no_consent": st.just("permit"), "timezone": st.sampled_from(["America/New_York", "Asia/Tokyo"])})},
)


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases)
def test_the_evaluator_agrees_with_a_literal_reading(case: Json) -> None:
    """Decision and redacted paths are those that the pseudo-algorithm gives when it is followed word by word."""
    answer = run_case(case)
    assert not [note for note in answer["review"] if note.startswith("evaluation-failed")]
    assert (answer["decision"], answer["redact_paths"]) == decide(case)
