"""Rules of the house: read with places in their errors, applied on top of the consents, never widening but for `allow`."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.consent import house_case, house_file, house_lint
from bridge.consent.cases import run_case
from bridge.consent.house import NEEDS, Exchange, House, side
from bridge.consent.house_ruling import ruling
from bridge.core.errors import MappingError
from tests.unit.consent.build import ICD, OPEN, actor, case, concept, condition, consent, deny, labels, permit, referral

WRITTEN = house_file.packaged().written
HEAD = "rule: r\nbecause: a reason.\n"


def read(text: str) -> house_file.Written:
    return house_file.read(HEAD + text, "r.yaml")


def ask(text: str, asked: dict[str, Any], **exchange: Any) -> dict[str, Any]:
    """A case under one rule; the recipient is a pantry unless the exchange says otherwise."""
    found = Exchange(**{"recipient": side("food-bank", "food"), **exchange})
    return run_case(asked, lambda request, policy: ruling(House((read(text).rule,)), found, request, policy))


@pytest.mark.parametrize("written", WRITTEN, ids=lambda each: each.rule.name)
def test_each_packaged_rule_passes_its_own_tests(written: house_file.Written) -> None:
    """The cases inside a rule hold."""
    assert [str(one) for one in house_case.test(written) if not one.passed] == []


def test_packaged_rules_raise_no_doubt() -> None:
    """Every rule is tested both ways, reachable, and in nobody's way; that a law is unverified is said."""
    found = house_lint.lint(house_file.packaged())
    assert [each for each in found if not each.note] == []
    assert len([each for each in found if each.note]) == len([one for one in house_file.packaged().overlays.values() if not one.verified])


WRONG = [
    ("effect: withold\n", "r.yaml:3:9: `withold` is not known as `effect:`", "did you mean withhold?"),
    ("efect: withhold\n", "no key `efect` here", "did you mean effect?"),
    ("effect: redact\n", "it needs an element, a label or a code", "effect: withhold"),
    ("effect: require\n", "says what the permit must have", "period-end"),
    ("effect: withhold\nneeds: [dated]\n", "go with `effect: require`", ""),
    ("effect: require\nneeds: [period-ends]\n", "`period-ends` is not known", "did you mean period-end"),
    ("effect: withhold\nwho: {kind: vps}\n", "there is no kind of recipient `vps`", "did you mean vsp?"),
    ("effect: withhold\nwho: {flag: famly}\n", "`famly` is not known", "did you mean family?"),
    ("effect: withhold\nwhat: {label: GENDR}\n", "`GENDR` is not known as a label", "did you mean GENDER?"),
    ("effect: withhold\nwhat: {code: Z59.41}\n", "`Z59.41` is no code", "icd10|Z59.41"),
    ("effect: withhold\nwhat: {type: Patent}\n", "`Patent` is not known", "did you mean Patient"),
    ("effect: withhold\nwhat: {category: food}\n", "`food` is not known", "food-insecurity"),
    ("effect: redact\nwhat: {element: Patient.adress}\n", "Patient has no element `adress`", "did you mean address?"),
    ("effect: redact\nwhat: {element: address}\n", "`address` is no element", "Type.element"),
    ("effect: withhold\nwhat: {element: Patient.address}\n", "is about whole resources", "effect: redact"),
    ("effect: allow\n", "names its purposes", "purpose: [TREAT]"),
    ("effect: allow\npurpose: HRESCH\n", "within TREAT", ""),
    ("effect: allow\npurpose: TREAT\nwhat: {label: HIV}\n", "without labels only", ""),
    ("effect: withhold\nsince: yesterday\n", "`yesterday` is no date", "2026-11-21"),
    ("effect: withhold\npurpose: CARE\n", "`CARE` is not known", ""),
]


@pytest.mark.parametrize(("text", "says", "hint"), WRONG)
def test_mistakes_are_shown_where_they_are(text: str, says: str, hint: str) -> None:
    """A mistake names file, line and column, shows the line with a caret, and says what was meant."""
    with pytest.raises(MappingError) as caught:
        read(text)
    told = str(caught.value)
    assert says in told
    assert hint in told
    assert told.startswith("r.yaml:")
    assert "^" in told


