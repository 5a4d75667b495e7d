"""`convert`, `try`, `check` and `screen`: exit codes, file names, and what goes to stdout and what to stderr."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Call
from tests.unit.pipeline.town import adt, consent, screening

GOOD, OTHER = adt(), adt("A08", control="C-2", mrn="GH2")


def file(folder: Path, name: str, *bodies: bytes) -> Path:
    (folder / name).write_bytes(b"".join(bodies))
    return folder / name


def outcome(path: Path) -> list[dict[str, str]]:
    document = json.loads(path.read_text())
    assert document["resourceType"] == "OperationOutcome"
    return list(document["issue"])


def test_each_message_becomes_a_bundle_on_a_line_of_its_own(call: Call, tmp_path: Path) -> None:
    """Without --out stdout holds one Bundle per message and nothing else; exit 0."""
    done = call("convert", file(tmp_path, "two.hl7", GOOD, OTHER))
    assert done.code == 0
    assert [json.loads(line)["type"] for line in done.out.splitlines()] == ["message", "message"]


def test_a_bundle_has_the_time_and_number_of_its_message(call: Call, tmp_path: Path) -> None:
    """Bundle.timestamp is MSH-7 and Bundle.identifier MSH-10 in the system of the source (HL7 v2-to-FHIR 1.0.0, MSH)."""
    made = json.loads(call("convert", file(tmp_path, "one.hl7", OTHER)).out)
    header = made["entry"][0]["resource"]
    assert made["identifier"] == {"system": header["source"]["endpoint"], "value": "C-2"}
    assert made["timestamp"] == header["meta"]["lastUpdated"]


def test_files_are_named_after_the_file_they_come_from(call: Call, tmp_path: Path) -> None:
    """--out writes NAME.json and NAME.issues.json, NAME.2.json and NAME.2.issues.json for the second message."""
    out = tmp_path / "out"
    assert call("convert", "--out", out, file(tmp_path, "two.hl7", GOOD, OTHER), file(tmp_path, "one.json", screening())).code == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "one.json.issues.json", "one.json.json", "two.hl7.2.issues.json", "two.hl7.2.json", "two.hl7.issues.json", "two.hl7.json"]
    assert json.loads((out / "two.hl7.json").read_text())["resourceType"] == "Bundle"
    assert outcome(out / "two.hl7.issues.json")


@pytest.mark.parametrize(("name", "body"), [
    ("cut.hl7", GOOD[:20]), ("empty.hl7", b""), ("noise.bin", b"\x00\x01\x02"), ("cut.json", b'{"resourceType": "Consent"'),
    ("other.json", b'{"resourceType": "Observation"}'), ("broken.hl7", b"MSH|||||\rPID|what is this"), ("number.json", b"[7]"),
])
def test_a_file_that_cannot_be_converted_is_exit_1_with_its_outcome(call: Call, tmp_path: Path, name: str, body: bytes) -> None:
    """A broken, empty or foreign file gives no Bundle, an OperationOutcome with an error, and exit 1."""
    out = tmp_path / "out"
    done = call("convert", "--out", out, file(tmp_path, name, body))
    assert done.code == 1
    assert not (out / f"{name}.json").exists()
    assert {issue["severity"] for issue in outcome(out / f"{name}.issues.json")} & {"error", "fatal"}
    assert done.out == ""


def test_a_good_message_beside_a_broken_one_is_converted(call: Call, tmp_path: Path) -> None:
    """One file that fails does not stop the next; the exit code says that one failed."""
    out = tmp_path / "out"
    assert call("convert", "--out", out, file(tmp_path, "bad.hl7", b"MSH|"), file(tmp_path, "good.hl7", GOOD)).code == 1
    assert (out / "good.hl7.json").exists()


def test_a_file_that_is_not_there_is_a_usage_error(call: Call, tmp_path: Path) -> None:
    """A path that cannot be read is exit 2, named on stderr."""
    done = call("convert", tmp_path / "absent.hl7")
    assert done.code == 2
    assert "absent.hl7" in done.err
    assert call("convert").code == 2


def test_an_unknown_feed_falls_back_to_the_sender(call: Call, site: Path, tmp_path: Path) -> None:
    """--feed with a name that no file has converts as the message's own sender says."""
    path = file(tmp_path, "a.hl7", GOOD)
    known, unknown = call("convert", path, config=site), call("convert", "--feed", "nobody", path, config=site)
    assert known.code == unknown.code == 0
    assert json.loads(unknown.out) == json.loads(known.out)


def test_try_says_what_would_leave_and_what_not(call: Call, site: Path, tmp_path: Path) -> None:
    """A consented discharge would be sent with its payload; without consent it is withheld with its rule, and that is exit 1."""
    admitted, signed, left = file(tmp_path, "a.hl7", OTHER), file(tmp_path, "c.json", consent("GH2", "valley-elders")), file(
        tmp_path, "d.hl7", adt(control="C-3", mrn="GH2"))
    done = call("try", "--json", "--at", "2026-11-21T12:00:00-05:00", admitted, signed, left, config=site)
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [line["outcome"] for line in lines] == ["accepted"] * 3
    (recipient,) = lines[2]["recipients"]
    assert (recipient["recipient"], recipient["state"], recipient["payload"]["resourceType"]) == ("valley-elders", "send", "Bundle")
    assert done.code == 0
    without = call("try", "--json", left, config=site)
    (recipient,) = json.loads(without.out)["recipients"]
    assert (recipient["state"], without.code) == ("withheld", 1)
    assert recipient["why"].startswith("consent:")


