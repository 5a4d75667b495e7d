"""Libraries: folders, what extends what, which mapping reads which message, versions, and what lint says."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.core.errors import MappingError
from bridge.hl7v2 import message
from bridge.mapping import library
from bridge.mapping.library import Library
from tests.unit.language.workbench import IDS, MESSAGE, sender

BASE = """mapping: base
about: what all share
abstract: true
from: hl7v2 ADT^A01 ADT^A03
let: {mrn: =PID-3.first(), spare: =PID-4}
emit:
  patient: {resource: Patient, key: =mrn, name: =PID-5, birthDate: =PID-7, contact: {gender: male, name: =NK1-2}}
  encounter: {resource: Encounter, key: =PV1-19, status: finished, class: =code('urn:c', PV1-2), subject: =patient}
"""
CHILD = """mapping: child
extends: base
from: hl7v2 ADT^A03
emit:
  patient: {birthDate: null, gender: =PID-8.map(sex), contact: {gender: null, address: =NK1-4}}
  encounter: null
  extra: {resource: Task, key: =mrn, status: requested, intent: order, for: =patient}
"""


def write(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        file = folder / name.replace("__", "/").replace("_csv", ".csv").replace("_yaml", ".yaml")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return write(tmp_path / "site", base_yaml=BASE, child_yaml=CHILD, tables__sex_csv="source,target\nF,female\n")


def test_a_child_adds_replaces_and_removes(site: Path) -> None:
    """Lets and emits merge deeply; null removes an entry, on any level."""
    program = Library.load([site])["child"]
    made, task = program.run(message.parse(MESSAGE.encode()), sender(), IDS).resources
    assert set(made) == {"resourceType", "id", "name", "gender", "contact"}
    assert made["contact"] == [{"name": {"family": "DOE", "given": ["JOHN"]}}]
    assert task["for"] == {"reference": f"Patient/{made['id']}"}
    assert program.spec.about == "what all share"


def test_an_abstract_mapping_reads_nothing(site: Path) -> None:
    """Only what is not abstract is compiled and chosen; an unknown event has no mapping."""
    found = Library.load([site])
    assert list(found.programs) == ["child"]
    chosen = found.choose(message.parse(MESSAGE.encode()))
    assert chosen is not None
    assert chosen.name == "child"
    assert found.choose(message.parse(MESSAGE.replace("A03", "A99").encode())) is None
    assert found.choose({"record_type": "status"}) is None


def test_an_earlier_folder_stands_before_a_later_one(site: Path, tmp_path: Path) -> None:
    """A site's mapping and table of the same name replace the packaged ones, everywhere they are used."""
    own = write(tmp_path / "own", tables__sex_csv="source,target\nF,other\n", mine_yaml="mapping: mine\nextends: child\nfrom: hl7v2 ADT^A03\n")
    found = Library.load([own, site])
    chosen = found.choose(message.parse(MESSAGE.encode()))
    assert chosen is not None
    assert chosen.name == "mine"
    assert chosen.run(message.parse(MESSAGE.encode()), found.senders().of(sender()._feed), IDS).resources[0]["gender"] == "other"


def test_what_reads_any_event_comes_last(site: Path) -> None:
    """`from: hl7v2 *` reads what no other mapping does, also where another one's `when:` does not hold."""
    write(site, other_yaml="mapping: other\nfrom: hl7v2 *\nemit:\n  patient: {resource: Patient, key: =PID-3}\n", child_yaml=CHILD + "when: =PV1-2 = 'I'\n")
    found = Library.load([site])
    texts = (MESSAGE, MESSAGE.replace("PV1|1|I", "PV1|1|O"), MESSAGE.replace("ADT^A03", "BAR^P01"))
    chosen = [found.choose(message.parse(text.encode())) for text in texts]
    assert [program.name for program in chosen if program] == ["child", "other", "other"]
    assert [program.general for program in chosen if program] == [False, True, True]


def test_two_mappings_for_one_event_need_a_when(site: Path) -> None:
    """The one whose `when:` holds is chosen, the one without comes last; two without are an error."""
    write(site, inpatient_yaml="mapping: inpatient\nextends: child\nwhen: =PV1-2 = 'I'\n", outpatient_yaml="mapping: outpatient\nextends: child\nwhen: =PV1-2 = 'O'\n")
    found = Library.load([site])
    names = {code: chosen.name for code in "IOE" if (chosen := found.choose(message.parse(MESSAGE.replace("PV1|1|I", f"PV1|1|{code}").encode())))}
    assert names == {"I": "inpatient", "O": "outpatient", "E": "child"}
    with pytest.raises(MappingError, match="both read"):
        Library.load([write(site, again_yaml="mapping: again\nextends: child\n")])


@pytest.mark.parametrize(("text", "said"), [
    ("mapping: child2\nextends: bass\n", "did you mean base"),
    ("mapping: loop\nextends: loop\nfrom: hl7v2 ADT^A04\n", "extends itself: loop -> loop"),
    ("mapping: child\nextends: base\n", "is in site/child.yaml too"),
    ("mapping: c2\nextends: base\nfrom: hl7v2 ADT^A04\nemit: {patient: {resource: Task}}\n", "`patient` is the Patient of site/base.yaml:7:23 already; this is a Task"),
])
def test_what_cannot_be_extended_is_refused(site: Path, text: str, said: str) -> None:
    """Unknown parents, circles and doubled names are errors with their place."""
    with pytest.raises(MappingError) as caught:
        Library.load([write(site, more_yaml=text)])
    assert said in str(caught.value)
    assert "site/more.yaml" in str(caught.value)


