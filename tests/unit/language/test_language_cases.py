"""Inline tests: how they are read, judged and reported, for any kind of file."""

from __future__ import annotations

import pytest

from bridge.core.draft import Draft, Question
from bridge.core.errors import MappingError
from bridge.core.issue import Issue
from bridge.language import cases, syntax

DRAFT = Draft(
    ({"resourceType": "Patient", "id": "p", "active": True, "name": [{"family": "A", "given": ["B", "C"]}, {"family": "D"}]},
     {"resourceType": "Task", "id": "t"}),
    "ADT^A03", "2026-05-01T09:30:00Z", "m", "v", "p", (Issue("warning", "BRG-L110", "PV1-36", "unmapped t 99"),),
    (Question("code", "?", table="t", code="99"),), {"Patient/p": ("telecom",)})


def read(text: str) -> list[cases.Case]:
    return cases.read(syntax.load(text, "x.yaml").get("tests"))


@pytest.mark.parametrize(("key", "texts"), [
    ("count(Task)", ["1"]), ("count(Encounter)", ["0"]), ("Patient.name.family", ["A", "D"]), ("Patient.name[1].family", ["D"]),
    ("Patient.name.given", ["B", "C"]), ("Patient.active", ["true"]), ("Patient.name", ["{...}", "{...}"]), ("Task[0].id", ["t"]),
    ("issue", ["BRG-L110 PV1-36 unmapped t 99"]), ("question", ["t 99"]), ("event_time", ["2026-05-01T09:30:00Z"]), ("cleared", ["telecom"]),
])
def test_what_a_key_reads_off_a_draft(key: str, texts: list[str]) -> None:
    """Paths flatten lists, indexes pick, and issues, questions and counts have names of their own."""
    assert list(cases.observer(DRAFT)(key)) == texts


def test_a_case_that_fails_says_what_was_expected_and_found() -> None:
    """Each expectation that does not hold is one sentence; those that hold are silent."""
    case, = read("tests:\n  - name: n\n    given: g\n    expect: {Patient.name.family: [A], issue: nothing such, nonsense: 1, count(Task): 1}\n    absent: [Task.id]\n")
    result = cases.judge(case, cases.observer(DRAFT))
    assert not result.passed
    assert [failure.split(":")[0] for failure in result.failures] == ["Patient.name.family", "issue", "nonsense", "Task.id"]
    assert "expected A, found [A, D]" in result.failures[0]
    assert str(result).startswith("x.yaml:2: n\n")


def test_what_breaks_fails_its_case_alone() -> None:
    """A case whose run raises is a failure, the next one runs."""
    both = read("tests:\n  - {name: a, given: g, expect: {event: ADT^A03}}\n  - {name: b, given: g, expect: {event: ADT^A03}}\n")

    def act(case: cases.Case) -> cases.Observe:
        if case.name == "a":
            raise ValueError("no example")
        return cases.observer(DRAFT)
    assert [result.passed for result in cases.run(both, act)] == [False, True]


@pytest.mark.parametrize(("text", "said"), [
    ("tests:\n  - {name: a, givne: g, expect: {x: 1}}\n", "did you mean given"),
    ("tests:\n  - {name: a, given: g}\n", "a test expects something"),
    ("tests:\n  - {name: a, given: g, expect: {a: {b: c}}}\n", "not nested mappings"),
    ("tests:\n  - just words\n", "a test is a mapping"),
])
def test_a_test_that_cannot_be_meant_is_refused(text: str, said: str) -> None:
    """Unknown keys and tests that expect nothing are errors of the file."""
    with pytest.raises(MappingError, match=r"x\.yaml") as caught:
        read(text)
    assert said in str(caught.value)


def test_other_kinds_of_files_add_their_own_keys() -> None:
    """A programme row may say more about a case; it is kept as plain data."""
    case, = cases.read(syntax.load("tests:\n  - {name: a, partner: [x, y]}\n", "x.yaml").get("tests"), ("partner",))
    assert case.more == {"partner": ["x", "y"]}
