"""Running the packaged mappings over messages of every shape."""

from __future__ import annotations

from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.draft import Draft
from bridge.hl7v2 import message
from bridge.hl7v2.dialect import Feed
from bridge.language.term import NOTHING
from bridge.mapping.library import Library
from bridge.mapping.program import Plan, Program
from bridge.mapping.sender import FeedSender
from tests.unit.language.workbench import IDS, MESSAGE

LINES = MESSAGE.strip("\r").split("\r")[1:]
RAWS = st.sampled_from(["", '""', "X", "CANARYNAME^CANARYGIVEN", "19790314", "20261341", "20240101101010-0500", "Z59.01^Home^I10", "99^^^CANARYASSIGNER", "a~b~~c", "^^^", "&&",
                        "Y", "1", "NM", "SN", "^7^-^9", "\\T\\x", "I", "01", "PRN^PH^^^937^555", "CANARY@x.example"])
EDITS = st.lists(st.tuples(st.integers(0, len(LINES) - 1), st.integers(1, 45), RAWS), max_size=12)


@cache
def program() -> Program:
    """The packaged discharge mapping."""
    library = Library.load()
    chosen = library.choose(message.parse(MESSAGE.encode()))
    assert chosen is not None
    return chosen


@cache
def tables() -> Library:
    return Library.load()


def edited(edits: list[tuple[int, int, str]], order: list[int]) -> bytes:
    """The message with fields replaced and its segments in another order, some left out or doubled."""
    lines = [line.split("|") for line in LINES]
    for line, field, raw in edits:
        lines[line] += [""] * (field + 1 - len(lines[line]))
        lines[line][field] = raw
    return ("\r".join([MESSAGE.split("\r")[0], *("|".join(lines[index]) for index in order)]) + "\r").encode()


def fresh() -> FeedSender:
    return FeedSender(Feed("gen"), tables().ground.tables)


ORDERS = st.one_of(st.just(list(range(len(LINES)))), st.lists(st.integers(0, len(LINES) - 1), max_size=16))


@settings(max_examples=60, deadline=None)
@given(EDITS, ORDERS)
def test_no_message_stops_a_mapping(edits: list[tuple[int, int, str]], order: list[int]) -> None:
    """Whatever stands in the fields, a draft comes out; nothing that was said quotes the message."""
    draft = program().run(message.parse(edited(edits, order)), fresh(), IDS)
    assert "CANARY" not in " ".join(str(issue) for issue in draft.issues)
    assert all(question.code == "" or question.code.isprintable() for question in draft.questions)


@settings(max_examples=60, deadline=None)
@given(EDITS, ORDERS)
def test_passing_over_absent_fields_changes_nothing(edits: list[tuple[int, int, str]], order: list[int]) -> None:
    """A run that builds only what the message has fields for gives what a run that tries everything gives."""
    read, one = message.parse(edited(edits, order)), program()
    assert one.run(read, fresh(), IDS) == unplanned(one, read)


def unplanned(one: Program, read: message.Message) -> Draft:
    """A run in which every part of every object is tried."""
    plans = dict(one.plans)
    slots = [None] * one.slots
    for slot in one.firsts.values():
        slots[slot] = NOTHING  # type: ignore[call-overload]
    whole = Plan(tuple((kind, one.emits[name]) for kind, name in one.order), tuple(one.emits.values()), tuple(body.live(None) for body in one.bodies))
    try:
        for shape in (*plans, tuple(_shape(one, read))):
            one.plans[shape] = whole
        return one.run(read, fresh(), IDS)
    finally:
        one.plans.clear()
        one.plans.update(plans)


def _shape(one: Program, read: message.Message) -> list[tuple[str, int]]:
    from bridge.language.segment import survey
    return list(survey(read, one.firsts, [None] * one.slots).items())


@settings(max_examples=60, deadline=None)
@given(EDITS, EDITS)
def test_memory_never_shows(first: list[tuple[int, int, str]], second: list[tuple[int, int, str]]) -> None:
    """A sender that has seen another message gives the same draft as one that has not."""
    order = list(range(len(LINES)))
    used = fresh()
    program().run(message.parse(edited(first, order)), used, IDS)
    read = message.parse(edited(second, order))
    assert program().run(read, used, IDS) == program().run(read, fresh(), IDS)


@settings(max_examples=40, deadline=None)
@given(EDITS)
def test_ids_are_stable_and_references_lead_somewhere(edits: list[tuple[int, int, str]]) -> None:
    """The same message makes the same ids; every reference of our making is to a resource of the draft."""
    body = edited(edits, list(range(len(LINES))))
    draft = program().run(message.parse(body), fresh(), IDS)
    assert draft == program().run(message.parse(body), fresh(), IDS)
    here = {f"{one['resourceType']}/{one['id']}" for one in draft.resources}
    assert len(here) == len(draft.resources)
    assert set(references(draft.resources)) <= here


def references(value: object) -> list[str]:
    """Every Reference.reference below a value."""
    if isinstance(value, dict):
        own = [value["reference"]] if isinstance(value.get("reference"), str) else []
        return own + [found for inner in value.values() for found in references(inner)]
    return [found for inner in value for found in references(inner)] if isinstance(value, list | tuple) else []