def test_a_reason_is_required() -> None:
    """A rule without `because` is no rule: people are told the reason."""
    with pytest.raises(MappingError, match="`because:` is missing"):
        house_file.read("rule: r\neffect: withhold\n", "r.yaml")


def test_one_name_twice_in_a_folder_is_refused(tmp_path: Any) -> None:
    """Two files of one folder cannot be the same rule; a site's rule takes the place of a packaged one."""
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(HEAD + "effect: withhold\n")
    with pytest.raises(MappingError, match=r"a rule `r` is in .*a\.yaml too"):
        house_file.load([tmp_path])
    (tmp_path / "b.yaml").write_text("rule: gender-named\nbecause: the site's own.\neffect: withhold\n")
    packaged = house_file.files("profiles").joinpath("consent", "rules")
    assert house_file.load([tmp_path, packaged]).rules["gender-named"].rule.because == "the site's own."


ANY = consent(permit())


def test_withhold_keeps_the_whole_resource() -> None:
    """A part that fits withholds all of it; nothing that fits, nothing happens."""
    text = "effect: withhold\nwhat: {label: HIV}\n"
    assert ask(text, case([ANY], referral(reasonCode=[concept(ICD, "B20")])))["decision"] == "deny"
    assert ask(text, case([ANY], referral(reasonCode=[concept(ICD, "Z59.41")])))["decision"] == "permit"


def test_redact_takes_out_parts_and_denies_a_core() -> None:
    """The part goes; where the resource is about it, all of it does."""
    text = "effect: redact\nwhat: {code: icd10|B20}\n"
    found = ask(text, case([ANY], referral(reasonCode=[concept(ICD, "Z59.41"), concept(ICD, "B20.1")])))
    assert (found["decision"], found["redact_paths"], found["rules"][-1]) == ("redact", ["reasonCode[1]"], "house:r")
    assert ask(text, case([ANY], condition("B20")))["decision"] == "deny"


def test_redact_takes_out_elements_of_one_type() -> None:
    """`Type.element` speaks of its own type, extensions of the element included."""
    text = "effect: redact\nwhat: {element: [ServiceRequest.note, Condition.stage]}\n"
    assert ask(text, case([ANY], referral(note=[{"text": "x"}])))["redact_paths"] == ["note"]
    assert ask(text, case([ANY], condition("E11.9", note=[{"text": "x"}])))["decision"] == "permit"


def test_keys_are_anded_and_values_are_ored() -> None:
    """Type and label must both fit; one of two labels is enough."""
    text = "effect: withhold\nwhat: {type: Condition, label: [HIV, SDV]}\n"
    assert ask(text, case([ANY], condition("B20")))["decision"] == "deny"
    assert ask(text, case([ANY], condition("T74.11XA")))["decision"] == "deny"
    assert ask(text, case([ANY], condition("E11.9")))["decision"] == "permit"
    assert ask(text, case([ANY], referral(reasonCode=[concept(ICD, "B20")])))["decision"] == "permit"


def test_a_family_covers_its_members() -> None:
    """A rule about SUD is about alcohol too, as a patient's deny is; one about a level is about what lies above it."""
    assert ask("effect: withhold\nwhat: {label: SUD}\n", case([ANY], condition("F10.20")))["decision"] == "deny"
    assert ask("effect: withhold\nwhat: {label: R}\n", case([ANY], condition("F10.20")))["decision"] == "deny"
    assert ask("effect: withhold\nwhat: {label: V}\n", case([ANY], condition("F10.20")))["decision"] == "permit"


