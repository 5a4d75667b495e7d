"""Laws of the consent filter over generated consents, requests and resources (reference/consent.md 5)."""

from __future__ import annotations

import os
import time
from copy import deepcopy
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.consent.cases import run_case
from bridge.consent.decide import decide
from bridge.consent.release import release, verify_release
from bridge.consent.request import Policy, Request

ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
CONF = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
BASE = "https://bridge.example.org/fhir"
FEW = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])

Json = dict[str, Any]


def concept(system: str, code: str) -> Json:
    return {"coding": [{"system": system, "code": code}]}


def label(code: str) -> Json:
    return {"system": CONF if code in "NRV" else ACT, "code": code}


dates = st.sampled_from(["2025", "2025-06", "2026-05-04", "2026-05-04T10:00:00-05:00", "2026-05-04T15:00:00Z", "2027-01-01"])
periods = st.fixed_dictionaries({}, optional={"start": dates, "end": dates})
parties = st.sampled_from(["Organization/a", "Organization/b", f"{BASE}/Organization/a", "Group/g"])
actors = parties.map(lambda name: {"role": concept("urn:role", "IRCP"), "reference": {"reference": name}})
context = {
    "actor": st.lists(actors, min_size=1, max_size=2),
    "purpose": st.lists(
        st.sampled_from(["TREAT", "COC", "HOPERAT"]).map(lambda code: {"system": REASON, "code": code}), min_size=1, max_size=2
    ),
    "period": periods.filter(bool),
}
data = {
    "securityLabel": st.lists(st.sampled_from(["N", "R", "SUD", "HIV", "MH", "42CFRPart2"]).map(label), min_size=1, max_size=2),
    "class": st.sampled_from(["ServiceRequest", "Condition"]).map(
        lambda type_: [{"system": "http://hl7.org/fhir/resource-types", "code": type_}]
    ),
    "code": st.sampled_from(["Z59", "F10"]).map(lambda code: [concept(ICD, code)]),
    "dataPeriod": periods.filter(bool),
}


def provisions(kinds: st.SearchStrategy[str]) -> st.SearchStrategy[Json]:
    flat = st.fixed_dictionaries({"type": kinds}, optional={**context, **data})
    return st.recursive(
        flat,
        lambda inner: st.builds(lambda outer, kids: {**outer, "provision": kids}, flat, st.lists(inner, min_size=1, max_size=3)),
        max_leaves=5,
    )


def as_consent(provision: Json, number: int) -> Json:
    return {
        "resourceType": "Consent",
        "id": f"c{number}",
        "status": "active",
        "scope": concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        "category": [concept(ACT, "IDSCL")],
        "patient": {"reference": "Patient/p1"},
        "dateTime": "2026-01-01",
        "provision": provision,
    }


any_kind = st.sampled_from(["permit", "permit", "deny"])
consent_lists = st.lists(provisions(any_kind), max_size=4).map(
    lambda listed: [as_consent(each, place) for place, each in enumerate(listed)]
)
codes = st.sampled_from(["Z59.41", "F10.20", "B20", "F33.1", "E11.9"])
resources = st.fixed_dictionaries(
    {
        "resourceType": st.sampled_from(["ServiceRequest", "Condition"]),
        "id": st.just("x"),
        "subject": st.just({"reference": "Patient/p1"}),
        "code": codes.map(lambda code: concept(ICD, code)),
    },
    optional={
        "reasonCode": st.lists(codes.map(lambda code: concept(ICD, code)), max_size=3),
        "authoredOn": dates,
        "meta": st.lists(st.sampled_from(["R", "SUD", "42CFRPart2"]).map(label), max_size=2).map(lambda listed: {"security": listed}),
        "contained": codes.map(lambda code: [{"resourceType": "Condition", "id": "in", "code": concept(ICD, code)}]),
        "reasonReference": st.just([{"reference": "#in"}]),
    },
)
requests = st.fixed_dictionaries(
    {
        "recipient": st.sampled_from([{"reference": "Organization/a"}, {"reference": "Organization/b", "memberOf": ["Group/g"]}]),
        "purpose": st.sampled_from(["TREAT", "COC", "HRESCH"]),
        "action": st.just("disclose"),
        "at": st.sampled_from(["2026-05-04T10:00:00-05:00", "2026-05-04T23:59:59Z"]),
    }
)
policies = st.sampled_from([{}, {"no_consent": "permit"}, {"timezone": "America/New_York"}])

