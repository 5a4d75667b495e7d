"""Rules of the house on the line, and `simulate`: what other rules would have done with what is on record."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from bridge.consent.house import Between, Exchange, House, Rule, What, Who
from bridge.core.envelope import FHIR
from bridge.core.rows import Outgoing
from bridge.pipeline import house, release, simulate
from bridge.pipeline.custody import custodian
from tests.unit.pipeline.town import NOON, Town, adt, consent

ADDRESS = Rule("no-address", "redact", "because.", (Between(Who(ids=frozenset({"valley-elders"}))),), What(elements=frozenset({"Patient.address"})))
NOTHING = Rule("nothing", "withhold", "because.", (Between(Who(kinds=frozenset({"cbo-minimum"}))),))
CONTRACT = Rule("contract", "allow", "because.", (Between(Who(ids=frozenset({"valley-elders"}))),), purposes=frozenset({"TREAT"}))


def with_rules(town: Town, *rules: Rule) -> None:
    town.bridge = replace(town.bridge, house=House(rules))


def seen(town: Town, *rules: Rule, days: float = 7, limit: int = 100, **changes: Any) -> list[simulate.Seen]:
    changed = simulate.with_rules(town.bridge, house=House(rules) if rules else None, **changes)
    return list(simulate.simulate(town.bridge, changed, NOON - timedelta(days=days), NOON + timedelta(days=1), limit))


def rows(found: list[simulate.Seen]) -> list[dict[str, Any]]:
    return [row for each in found for row in each.changes]


def played(town: Town) -> None:
    town.take(adt())
    town.take(consent("GH1001", "valley-elders"), kind=FHIR)
    town.send()


def test_a_rule_keeps_back_what_consent_permits(town: Town) -> None:
    """A rule that withholds stops the delivery, which names the rule; without it the same delivery goes."""
    with_rules(town, NOTHING)
    played(town)
    (row,) = town.outbox(recipient="valley-elders")
    assert (row.state, town.mail("valley-elders").got) == ("withheld", [])
    assert "house:nothing" in row.why
    with_rules(town)
    played(town)
    town.take(consent("GH1001", "valley-elders", name="c2"), kind=FHIR)
    town.send()
    assert len(town.mail("valley-elders").got) == 1


def test_a_rule_takes_an_element_out_of_what_leaves(town: Town) -> None:
    """The address stays here, the referral goes, and the record names the rule."""
    with_rules(town, ADDRESS)
    played(town)
    (sent,) = town.mail("valley-elders").got
    assert b"ELM ST" not in sent.body
    decided = [one for one in town.bridge.ledger.decisions(patient=town.patient()) if one.stage == "send" and one.resource.startswith("Patient/")]
    assert [(one.effect, one.redact_paths, one.rules[-1]) for one in decided] == [("redact", ("address",), "house:no-address")]


def test_allow_lets_ordinary_data_go_without_consent(town: Town) -> None:
    """The contract's default as a rule: the referral of a person without a consent leaves."""
    with_rules(town, CONTRACT)
    town.take(adt())
    town.send()
    assert len(town.mail("valley-elders").got) == 1


def test_the_packaged_rules_are_in_force(town: Town) -> None:
    """A bridge is built with the packaged rules: the line asks them without any setting."""
    assert {"gender-named", "vsp-release-ends"} <= {rule.name for rule in town.bridge.house.rules}
    assert {"CA", "NY"} <= set(town.bridge.house.overlays)


def test_answers_have_the_cbo_as_custodian(town: Town) -> None:
    """What became of a referral is the news of whoever took it on; the referral itself is that of the hospital that asks."""
    played(town)
    with_rules(town, *town.bridge.house.rules, Rule("p", "withhold", "because.", what=What(programmes=frozenset({"x"}))))
    (referral,) = town.referrals()
    with town.bridge.ledger.work() as work:
        def of(kind: str, recipient: str) -> Exchange:
            row = Outgoing("x", recipient, kind, referral.patient, (f"Task/{referral.id}",), "m", 0, referral.short)
            task = work.resource(f"Task/{referral.id}")
            assert task is not None
            return house.exchange(row, custodian(town.bridge.partners[recipient], [task], town.bridge), work, town.bridge)

        there = of("referral", "valley-elders")
        assert (there.custodian and there.custodian.id, there.programme) == ("example-general", referral.programme)
        back = of("outcome", "example-general")
    assert (back.recipient.kind, back.custodian and back.custodian.id) == ("ehr", "valley-elders")


