"""One patient made of markers goes through everything; no marker is in anything that is not meant to hold a patient.

A marker may be in: the ledger's inbox, resources and payloads; files and queues of recipients that consent allows; stdout of
`convert` and `try --json`; the work list, as the *code* of an open question, when a sender writes something into a field that
HL7 says is a code (a person must see it to answer); names of JSON properties, resource types and segments, which are structure.
"""

from __future__ import annotations

import json
import logging
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from bridge.adapters.amqp.message import Delivered
from bridge.adapters.amqp.relay import to_parked
from bridge.adapters.store.ledger import SqlLedger, open_ledger
from bridge.core.envelope import RECORD
from tests.e2e.service import Site, eventually
from tests.unit.pipeline.town import MRN, Town, adt

pytestmark = pytest.mark.timeout(240)
NUMBERS = ("900-88-7766", "900887766", "5558877", "19410203", "1941-02-03", "937-555")
PERSON = ("PID|1||ZQXMRN^^^EXGENERALMRN^MRN~900-88-7766^^^SSA^SS||ZQXFAMILY^ZQXGIVEN^ZQXMIDDLE^ZQXSUFFIX^ZQXPREFIX^^L~ZQXALIAS^ZQXOLD^^^^^A"
          "|ZQXMOTHER^ZQXMAIDEN|19410203|F|ZQXNICK||ZQXSTREET 7^ZQXFLAT^ZQXCITY^OH^45402^USA^H^^MONTGOMERY||^PRN^PH^^1^937^5558877^^ZQXNOTE"
          "|^WPN^PH^^1^937^5558877||eng|W||ZQXACCOUNT^^^EXGENERAL^AN|900-88-7766|ZQXLICENCE|ZQXMUM")
MORE = (
    "NK1|1|ZQXKIN^ZQXKINGIVEN|SPO|ZQXKINSTREET^^ZQXKINCITY^OH^45402|^PRN^PH^^1^937^5558877",
    f"IN1|1|MEDICARE|ZQXPAYER|ZQXINSURER|ZQXPAYERSTREET^^ZQXCITY^OH||9375558877|ZQXGROUP{'|' * 8}ZQXHOLDER^ZQXGIVEN|SEL|19410203|ZQXSTREET{'|' * 17}ZQXPOLICY",
    "OBX|1|TX|8302-2^Note^LN||ZQXFREETEXT the person said so||||||F", "NTE|1||ZQXREMARK", "ZPI|1|ZQXLOCAL",
)


def message(control: str, person: str = PERSON) -> bytes:
    """A discharge of the canary."""
    text = adt(control=control, mrn="ZQXMRN", visit="V-CANARY", more=MORE, diagnoses=("I50.9", "Z59.41")).decode()
    return "\r".join(person if line.startswith("PID") else line for line in text.split("\r")).encode()


def hl7() -> dict[str, bytes]:
    """The valid message and its malformed brothers."""
    whole = message("K-1")
    return {
        "valid": whole,
        "bad-dates": message("K-2", person=PERSON.replace("19410203", "ZQXBORN")).replace(b"20261117091200-0500", b"ZQXTIME"),
        "bad-types": message("K-3").replace(b"|TX|", b"|NM|"),
        "bad-type-name": message("K-4").replace(b"|TX|", b"|ZQX|"),
        "cut": message("K-5")[:430],
        "cut-early": message("K-6")[:90] + b"ZQXCUT",
        "wrong-charset": message("K-7").replace(b"ZQXCITY", b"ZQX\xc4\xd6"),
        "unknown-charset": message("K-8").replace(b"UNICODE UTF-8", b"ZQXCHARSET"),
        "no-head": PERSON.encode() + b"\r" + b"\r".join(one.encode() for one in MORE),
        "marker-as-event": message("K-10").replace(b"ADT^A03", b"ZQXFAMILY^ZQXGIVEN"),
        "marker-as-version": message("K-11").replace(b"|2.5.1|", b"|ZQXVERSION|"),
        "marker-as-sender": message("K-12").replace(b"EPICADT|EXGENERAL", b"ZQXSEND|ZQXFAC"),
        "escapes": message("K-13").replace(b"ZQXREMARK", b"ZQX\\XZZ\\REMARK\\X0D\\\\Q\\"),
        "segments-lost": whole.replace(b"\rPV1", b"\nZQXPV"),
        "two-heads": whole + b"\r" + whole.replace(b"|K-1|", b"|K-14|").replace(b"PID|", b"PID|ZQX\rMSH|"),
        "other-event": message("K-15").replace(b"ADT^A03", b"SIU^S12"),
        "control": message("K-16").replace(b"ZQXREMARK", b"ZQX\x1b[31m\x00\x07"),
    }


