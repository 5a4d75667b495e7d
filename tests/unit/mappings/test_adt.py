"""The ADT mappings: their own tests pass, and whatever they make of a message is valid."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.draft import Draft
from bridge.core.ids import Ids
from bridge.fhir import profile
from bridge.hl7v2 import batch, dialect
from bridge.hl7v2.message import parse
from bridge.mapping import trial
from bridge.mapping.library import Library

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = sorted((ROOT / "mappings" / "examples").glob("*.hl7"))
IDS = Ids(b"a secret for tests only")
EVENTS = (
    *(f"A{number:02d}" for number in range(1, 56) if number not in (19, 20)), "A61", "A62",
)
"""All of chapter 3 but A19 (a query) and A20 (a bed without a patient); A60 is about allergies and no visit."""


@cache
def library() -> Library:
    return Library.load()


def adt() -> list[str]:
    return sorted(name for name in library().programs if name.startswith("adt-"))


def drafts(body: bytes) -> list[Draft]:
    """What comes of the messages of a file that some mapping reads."""
    feeds, senders, found = dialect.load(ROOT / "mappings" / "feeds"), library().senders(), []
    for one in batch.split(body):
        feed = feeds.of(parse(one).sender)
        message = feed.read(one)
        program = library().choose(message)
        if program is not None:
            found.append(program.run(message, senders.of(feed, message), IDS))
    return found


def test_each_event_has_its_mapping() -> None:
    """Every event about a patient or a visit is read, each by one mapping."""
    assert {event for name in adt() for event in library()[name].events} >= {f"ADT^{event}" for event in EVENTS}


def test_inline_tests_pass() -> None:
    """What the files say about themselves is so, and each says at least five things."""
    results = trial.results(library(), adt())
    assert [str(result) for result in results if not result.passed] == []
    for name in adt():
        assert sum(result.file == library()[name].spec.file for result in results) >= 5, name


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
    body = (ROOT / "mappings" / "examples" / "a03-two-needs.hl7").read_bytes()
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