def test_simulate_shows_what_a_rule_would_have_withheld(town: Town) -> None:
    """Each decision that would change is named with its record, its rule and no value; deliveries are counted whole."""
    played(town)
    found = rows(seen(town, NOTHING))
    assert {row["recipient"] for row in found} == {"valley-elders"}
    assert {row["change"] for row in found} == {"withheld"}
    task = next(row for row in found if row["resource"].startswith("Task/"))
    assert (task["was"], task["now"], task["would"], task["rules"]) == ("permit", "permit", "deny", ["house:nothing"])
    assert sum(each.deliveries["withheld"] for each in seen(town, NOTHING) if each.deliveries) == 1


def test_simulate_shows_what_would_have_been_cut_and_released(town: Town) -> None:
    """An element taken out is a cut; a contract that permits lets go what was withheld for want of a consent."""
    town.take(adt())
    assert {row["change"] for row in rows(seen(town, CONTRACT))} == {"released"}
    assert {row["change"] for row in rows(seen(town, no_consent="permit"))} == {"released"}
    town.take(consent("GH1001", "valley-elders"), kind=FHIR)
    town.send()
    cut = rows(seen(town, ADDRESS))
    assert [(row["change"], row["paths"]) for row in cut] == [("cut", ["address"])]


def test_the_same_rules_change_nothing(town: Town) -> None:
    """Simulating what is in force finds no change; what consents have done since is counted apart."""
    town.take(adt())
    town.take(consent("GH1001", "valley-elders", dated="2020-01-01T00:00:00Z"), kind=FHIR)
    found = seen(town)
    assert rows(found) == []
    assert sum(each.otherwise for each in found) > 0


def test_simulate_writes_nothing(town: Town) -> None:
    """Decisions, deliveries and disclosures are as before."""
    played(town)

    def state() -> tuple[Any, ...]:
        ledger, person = town.bridge.ledger, town.patient()
        return ledger.decisions(patient=person), ledger.outgoing(), ledger.disclosures(person), ledger.counts()

    before = state()
    seen(town, NOTHING, ADDRESS)
    assert state() == before


def test_simulate_reads_a_page_at_a_time(town: Town, monkeypatch: Any) -> None:
    """A stretch with more than a page is halved until it fits: every message once, oldest first, no page longer than asked."""
    for number in range(11):
        town.take(adt("A08", control=f"C-{number}", visit=f"V{number}"))
        town.later(minutes=9)  # one of them stands where a stretch is halved
    monkeypatch.setattr(simulate, "PAGE", 3)
    asked: list[int] = []
    find = town.bridge.ledger.find

    class Watched:
        def find(self, **chosen: Any) -> Any:
            asked.append(chosen["limit"])
            return find(**chosen)

    found = [row.control_id for row in simulate.messages(replace(town.bridge, ledger=Watched()), NOON, NOON + timedelta(days=1))]  # type: ignore[arg-type]
    assert found == [f"C-{number}" for number in range(11)]
    assert set(asked) == {4}
    assert len(seen(town, NOTHING, limit=5)) == 5


def test_jurisdictions_in_place_of_those_in_force(town: Town) -> None:
    """The overlays of a simulation stand in place of the site's and the partners' own."""
    partners = {id_: replace(one, jurisdictions=("CA",)) for id_, one in town.bridge.partners.items()}
    changed = simulate.with_rules(replace(town.bridge, partners=partners, jurisdictions=frozenset({"CA"})), jurisdictions=frozenset({"NY"}))
    assert changed.jurisdictions == {"NY"}
    assert {one.jurisdictions for one in changed.partners.values()} == {()}


def test_a_look_is_no_record(town: Town) -> None:
    """What was decided to show it, and not to send it, is not what simulations compare with."""
    played(town)
    (row,) = town.outbox(recipient="valley-elders")
    with town.bridge.ledger.work() as work:
        release.decisions(row, "look", work, replace(town.bridge, house=House((NOTHING,))))
    assert {one["was"] for one in rows(seen(town, NOTHING))} == {"permit"}
