"""`consent decide`, `held`, `disclosures`, `replay`, `topology`, `connector` and `db`: the commands that people run."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.adapters.store.ledger import open_ledger
from bridge.app import Connectors, build
from bridge.core.envelope import FHIR, HL7V2
from bridge.roles import drain, store
from bridge.settings import load
from tests.unit.cli.conftest import Call
from tests.unit.pipeline.town import MRN, adt, consent, screening


@pytest.fixture
def lived(site: Path) -> Iterator[Path]:
    """A site with a discharge that was referred and sent, one that waits for a code, and a form of a stranger."""
    settings = load(str(site), {})
    bridge = build(settings)
    store([(HL7V2, adt(), ""), (HL7V2, adt(control="C-2", mrn="GH2", visit="V2", leaves="GOHOME2"), "")], bridge)
    drain(bridge, None)
    store([(FHIR, consent("GH1001", "valley-elders", dated="2020-01-01T00:00:00Z", ends=""), ""), (FHIR, screening("NOBODY"), "")], bridge)
    connectors = Connectors(settings)
    drain(bridge, connectors)
    connectors.close()
    bridge.ledger.close()
    yield site


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_consent_case_gets_one_line_with_every_member(call: Call, shared: Path) -> None:
    """`consent decide` gives one JSON line per case with the seven members of the contract; exit 0."""
    sample = shared / "corpus" / "consent_cases_sample.json"
    done = call("consent", "decide", sample)
    assert done.code == 0
    found = lines(done.out)
    assert len(found) == len(json.loads(sample.read_text()))
    assert all({"id", "decision", "redact_paths", "obligations", "rules", "consents", "review"} <= set(one) for one in found)
    assert {one["decision"] for one in found} <= {"permit", "deny", "redact"}


@pytest.mark.parametrize(("text", "cases"), [("{}", 1), ("[]", 0), ("{", 1), ("[1, null]", 2), ('{"consents": 3, "request": "x", "resource": []}', 1)])
def test_a_case_that_is_none_is_denied_and_never_a_crash(call: Call, tmp_path: Path, text: str, cases: int) -> None:
    """What is no case gives a deny and exit 1, an empty list nothing and exit 0; never a traceback."""
    (tmp_path / "cases.json").write_text(text)
    done = call("consent", "decide", tmp_path / "cases.json")
    assert [one["decision"] for one in lines(done.out)] == ["deny"] * cases
    assert done.code == min(cases, 1)
    assert "Traceback" not in done.err


def test_the_work_list_is_shown_answered_and_released(call: Call, lived: Path) -> None:
    """list shows what waits, answer records, release runs it again: the referral opens and the list is empty of it."""
    items = {one["question_kind"]: one for one in lines(call("held", "list", "--json", config=lived).out)}
    assert set(items) == {"code", "patient"}
    code = items["code"]["id"]
    assert json.loads(call("held", "show", code[:8], config=lived).out)["code"] == "GOHOME2"
    assert call("held", "answer", code[:8], "home", "--by", "ada", config=lived).code == 0
    done = call("held", "release", "--all", "--json", config=lived)
    assert (done.code, [one["outcome"] for one in lines(done.out)]) == (0, ["accepted"])
    left = lines(call("held", "list", "--json", config=lived).out)
    assert [one["question_kind"] for one in left] == ["patient"]
    assert [one["answered_by"] for one in lines(call("held", "list", "--state", "released", "--json", config=lived).out)] == ["ada"]


def test_releasing_what_nobody_answered_says_that_it_is_held_still(call: Call, lived: Path) -> None:
    """A message that is held again is exit 1 and stays on the list."""
    (item,) = [one for one in lines(call("held", "list", "--json", config=lived).out) if one["question_kind"] == "patient"]
    done = call("held", "release", item["id"][:8], "--json", config=lived)
    assert (done.code, lines(done.out)[0]["outcome"]) == (1, "held")
    assert item["id"] in call("held", "list", "--json", config=lived).out
    assert call("held", "discard", item["id"][:8], config=lived).code == 0
    assert item["id"] not in call("held", "list", "--json", config=lived).out


CANDIDATE = """mapping: adt-a03-discharge
extends: message
from: hl7v2 ADT^A03
let: {status: unknown, ended: =PV1-45 ?? EVN-6 ?? EVN-2}
emit: {patient: {birthDate: null}}
"""


def test_mappings_are_verified_before_they_are_in_use(call: Call, lived: Path, tmp_path: Path) -> None:
    """What a folder of mappings would change is counted by element, and from which version to which, in text and JSON."""
    candidate = tmp_path / "candidate"
    candidate.mkdir()
    (candidate / "a03.yaml").write_text(CANDIDATE)
    plan = json.loads(call("replay", "plan", "event=ADT^A03", "--json", config=lived).out)["id"]
    summary = lines(call("replay", "run", plan, "--mode", "verify", "--mappings", str(candidate), "--json", config=lived).out)[-1]
    assert summary["elements"]["Encounter.status"] == {"changed": 2}
    assert summary["elements"]["Patient.birthDate"] == {"gone": 2}
    ((change, count),) = summary["versions"].items()
    assert count == 2
    assert change.startswith("adt-a03-discharge@")
    assert " -> adt-a03-discharge@" in change
    again = call("replay", "run", plan, "--mode", "verify", "--mappings", str(candidate), "--again", "as text", config=lived).out
    assert "  Encounter.status: 2 changed\n" in again
    assert call("replay", "run", plan, "--mode", "verify", "--again", "x", "--json", config=lived).code == 0
    assert call("replay", "run", plan, "--mode", "reprocess", "--mappings", str(candidate), config=lived).code == 2


@pytest.mark.parametrize("words", [("show", "zzzz"), ("answer", "zzzz", "home"), ("release",), ("discard", "zzzz"), ("list", "--state", "gone")])
def test_an_item_that_is_not_there_is_a_usage_error(call: Call, lived: Path, words: tuple[str, ...]) -> None:
    """Unknown ids and states are exit 2."""
    assert call("held", *words, config=lived).code == 2


def test_disclosures_account_for_what_left_and_what_did_not(call: Call, lived: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The account lists the delivery with its consent; a record number may come on standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{MRN}|GH1001\n".encode())))
    done = call("disclosures", "-", "--json", config=lived)
    assert done.code == 0
    found = json.loads(done.out)
    assert [(one["recipient"], one["kind"]) for one in found["sent"]] == [("valley-elders", "referral")]
    assert found["sent"][0]["consents"]
    assert {one["effect"] for one in found["withheld"]} <= {"deny", "redact"}
    by_id = call("disclosures", found["patient"], config=lived)
    assert by_id.code == 0
    assert "valley-elders" in by_id.out
    assert "GH1001" not in by_id.out + done.out


def test_a_view_of_the_account_says_what_it_leaves_out(call: Call, lived: Path) -> None:
    """HIPAA asks for no disclosure for treatment: none is listed, and it is said how many there were; dates bound it."""
    done = call("disclosures", f"{MRN}|GH1001", "--view", "hipaa", "--json", config=lived)
    assert done.code == 0
    found = json.loads(done.out)
    assert (found["sent"], found["withheld"]) == ([], [])
    assert found["left_out"] == [{"why": "treatment, payment or health care operations", "count": 1}]
    assert "1         treatment, payment" in call("disclosures", f"{MRN}|GH1001", "--view", "hipaa", config=lived).out
    assert json.loads(call("disclosures", f"{MRN}|GH1001", "--until", "2020-01-01", "--json", config=lived).out)["sent"] == []
    assert call("disclosures", f"{MRN}|GH1001", "--since", "yesterday", config=lived).code == 2


def test_the_record_is_exported_as_fhir_lines(call: Call, lived: Path) -> None:
    """`audit export` prints one AuditEvent or Provenance per line, for one person or for everybody, within dates."""
    everybody, one = lines(call("audit", "export", config=lived).out), lines(call("audit", "export", f"{MRN}|GH1001", config=lived).out)
    assert {each["resourceType"] for each in everybody} == {"AuditEvent", "Provenance"}
    assert {each["id"] for each in one if each["resourceType"] == "AuditEvent"} <= {each["id"] for each in everybody}
    assert 0 < len(one) < len(everybody)
    assert call("audit", "export", "--until", "2000-01-01", config=lived).out == ""


def test_doctor_finds_a_record_that_was_changed(call: Call, lived: Path) -> None:
    """Exit 1 with the table and the number of the row; a whole record shows the head of its chain."""
    import sqlite3

    before = call("doctor", "--json", config=lived)
    checks = {one["name"]: one for one in json.loads(before.out)["checks"]}
    assert checks["record of decisions"]["ok"]
    assert "head" in checks["record of disclosures"]["detail"]
    (file,) = lived.parent.glob("state/ledger.db")
    database = sqlite3.connect(file)
    database.execute("DROP TRIGGER decisions_no_update")
    database.execute("UPDATE decisions SET recipient = 'nobody' WHERE seq = 2")
    database.commit()
    database.close()
    after = call("doctor", config=lived)
    assert after.code == 1
    assert "row 2 changed or moved" in after.out


def test_nobody_with_this_number_is_a_usage_error_that_does_not_repeat_it(call: Call, lived: Path) -> None:
    """An unknown record number is exit 2, and the number is not printed."""
    done = call("disclosures", f"{MRN}|GH-CANARY", config=lived)
    assert done.code == 2
    assert "CANARY" not in done.out + done.err


def test_a_replay_is_planned_and_run(call: Call, lived: Path) -> None:
    """plan freezes, verify finds no difference, status shows it done, a second run needs a reason."""
    plan = json.loads(call("replay", "plan", "event=ADT^A03", "--json", config=lived).out)
    assert len(plan["ids"]) == 2
    done = call("replay", "run", plan["id"], "--mode", "verify", "--json", config=lived)
    *found, summary = lines(done.out)
    assert (done.code, [one["differs"] for one in found], summary["state"]) == (0, [{}, {}], "done")
    assert lines(call("replay", "status", plan["id"], "--json", config=lived).out)[0]["cursor"] == 2
    assert call("replay", "run", plan["id"], "--mode", "verify", config=lived).code == 2
    assert call("replay", "run", plan["id"], "--mode", "verify", "--again", "to be sure", config=lived).code == 0


def test_redeliver_names_its_partner_and_reprocess_changes_nothing(call: Call, lived: Path) -> None:
    """redeliver without --partner is exit 2 and queues with it; reprocess under the same rules accepts all again."""
    plan = json.loads(call("replay", "plan", "event=ADT^A03", "--json", config=lived).out)["id"]
    assert call("replay", "run", plan, "--mode", "redeliver", config=lived).code == 2
    done = call("replay", "run", plan, "--mode", "redeliver", "--partner", "valley-elders", "--json", config=lived)
    assert (done.code, sum(one.get("queued", 0) for one in lines(done.out))) == (0, 1)
    done = call("replay", "run", plan, "--mode", "reprocess", "--again", "x", "--allow-older", "--json", config=lived)
    assert (done.code, [one["now"] for one in lines(done.out)[:-1]]) == (0, ["accepted", "accepted"])


def test_a_cancelled_plan_is_not_run(call: Call, lived: Path) -> None:
    """pause, resume and cancel are said back; a cancelled plan is exit 2."""
    plan = json.loads(call("replay", "plan", "event=ADT^A03", "--json", config=lived).out)["id"]
    for word, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        assert state in call("replay", word, plan, config=lived).out
    assert call("replay", "run", plan, "--mode", "verify", config=lived).code == 2


@pytest.mark.parametrize("words", [("plan",), ("plan", "colour=red"), ("run", "plan-0", "--mode", "verify"), ("run", "plan-0", "--mode", "hope"), ("status", "plan-0")])
def test_a_replay_of_nothing_is_a_usage_error(call: Call, site: Path, words: tuple[str, ...]) -> None:
    """No selection, an unknown key, plan or mode are exit 2."""
    assert call("replay", *words, config=site).code == 2


def test_the_topology_is_shown_without_a_broker(call: Call, site: Path) -> None:
    """show asks nobody: queues of every partner, as table, as JSON and as a definitions file."""
    found = json.loads(call("topology", "show", "--json", config=site).out)
    names = {queue["name"] for queue in found["queues"]}
    assert {"ehr.example-general.in", "cbo.valley-elders.tasks", "ingest.harbor-pantry", "work.s63", "parked"} <= names
    assert "rabbit" not in call("topology", "show", config=site).err
    defined = json.loads(call("topology", "show", "--definitions", config=site).out)
    assert {queue["name"] for queue in defined["queues"]} == names
    assert all(user["password_hash"] == "" for user in defined["users"])


def test_applying_a_topology_needs_a_broker(call: Call, site: Path) -> None:
    """Without broker.url it is exit 2 and says which setting is missing."""
    done = call("topology", "apply", config=site)
    assert done.code == 2
    assert "broker" in done.err


def test_publish_without_a_broker_stores_once(call: Call, site: Path, tmp_path: Path) -> None:
    """On the embedded default messages go to the inbox of the ledger; the same file again is known; a stranger is exit 2."""
    (tmp_path / "a.hl7").write_bytes(adt() + adt(control="C-2", mrn="GH2"))
    assert json.loads(call("publish", "--from", "example-general", "--json", tmp_path / "a.hl7", config=site).out) == {"stored": 2, "known": 0}
    assert json.loads(call("publish", "--from", "example-general", "--json", tmp_path / "a.hl7", config=site).out) == {"stored": 0, "known": 2}
    assert call("publish", "--from", "nobody", tmp_path / "a.hl7", config=site).code == 2


def test_publish_without_a_sender_goes_by_what_each_message_says(call: Call, site: Path, tmp_path: Path) -> None:
    """Without --from an HL7v2 message is its hospital's and a record its organisation's; a file without a message is exit 1."""
    record = {"cbo_org_id": "harbor-pantry", "record_id": "R-1", "record_type": "status", "source_system": "town"}
    (tmp_path / "a.hl7").write_bytes(adt())
    (tmp_path / "r.json").write_text(json.dumps(record))
    (tmp_path / "empty").touch()
    assert json.loads(call("publish", "--json", tmp_path / "a.hl7", tmp_path / "r.json", config=site).out) == {"stored": 2, "known": 0}
    assert call("publish", tmp_path / "empty", config=site).code == 1
    ledger = open_ledger(f"sqlite:///{site.parent}/state/ledger.db")
    assert {(row.event, row.envelope.headers["channel"]) for row in ledger.find()} == {
        ("ADT^A03", "example-general"), ("record/status", "harbor-pantry")}
    ledger.close()


def test_mapping_test_says_what_hl7_forbids_in_an_example(call: Call, site: Path, tmp_path: Path) -> None:
    """An example that HL7's own tables do not allow is named on stderr with field and rule; the tests decide the exit code."""
    (tmp_path / "own" / "examples").mkdir(parents=True)
    (tmp_path / "own" / "examples" / "odd.hl7").write_bytes(adt().replace(b"PV1|1|I|", b"PV1|1|I^X^Y|"))
    site.write_text(f'mappings_path = ["{tmp_path / "own"}"]\n' + site.read_text())
    done = call("mapping", "test", config=site)
    assert done.code == 0
    assert "odd.hl7: error BRG-H04" in done.err
    assert "PV1-2" in done.err


