"""How a message ends: each outcome, one at a time and in a batch, and what a resend is answered."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from bridge.core.envelope import FHIR, HL7V2, RECORD
from bridge.core.errors import StoreUnavailable
from bridge.core.outcome import Accepted, Held, Rejected, Retry, name
from bridge.pipeline import receive as line
from tests.unit.pipeline.town import Town, adt, consent, screening


def fail_for(monkeypatch: pytest.MonkeyPatch, control: str, error: Exception, step: str = "refer") -> None:
    """Make one step of the line raise for the message with this control id."""
    true = getattr(line, step)

    def stumble(row: Any, *rest: Any, **named: Any) -> Any:
        if row.control_id == control:
            raise error
        return true(row, *rest, **named)

    monkeypatch.setattr(line, step, stumble)


def words(town: Town) -> list[str]:
    return [row.outcome for row in town.messages()]


def test_a_discharge_is_accepted_with_its_resources(town: Town) -> None:
    """A readable message of a known sender is accepted, and every resource it made is on file in version 1."""
    (outcome,) = town.take(adt())
    assert isinstance(outcome, Accepted)
    stored = town.bridge.ledger.outputs(town.messages()[0].envelope.id)
    assert {"Patient", "Encounter", "Condition", "Task", "ServiceRequest"} <= {kind for kind, _ in stored}
    assert all(then["meta"]["versionId"] == "1" for then, _ in stored.values())


def test_a_form_about_a_stranger_is_held_and_stores_nothing(town: Town) -> None:
    """A form whose person nobody knows is held with a question, and no resource of it is stored."""
    (outcome,) = town.take(screening(), kind=FHIR)
    assert isinstance(outcome, Held)
    assert outcome.question.kind == "patient"
    (row,) = town.messages()
    assert (row.outcome, row.patient) == ("held", "")
    assert town.bridge.ledger.outputs(row.envelope.id) == {}
    assert [item.message_id for item in town.bridge.ledger.held()] == [row.envelope.id]


@pytest.mark.parametrize(("body", "kind", "code"), [
    (b"MSH|||||\rPID|what is this", HL7V2, "BRG-H"),
    (b"\x00\xff\xfe", HL7V2, "BRG-H001"),
    (b"", HL7V2, "BRG-H"),
    (b"{", RECORD, "BRG-H010"),
    (b"[1, 2]", RECORD, "BRG-H015"),
    (b'{"record_type": "status"}', RECORD, "BRG-R3"),
    (b'{"resourceType": "Observation"}', FHIR, "BRG-M405"),
    (b'{"resourceType": "Consent"}', FHIR, "BRG-P"),
    (b"MSH|^~\\&|A|B|||20260101||SIU^S12|1|P|2.5.1\rSCH|1\r", HL7V2, "BRG-R002"),
    (b"MSH|^~\\&|A|B|||20260101||QRY^A19|1|P|2.5.1\rQRD|1\r", HL7V2, "BRG-M404"),
    (b"MSH|^~\\&|A|B|||20260101||ACK^A03|1|P|2.5.1\rMSA|AA|7\r", HL7V2, "BRG-M404"),
])
def test_what_cannot_become_anything_is_rejected_by_name(town: Town, body: bytes, kind: str, code: str) -> None:
    """A body that cannot be read, or that nobody maps, is rejected with a code, and its bytes are kept."""
    (outcome,) = town.take(body, kind=kind)
    assert isinstance(outcome, Rejected)
    assert outcome.issues[0].code.startswith(code)
    (row,) = town.messages()
    assert (row.outcome, row.envelope.body) == ("rejected", body)
    assert row.issues == outcome.issues


def test_an_event_nobody_mapped_is_kept_for_what_it_says(town: Town) -> None:
    """A message about a person, of an event without a mapping of its own, is accepted, and an information issue says so."""
    (outcome,) = town.take(adt().replace(b"ADT^A03^ADT_A03", b"DFT^P03^DFT_P03").replace(b"ADT^A03", b"DFT^P03"))
    assert isinstance(outcome, Accepted)
    assert [issue.severity for issue in outcome.draft.issues if issue.code == "BRG-M407"] == ["information"]
    assert {"Patient", "Encounter"} <= {one["resourceType"] for one in outcome.draft.resources}


def test_the_envelope_is_stored_before_anything_is_read(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even when everything after it breaks, what came in is in the ledger, byte for byte and unfinished."""
    monkeypatch.setattr(line, "draft_of", lambda *_: 1 / 0)
    garbage = b"\x0bMSH|^~\\&|\x1c\r"
    town.put(garbage)
    (row,) = town.bridge.ledger.pending(10, town.now)
    assert (row.envelope.body, row.outcome) == (garbage, "")