def test_who_is_a_choice_of_partners() -> None:
    """Kind by any of its names, id, flag; `except` leaves a recipient out; a rule about a custodian is not about the site's data."""
    assert ask("effect: withhold\nwho: {kind: food}\n", case([ANY]))["decision"] == "deny"
    assert ask("effect: withhold\nwho: {kind: [cbo-minimum, vsp], partner: other}\n", case([ANY]))["decision"] == "permit"
    assert ask("effect: withhold\nwho: [{partner: other}, {partner: food-bank}]\n", case([ANY]))["decision"] == "deny"
    assert ask("effect: withhold\nwho: {except: {kind: food}}\n", case([ANY]))["decision"] == "permit"
    flagged = {"recipient": side("food-bank", "food", ("family",))}
    assert ask("effect: withhold\nwho: {flag: family}\n", case([ANY]), **flagged)["decision"] == "deny"
    theirs = "effect: withhold\nwho: {custodian: {kind: shelter}}\n"
    assert ask(theirs, case([ANY]))["decision"] == "permit"
    assert ask(theirs, case([ANY]), custodian=side("x", "housing"))["decision"] == "deny"


def test_purpose_action_programme_and_dates() -> None:
    """A purpose covers those below it; both dates are included, read in the policy's zone."""
    assert ask("effect: withhold\npurpose: TREAT\n", case([ANY], purpose="COC"))["decision"] == "deny"
    assert ask("effect: withhold\npurpose: COC\n", case([ANY]))["decision"] == "permit"
    assert ask("effect: withhold\naction: collect\n", case([ANY]))["decision"] == "permit"
    assert ask("effect: withhold\nwhat: {programme: evctp}\n", case([ANY]), programme="evctp")["decision"] == "deny"
    assert ask("effect: withhold\nwhat: {programme: evctp}\n", case([ANY]))["decision"] == "permit"
    zone = {"timezone": "America/New_York"}
    last = case([ANY], at="2026-05-05T03:59:59Z", policy=zone)
    assert ask("effect: withhold\nuntil: 2026-05-04\n", last)["decision"] == "deny"
    assert ask("effect: withhold\nuntil: 2026-05-04\n", case([ANY], at="2026-05-05T04:00:00Z", policy=zone))["decision"] == "permit"
    assert ask("effect: withhold\nsince: 2026-05-05\n", last)["decision"] == "permit"


LACKING: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "period-end": (consent(permit(period={"end": "2027"})), consent(permit(period={"start": "2026"}))),
    "names-label": (consent(permit(securityLabel=labels("HIV"))), consent(permit(securityLabel=labels("R")))),
    "names-recipient": (consent(permit(actor=[{"reference": {"reference": "Organization/food-bank"}}])), ANY),
    "names-purpose": (consent(permit(purpose=[{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}])), ANY),
    "names-content": (consent(permit(**{"class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Condition"}]})), ANY),
    "dated": (ANY, consent(permit(), dateTime=None)),
    "attached": (consent(permit(), sourceReference={"reference": "DocumentReference/1"}), ANY),
    "verified": (consent(permit(), verification=[{"verified": True}]), ANY),
    "by-patient": (consent(permit(), performer=[{"reference": "Patient/p1"}]), consent(permit(), performer=[{"reference": "RelatedPerson/x"}])),
}


@pytest.mark.parametrize("need", NEEDS)
def test_what_a_permit_can_be_asked_to_have(need: str) -> None:
    """Each need is met by the one permit and not by the other; a contract's default never meets it."""
    has, lacks = LACKING[need]
    text = f"effect: require\nwhat: {{label: HIV}}\nneeds: {need}\n"
    assert ask(text, case([has], condition("B20")))["decision"] == "permit"
    assert ask(text, case([lacks], condition("B20")))["decision"] == "deny"
    assert ask(text, case([lacks, {**has, "id": "c2"}], condition("B20")))["decision"] == "permit"
    bare = f"effect: require\nneeds: {need}\n"
    assert ask(bare, case([], policy=OPEN))["decision"] == "deny"