RANK = {"deny": 0, "redact": 1, "permit": 2}


def said(consents: list[Json], resource: Json, request: Json, policy: Json) -> tuple[str, frozenset[str]]:
    answer = run_case({"consents": consents, "resource": resource, "request": request, "policy": policy})
    return answer["decision"], frozenset(answer["redact_paths"])


@FEW
@given(consent_lists, provisions(st.just("deny")), resources, requests, policies)
def test_adding_a_deny_never_opens(consents: list[Json], further: Json, resource: Json, request: Json, policy: Json) -> None:
    """A further consent of denies never lets more out than before."""
    before, hidden = said(consents, resource, request, policy)
    after, more = said([*consents, as_consent(further, 99)], resource, request, policy)
    assert RANK[after] <= RANK[before]
    assert after == "deny" or hidden <= more


@FEW
@given(consent_lists, provisions(any_kind), st.sampled_from(["status", "patient", "category", "period"]), resources, requests, policies)
def test_irrelevant_consents_change_nothing(
    consents: list[Json], further: Json, how: str, resource: Json, request: Json, policy: Json
) -> None:
    """A consent that is not active, about someone else, an acknowledgement or over, has no effect either way."""
    other = as_consent(further, 99)
    other.update(
        {
            "status": {"status": "draft"},
            "patient": {"patient": {"reference": "Patient/p2"}},
            "category": {"category": [concept("urn:x", "npp")]},
            "period": {"provision": {**further, "period": {"end": "2020"}}},
        }[how]
    )
    assert said([*consents, other], resource, request, policy) == said(consents, resource, request, policy)


def turned(provision: Json) -> Json:
    """The same rules in the opposite order, at every depth."""
    return {**provision, **({"provision": [turned(kid) for kid in reversed(provision["provision"])]} if "provision" in provision else {})}


@FEW
@given(consent_lists, resources, requests, policies)
def test_order_is_irrelevant(consents: list[Json], resource: Json, request: Json, policy: Json) -> None:
    """Neither the order of consents nor that of nested rules matters."""
    reverse = [{**each, "provision": turned(each["provision"])} for each in reversed(consents)]
    assert said(reverse, resource, request, policy) == said(consents, resource, request, policy)


@FEW
@given(consent_lists, st.lists(resources, min_size=1, max_size=4), requests)
def test_order_of_entries_is_irrelevant(consents: list[Json], listed: list[Json], request: Json) -> None:
    """Each entry of a Bundle is decided as if it stood alone."""
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": each} for each in listed]}
    _, hidden = said(consents, bundle, request, {})
    answers = [said(consents, each, request, {})[0] for each in listed]
    if any(each != "deny" for each in answers):
        assert {f"entry[{place}]" for place, each in enumerate(answers) if each == "deny"} == {
            path for path in hidden if path.endswith("]") and path.count(".") == 0
        }


@FEW
@given(consent_lists, resources, requests, policies, st.sampled_from(["Pacific/Kiritimati", "America/Los_Angeles"]))
def test_process_time_zone_is_irrelevant(consents: list[Json], resource: Json, request: Json, policy: Json, zone: str) -> None:
    """The zone of the process never enters; only the policy's does."""
    before = said(consents, resource, request, policy)
    was = os.environ.get("TZ")
    os.environ["TZ"] = zone
    time.tzset()
    try:
        assert said(consents, resource, request, policy) == before
    finally:
        os.environ.pop("TZ") if was is None else os.environ.__setitem__("TZ", was)
        time.tzset()


