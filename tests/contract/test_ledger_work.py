"""Laws of the unit of work, for every ledger."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from bridge.adapters.store.ledger import SqlLedger
from tests.services.ledgers import (  # noqa: F401 (fixtures)
    NOW,
    decision,
    ledger,
    ledger_url,
    outgoing,
    patient,
    question,
    referral,
    resource,
    store,
)

T1, T2, T3 = "2025-03-01T08:00:00-05:00", "2025-03-01T13:30:00Z", "2025-03-01T09:00:00-05:00"


def _put(ledger: SqlLedger, *resources: dict, patient: str = "p1", time: str = T1, message: str = "m-1") -> list[int]:
    with ledger.work() as work:
        return [work.put(one, patient, message, time) for one in resources]


def test_a_work_sees_what_it_wrote_and_so_does_the_next(ledger: SqlLedger) -> None:
    """Every read gives the same answer before the commit as after it."""
    with ledger.work() as work:
        work.put(patient("p1"), "p1", "m-1", T1)
        work.put(resource("Consent", "c1", status="active"), "p1", "m-1", T1)
        work.link(("urn:mrn", "1"), "p1")
        work.refer(referral("t1"))
        before = _everything(work)
    with ledger.work() as work:
        assert _everything(work) == before
    assert before[0] == {**patient("p1"), "meta": {"versionId": "1"}}
    assert before[1] == T1


def _everything(work) -> list:
    return [
        work.resource("Patient/p1"), work.event_time("Patient/p1"), work.of_patient("p1"), work.consents("p1"),
        work.persons([("urn:mrn", "1"), ("urn:mrn", "2")]), work.people("1980-02-29", "RIVERA"), work.referrals("p1"),
        work.referral("t1"), work.referral("S-t1"), work.resource("Patient/px"), work.event_time("Patient/px"),
    ]


def test_a_resource_is_a_fresh_copy(ledger: SqlLedger) -> None:
    """Changing what a read returned, or what was put, changes nothing in the ledger."""
    with ledger.work() as work:
        mine = patient("p1")
        work.put(mine, "p1", "m-1", T1)
        mine["name"][0]["family"] = "changed"
        work.resource("Patient/p1")["name"].clear()
        assert work.resource("Patient/p1")["name"] == [{"family": "Rivera"}]


def test_versions_count_changes_of_content(ledger: SqlLedger) -> None:
    """A new content is a new version; the same content in another key order, with another meta, is not."""
    assert _put(ledger, {"resourceType": "Task", "id": "t", "status": "requested", "owner": {"display": "A", "type": "B"}}) == [1]
    same = {"id": "t", "resourceType": "Task", "owner": {"type": "B", "display": "A"}, "status": "requested"}
    assert _put(ledger, {**same, "meta": {"versionId": "7", "lastUpdated": T1, "profile": ["urn:p"]}}) == [1]
    with ledger.work() as work:
        assert work.resource("Task/t")["meta"] == {"profile": ["urn:p"], "versionId": "1"}
        assert work.put(work.resource("Task/t"), "p1", "m-2", T1) == 1
        assert [work.put({**same, "status": status}, "p1", "m-2", T1) for status in ("accepted", "accepted", "completed")] == [2, 2, 3]
        assert work.resource("Task/t")["meta"]["versionId"] == "3"
    assert _put(ledger, {**same, "status": "completed"}) == [3]


def test_true_is_not_one(ledger: SqlLedger) -> None:
    """Contents that only Python calls equal are different contents, and digits of a decimal count."""
    values = [True, 1, 1.0, Decimal("1.0"), Decimal("1.00"), "1"]
    versions = [_put(ledger, resource("Observation", "o", value=value))[0] for value in values]
    assert versions == [1, 2, 3, 3, 4, 5]


def test_an_event_time_only_moves_on(ledger: SqlLedger) -> None:
    """The same content heard again later is as young as that; heard from an older event it does not age."""
    _put(ledger, resource("Task", "t"), time=T1)
    for time, expected in ((T2, T2), (T1, T2), (T3, T3), ("", T3)):
        _put(ledger, resource("Task", "t"), time=time)
        with ledger.work() as work:
            assert work.event_time("Task/t") == expected
    _put(ledger, resource("Task", "t", status="x"), time=T1)
    with ledger.work() as work:
        assert work.event_time("Task/t") == T1


def test_what_is_remembered_of_a_resource_stays_until_it_is_replaced(ledger: SqlLedger) -> None:
    """`told` is kept with the newest version; a put without one leaves it, and one alone is no new version."""
    for status, told, expected in (("a", "1", "1"), ("a", "", "1"), ("a", "2", "2"), ("b", "", "2"), ("c", "3", "3")):
        with ledger.work() as work:
            work.put(resource("Task", "t", status=status), "p1", "m-1", T1, told)
            assert work.told("Task/t") == expected
        with ledger.work(alone=True) as work:
            assert work.told("Task/t") == expected
    with ledger.work() as work:
        assert work.resource("Task/t")["meta"]["versionId"] == "3"
        assert work.told("Task/nobody") == ""


def test_what_cannot_be_stored_is_refused_at_the_call(ledger: SqlLedger) -> None:
    """A resource that is no JSON or has no id raises ValueError there, quoting nothing, and the work goes on."""
    bad = [{"id": "x"}, {"resourceType": "Task"}, resource("Task", ""), resource("Task", "x", v=object()),
           resource("Task", "x", v=Decimal("NaN")), resource("Task", "x", v="\ud800 Rivera"), resource("Task", "x", v=2**70)]
    with ledger.work() as work:
        for one in bad:
            with pytest.raises(ValueError, match=r"resource|JSON") as caught:
                work.put(one, "p1", "m-1", T1)
            assert "Rivera" not in str(caught.value)
        work.put(resource("Task", "good"), "p1", "m-1", T1)
    with ledger.work() as work:
        assert [one["id"] for one in work.of_patient("p1")] == ["good"]


def test_of_patient_selects_by_type_and_patient(ledger: SqlLedger) -> None:
    """Newest versions of the named types, of all types when none is named, in order of reference; moves are followed."""
    with ledger.work() as work:
        for one in (resource("Task", "2"), resource("Task", "1"), resource("Goal", "1")):
            work.put(one, "p1", "m-1", T1)
    with ledger.work() as work:
        work.put(resource("Task", "3"), "p1", "m-1", T1)
        work.put(resource("Task", "1", status="x"), "p2", "m-1", T1)
        work.put(resource("Task", "4"), "p2", "m-1", T1)
        seen = {names: [f"{one['resourceType']}{one['id']}" for one in work.of_patient("p1", *names)]
                for names in ((), ("Task",), ("Task", "Goal"), ("Consent",))}
        assert seen == {(): ["Goal1", "Task2", "Task3"], ("Task",): ["Task2", "Task3"], ("Consent",): [],
                        ("Task", "Goal"): ["Goal1", "Task2", "Task3"]}
    with ledger.work() as work:
        assert [one["id"] for one in work.of_patient("p2")] == ["1", "4"]


def test_preloading_changes_no_answer(ledger: SqlLedger) -> None:
    """Reads after `preload` are what they are without it, for what is there and what is not."""
    with ledger.work() as work:
        work.put(patient("p1"), "p1", "m-1", T1)
        work.put(resource("Consent", "c1"), "p1", "m-1", T1)
        work.refer(referral("t1"))
        plain = _everything(work)
    with ledger.work() as work:
        work.preload([], [])
        work.preload(["Patient/p1", "Patient/px"], ["p1", "p2"])
        assert _everything(work) == plain
        assert (work.consents("p2"), work.referrals("p2")) == ([], [])
        work.put(resource("Consent", "c2"), "p2", "m-1", T1)
        work.preload(["Consent/c2"], ["p2"])
        assert [one["id"] for one in work.consents("p2")] == ["c2"]


def test_a_savepoint_forgets_what_failed_and_nothing_else(ledger: SqlLedger) -> None:
    """Everything written inside a block that raises is gone; what came before and after stays."""
    store(ledger, "1", "2")
    with ledger.work() as work:
        _write(work, "before")
        with pytest.raises(LookupError, match="why"), work.savepoint():
            _write(work, "inside")
            with work.savepoint():
                _write(work, "kept inside")
            raise LookupError("why")
        with work.savepoint():
            _write(work, "after")
    with ledger.work() as work:
        assert {one["note"] for one in work.of_patient("p1", "Task")} == {"after"}
        assert work.resource("Task/t")["meta"]["versionId"] == "2"
        assert [one["id"] for one in work.people("1980-02-29", "before")] == []
        assert [one["id"] for one in work.people("1980-02-29", "after")] == ["p1"]
        assert work.persons([("s", "before"), ("s", "inside"), ("s", "kept inside"), ("s", "after")]) == {
            ("s", "before"): "p1", ("s", "after"): "p1"}
        assert [one.id for one in work.referrals("p1")] == ["before", "after"]
    assert [row.id for row in ledger.outgoing()] == ["before", "after"]
    assert [row.resource for row in ledger.decisions(patient="p1")] == ["Task/before", "Task/after"]
    assert [(item.code, item.count) for item in ledger.held()] == [("99", 2)]
    assert ledger.inbox(["m-1"])[0].mapping == "after"


def _write(work, name: str) -> None:
    work.put(resource("Task", "t", note=name), "p1", "m-1", T1)
    work.put(patient("p1", name), "p1", "m-1", T1)
    work.link(("s", name), "p1")
    work.refer(referral(name, need=name))
    work.enqueue(outgoing(name))
    work.decided(decision(f"Task/{name}"))
    work.ask(question(name))
    work.settle("before", "refused", name)
    work.finish("m-1", "accepted", mapping=name)


def test_a_work_that_raises_leaves_nothing(ledger: SqlLedger) -> None:
    """An exception out of the block undoes all of it and is the one that was raised."""
    store(ledger, "1")
    with pytest.raises(LookupError, match="why"), ledger.work() as work:
        _write(work, "x")
        raise LookupError("why")
    with ledger.work() as work:
        assert work.of_patient("p1") == []
        assert work.referrals("p1") == []
    assert (ledger.outgoing(), ledger.decisions(), ledger.held()) == ([], [], [])
    assert ledger.inbox(["m-1"])[0].outcome == ""


def test_people_are_found_by_folded_name(ledger: SqlLedger) -> None:
    """Case, accents, hyphens and apostrophes do not matter; birth date and family do; old names are forgotten."""
    names = {"1": "Núñez-O'Brien", "2": "NUNEZ OBRIEN", "3": "Nunez", "4": "Łukasz", "5": "王", "6": "Straße"}
    with ledger.work() as work:
        for id_, family in names.items():
            work.put(patient(id_, family), id_, "m-1", T1)
        work.put(patient("7", "Nunez", born="1980-03-01"), "7", "m-1", T1)
        work.put({"resourceType": "Patient", "id": "8", "birthDate": "1980-02-29", "name": [{"text": "Nunez"}]}, "8", "m-1", T1)
        work.put({**patient("9"), "name": [{"family": "Old"}, {"family": "Nunez"}]}, "9", "m-1", T1)
        expected = _found(work)
    assert expected == [["1", "2"], ["3", "9"], ["4"], ["5"], ["6"], [], ["9"], [], []]
    with ledger.work() as work:
        assert _found(work) == expected
        work.put(patient("9", "New"), "9", "m-1", T1)
        assert (_ids(work, "old"), _ids(work, "nunez"), _ids(work, "NEW")) == ([], ["3"], ["9"])
    with ledger.work() as work:
        assert (_ids(work, "old"), _ids(work, "nunez"), _ids(work, "NEW")) == ([], ["3"], ["9"])
        work.put(patient("9", "Old"), "9", "m-1", T1)
    with ledger.work() as work:
        assert (_ids(work, "old"), _ids(work, "new")) == (["9"], [])


def _ids(work, family: str) -> list[str]:
    return [one["id"] for one in work.people("1980-02-29", family)]


def _found(work) -> list[list[str]]:
    families = ("nunezobrien", "NÚÑEZ", "lukasz", "王", "STRASSE", "Rivera", "old", "", "-")
    return [_ids(work, family) for family in families]


def test_identifiers_lead_to_the_person_they_were_linked_to_last(ledger: SqlLedger) -> None:
    """A link is by system and value, a later one replaces it, and unlinked ones are left out."""
    odd = ("urn:mrn", "x\0" + "9" * 5000)
    with ledger.work() as work:
        assert work.persons([("urn:mrn", "1")]) == {}
        work.link(("urn:mrn", "1"), "p1")
        work.link(("urn:other", "1"), "p2")
        work.link(odd, "p3")
    with ledger.work() as work:
        assert work.persons([("urn:mrn", "1"), ("urn:other", "1"), ("urn:mrn", "2"), odd]) == {
            ("urn:mrn", "1"): "p1", ("urn:other", "1"): "p2", odd: "p3"}
        work.link(("urn:mrn", "1"), "p9")
        assert work.persons([("urn:mrn", "1")]) == {("urn:mrn", "1"): "p9"}
    with ledger.work() as work:
        assert work.persons([("urn:mrn", "1")]) == {("urn:mrn", "1"): "p9"}
        assert work.persons([]) == {}


def test_one_referral_is_open_per_patient_programme_need_and_recipient(ledger: SqlLedger) -> None:
    """A second open one is refused where it is opened, in the same work and later; any difference makes it another."""
    with ledger.work() as work:
        work.refer(referral("t1"))
        for other in (referral("t2", need="housing"), referral("t3", recipient="cbo-b"), referral("t4", patient="p2"),
                      referral("t5", closed=True, status="completed")):
            work.refer(other)
        with pytest.raises(ValueError, match="open already"):
            work.refer(referral("t6"))
    with ledger.work() as work:
        with pytest.raises(ValueError, match="open already"):
            work.refer(referral("t6"))
        with pytest.raises(ValueError, match="open already"):
            work.refer(referral("t5"))
        assert [one.id for one in work.referrals("p1")] == ["t1", "t2", "t3", "t5"]


def test_a_referral_makes_room_when_it_closes(ledger: SqlLedger) -> None:
    """Closing and opening in one work is allowed in any order of changes, and is what the next work sees."""
    _refer(ledger, referral("t1"), referral("t0", closed=True))
    with ledger.work() as work:
        work.refer(referral("t0", closed=True, status="failed"))
        work.refer(referral("t1", closed=True, status="completed"))
        work.refer(referral("t2"))
        work.refer(referral("t1", closed=True, status="cancelled"))
    _refer(ledger, referral("t2", need="housing"), referral("t0", status="accepted"))
    with ledger.work() as work:
        seen = [(one.id, one.status, one.closed, one.need) for one in work.referrals("p1")]
    assert seen == [("t1", "cancelled", True, "food"), ("t0", "accepted", False, "food"), ("t2", "requested", False, "housing")]


def _refer(ledger: SqlLedger, *referrals) -> None:
    with ledger.work() as work:
        for one in referrals:
            work.refer(one)


def test_a_referral_is_changed_by_its_id(ledger: SqlLedger) -> None:
    """Status, due and patient of a referral can change; its place in the order cannot."""
    _refer(ledger, referral("t1"), referral("t2", need="housing"))
    with ledger.work() as work:
        work.refer(replace(referral("t1"), status="accepted", due="2025-04-01"))
        work.refer(referral("t2", need="housing", patient="p2"))
        assert [one.id for one in work.referrals("p1")] == ["t1"]
    with ledger.work() as work:
        assert [(one.id, one.status, one.due) for one in work.referrals("p1")] == [("t1", "accepted", "2025-04-01")]
        assert [one.id for one in work.referrals("p2")] == ["t2"]


def test_a_short_reference_that_two_carry_names_neither(ledger: SqlLedger) -> None:
    """An ambiguous short reference finds nothing; the id always does; unknown ones, however odd, find nothing."""
    _refer(ledger, referral("t1", short="AB"), referral("t2", need="housing", short="AB"), referral("t3", need="x", short="t1"))
    with ledger.work() as work:
        assert (work.referral("AB"), work.referral("t1").id, work.referral("no\0"), work.referral("\ud800")) == (None, "t1", None, None)
        work.refer(referral("t4", need="y", short="CD"))
        assert work.referral("CD").id == "t4"
        work.refer(referral("t2", need="housing", short="EF"))
        assert (work.referral("AB").id, work.referral("EF").id) == ("t1", "t2")


def test_what_a_message_stored_can_be_compared_with_what_was_there(ledger: SqlLedger) -> None:
    """`outputs` gives each resource in the version the message stored and the one before, however many came after."""
    store(ledger, "1", "2")
    with ledger.work() as work:
        for status in "abc":
            version = work.put(resource("Task", "t", status=status), "p1", "m-1", T1)
        work.put(resource("Goal", "g"), "p1", "m-1", T1)
        work.finish("m-1", "accepted", outputs=[("Task/t", version), ("Goal/g", 1), ("Goal/unknown", 1)])
    _put(ledger, resource("Task", "t", status="d"), message="m-2")
    found = ledger.outputs("m-1")
    assert {key: [one and (one.get("status"), one["meta"]["versionId"]) for one in pair] for key, pair in found.items()} == {
        ("Task", "t"): [("c", "3"), ("b", "2")], ("Goal", "g"): [(None, "1"), None]}
    assert ledger.outputs("m-2") == ledger.outputs("m-unknown") == {}


def test_a_work_knows_what_is_queued_as_it_has_left_it(ledger: SqlLedger) -> None:
    """`outgoing` of a work gives the patient's deliveries in order, its own at the end, each in the state it has put it in;
    what a savepoint takes back was never there."""
    with ledger.work() as work:
        for id_, of in (("o1", "p1"), ("o2", "p2"), ("o3", "p1")):
            work.enqueue(outgoing(id_, patient=of))
        work.settle("o1", "sent")
    with ledger.work() as work:
        work.enqueue(outgoing("o4"))
        assert [(row.id, row.state) for row in work.outgoing("p1")] == [("o1", "sent"), ("o3", "waiting"), ("o4", "waiting")]
        with pytest.raises(KeyError), work.savepoint():
            work.settle("o3", "withheld", "consent")
            work.settle("o4", "refused")
            work.enqueue(outgoing("o5"))
            assert [(row.id, row.state, row.why) for row in work.outgoing("p1")[1:]] == [
                ("o3", "withheld", "consent"), ("o4", "refused", ""), ("o5", "waiting", "")]
            raise KeyError
        work.settle("o3", "waiting", "later", NOW)
        assert [(row.id, row.state, row.due, row.attempts) for row in work.outgoing("p1")[1:]] == [
            ("o3", "waiting", NOW, 1), ("o4", "waiting", None, 0)]
        assert work.outgoing("px") == []