def test_try_stores_nothing(call: Call, site: Path, tmp_path: Path) -> None:
    """A dry run leaves no ledger behind."""
    call("try", file(tmp_path, "a.hl7", GOOD), config=site)
    assert not (tmp_path / "state" / "ledger.db").exists()


@pytest.mark.parametrize("at", ["yesterday", "2026-11-21T12:00:00"])
def test_try_needs_a_moment_with_an_offset(call: Call, tmp_path: Path, at: str) -> None:
    """--at without an offset, or that is no time, is a usage error."""
    assert call("try", "--at", at, file(tmp_path, "a.hl7", GOOD)).code == 2


def test_try_of_a_broken_file_is_exit_1(call: Call, tmp_path: Path) -> None:
    """A message that is rejected says why and is exit 1."""
    done = call("try", file(tmp_path, "a.hl7", b"MSH|||||\rPID|"))
    assert done.code == 1
    assert "rejected" in done.out


def test_check_names_what_is_wrong_and_where(call: Call, tmp_path: Path) -> None:
    """A sound resource is ok and exit 0; a wrong one names element and rule and is exit 1."""
    good = file(tmp_path, "good.json", b'{"resourceType": "Patient", "gender": "female"}')
    bad = file(tmp_path, "bad.json", b'{"resourceType": "Patient", "gender": "woman"}')
    assert call("check", good).code == 0
    done = call("check", good, bad)
    assert done.code == 1
    assert "Patient.gender" in done.out
    assert "woman" not in done.out


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'"text"', b'{"resourceType": 3}', b"\xff"])
def test_check_of_what_is_no_resource_is_exit_1(call: Call, tmp_path: Path, body: bytes) -> None:
    """Anything that is no FHIR resource is an error, not a crash."""
    done = call("check", "--json", file(tmp_path, "x.json", body))
    assert done.code == 1
    assert all(json.loads(line)["resourceType"] == "OperationOutcome" for line in done.out.splitlines())


def test_convert_gives_bundles_that_check_accepts(call: Call, tmp_path: Path) -> None:
    """What convert writes passes check."""
    out = tmp_path / "out"
    call("convert", "--out", out, file(tmp_path, "a.hl7", GOOD), file(tmp_path, "s.json", screening()))
    assert call("check", out / "a.hl7.json", out / "s.json.json").code == 0


def test_screen_tells_needs_scores_and_what_is_missing(call: Call, tmp_path: Path) -> None:
    """A response gives one JSON line with all six members; exit 0."""
    done = call("screen", file(tmp_path, "s.json", screening()))
    assert done.code == 0
    found = json.loads(done.out)
    assert set(found) == {"needs", "scores", "computed", "missing", "conflicts", "errors"}
    assert "food-insecurity" in json.dumps(found["needs"])


@pytest.mark.parametrize("body", [b"{}", b"{", b'{"resourceType": "Consent"}', b'{"resourceType": "QuestionnaireResponse"}'])
def test_screen_of_what_is_no_response_is_exit_1(call: Call, tmp_path: Path, body: bytes) -> None:
    """What cannot be evaluated has `errors` and is exit 1."""
    done = call("screen", file(tmp_path, "s.json", body))
    assert done.code == 1
    assert json.loads(done.out)["errors"]


def test_what_is_wrong_with_a_batch_is_said_with_its_last_message(call: Call, tmp_path: Path) -> None:
    """A trailer that counts more than came is a warning beside the Bundle of the message before it; every message is converted."""
    out = tmp_path / "out"
    batch = b"FHS|^~\\&\rBHS|^~\\&\r" + GOOD + OTHER + b"BTS|3\rFTS|1\r"
    assert call("convert", "--out", out, file(tmp_path, "b.hl7", batch)).code == 0
    codes = [[issue.get("details", {}).get("coding", [{}])[0].get("code") for issue in outcome(out / name)]
             for name in ("b.hl7.issues.json", "b.hl7.2.issues.json")]
    assert ["BRG-H005" in found for found in codes] == [False, True]


def test_documents_one_a_line_come_in_order(call: Call, tmp_path: Path) -> None:
    """A file of JSON lines gives a Bundle per line in order, whatever the size of a block, and refuses a broken line alone."""
    lines = [screening(f"GH{number}") for number in range(300)]
    lines[150] = b"{"
    done = call("convert", file(tmp_path, "many.ndjson", b"\n\n".join(lines)))
    assert done.code == 1
    assert len(done.out.splitlines()) == 299
    assert "many.ndjson[151]" in done.err


@pytest.mark.parametrize("body", [b"{", b"[" * 70_000, b"{\n" * 40_000, b'{"a": 1}\n' + b"x" * (17 << 20), b"x" * (17 << 20),
                                  b'["' + b"y" * (17 << 20)])
def test_hostile_json_is_refused(call: Call, tmp_path: Path, body: bytes) -> None:
    """Depth, size and lines without end are refused with a remedy."""
    done = call("convert", file(tmp_path, "h.json", body))
    assert done.code == 1
    assert "Traceback" not in done.err
    assert "BRG-" in done.err


def test_standard_input_is_a_file(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` reads standard input as any file."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(GOOD + OTHER)))
    assert len(call("convert", "-").out.splitlines()) == 2
