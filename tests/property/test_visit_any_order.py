"""The messages of a visit in any order, each any number of times, in batches of any size, end in the same state.

Independent of order are: every resource that messages tell (its elements, labels and the message each is from), whose it is,
and which referrals are open, for what and at whom. Not independent, by their nature: what was opened and called off again on
the way, ids and dates of Tasks that follow from it, deliveries that were queued or made meanwhile, the number of versions,
and questions: each is a record of what was known at the time.
"""

from __future__ import annotations

import json
from functools import cache
from itertools import pairwise
from typing import Any

import structlog
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.adapters.store.ledger import SqlLedger, open_ledger
from bridge.pipeline.receive import receive
from tests.unit.pipeline.merging import a40
from tests.unit.pipeline.town import Town, adt

WARD = b"4WEST^412^B^EXGENERAL"
STAY = [
    adt("A01", control="1", at="20261117091200", diagnoses=("I50.9", "Z59.41")),
    adt("A02", control="2", at="20261118101500").replace(WARD, b"6EAST^601^A^EXGENERAL"),
    adt("A08", control="3", at="20261119080000", family="ADLER-BLUM", phone="", numbers="~E9^^^EXEPI^EPI"),
    adt("A03", control="4", at="20261121093000", diagnoses=("I50.9", "Z59.02")),
    # coded after the discharge, with the discharge still in it
    adt("A03", control="5", at="20261121150000", leaves="06", diagnoses=("I50.9", "Z59.41", "Z59.82")).replace(b"A03", b"A08"),
    adt("A13", control="6", at="20261121152500"),
    adt("A03", control="7", at="20261122110000", leaves="03", end="20261122105500-0500", diagnoses=()),
    adt("A31", control="8", at="20261123080000", phone='""', address="9 OAK ST^^DAYTON^OH^45402^USA^H^^MONTGOMERY").partition(b"PV1|")[0],
    a40("GH9", "GH1001", "9", "20261122090000"),
]
CANCELLED = [STAY[0], STAY[2], adt("A11", control="4", at="20261119120000"), adt("A08", control="5", at="20261119130000")]
DIED = [STAY[0], STAY[3], adt("A03", control="5", at="20261121150000", leaves="20").replace(b"A03", b"A08")]
CORRECTED = [STAY[0], STAY[3], adt("A03", control="5", at="20261121150000", leaves="50").replace(b"A03", b"A08")]
PARTED = [STAY[0], STAY[3], STAY[8], a40("GH9", "GH1001", "6", "20261124090000", event="A37"), adt("A08", mrn="GH9", control="7", visit="V9")]
ASKED = ("Task", "ServiceRequest")
SHARED = ("Organization", "Practitioner", "PractitionerRole", "Location")


def state(ledger: SqlLedger, town: Town) -> tuple[Any, Any]:
    """Every resource with its labels, its owner and what is known of who told it; and the referrals that are open."""
    with ledger._connections.read() as connection:
        rows = connection.exec_driver_sql("SELECT ref, type, patient, body, meta, told FROM resources ORDER BY ref").all()
    told = {ref: (json.loads(body), json.loads(meta or "{}"), "" if type_ in SHARED else patient, _told(type_, told))
            for ref, type_, patient, body, meta, told in rows if type_ not in ASKED and not (type_ == "Organization" and _told(type_, told)[1] == {})}
    people = sorted({row[2] for row in rows})
    with ledger.work() as work:
        open_ = {(one.patient, one.programme, one.need, one.recipient, one.status, one.visit)
                 for person in people for one in work.referrals(person) if not one.closed}
    return told, open_


def _told(type_: str, text: str) -> Any:
    home, at = json.loads(text) if text else ["", {}]
    return ["" if type_ in SHARED else home, at]


def end(messages: list[bytes], batches: list[list[int]]) -> tuple[Any, Any]:
    """The state after these batches of message numbers."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    ledger = open_ledger("sqlite://")
    ledger.upgrade()
    town = Town(ledger)
    ids: dict[int, str] = {}
    for batch in batches:
        for number in batch:
            before = {row.envelope.id for row in town.messages()}
            town.put(messages[number])
            ids.setdefault(number, next(iter({row.envelope.id for row in town.messages()} - before), ""))
        rows = [row for number in batch for row in ledger.inbox([ids[number]])]
        outcomes = receive(rows, town.bridge)
        assert {type(one).__name__ for one in outcomes} == {"Accepted"}, outcomes
    found = state(ledger, town)
    ledger.close()
    structlog.reset_defaults()
    return found


def orders(count: int) -> st.SearchStrategy[list[list[int]]]:
    """Every message at least once, in any order, some again, cut into batches anywhere."""
    def cut(drawn: tuple[list[int], list[int], list[int]]) -> list[list[int]]:
        order, again, cuts = drawn
        whole = [*order, *(number % count for number in again)]
        places = sorted({0, *(place % len(whole) for place in cuts), len(whole)})
        return [whole[start:stop] for start, stop in pairwise(places)]
    return st.tuples(st.permutations(range(count)), st.lists(st.integers(0, count - 1), max_size=3),
                     st.lists(st.integers(0, 20), max_size=4)).map(cut)


def same(messages: list[bytes], batches: list[list[int]]) -> None:
    expected, found = in_order(tuple(messages)), end(messages, batches)
    assert found[1] == expected[1]
    assert found[0].keys() == expected[0].keys()
    for ref, one in expected[0].items():
        assert found[0][ref] == one, ref


@cache
def in_order(messages: tuple[bytes, ...]) -> tuple[Any, Any]:
    """The state after each message once, as they happened."""
    return end(list(messages), [[number] for number in range(len(messages))])


@settings(max_examples=12, deadline=None)
@given(orders(len(STAY)))
@example([[8, 7, 6, 5, 4, 3, 2, 1, 0]])
@example([[5], [3], [6], [4], [0], [8], [7], [1, 2]])
def test_a_stay_with_its_cancel_corrections_and_merge(batches: list[list[int]]) -> None:
    """A01, A02, A08, A03, A08, A13, A03, A31 with nulls and A40 end in the same state in any order."""
    same(STAY, batches)


@settings(max_examples=6, deadline=None)
@given(orders(len(CANCELLED)))
def test_an_admission_that_was_cancelled(batches: list[list[int]]) -> None:
    """A01, A08, A11, A08: the visit never was, and nothing revives it but another admission."""
    same(CANCELLED, batches)


@settings(max_examples=6, deadline=None)
@given(orders(len(DIED)))
def test_a_death_after_the_discharge(batches: list[list[int]]) -> None:
    """A01, A03, A08 with disposition 20: nothing is open in the end, and it does not matter when the death became known."""
    same(DIED, batches)
    assert end(DIED, batches)[1] == set()


@settings(max_examples=6, deadline=None)
@given(orders(len(CORRECTED)))
def test_a_disposition_that_was_corrected(batches: list[list[int]]) -> None:
    """A01, A03 home, A08 to hospice: what the first disposition opened and the second does not is not open in the end."""
    same(CORRECTED, batches)


@settings(max_examples=6, deadline=None)
@given(orders(len(PARTED)))
def test_records_that_were_merged_and_parted(batches: list[list[int]]) -> None:
    """A01, A03, A40, A37, A08 in any order: each record has its own again."""
    same(PARTED, batches)