def documents() -> dict[str, bytes]:
    """The canary as form, consent and record, sound and broken."""
    person = {"identifier": {"system": MRN, "value": "ZQXMRN"}, "display": "ZQXFAMILY ZQXGIVEN"}
    form = {
        "resourceType": "QuestionnaireResponse", "id": "canary", "questionnaire": "http://loinc.org/q/96777-8", "status": "completed",
        "subject": person, "authored": "2026-11-21T09:50:00-05:00", "author": {"display": "ZQXAUTHOR"},
        "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">ZQXDIV</div>'},
        "item": [{"linkId": "/71802-3", "text": "ZQXQUESTION", "answer": [{"valueString": "ZQXANSWER"}]},
                 {"linkId": "/88122-7", "answer": [{"valueCoding": {"system": "http://loinc.org", "code": "LA28397-0", "display": "ZQXDISPLAY"}}]},
                 {"linkId": "/93030-5", "answer": [{"valueCoding": {"system": "http://loinc.org", "code": "ZQX-CODE"}}]}],
    }
    signed = {
        "resourceType": "Consent", "id": "canary", "status": "active", "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IDSCL"}], "text": "ZQXCATEGORY"}],
        "patient": person, "dateTime": "2020-01-01T00:00:00Z", "performer": [{"display": "ZQXFAMILY"}], "organization": [{"display": "General"}],
        "sourceAttachment": {"title": "ZQXFORM"}, "policyRule": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentpolicycodes", "code": "hipaa-auth"}]},
        "provision": {"type": "permit", "purpose": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}]},
    }
    record = {
        "schema_version": "1.0", "record_id": "R-1", "record_type": "intake", "source_system": "town", "source_record_id": "S-1",
        "updated_at": "2026-11-21T13:00:00-05:00", "event_at": "2026-11-21T13:00:00-05:00", "cbo_org_id": "valley-elders", "client_local_id": "ZQXLOCAL",
        "client_mrn": "ZQXMRN", "family": "ZQXFAMILY", "given": "ZQXGIVEN", "birth_date": "1941-02-03", "contact_preference": "phone", "safe_to_contact": True,
        "consent_status": "permit", "need_domain": "food-insecurity", "note_text": "ZQXNOTE", "phone": "937-555-8877", "address_line": "ZQXSTREET",
        "worker_name": "ZQXWORKER", "need_text": "ZQXNEED",
    }
    made = {
        "form": form, "form-bent": {**form, "id": "canary-2", "status": "ZQXSTATUS", "authored": "ZQXTIME", "item": [{"linkId": "/88122-7", "answer": [{"valueDate": "ZQXDATE"}]}]},
        "form-stranger": {**form, "id": "canary-3", "subject": {"identifier": {"system": MRN, "value": "ZQXOTHER"}}},
        "consent": signed, "consent-bent": {**signed, "id": "canary-2", "status": "ZQXSTATUS", "provision": {"type": "ZQXTYPE", "period": {"end": "ZQXEND"}}},
        "consent-nobody": {**signed, "id": "canary-3", "patient": {"display": "ZQXFAMILY"}},
        "record": record, "record-bent": {**record, "record_id": "R-2", "birth_date": "ZQXBORN", "contact_preference": "ZQXWAY", "safe_to_contact": "ZQXSAFE",
                                          "record_type": "ZQXTYPE", "household_size": "ZQXSIZE", "family": ["ZQXFAMILY"]},
        "other": {"resourceType": "Observation", "status": "ZQXSTATUS", "code": {"text": "ZQXFAMILY"}}, "patient": {"resourceType": "Patient", "gender": "ZQXGENDER", "birthDate": "ZQXBORN"},
    }
    return {**{name: json.dumps(one).encode() for name, one in made.items()}, "cut": json.dumps(record).encode()[:300],
            "twice": b'{"resourceType": "Consent", "id": "ZQXFAMILY", "id": "ZQXGIVEN"}'}


@pytest.fixture
def log_restored() -> Iterator[None]:
    """The log as other tests expect it, whatever this one sets."""
    handlers = logging.getLogger().handlers[:]
    yield
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = handlers


def leaks(text: str) -> list[str]:
    """What stands around each marker of a text."""
    low = text.lower()
    found = []
    for marker in ("zqx", *NUMBERS):
        place = low.find(marker)
        if place >= 0:
            found.append(text[max(0, place - 120): place + 40])
    return found