def test_a_recipient_named_as_custodian_is_not_named() -> None:
    """An actor in the part of the custodian does not name the recipient."""
    keeper = consent(permit(actor=[actor("Organization/food-bank", "CST"), actor("Group/g")]))
    asked = case([keeper], memberOf=["Group/g"], custodian={"reference": "Organization/food-bank"})
    assert ask("effect: withhold\nwho: {kind: vsp}\n", asked)["decision"] == "permit"
    assert ask("effect: require\nneeds: names-recipient\n", asked)["decision"] == "deny"


def test_an_overlay_applies_where_it_is_chosen() -> None:
    """The rules of a jurisdiction ask nothing elsewhere; a rule of the site may belong to one, too."""
    house = house_file.packaged().house

    def asked(*chosen: str) -> str:
        here = Exchange(side("food-bank", "clinic"), jurisdictions=frozenset(chosen))
        return str(run_case(case([ANY], condition("F33.1")), lambda request, own: ruling(house, here, request, own))["decision"])

    assert [asked(), asked("NY"), asked("IL"), asked("NY", "IL")] == ["permit", "permit", "deny", "deny"]
    own = "effect: withhold\njurisdiction: XX\n"
    assert ask(own, case([ANY]))["decision"] == "permit"
    assert ask(own, case([ANY]), jurisdictions=frozenset({"XX"}))["decision"] == "deny"


def test_a_form_is_known_by_its_code_or_address() -> None:
    """policyRule, category and policy.uri name the form; another form does not do."""
    text = "effect: require\nform: ['http://example.org/f|A1', urn:form:b]\n"
    coded = consent(permit(), policyRule={"coding": [{"system": "http://example.org/f", "code": "A1"}]})
    assert ask(text, case([coded]))["decision"] == "permit"
    assert ask(text, case([consent(permit(), policy=[{"uri": "urn:form:b"}])]))["decision"] == "permit"
    assert ask(text, case([consent(permit(), policy=[{"uri": "urn:form:c"}])]))["decision"] == "deny"


def test_a_need_is_asked_of_the_rule_that_permits() -> None:
    """The period of the outer rule counts for the inner one; that of a sibling does not."""
    text = "effect: require\nneeds: period-end\n"
    outer = consent(deny(permit(actor=[{"reference": {"reference": "Organization/food-bank"}}]), period={"end": "2027"}))
    assert ask(text, case([outer]))["decision"] == "permit"
    other = {"reference": {"reference": "Organization/other"}}
    sibling = consent(deny(permit(actor=[{"reference": {"reference": "Organization/food-bank"}}]), permit(actor=[other], period={"end": "2027"})))
    assert ask(text, case([sibling]))["decision"] == "deny"


def test_allow_is_the_contracts_default_and_nothing_more() -> None:
    """It lets ordinary data go when no consent speaks; a deny, a label and another purpose stay what they are."""
    text = "effect: allow\npurpose: TREAT\n"
    found = ask(text, case([]))
    assert (found["decision"], found["rules"]) == ("permit", ["D2", "house:r"])
    assert ask(text, case([], condition("B20")))["decision"] == "deny"
    assert ask(text, case([], purpose="HOPERAT"))["decision"] == "deny"
    assert ask(text, case([consent(deny())]))["decision"] == "deny"
    assert ask(text, case([consent(permit(actor=[{"reference": {"reference": "Organization/x"}}]))]))["decision"] == "permit"
    assert ask(text, case([], referral(reasonCode=[concept(ICD, "B20")])))["redact_paths"] == ["reasonCode[0]"]


def test_entries_of_a_bundle_are_narrowed_one_by_one() -> None:
    """A rule takes out the entries that it is about."""
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": condition("B20")}, {"resource": referral()}]}
    found = ask("effect: withhold\nwhat: {type: Condition}\n", case([ANY], bundle))
    assert (found["decision"], found["redact_paths"]) == ("redact", ["entry[0]"])


def test_a_directory_entry_is_nobodys_data() -> None:
    """Rules are about patients' data; an Organization stays free."""
    assert ask("effect: withhold\n", case([], {"resourceType": "Organization", "id": "o"}))["decision"] == "permit"


