"""Laws of rules of the house over generated rules, consents and resources: they narrow, in any order, and what is left stays."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.consent.decide import decide
from bridge.consent.explain import explain
from bridge.consent.house import NEEDS, Between, Exchange, House, Rule, What, Who, side
from bridge.consent.house_ruling import ruling
from bridge.consent.redact import redact
from bridge.consent.request import Policy, Request
from tests.property.test_consent_laws import consent_lists, resources

FEW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
HERE = Exchange(side("a", "food", ("family",)), jurisdictions=frozenset({"XX"}))
POLICY = Policy(timezone="America/New_York")
REQUEST = Request.parse({"recipient": {"reference": "Organization/a"}, "purpose": "TREAT", "action": "disclose", "at": "2026-05-04T10:00:00-05:00"}, POLICY)
RANK = {"deny": 0, "redact": 1, "permit": 2}

labels = st.frozensets(st.sampled_from(["SUD", "HIV", "MH", "42CFRPart2"]), max_size=2)
whats = st.builds(
    What, types=st.frozensets(st.sampled_from(["ServiceRequest", "Condition"]), max_size=1), labels=labels,
    codes=st.frozensets(st.sampled_from([("icd10", "Z59"), ("icd10", "F10")]), max_size=1))
whos = st.sampled_from([(), (Between(Who(kinds=frozenset({"cbo-minimum"}))),), (Between(Who(flags=frozenset({"family"}))),), (Between(Who(ids=frozenset({"b"}))),)])


def rules(effects: list[str]) -> st.SearchStrategy[list[Rule]]:
    """Rules with names of their own, of these effects."""
    made = st.tuples(st.sampled_from(effects), whos, whats, st.sampled_from(sorted(NEEDS))).map(_rule)
    return st.lists(made, max_size=4).map(lambda listed: [Rule(f"r{place}", *one) for place, one in enumerate(listed)])


def _rule(parts: tuple[str, Any, What, str]) -> tuple[Any, ...]:
    effect, who, what, need = parts
    if effect == "redact" and not what.picks:
        what = What(types=what.types, elements=frozenset({"ServiceRequest.reasonCode", "Condition.evidence"}))
    if effect == "allow":
        return effect, "b", who, What(types=what.types), frozenset({"TREAT"})
    return effect, "b", who, what, frozenset(), frozenset(), (need,) if effect == "require" else ()


NARROWING = rules(["withhold", "redact", "require"])


def ask(given_rules: list[Rule], consents: list[Any], resource: Any, policy: Policy = POLICY) -> Any:
    return decide(REQUEST, resource, consents, policy, ruling(House(tuple(given_rules)), HERE, REQUEST, policy))


@FEW
@given(NARROWING, consent_lists, resources)
def test_rules_only_narrow(given_rules: list[Rule], consents: list[Any], resource: Any) -> None:
    """A rule of the house never lets out what the evaluator keeps: neither a resource nor a part."""
    before, after = decide(REQUEST, resource, consents, POLICY), ask(given_rules, consents, resource)
    assert RANK[after.effect] <= RANK[before.effect]
    assert "evaluation-failed" not in after.rules
    if after.effect == "redact":
        assert all(any(path == kept or path.startswith((f"{kept}.", f"{kept}[")) for kept in after.redact_paths) for path in before.redact_paths)


@FEW
@given(rules(["withhold", "redact", "require", "allow"]), consent_lists, resources, st.randoms(use_true_random=False))
def test_order_makes_no_difference(given_rules: list[Rule], consents: list[Any], resource: Any, random: Any) -> None:
    """Rules in any order give the same answer, word for word."""
    shuffled = list(given_rules)
    random.shuffle(shuffled)
    assert ask(shuffled, consents, resource) == ask(given_rules, consents, resource)


@FEW
@given(rules(["allow"]), consent_lists, resources)
def test_allow_is_never_more_than_the_contract(given_rules: list[Rule], consents: list[Any], resource: Any) -> None:
    """What `allow` lets go is what the evaluator lets go under `no_consent: permit`, and a patient's deny stays a deny."""
    found = ask(given_rules, consents, resource)
    asked = decide(REQUEST, resource, consents, POLICY), decide(REQUEST, resource, consents, Policy(no_consent="permit", timezone=POLICY.timezone))
    assert (found.effect, found.redact_paths) in [(one.effect, one.redact_paths) for one in asked]


@FEW
@given(NARROWING, consent_lists, resources)
def test_what_is_left_is_left_alone(given_rules: list[Rule], consents: list[Any], resource: Any) -> None:
    """Decided once more, the redacted copy is a plain permit of the same rules: nothing further is taken out."""
    decision = ask(given_rules, consents, resource)
    if decision.effect == "redact" and not decision.redact_paths[0].startswith("entry"):
        assert ask(given_rules, consents, redact(resource, decision.redact_paths, POLICY)).effect == "permit"


@FEW
@given(rules(["withhold", "redact", "require", "allow"]), consent_lists, resources)
def test_every_decision_can_be_explained(given_rules: list[Rule], consents: list[Any], resource: Any) -> None:
    """The explanation never fails, says the same effect, and accounts for every path that is taken out."""
    house = House(tuple(given_rules))
    decision = ask(given_rules, consents, resource)
    found = explain(REQUEST, resource, consents, POLICY, ruling(house, HERE, REQUEST, POLICY), house)
    assert found["decision"] == decision.effect
    out = {one["path"] for one in found["withheld"]}
    assert out >= set(decision.redact_paths)
    assert ("" in out) == (decision.effect == "deny")
