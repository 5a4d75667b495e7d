"""Lint: what compiles but cannot be meant. Each finding has its place; what is meant is left in peace."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.language import expr
from bridge.language.syntax import Place, Scalar, SourceText
from bridge.mapping import library
from bridge.mapping.library import Library
from bridge.mapping.lint import CONVERSIONS
from bridge.mapping.verdict import verdict

ROOT = Path(__file__).resolve().parents[3]
HEAD = "mapping: m\nfrom: hl7v2 ADT^A03\n"
PATIENT = "emit:\n  p:\n    resource: Patient\n    key: =PID-3.first()\n"


def said(folder: Path, **texts: str) -> str:
    site = folder / "site"
    for name, text in texts.items():
        file = site / name.replace("__", "/").replace("_csv", ".csv").replace("_yaml", ".yaml")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return "\n".join(str(one) for one in library.check(library=Library.load([site])))


@pytest.mark.parametrize(("text", "holds"), [
    ("false", False), ("true", True), ("PV1-2 = 'I'", None), ("PV1-2 = 'I' and PV1-2 = 'O'", False),
    ("PV1-2 in ('I', 'O') and PV1-2 = 'E'", False), ("PV1-2 in ('I', 'O') and PV1-2 = 'O'", None),
    ("PV1-2 = 'I' and not (PV1-2 in ('I', 'E'))", False), ("PV1-2 = 'I' and PV1-2 != 'I'", False),
    ("PID-30.exists() and PID-30.empty()", False), ("PID-30.empty() and PID-30 = 'Y'", False),
    ("PID-3.5 = 'MR' and PID-3.5 = 'SS'", None), ("PID-3[1].5 = 'MR' and PID-3[1].5 = 'SS'", False),
    ("'a' = 'b'", False), ("not ('a' = 'b')", True), ("PV1-2 = 'I' or true", True), ("PV1-2 = 'I' and 'a' = 'b'", False),
    ("PV1-2 = 'I' and (PV1-3.exists() and PV1-2 = 'O')", False), ("inpatient and PV1-2 = 'O'", False), ("word = 'x'", None),
])
def test_what_can_be_said_of_a_condition_without_a_message(text: str, holds: bool | None) -> None:
    """Contradictions over a field that cannot repeat, literals and lets settle a condition; a field that repeats does not."""
    place = Place(SourceText("t", ()), 1, 1)
    lets = {"inpatient": Scalar(place, "=PV1-2 = 'I'"), "word": Scalar(place, "y")}
    assert verdict(expr.parse_text(text, Scalar(place, "x")), lets) is holds


@pytest.mark.parametrize(("line", "finding"), [
    ("contact: {when: \"=PV1-2 = 'I' and PV1-2 = 'O'\", name: =NK1-2}", "m.yaml:7:21: warning: this when: never holds"),
    ("contact: {when: =true, name: =NK1-2}", "this when: always holds; leave it out"),
    ("birthDate: =PID-7 ?? '1900' ?? EVN-2", "m.yaml:7:36: warning: never reached: what stands before it always has a value"),
    ("gender: =PID-8.map(sex).or_default('unknown') ?? 'other'", "never reached"),
    ("birthDate: =if('a' = 'b', PID-7)", "this condition never holds"),
    ("gender: femal", "m.yaml:7:13: error: Patient.gender is bound to http://hl7.org/fhir/ValueSet/administrative-gender, which has no femal"),
    ("gender: =PID-8.map(sex).or_default('none')", "which has no none"),
    ("gender: =if(PID-8 = 'F', 'female', 'mann')", "did you mean male"),
    ("gender: =PID-8.map(wrong)", "error: Patient.gender is bound to http://hl7.org/fhir/ValueSet/administrative-gender, which has no weiblich"),
    ("contact: [{gender: x, name: =NK1-2}]", "Patient.contact.gender is bound to"),
    ("name: {text: PID-5}", "m.yaml:7:18: warning: a text that looks like a path; did you mean `=PID-5`?"),
    ("gender: PID-8", "did you mean `=PID-8`?"),
    ("link: [{type: replaced-by}]", "Patient.link.other is required and nothing gives it"),
])
def test_a_line_that_cannot_be_meant_is_found(tmp_path: Path, line: str, finding: str) -> None:
    """Conditions, alternatives, codes and required elements, with the very column."""
    found = said(tmp_path, m_yaml=f"{HEAD}{PATIENT}    {line}\n", tables__sex_csv="source,target\nF,female\n", tables__wrong_csv="source,target\nF,weiblich\n")
    assert finding in found


def test_what_is_meant_is_left_in_peace(tmp_path: Path) -> None:
    """Codes of the value set, conditions that depend on the message, and a line that only one child settles."""
    base = "mapping: base\nabstract: true\nfrom: hl7v2\nlet: {status: =PV1-41}\nemit:\n  p: {resource: Patient, key: =PID-3.first(), gender: =status ?? 'unknown'}\n"
    child = "tests: [{name: t, given: x, expect: {event: y}}]\n"
    found = said(tmp_path, base_yaml=base, a_yaml=f"mapping: a\nextends: base\nfrom: hl7v2 ADT^A01\nlet: {{status: female}}\n{child}",
                 b_yaml=f"mapping: b\nextends: base\nfrom: hl7v2 ADT^A02\n{child}")
    assert found == ""


def test_a_null_that_removes_nothing_is_a_slip(tmp_path: Path) -> None:
    """`emit: {patinet: null}` is told with the name that was meant."""
    base = f"mapping: base\nabstract: true\nfrom: hl7v2\n{PATIENT}    birthDate: =PID-7\n"
    child = "mapping: c\nextends: base\nfrom: hl7v2 ADT^A01\nemit: {p: {birthdate: null}, q: null}\n"
    found = said(tmp_path, base_yaml=base, c_yaml=child)
    assert "c.yaml:4:12: warning: null removes nothing: `base` has no `birthdate` here; did you mean birthDate?" in found
    assert "`base` has no `q` here" in found


def test_a_mapping_that_another_always_wins_over_is_told(tmp_path: Path) -> None:
    """Two with the same `when:`: only the first is ever chosen."""
    when = "when: =PV1-2 = 'I'\n"
    found = said(tmp_path, m_yaml=f"{HEAD}{when}{PATIENT}", n_yaml=f"{HEAD.replace('mapping: m', 'mapping: n')}{when}{PATIENT}", o_yaml=f"{HEAD.replace('mapping: m', 'mapping: o')}{PATIENT}")
    assert "n.yaml:1:10: information: is never chosen: `m` (site/m.yaml) reads the same and comes first" in found
    assert "o.yaml:1:10: information" not in found


def test_systems_in_tables_are_uris(tmp_path: Path) -> None:
    """A bare word as the system of a target is told with file and line, in a row or in the head."""
    found = said(tmp_path, m_yaml=HEAD + PATIENT, tables__t_csv="# target-system: ICD10\nsource,target,target_system\nA,b,SNOMED\nB,c,http://snomed.info/sct\n",
                 **{"tables__coding-systems_csv": "source,target\nLN,LOINC\n"})
    assert "site/tables/t.csv:1:1: warning: target-system `ICD10` is no URI" in found
    assert "site/tables/t.csv:3:1: warning: target_system `SNOMED` is a bare word" in found
    assert "site/tables/t.csv:4:1" not in found
    assert "coding-systems.csv:2:1: warning: target `LOINC` is a bare word" in found


def test_feed_files_are_looked_at_too(tmp_path: Path) -> None:
    """Tables that do not exist, targets that no row gives, repairs of fields that do not exist, and what does not load."""
    feed = "name: f\ntables:\n  sexx: {M: male}\n  sex: {M: male, W: weiblich, X: female}\nrepairs:\n  - set PID-99.4 from MSH-4\n  - upper PIX-8\n"
    found = said(tmp_path, m_yaml=f"{HEAD}{PATIENT}    gender: =PID-8.map(sex)\n", tables__sex_csv="source,target\nF,female\nM,male\n",
                 feeds__f_yaml=feed, feeds__g_yaml="name: g\nzone: Mars/Base\n", feeds__h_yaml="name: h\ntabels: {}\n")
    assert "site/feeds/f.yaml:3:3: warning: there is no table `sexx`; did you mean sex?" in found
    assert "site/feeds/f.yaml:4:21: information: table sex neither gives nor knows `weiblich`, which `W` becomes" in found
    assert "4:34" not in found
    assert "site/feeds/f.yaml:6:9: warning: PID-99.4 is no field: PID has" in found
    assert "site/feeds/f.yaml:7:11: warning: PIX-8 is no field: no such segment; did you mean" in found
    assert "site/feeds/g.yaml:2:7: error: 'Mars/Base' is no IANA time zone" in found
    assert "site/feeds/h.yaml:2:1: error: 'tabels' is not known here" in found


def test_a_reason_for_what_is_mapped_is_told(tmp_path: Path) -> None:
    """A row of left.csv whose field goes somewhere is out of date."""
    found = said(tmp_path, m_yaml=HEAD + PATIENT + "    birthDate: =PID-7\n", left_csv="field,reason\nPID-7,never\nPID-8,never\n")
    assert "left.csv: warning: PID-7 is left with a reason and mapped as well" in found
    assert "PID-8" not in found


def test_the_tables_of_conversions_are_known() -> None:
    """Every table that a data type conversion names is in CONVERSIONS, so lint never calls it unused; and no other is."""
    sources = [*(ROOT / "bridge" / "fhir").glob("convert*.py"), ROOT / "bridge" / "mapping" / "sender.py"]
    text = "".join(file.read_text() for file in sources)
    tables = {file.stem for file in (ROOT / "mappings" / "tables").glob("*.csv")}
    assert {name for name in tables if f'"{name}"' in text} == CONVERSIONS


def test_the_packaged_mappings_have_no_warning() -> None:
    """What ships has neither errors nor warnings; sets that only a site's rows use are informations."""
    found = [one for one in library.check(library=Library.load()) if one.severity != "information"]
    assert [str(one) for one in found] == []