def test_connectors_are_listed_made_and_tested(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """list names ours, new makes a folder whose connector works as it is, test finds no broken law, unknown is exit 2."""
    assert {"folder", "rabbit_tasks"} <= {one["name"] for one in lines(call("connector", "list", "--json").out)}
    assert call("connector", "test", "folder").code == 0
    assert call("connector", "test", "rabbit_tasks").code == 0
    assert call("connector", "test", "nobody").code == 2
    made = call("connector", "new", "food_bank", "--in", tmp_path / "connectors")
    assert made.code == 0
    assert (tmp_path / "connectors" / "food_bank" / "connector.py").is_file()
    assert call("connector", "new", "food_bank", "--in", tmp_path / "connectors").code == 2
    assert call("connector", "new", "Food-Bank").code == 2
    import connectors

    monkeypatch.setattr(connectors, "__path__", [*connectors.__path__, str(tmp_path / "connectors")])
    done = call("connector", "test", "food_bank", "--options", json.dumps({"path": str(tmp_path / "sent")}))
    assert (done.code, done.out.strip().splitlines()[-1]) == (0, "ok")


def test_the_ledger_is_made_copied_and_purged(call: Call, lived: Path, tmp_path: Path) -> None:
    """upgrade twice is fine, backup makes a copy that opens, purge keeps what is young and refuses less than 30 days."""
    assert call("db", "upgrade", config=lived).out.strip() == "up to date"
    assert call("db", "backup", tmp_path / "copy.db", config=lived).code == 0
    (tmp_path / "copy.toml").write_text(lived.read_text() + f'[store]\nurl = "sqlite:///{tmp_path}/copy.db"\n')
    assert len(lines(call("held", "list", "--json", config=tmp_path / "copy.toml").out)) == 2
    assert call("db", "backup", tmp_path / "copy.db", config=lived).code == 2
    done = call("db", "purge", "--days", "30", config=lived)
    assert done.code == 0
    assert len(lines(call("held", "list", "--json", config=lived).out)) == 2
    assert call("db", "purge", "--days", "29", config=lived).code == 2


@pytest.mark.parametrize("text", ["[site]\nnam = 'x'", "[[partner]]\nid = 'x'", "not toml", "[site]\nzone = 'Mars/Phobos'",
                                  "[[partner]]\nid = 'xx'\nname = 'a'\nkind = 'ehr'\n[[partner]]\nid = 'xx'\nname = 'b'\nkind = 'ehr'"])
def test_wrong_settings_are_named_in_one_line(call: Call, tmp_path: Path, text: str) -> None:
    """A setting that is wrong is exit 2 with file and key, never a traceback."""
    (tmp_path / "bad.toml").write_text(text)
    done = call("held", "list", config=tmp_path / "bad.toml")
    assert done.code == 2
    assert "bad.toml" in done.err
    assert "Traceback" not in done.err