def test_a_library_compiles_what_a_message_needs(site: Path) -> None:
    """A command for one message does not wait for the other mappings; `compiled` finds what is wrong in any."""
    write(site, broken_yaml="mapping: broken\nextends: child\nfrom: hl7v2 ADT^A04\nlet: {wrong: =NOWHERE}\nemit: {patient: {gender: =wrong}}\n")
    found = Library.load([site])
    assert sorted(found.programs) == ["broken", "child"]
    chosen = found.choose(message.parse(MESSAGE.encode()))
    assert chosen is found["child"]
    for ask in (lambda: found["broken"], found.compiled):
        with pytest.raises(MappingError, match="NOWHERE"):
            ask()


def test_the_version_is_the_content(site: Path) -> None:
    """A change of the file, of its parent or of a table it uses is another version; a reload is not."""
    first = Library.load([site])["child"].version
    assert Library.load([site])["child"].version == first
    versions = {first}
    write(site, tables__sex_csv="source,target\nF,female\nM,male\n")
    versions.add(Library.load([site])["child"].version)
    write(site, base_yaml=BASE.replace("finished", "planned"))
    versions.add(Library.load([site])["child"].version)
    write(site, child_yaml=CHILD + "tests: [{name: x, given: y, expect: {event: z}}]\n")
    versions.add(Library.load([site])["child"].version)
    assert len(versions) == 4


def test_other_files_in_the_folders_are_left_alone(site: Path) -> None:
    """YAML without `mapping:` and the folders of feeds, programmes and examples are somebody else's."""
    write(site, other_yaml="instrument: x\n", feeds__f_yaml="mapping: nonsense: [", programmes__p_yaml="mapping: x\nfrom: nowhere\n")
    assert list(Library.load([site]).programs) == ["child"]


def test_lint_says_what_is_probably_not_meant(site: Path) -> None:
    """Unused lets, missing required elements, emits that never hold, missing tests, tables nobody names."""
    write(site, tables__spare_csv="source,target\nA,b\n",
          bad_yaml="mapping: bad\nfrom: hl7v2 ADT^A04\nemit:\n  t: {resource: Task, key: =PID-3, when: =false, status: requested, restriction: {period: {}}}\n")
    found = [str(finding) for finding in library.check(library=Library.load([site]))]
    said = "\n".join(found)
    assert "Task.intent is required and nothing gives it" in said
    assert "never holds" in said
    assert "has no tests" in said
    assert "no mapping names this table" in said
    assert "tables/spare.csv" in said
    assert any(line.startswith("site/base.yaml:5:") and "no expression uses this let" in line for line in found)


def test_tests_are_run_by_file_folder_and_name(site: Path) -> None:
    """Paths of files and folders, or names of mappings; what is outside the library is loaded in front of it."""
    case = "tests:\n  - {name: one, given: m.hl7, change: {PID-8: X, 'DG1[2]': null}, append: ['ZZZ|1'], expect: {question: sex X, 'count(Patient)': 1}, absent: [Patient.gender]}\n"
    write(site, child_yaml=CHILD + case, examples__m_csv="")
    (site / "examples" / "m.hl7").write_bytes(MESSAGE.encode())
    found = Library.load([site])
    for paths in ([], ["child"], [site / "child.yaml"], [site]):
        assert [str(result) for result in library.test(paths, found) if not result.passed] == []
        assert [result.name for result in library.test(paths, found)] == ["one"]
    assert [result.name for result in library.test([site / "child.yaml"])] == ["one"]
    with pytest.raises(MappingError, match="did you mean child"):
        library.test(["chlid"], found)


def test_a_golden_is_written_and_compared(site: Path) -> None:
    """`golden:` compares whole resources; the first difference is named by path, `update` writes the file anew."""
    write(site, child_yaml=CHILD + "tests: [{name: whole, given: m.hl7, golden: whole}]\n", examples__m_csv="")
    (site / "examples" / "m.hl7").write_bytes(MESSAGE.encode())
    assert "there is no golden/whole.json" in str(library.test(library=Library.load([site]))[0])
    assert library.test(library=Library.load([site]), update=True)[0].passed
    assert library.test(library=Library.load([site]))[0].passed
    write(site, child_yaml=CHILD.replace("requested", "draft") + "tests: [{name: whole, given: m.hl7, golden: whole}]\n")
    assert "[1].status: golden 'requested', now 'draft'" in str(library.test(library=Library.load([site]))[0])


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../b", ""])
def test_an_example_cannot_leave_its_folder(site: Path, name: str) -> None:
    """Names of examples and goldens never step upwards."""
    write(site, child_yaml=CHILD + f"tests: [{{name: x, given: '{name}', expect: {{event: y}}}}]\n")
    assert "no example" in str(library.test(library=Library.load([site]))[0])


def test_the_packaged_mappings_compile_and_pass() -> None:
    """Everything that ships compiles, and its own tests hold."""
    found = Library.load()
    assert [str(result) for result in library.test(library=found) if not result.passed] == []
    assert [str(finding) for finding in library.check(library=found) if finding.severity == "error"] == []