def test_a_fault_of_ours_never_fails_its_batch(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """One message that raises inside the transaction is rejected by type and place; its neighbours are committed whole."""
    fail_for(monkeypatch, "C-2", KeyError("ADLER"))
    outcomes = town.take(adt(mrn="1", control="C-1"), adt(mrn="2", control="C-2"), adt(mrn="3", control="C-3"))
    assert [name(one) for one in outcomes] == ["accepted", "rejected", "accepted"]
    assert words(town) == ["accepted", "rejected", "accepted"]
    broken = town.messages()[1]
    (issue,) = broken.issues
    assert issue.code == "BRG-X500"
    assert "KeyError" in issue.text
    assert "ADLER" not in str(issue)
    assert town.bridge.ledger.outputs(broken.envelope.id) == {}
    assert len(town.referrals()) == 2


def test_what_a_failed_message_wrote_is_forgotten(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that fails at its very last step leaves no resource, referral or delivery behind."""
    true = line.release

    def late(row: Any, *rest: Any) -> Any:
        made = true(row, *rest)
        if row.control_id == "C-2":
            raise RuntimeError
        return made

    monkeypatch.setattr(line, "release", late)
    town.take(adt(mrn="1", control="C-1"), adt(mrn="2", control="C-2"))
    assert words(town) == ["accepted", "rejected"]
    assert len(town.referrals()) == len(town.outbox()) == 1


def test_a_fault_while_reading_never_fails_its_batch(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mapping that raises for one message rejects that one alone."""
    true = line.draft_of
    monkeypatch.setattr(line, "draft_of", lambda envelope, bridge: 1 / 0 if b"|C-1|" in envelope.body else true(envelope, bridge))
    assert [name(one) for one in town.take(adt(control="C-1"), adt(mrn="2", control="C-2"))] == ["rejected", "accepted"]


def test_a_passing_fault_makes_the_patient_wait_in_order(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A passing fault of one message holds the later ones of the same patient back, and nobody else's."""
    with monkeypatch.context() as patch:
        fail_for(patch, "C-1", StoreUnavailable("busy", after=7.0))
        outcomes = town.take(adt(control="C-1"), adt("A08", control="C-2"), adt(mrn="GH2", control="C-3"))
    assert [name(one) for one in outcomes] == ["retry", "retry", "accepted"]
    assert isinstance(outcomes[0], Retry)
    assert outcomes[0].after == 7.0
    assert town.work() == []
    town.later(seconds=8)
    assert [row.control_id for row in town.bridge.ledger.pending(10, town.now)] == ["C-1", "C-2"]
    assert [name(one) for one in town.work()] == ["accepted", "accepted"]


def test_a_later_message_waits_for_one_that_is_retried(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that comes while an earlier one of its patient waits is not taken before it."""
    with monkeypatch.context() as patch:
        fail_for(patch, "C-1", StoreUnavailable("busy", after=60.0))
        town.take(adt(control="C-1"))
    assert town.take(adt("A08", control="C-2")) == []
    town.later(seconds=61)
    assert len(town.work()) == 2


def test_a_ledger_that_cannot_commit_leaves_everything_to_do(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the commit fails nothing has happened, and the same call again does all of it once."""
    with monkeypatch.context() as patch:
        def full(*_: Any) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        patch.setattr("bridge.adapters.store.work.SqlWork.flush", full)
        with pytest.raises(StoreUnavailable):
            town.take(adt())
    assert words(town) == [""]
    assert town.referrals() == []
    assert [name(one) for one in town.work()] == ["accepted"]
    assert len(town.referrals()) == 1


def test_a_resend_is_answered_from_the_ledger(town: Town) -> None:
    """The same content again is one message: pending while it is not finished, done with its outcome after."""
    assert town.put(adt(), adt()) == ["new", "pending"]
    town.work()
    assert town.put(adt()) == ["done"]
    assert town.work() == []
    assert len(town.messages()) == len(town.referrals()) == 1


def test_the_same_control_id_with_other_content_is_processed_and_flagged(town: Town) -> None:
    """A reused control id is no duplicate: the other content is a message of its own, marked as a conflict."""
    assert town.put(adt(), adt(mrn="GH2")) == ["new", "conflict"]
    assert [name(one) for one in town.work()] == ["accepted", "accepted"]
    assert [row.conflict for row in town.messages()] == [False, True]
    assert len(town.referrals()) == 2
    assert b"sdohbridge_id_conflict_total" in town.bridge.metrics.render()


def test_a_batch_sees_what_its_earlier_messages_did(town: Town) -> None:
    """Inside one batch a later message stands on what an earlier one wrote: discharge and its cancellation leave nothing open."""
    town.take(adt(), adt("A13", control="C-2", at="20261121103000"))
    (referral,) = town.referrals()
    assert (referral.status, referral.closed) == ("cancelled", True)


def test_a_consent_in_the_batch_of_its_discharge_counts(town: Town) -> None:
    """A consent that is received in one batch with the discharge before it lets that referral go."""
    town.put(adt())
    town.put(consent("GH1001", "valley-elders"), kind=FHIR)
    town.work()
    town.send()
    assert [(row.kind, row.state) for row in town.outbox()] == [("referral", "sent")]


@pytest.mark.parametrize("body", [b'{"resourceType": "ADLERROSE"}', b'{"record_type": "ADLERROSE"}'])
def test_an_event_that_nobody_knows_has_no_name_of_its_own(town: Town, body: bytes) -> None:
    """What a body calls itself reaches neither log nor metric unless it is one of the events we know."""
    town.take(body, kind=FHIR if b"resourceType" in body else RECORD)
    town.take(b"MSH|^~\\&|A|B|||20260101||ADLER^ROSE^1|1|P|2.5.1\rPID|1\r")
    assert all("ADLER" not in row.event for row in town.messages())
    assert b"ADLER" not in town.bridge.metrics.render()