def test_a_bare_case_knows_no_rules() -> None:
    """Without being asked for, rules of the house change nothing: F64 under a general permit goes."""
    assert run_case(case([ANY], condition("F64.0")))["decision"] == "permit"


def test_a_notice_goes_with_what_is_left() -> None:
    """New York's notice is an obligation where HIV related data leave, and not where they stay."""
    shelf = house_file.packaged()
    here = Exchange(side("food-bank", "clinic"), jurisdictions=frozenset({"NY"}))

    def asked(**policy: Any) -> dict[str, Any]:
        form = consent(permit(period={"end": "2027"}, securityLabel=labels("HIV", "N")), policy=[{"uri": "DOH-2557"}])
        return run_case(case([form], **policy), lambda request, own: ruling(shelf.house, here, request, own))

    assert asked(resource=condition("B20"))["obligations"] == ["notice:NY"]
    assert asked(resource=condition("E11.9"))["obligations"] == []
    part = referral(reasonCode=[concept(ICD, "B20"), concept(ICD, "Z59.41")])
    assert asked(resource=part)["obligations"] == ["notice:NY"]
    unlisted = {"consents": [consent(permit())], **{name: case([], part)[name] for name in ("id", "request", "resource")}}
    found = run_case(unlisted, lambda request, own: ruling(shelf.house, here, request, own))
    assert (found["redact_paths"], found["obligations"]) == (["reasonCode[0]"], [])


DOUBTS = [
    ("effect: withhold\nwhat: {type: Task}\n", [], "untested: it has no `tests:`"),
    ("effect: withhold\nwho: {kind: vsp}\ntests: [{given: {permit: {}}, expect: permit}]\n", [], "in none of its tests"),
    ("effect: withhold\nwhat: {type: Task}\ntests: [{given: {permit: {}, data: {type: Task}}, expect: deny}]\n", [], "no test shows what it leaves alone"),
    ("effect: withhold\nsince: 2027\nuntil: 2026\nwhat: {type: Task}\n", [], "it ends before it begins"),
    ("effect: withhold\n", [], "keeps back everything from everybody"),
    ("effect: withhold\njurisdiction: ZZ\n", [], "there is no jurisdiction ZZ"),
    ("effect: allow\npurpose: TREAT\nwho: {kind: vsp}\n", ["effect: withhold\nwho: {kind: [vsp, food]}\n"], "contradiction: `s` withholds"),
    ("effect: withhold\nwho: {kind: vsp}\nwhat: {label: ETHUD}\n", ["effect: withhold\nwho: {kind: vsp}\nwhat: {label: SUD}\n"], "`s` says all of it already"),
    ("effect: require\nneeds: dated\n", ["effect: require\nneeds: [dated, verified]\n"], "`s` says all of it already"),
    ("effect: require\nform: a\n", ["effect: require\nform: b\n"], "no permit can be on its form"),
]


@pytest.mark.parametrize(("text", "others", "says"), DOUBTS)
def test_lint_sees(text: str, others: list[str], says: str) -> None:
    """Untested, unreachable and contradicting rules are named with their place."""
    rules = {"r": read(text)}
    for other in others:
        rules["s"] = house_file.read("rule: s\nbecause: b.\n" + other, "s.yaml")
    found = [each for each in house_lint.lint(house_file.Shelf(rules, {}, {})) if each.rule == "r"]
    assert [each for each in found if says in each.text]
    assert all(each.where.startswith("r.yaml:1:") for each in found)


def test_lint_leaves_unlike_rules_alone() -> None:
    """Rules about different partners, labels or purposes are in nobody's way."""
    texts = ["effect: withhold\nwho: {kind: vsp}\n", "effect: withhold\nwho: {kind: food}\n", "effect: withhold\nwhat: {label: HIV}\n",
             "effect: withhold\npurpose: HMARKT\n"]
    rules = {str(place): house_file.read(f"rule: r{place}\nbecause: b.\n{text}", "r.yaml") for place, text in enumerate(texts)}
    assert [each.text for each in house_lint.lint(house_file.Shelf(rules, {}, {})) if "untested" not in each.text] == []
