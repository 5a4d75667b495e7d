"""The short ways of the consent filter give the answers of the long ones."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.consent.decide import decide, decide_each, prepare
from bridge.consent.labels import INLINE
from bridge.consent.request import Policy, Request

Json = dict[str, Any]
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
FEW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

codings = st.fixed_dictionaries(
    {"code": st.sampled_from(["Z59.41", "F10.20", "B20", "E11.9", "ETH", "R", "x"])}, optional={"system": st.sampled_from([ICD, ACT, "urn:x"])})
inline = codings.map(lambda coding: {"url": INLINE, "valueCoding": coding})
extensions = st.lists(st.one_of(inline, codings.map(lambda coding: {"url": "urn:e", "valueCoding": coding})), max_size=2)
elements = st.recursive(
    st.one_of(st.text("ab", max_size=2), st.integers(), st.booleans(), codings.map(lambda coding: {"coding": [coding]}),
              extensions.map(lambda listed: {"extension": listed})),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(["value", "what", "concept"]), inner, max_size=2)),
    max_leaves=4)
metas = st.fixed_dictionaries({}, optional={"tag": st.lists(codings, max_size=1), "security": st.lists(codings, max_size=1),
                                            "extension": extensions})
resources = st.fixed_dictionaries(
    {"resourceType": st.sampled_from(["Condition", "Encounter", "ServiceRequest", "Organization"]), "id": st.just("x"),
     "subject": st.sampled_from([{"reference": "Patient/p1"}, {"reference": "Patient/p2"}])},
    optional={"code": codings.map(lambda coding: {"coding": [coding]}), "reasonCode": elements, "note": elements, "extension": extensions,
              "meta": metas})
consents = st.lists(st.builds(
    lambda kind, label, number: {
        "resourceType": "Consent", "id": f"c{number}", "status": "active", "patient": {"reference": "Patient/p1"}, "dateTime": "2026-01-01",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": ACT, "code": "IDSCL"}]}], "policy": [{"uri": "https://example.org/policy"}],
        "provision": {"type": kind, **({"securityLabel": [{"system": ACT, "code": label}]} if label else {})}},
    st.sampled_from(["permit", "deny"]), st.sampled_from(["", "SUD", "HIV", "42CFRPart2"]), st.integers(1, 3)), max_size=2)
policies = st.sampled_from([Policy(), Policy(no_consent="permit")])


def asked(policy: Policy) -> Request:
    return Request.parse({"recipient": {"reference": "Organization/a"}, "purpose": "TREAT", "action": "disclose",
                          "at": "2026-05-04T15:00:00Z"}, policy)


@FEW
@given(resources, consents, policies)
def test_one_look_decides_as_taking_apart_does(resource: Json, listed: list[Json], policy: Policy) -> None:
    """A resource that reveals nothing is decided the same whether it is looked at once or taken apart."""
    found = decide(asked(policy), resource, listed, policy)
    with patch("bridge.consent.parts._is_plain", return_value=False):
        assert decide(asked(policy), resource, listed, policy) == found


@FEW
@given(st.lists(resources, max_size=4), consents, policies)
def test_many_are_decided_as_each_by_itself(many: list[Json], listed: list[Json], policy: Policy) -> None:
    """Resources of one exchange get the decisions that each would get alone, whoever they are about."""
    together = decide_each(asked(policy), many, prepare(listed, policy), policy)
    assert together == [decide(asked(policy), one, listed, policy) for one in many]