def fetch(site: Site, path: str) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{site.port}{path}", timeout=5) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return error.read().decode()
    except OSError:
        return ""


def recorded(ledger: SqlLedger) -> dict[str, str]:
    """What the ledger keeps to be read by people who may not see a patient."""
    return {
        "issues": "\n".join(f"{issue}" for row in ledger.find() for issue in row.issues),
        "reasons": "\n".join(row.why for row in ledger.outgoing()),
        "questions": "\n".join(f"{item.text} {item.where}" for item in ledger.held("")),
        "decisions": "\n".join(f"{one.rules} {one.review} {one.redact_paths} {one.consents}" for one in ledger.decisions()),
    }


@pytest.fixture(scope="module")
def sinks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The canary through the embedded service at debug level and every command that prints: name of the sink to its text."""
    folder = tmp_path_factory.mktemp("canary")
    site = Site(folder, f"sqlite:///{folder}/ledger.db").write()
    inbox = folder / "in"
    inbox.mkdir()
    files = [inbox / f"{name}.hl7" for name in hl7()] + [inbox / f"{name}.json" for name in documents()]
    for file, body in zip(files, (*hl7().values(), *documents().values()), strict=True):
        file.write_bytes(body)
    texts: dict[str, str] = {}

    def said(name: str, *words: str, out: bool = True) -> None:
        done = site.call(*words, expect=None)
        texts[name] = done.stderr + (done.stdout if out else "")
        assert "Traceback" not in done.stderr, done.stderr

    ledger = open_ledger(site.store)
    try:
        said("db upgrade", "db", "upgrade")
        said("publish", "publish", "--from", "example-general", *(str(file) for file in files if not file.name.startswith("record")))
        said("publish records", "publish", "--from", "valley-elders", *(str(file) for file in files if file.name.startswith("record")))
        site.start(level="debug")
        assert eventually(lambda: bool(ledger.find()) and all(row.outcome for row in ledger.find()) and not any(
            row.state == "waiting" for row in ledger.outgoing())), site.log()
        assert eventually(lambda: "sdohbridge" in fetch(site, "/metrics"))
        texts |= {path: fetch(site, path) for path in ("/metrics", "/health/live", "/health/ready", "/nowhere")}
        texts |= {"service exit": str(site.stop()), "service log": site.log(), **recorded(ledger)}
        rows = ledger.find()
        known = [row for row in rows if row.patient]
        assert {row.outcome for row in rows} == {"accepted", "held", "rejected"}
        assert any(row.state == "sent" for row in ledger.outgoing())
        said("held list", "held", "list", "--json")
        said("doctor", "doctor")
        plan = json.loads(site.call("replay", "plan", "since=2020-01-01", "--json").stdout)["id"]
        said("replay verify", "replay", "run", plan, "--mode", "verify", "--json")
        said("replay reprocess", "replay", "run", plan, "--mode", "reprocess", "--again", "x", "--allow-older", "--json")
        said("disclosures", "disclosures", known[0].patient, "--json")
        said("disclosures for people", "disclosures", known[0].patient, "--view", "hipaa")
        said("audit export", "audit", "export")
        said("disclosures of nobody", "disclosures", f"{MRN}|ZQXNOBODY", out=True)
        said("convert stderr", "convert", *map(str, files), out=False)
        said("convert --out", "convert", "--out", str(folder / "out"), *map(str, files))
        texts["issues.json"] = "\n".join(file.read_text() for file in (folder / "out").glob("*.issues.json"))
        said("try stderr", "try", *map(str, files), out=False)
        said("try lines", "try", *map(str, files))
        said("check", "check", *(str(file) for file in files if file.suffix == ".json"))
        said("check --json", "check", "--json", *(str(file) for file in files if file.suffix == ".json"))
        said("screen stderr", "screen", *(str(file) for file in files if "form" in file.name), out=False)
        (folder / "cases.json").write_text(json.dumps([{"id": "c", "consents": [json.loads(documents()["consent-bent"]), json.loads(documents()["consent"])],
                                                        "request": {"recipient": {"reference": "Organization/ZQX"}}, "resource": json.loads(documents()["patient"])}]))
        said("consent decide", "consent", "decide", str(folder / "cases.json"))
        said("db backup", "db", "backup", str(folder / "copy.db"))
        said("db purge", "db", "purge", "--days", "30")
        yield texts
    finally:
        ledger.close()
        site.end()


SINKS = ("service log", "/metrics", "/health/live", "/health/ready", "/nowhere", "issues", "reasons", "questions", "decisions", "doctor",
         "replay verify", "replay reprocess", "disclosures", "disclosures of nobody", "convert stderr", "convert --out", "issues.json", "try stderr",
         "try lines", "check", "check --json", "screen stderr", "consent decide", "publish", "publish records", "db upgrade", "db backup", "db purge")


@pytest.mark.parametrize("sink", SINKS)
def test_no_marker_is_where_no_patient_belongs(sinks: dict[str, str], sink: str) -> None:
    """Logs, metrics, health, issues, reasons and everything that commands say hold no value of the patient."""
    assert leaks(sinks[sink]) == []


def test_the_sinks_were_not_empty(sinks: dict[str, str]) -> None:
    """The canary did go through: the log has a line per message, the issues are many, the service ended in order."""
    assert sinks["service log"].count('"event": "message"') >= len(hl7())
    assert len(sinks["issues"].splitlines()) > 30
    assert "sdohbridge_messages_received" in sinks["/metrics"]
    assert sinks["service exit"] == "0"


def test_the_work_list_holds_codes_and_nothing_else_of_a_person(sinks: dict[str, str]) -> None:
    """What `held list` shows of a message is the code that it asks about."""
    items = [json.loads(line) for line in sinks["held list"].splitlines()]
    assert {item["question_kind"] for item in items} >= {"code", "patient"}
    for item in items:
        assert leaks(json.dumps({name: value for name, value in item.items() if name not in ("code", "system")})) == []
        if leaks(json.dumps([item["code"], item["system"]])):
            assert item["question_kind"] == "code"


def test_a_name_in_a_field_of_codes_is_not_quoted() -> None:
    """A message whose fields slipped by one puts a name where HL7 wants a code: issues and questions name the table only."""
    ledger = open_ledger("sqlite://")
    ledger.upgrade()
    town = Town(ledger)
    town.take(message("K-9", person=PERSON.replace("||ZQXFAMILY", "|ZQXFAMILY")))
    (row,) = town.messages()
    questions = [item.text for item in ledger.held()]
    ledger.close()
    assert leaks("".join(f"{issue}" for issue in row.issues) + "".join(questions)) == []


def test_a_parked_message_says_type_and_queue_only() -> None:
    """The headers of a dead letter name what went wrong by type; the body is the message, as it must be."""
    came = Delivered(hl7()["valid"], "m-1", "", {}, "s01", True, 5, "work.s01")
    assert leaks(str(to_parked(came, type(ValueError("ZQXFAMILY")).__name__).headers)) == []


@pytest.mark.usefixtures("log_restored")
def test_a_fault_of_ours_is_named_without_its_text(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """An exception that quotes the message, in mapping, transaction, rendering or connector, is written by type and place."""
    from bridge.observe import log
    from bridge.pipeline import receive as line
    from bridge.pipeline import send as sending

    def stumble(*_: object, **__: object) -> None:
        raise ValueError("ZQXFAMILY")

    log.configure(level="debug")
    ledger = open_ledger("sqlite://")
    ledger.upgrade()
    town = Town(ledger)
    for step in ("draft_of", "refer", "release"):
        with monkeypatch.context() as patch:
            patch.setattr(line, step, stumble)
            town.take(message(f"F-{step}"))
    town.take(message("F-1"))
    town.take(documents()["record"], feed="valley-elders", kind=RECORD)
    with town.bridge.ledger.work() as work:
        for row in town.outbox():
            work.settle(row.id, "waiting")
    monkeypatch.setattr(sending, "prepare", stumble)
    town.send()
    said = "".join(capfd.readouterr())
    assert said.count("BRG-X500") >= 3
    assert "ValueError" in said
    assert leaks(said + "".join(f"{issue}" for row in town.messages() for issue in row.issues) + "".join(row.why for row in town.outbox())) == []
    ledger.close()


def test_settings_that_are_wrong_are_not_quoted(tmp_path: Path) -> None:
    """Settings that are wrong are reported by key; their values are not repeated."""
    site = Site(tmp_path, "sqlite://").write()
    with (tmp_path / "bridge.toml").open("a") as file:
        file.write('[[partner]]\nid = "zz"\nname = "zz"\nkind = "ehr"\nno_consent = "ZQXVALUE"\noptions = {password = "ZQXSECRET"}\n')
    done = site.call("doctor", expect=None)
    assert done.returncode != 0
    assert leaks(done.stdout + done.stderr) == []
