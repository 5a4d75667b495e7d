"""`consent decide --explain`, `test`, `lint` and `simulate`, as a privacy officer calls them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.app import Connectors, build
from bridge.consent import house_file
from bridge.core.envelope import FHIR, HL7V2
from bridge.roles import drain, store
from bridge.settings import load
from tests.unit.cli.conftest import Call
from tests.unit.consent.build import case, condition, consent, permit
from tests.unit.pipeline.town import adt
from tests.unit.pipeline.town import consent as signed

RULE = """
rule: no-diabetes
because: Nobody at the pantry asks for it.
what: {code: icd10|E11}
effect: withhold
tests:
  - {name: diabetes, given: {permit: {}, data: {type: Condition, code: icd10|E11.9}}, expect: deny}
  - {name: food, given: {permit: {}, data: {type: Condition, code: icd10|Z59.41}}, expect: permit}
"""
MEMBERS = ["id", "decision", "redact_paths", "obligations", "rules", "consents", "review"]
GIVEN = case([consent(permit())], condition("E11.9"))


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A folder with one rule."""
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "no-diabetes.yaml").write_text(RULE, encoding="utf-8")
    return folder


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    """One case that a general permit lets go."""
    file = tmp_path / "cases.json"
    file.write_text(json.dumps([GIVEN]), encoding="utf-8")
    return file


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def test_bare_cases_keep_their_seven_members(call: Call, cases: Path) -> None:
    """Without options a line has exactly the members of the contract, and no rule of the house speaks."""
    (found,) = lines(call("consent", "decide", cases).out)
    assert list(found) == MEMBERS
    assert found["decision"] == "permit"


def test_rules_apply_when_asked_for(call: Call, cases: Path, rules: Path, tmp_path: Path) -> None:
    """--rules, --jurisdiction and a case's own `house` bring in rules; nothing else does."""
    (found,) = lines(call("consent", "decide", cases, "--rules", rules).out)
    assert (found["decision"], found["rules"][-1]) == ("deny", "house:no-diabetes")
    own = tmp_path / "own.json"
    gender = case([consent(permit())], condition("F64.0"))
    own.write_text("\n".join(json.dumps(one) for one in (gender, {**gender, "house": {}}, gender)), encoding="utf-8")
    assert [one["decision"] for one in lines(call("consent", "decide", own).out)] == ["permit", "deny", "permit"]
    mental = tmp_path / "mental.json"
    mental.write_text(json.dumps(case([consent(permit())], condition("F33.1"))), encoding="utf-8")
    (found,) = lines(call("consent", "decide", mental, "--jurisdiction", "IL").out)
    assert found["rules"][-1] == "house:il-mental-health"


def test_a_jurisdiction_that_is_not_there_is_usage(call: Call, cases: Path) -> None:
    """The answer lists those that are; exit 2."""
    done = call("consent", "decide", cases, "--jurisdiction", "ZZ")
    assert done.code == 2
    assert "there are CA," in done.err


def test_explain_in_words_and_in_json(call: Call, cases: Path, rules: Path) -> None:
    """A paragraph for people; with --json the same line as ever and an `explanation` in it."""
    told = call("consent", "decide", cases, "--rules", rules, "--explain").out
    assert told.startswith("case: it may not go. Consent c1 permits it at provision")
    assert "Nobody at the pantry asks for it (house:no-diabetes)" in told
    (found,) = lines(call("consent", "decide", cases, "--rules", rules, "--explain", "--json").out)
    assert list(found) == [*MEMBERS, "explanation"]
    assert found["explanation"]["withheld"] == [{"path": "", "labels": [], "rules": ["house:no-diabetes"], "consents": []}]


def test_a_case_that_cannot_be_read_is_explained(call: Call, tmp_path: Path) -> None:
    """Denied, exit 1, and the explanation says that a person has to look."""
    file = tmp_path / "broken.json"
    file.write_text(json.dumps([{"id": "x", "request": 7}, 3]), encoding="utf-8")
    done = call("consent", "decide", file, "--explain", "--json")
    assert done.code == 1
    assert [one["explanation"]["change"] for one in lines(done.out)] == [["a person has to look at the consents and the record"]] * 2