@FEW
@given(consent_lists, resources, requests, st.sampled_from(["", "cbo-minimum", "clinic", "payer"]))
def test_what_is_released_is_a_plain_permit(consents: list[Json], resource: Json, request: Json, kind: str) -> None:
    """A redacted and projected copy is a plain permit when it is decided again, and has no reference to what went."""
    policy = Policy()
    asked = Request.parse({**request, "recipient": {**request["recipient"], "profile": kind}}, policy)
    original = deepcopy(resource)
    decision = decide(asked, resource, consents, policy)
    copy = release(resource, decision, kind, policy=policy, request=asked)
    assert (copy is None) == (decision.effect == "deny")
    if copy is not None:
        assert verify_release(asked, copy, consents, policy)
        assert (
            "contained" in copy
            or "contained" not in resource
            or not [each for each in copy.get("reasonReference", ()) if each["reference"] == "#in"]
        )
    assert resource == original


@FEW
@given(consent_lists, provisions(st.just("deny")), st.integers(0, 9), resources, requests, policies)
def test_a_further_deny_within_a_consent_never_opens(
    consents: list[Json], further: Json, place: int, resource: Json, request: Json, policy: Json
) -> None:
    """A further nested deny in one of the consents never lets more out than before."""
    before, hidden = said(consents, resource, request, policy)
    changed = [
        {**each, "provision": {**each["provision"], "provision": [*each["provision"].get("provision", []), further]}} if n == place % len(consents) else each
        for n, each in enumerate(consents)
    ]
    after, more = said(changed, resource, request, policy)
    assert RANK[after] <= RANK[before]
    assert after == "deny" or hidden <= more


@FEW
@given(provisions(any_kind), st.sampled_from(["permit", "deny"]), resources, requests)
def test_both_root_encodings_agree(provision: Json, base: str, resource: Json, request: Json) -> None:
    """A typed root and an untyped root under a base policy say the same (B1)."""
    typed = as_consent({**provision, "type": base}, 1)
    untyped = as_consent({name: value for name, value in provision.items() if name != "type"}, 1)
    untyped["policyRule"] = concept(ACT, "OPTIN" if base == "permit" else "OPTOUT")
    assert said([typed], resource, request, {}) == said([untyped], resource, request, {})


@FEW
@given(consent_lists, resources, requests, policies)
def test_absolute_own_references_are_relative_ones(consents: list[Json], resource: Json, request: Json, policy: Json) -> None:
    """Our own base in front of a reference changes nothing, on either side."""
    absolute = {"reference": f"{BASE}/Patient/p1"}
    before = said(consents, resource, request, policy)
    assert said([{**each, "patient": absolute} for each in consents], resource, request, policy) == before
    assert said(consents, {**resource, "subject": absolute}, request, policy) == before


junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True)
    | st.text(max_size=8)
    | st.sampled_from(["Consent", "Bundle", "active", "2026-05-04", "Patient/p1", "permit"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "resourceType",
                    "status",
                    "patient",
                    "subject",
                    "reference",
                    "provision",
                    "type",
                    "actor",
                    "purpose",
                    "meta",
                    "security",
                    "code",
                    "coding",
                    "system",
                    "period",
                    "start",
                    "entry",
                    "resource",
                    "contained",
                    "id",
                    "identifier",
                    "scope",
                    "category",
                    "dateTime",
                    "item",
                    "extension",
                    "url",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(junk, junk, junk, st.booleans())
def test_junk_never_raises_and_never_permits_a_patients_record(consents: Any, resource: Any, request: Any, asked: bool) -> None:
    """Whatever JSON comes in, the answer is a decision; nonsense about a patient is never let out."""
    good = {"recipient": {"reference": "Organization/a"}, "purpose": "TREAT", "action": "disclose", "at": "2026-05-04T10:00:00Z"}
    answer = run_case({"consents": consents, "resource": resource, "request": good if asked else request})
    assert answer["decision"] == "deny"


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(consent_lists, st.sampled_from(["scope", "category", "patient", "provision", "identifier", "dateTime", "meta"]), junk, resources)
def test_a_damaged_consent_never_opens(consents: list[Json], element: str, value: Any, resource: Json) -> None:
    """Junk in one element of a further consent without permits never lets more out than without that consent."""
    request = {"recipient": {"reference": "Organization/a"}, "purpose": "TREAT", "action": "disclose", "at": "2026-05-04T10:00:00Z"}
    damaged = {**as_consent({"type": "deny"}, 99), element: value}
    before, _ = said(consents, resource, request, {})
    after, _ = said([*consents, damaged], resource, request, {})
    assert RANK[after] <= RANK[before]
