"""The mappings of events: each has one, its own tests pass, and whatever comes of a message is valid."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.draft import Draft
from bridge.fhir import profile
from bridge.hl7v2 import batch
from bridge.mapping import trial
from tests.unit.mappings import packaged

EXAMPLES = sorted(packaged.EXAMPLES.glob("*.hl7"))
EVENTS = sorted(f"ADT^A{number:02d}" for number in range(1, 63) if number not in (19, 20, 56, 57, 58, 59))
"""All of chapter 3 but A19 (a query), A20 (a bed without a patient) and the four numbers that it does not give."""


def drafts(body: bytes) -> list[Draft]:
    """What comes of the messages of a file, each read as its sender's feed says."""
    return [packaged.draft(one, packaged.feed_of(one)) for one in batch.split(body)]


def test_each_event_has_its_mapping() -> None:
    """Every ADT event about a patient or a visit is read, each by one mapping."""
    library = packaged.library()
    assert sorted(event for name in library.programs if name.startswith("adt-") for event in library[name].events) == EVENTS


@pytest.mark.parametrize("name", packaged.library().programs)
def test_inline_tests_pass(name: str) -> None:
    """What a mapping file says about itself is so, and it says something."""
    results = trial.results(packaged.library(), [name])
    assert results
    assert [str(result) for result in results if not result.passed] == []


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_examples_make_valid_resources(file: Path) -> None:
    """Every resource of every example passes base R4 and the profile it claims."""
    for draft in drafts(file.read_bytes()):
        assert draft.resources
        check(draft)


def test_corpus_makes_valid_resources(shared: Path) -> None:
    """So does every resource of every message of the corpus."""
    files = sorted((shared / "corpus" / "hl7v2").glob("*.hl7"))
    made = [draft for file in files for draft in drafts(file.read_bytes())]
    assert len(made) > 20
    for draft in made:
        check(draft)


def check(draft: Draft) -> None:
    resources = {f"{one['resourceType']}/{one['id']}" for one in draft.resources}
    profiles = known()
    for resource in draft.resources:
        errors = [str(issue) for issue in profiles.check(resource) if issue.severity in ("error", "fatal")]
        assert errors == [], (draft.mapping, resource["resourceType"])
        assert references(resource) <= resources


@cache
def known() -> profile.Profiles:
    return profile.load()


def references(value: Any) -> set[str]:
    """Every relative reference in a resource."""
    if isinstance(value, list):
        return {found for one in value for found in references(one)}
    if not isinstance(value, dict):
        return set()
    own = {value["reference"]} if isinstance(value.get("reference"), str) else set()
    return own.union(*(references(one) for one in value.values()))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_findings_name_no_patient(file: Path) -> None:
    """No word of PID, NK1 or IN1-16 is in an issue or a question."""
    body = file.read_text(encoding="utf-8-sig")
    words = {
        word
        for line in body.splitlines()
        if line[:3] in ("PID", "NK1")
        for word in re.findall(r"[A-Z]{4,}|\d{6,}", line)
    }
    for draft in drafts(file.read_bytes()):
        said = " ".join(map(str, (*draft.issues, *draft.questions)))
        assert not [word for word in words - {"RIVERBEND"} if word in said]


def test_the_same_message_makes_the_same_draft() -> None:
    """Nothing depends on when or how often a message is mapped."""
    body = (packaged.EXAMPLES / "a03-two-needs.hl7").read_bytes()
    assert drafts(body) == drafts(body)


def test_a_visit_keeps_its_identity_from_admission_to_cancelled_discharge(shared: Path) -> None:
    """Six messages about one visit make one Encounter, one Patient and one facility."""
    names = ("own-seqs1-a01", "own-seqs2-a03", "own-seqs3-a08-after", "own-seqs4-a13", "own-seqs5-a03-again")
    made = [drafts((shared / "corpus" / "hl7v2" / f"{name}.hl7").read_bytes())[0] for name in names]
    for type_ in ("Encounter", "Patient", "Organization"):
        assert len({one["id"] for draft in made for one in draft.of_type(type_)}) == 1
    statuses = [draft.of_type("Encounter")[0]["status"] for draft in made]
    assert statuses == ["in-progress", "finished", "finished", "in-progress", "finished"]


JUNK = st.sampled_from(
    ["", '""', "^", "^^^X", "~", "A~B", "20240230", "20240612", "2024061214", "Y", "N", "UNK", "2", "-5", "0", "^words", "X^Y^Z", "Z59.0^H^I10", "Z5901", "1^2^LN", "Z^^^&1.2.3&ISO^MR", "ø", "1&2&3^4&5", "^^^^^^^^^", "CD:123", "71802-3^q^LN", "12345678901234567890", "1e9", "2106-3", "<b>", "a" * 300]
)
CHANGES = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 50), JUNK), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(EXAMPLES), CHANGES)
def test_whatever_a_sender_writes_the_result_is_valid(file: Path, changes: list[tuple[int, int, str]]) -> None:
    """Any field of any segment but MSH may hold anything: nothing raises, and what comes out is valid FHIR."""
    lines = file.read_text(encoding="utf-8-sig").splitlines()
    mark = lines[0][3]
    for line, field, junk in changes:
        place = 1 + line % (len(lines) - 1)
        fields = lines[place].split(mark)
        fields += [""] * (field + 1 - len(fields))
        fields[field] = junk
        lines[place] = mark.join(fields)
    for draft in drafts("\r".join(lines).encode()):
        check(draft)