def test_the_tests_of_rules_are_run(call: Call, rules: Path) -> None:
    """Passing tests are counted; a failing one is shown with file, line and what was found, exit 1."""
    done = call("consent", "test", rules)
    assert (done.code, done.err.strip()) == (0, "2 passed, 0 failed")
    (rules / "no-diabetes.yaml").write_text(RULE.replace("expect: deny", "expect: permit"), encoding="utf-8")
    done = call("consent", "test", rules)
    assert done.code == 1
    assert "no-diabetes.yaml:7: diabetes\n  decision: expected permit, found deny" in done.out
    assert call("consent", "test").code == 0


def test_the_mapping_tests_run_rules_too(call: Call, rules: Path) -> None:
    """`mapping test` takes a rule's file like any other file with tests."""
    done = call("mapping", "test", rules / "no-diabetes.yaml")
    assert (done.code, "2 passed" in done.err) == (0, True)
    overlay = call("mapping", "test", Path(house_file.__file__).parents[2] / "profiles" / "consent" / "jurisdictions" / "NY.yaml")
    assert (overlay.code, "4 passed" in overlay.err) == (0, True)


def test_doubts_are_shown(call: Call, rules: Path) -> None:
    """A doubt fails with its place; the packaged rules have notes only."""
    assert call("consent", "lint", rules).code == 0
    (rules / "untested.yaml").write_text("rule: bare\nbecause: b.\neffect: withhold\nwhat: {type: Task}\n", encoding="utf-8")
    done = call("consent", "lint", rules)
    assert done.code == 1
    assert "untested.yaml:1:1: bare: untested: it has no `tests:`" in done.out
    assert call("consent", "lint", "--json").code == 0


def test_a_mistake_in_a_rule_is_shown_with_its_place(call: Call, cases: Path, rules: Path) -> None:
    """file:line:column, the line, a caret; exit 1."""
    (rules / "wrong.yaml").write_text("rule: w\nbecause: b.\neffect: withold\n", encoding="utf-8")
    done = call("consent", "decide", cases, "--rules", rules)
    assert done.code == 1
    assert "wrong.yaml:3:9: `withold` is not known as `effect:`" in done.err
    assert "did you mean withhold?" in done.err


@pytest.fixture
def lived(site: Path) -> Iterator[Path]:
    """A site that has referred one person with her consent."""
    settings = load(str(site), {})
    bridge = build(settings)
    connectors = Connectors(settings)
    store([(HL7V2, adt(), ""), (FHIR, signed("GH1001", "valley-elders", dated="2020-01-01T00:00:00Z"), "")], bridge)
    drain(bridge, connectors)
    connectors.close()
    bridge.ledger.close()
    yield site


def test_simulate_counts_and_lists(call: Call, lived: Path, tmp_path: Path) -> None:
    """Counts by recipient, kind and rule, single changes by id, one summary; as JSON lines too."""
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / "r.yaml").write_text("rule: no-elders\nbecause: The contract has ended.\nwho: {partner: valley-elders}\neffect: withhold\n", encoding="utf-8")
    done = call("consent", "simulate", "--rules", folder, config=lived)
    assert done.code == 0
    assert "The contract has ended" in done.out
    assert "1 deliveries would stay here, 0 would go" in done.out
    *changes, summary = lines(call("consent", "simulate", "--rules", folder, "--json", config=lived).out)
    assert {one["change"] for one in changes} == {"withheld"}
    assert summary["withheld"] == len(changes) == sum(one["count"] for one in summary["counts"])
    assert "ADLER" not in done.out
    assert lines(call("consent", "simulate", "--rules", folder, "--json", "--until", "2026-01-01T00:00:00Z", config=lived).out)[0]["messages"] == 0


def test_simulate_wants_to_know_what_changes(call: Call, lived: Path) -> None:
    """Without a change there is nothing to simulate, and a moment has an offset; both are usage."""
    assert call("consent", "simulate", config=lived).code == 2
    assert call("consent", "simulate", "--no-consent", "deny", "--since", "2026-01-01T00:00:00", config=lived).code == 2
