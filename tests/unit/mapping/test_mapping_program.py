"""Running a mapping: keys and ids, items and their references, HL7 null, and what never stops a message."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.core.ids import Ids
from bridge.hl7v2 import message
from tests.unit.language.workbench import IDS, MESSAGE, compiled, head, patient, run, sender


def emits(text: str) -> str:
    """A mapping with these emits."""
    return head() + "emit:\n" + "".join(f"  {line}\n" for line in text.splitlines())


def of(draft: Any, type_: str) -> list[dict[str, Any]]:
    return list(draft.of_type(type_))


def test_an_identifier_is_a_key_with_its_system() -> None:
    """`system|value` makes the id; the same number of another assigner is another patient."""
    text = patient("active: true").replace("key: fixed", "key: =PID-3.where(5 = 'MR').first()")
    one, = run(text).resources
    assert one["id"] == IDS.uuid("Patient", "urn:sdoh-bridge:gen:gen|100")
    other, = run(text, MESSAGE.replace("100^^^GEN^MR", "100^^^OTHER^MR")).resources
    assert other["id"] != one["id"]


def test_ids_do_not_depend_on_the_separators() -> None:
    """The same message with other delimiters makes the same resources."""
    text = emits("p: {resource: Patient, key: =PID-3.first(), name: =PID-5}\nl: {resource: Location, key: =PV1-3, name: =PV1-3.1}")
    odd = MESSAGE.replace("^~\\&", "$*\\@").replace("^", "$").replace("~", "*")
    assert run(text, odd).resources == run(text).resources


def test_without_a_usable_key_nothing_is_emitted() -> None:
    """An empty key part leaves the resource out with a finding; references to it vanish."""
    draft = run(emits("p: {resource: Patient, key: [=PID-3.1, =PID-40]}\ne: {resource: Encounter, key: x, subject: =p}"))
    assert [made["resourceType"] for made in draft.resources] == ["Encounter"]
    assert "subject" not in draft.resources[0]
    assert [issue.code for issue in draft.issues] == ["BRG-L104"]


def test_an_id_of_ones_own_is_checked() -> None:
    """`id:` takes the id itself, or `Type/id`; anything that cannot be one leaves the resource out."""
    assert run(emits("t: {resource: Task, id: =DG1-3.1}")).resources[0]["id"] == "Z59.01"
    draft = run(emits("t: {resource: Task, id: =PID-11.1}"))
    assert (draft.resources, [issue.code for issue in draft.issues]) == ((), ["BRG-L106"])


def test_two_with_one_key_are_one() -> None:
    """The first stays; that the second said something else is a finding, that it said the same is none."""
    assert len(run(emits("c: {each: DG1, resource: Condition, key: =PV1-19.1, note: {text: x}}")).resources) == 1
    draft = run(emits("c: {each: DG1, resource: Condition, key: =PV1-19.1, note: {text: =DG1-3.1}}"))
    assert draft.resources[0]["note"] == [{"text": "Z59.01"}]
    assert [issue.code for issue in draft.issues] == ["BRG-L105"]


def test_names_of_one_item_belong_together() -> None:
    """Inside the same `each` a name is that item's; from outside it is all of them; a nested each makes one object per item."""
    draft = run(emits(
        "e:\n  resource: Encounter\n  key: e\n  diagnosis: [{each: c, condition: =c, rank: =DG1-1}]\n  reasonReference: =c\n"
        "c:\n  each: DG1\n  when: =DG1-3.1 != 'I50.9'\n  resource: Condition\n  key: =DG1-1\n  evidence: [{detail: =o}]\n"
        "o:\n  each: DG1\n  resource: Observation\n  key: =DG1-1\n  valueString: =DG1-3.1\n  focus: =c"))
    encounter, = of(draft, "Encounter")
    conditions, observations = of(draft, "Condition"), of(draft, "Observation")
    refs = [f"Condition/{one['id']}" for one in conditions]
    assert [entry["condition"]["reference"] for entry in encounter["diagnosis"]] == refs
    assert [entry["rank"] for entry in encounter["diagnosis"]] == [1, 3]
    assert [entry["reference"] for entry in encounter["reasonReference"]] == refs
    assert [one["evidence"][0]["detail"] for one in conditions] == [[{"reference": f"Observation/{observations[n]['id']}"}] for n in (0, 2)]
    assert ["focus" in one for one in observations] == [True, False, True]


def test_each_over_an_emit_has_a_key_of_its_own() -> None:
    """Without `key:` it is that of the item it walks over; bodies are read when they are there, whatever the order of the file."""
    draft = run(emits("t: {each: c, when: =c.code.text = 'Z59.01', resource: Task, description: =c.code.text}\n"
                      "c: {each: DG1, resource: Condition, key: =DG1-1, code: {text: =DG1-3.1}}"))
    assert [one["description"] for one in of(draft, "Task")] == ["Z59.01"]


def test_a_list_of_eaches_nests() -> None:
    """`each: [OBR, OBX]` walks over the OBX of each OBR; references from the OBR reach its own."""
    body = MESSAGE + "OBR|1|||X\rOBX|1|ST|Q||v\rOBX|2|ST|R||v\rOBR|2|||Y\rOBX|1|ST|S||v\r"
    draft = run(emits("r: {each: OBR, resource: DiagnosticReport, key: =OBR-1, result: =o}\n"
                      "o: {each: [OBR, OBX], resource: Observation, key: [=OBR-1, =OBX-1], code: {text: =OBX-3.1 + OBR-4.1}}"), body)
    assert [one["code"]["text"] for one in of(draft, "Observation")] == ["QX", "RX", "SY"]
    assert [len(one["result"]) for one in of(draft, "DiagnosticReport")] == [2, 1]


def test_null_clears_and_empty_says_nothing() -> None:
    """HL7 null leaves the element out and names it as cleared; an empty field is neither."""
    body = MESSAGE.replace("^PRN^PH^^1^937^5550142~^NET^Internet^j@example.org", '""').replace("|19790314|F|", '|""||')
    draft = run(patient("birthDate: =PID-7\ntelecom: =PID-13\ngender: =PID-8.map(sex)\nname: =PID-5"), body)
    made, = draft.resources
    assert set(made) == {"resourceType", "id", "name"}
    assert draft.cleared == {f"Patient/{made['id']}": ("birthDate", "telecom")}
    assert not draft.questions


def test_null_behind_a_let_clears_every_element_that_reads_it() -> None:
    """A let remembers a value, not that there was none to remember."""
    draft = run(patient("birthDate: =born\ndeceasedDateTime: =born", "born: =PID-7"), MESSAGE.replace("|19790314|", '|""|'))
    assert list(draft.cleared.values()) == [("birthDate", "deceasedDateTime")]


def test_a_value_that_does_not_convert_leaves_its_element_out() -> None:
    """An impossible date is reported at its field, numbered inside an each, without being quoted; the rest is there."""
    draft = run(emits("c: {each: DG1, resource: Condition, key: =DG1-1, onsetDateTime: =DG1-5, code: =DG1-3}"), MESSAGE.replace("20260421", "20261341"))
    assert ["onsetDateTime" in one for one in draft.resources] == [True, False, True]
    issue, = draft.issues
    assert issue.where == "DG1[2]-5"
    assert "1341" not in str(issue)


def test_a_repetition_is_numbered_in_findings() -> None:
    """Inside `each: PV1-7` a finding says which repetition."""
    draft = run(emits("p: {each: PV1-7, resource: Practitioner, key: =PV1-7.1, active: true, gender: =PV1-7.2.map(sex)}"))
    assert [issue.where for issue in draft.issues] == ["PV1-7[1].2", "PV1-7[2].2"]


@pytest.mark.parametrize(("let", "time"), [("", "2026-05-01T09:31:00-05:00"), ("event_time: =PV1-44", "2026-04-20T09:12:00-05:00")])
def test_the_event_time(let: str, time: str) -> None:
    """EVN-6, else EVN-2, else MSH-7; a let of that name says otherwise."""
    assert run(patient("active: true", let)).event_time == time
    assert run(patient("active: true"), MESSAGE.replace("EVN|A03|20260501093100-0500", "EVN|A03|")).event_time == "2026-05-01T09:30:00-05:00"


def test_a_profile_is_written_in_full() -> None:
    """Short names of the two guides expand; a full URL stays; meta of the mapping is kept."""
    made, = run(patient("profile: [us-core:us-core-patient, 'https://x.example/p']\nmeta: {tag: [{code: t}]}")).resources
    assert made["meta"] == {"tag": [{"code": "t"}], "profile": [
        "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient", "https://x.example/p"]}


def test_doctors_and_wards_are_remembered_and_stay_apart() -> None:
    """A second message with the same doctor gives the same resource, findings included, and is the caller's to change."""
    text = emits("h: {resource: Organization, key: =MSH-4, name: =MSH-4.1}\n"
                 "w: {resource: Location, key: =PV1-3, name: =PV1-3.1, managingOrganization: =h}\n"
                 "d: {each: PV1-7, resource: Practitioner, key: =PV1-7.1, name: =PV1-7, gender: =PV1-7.2.map(sex)}")
    program, who = compiled(text), sender()
    assert [name for name, emit in program.emits.items() if emit.memory] == ["h", "w", "d"]
    first = program.run(message.parse(MESSAGE.encode()), who, IDS)
    second = program.run(message.parse(MESSAGE.encode()), who, IDS)
    assert second == first
    assert len(second.issues) == len(second.questions) == 2
    for resource in second.resources:
        resource.clear()
    assert program.run(message.parse(MESSAGE.encode()), who, IDS) == first
    moved = program.run(message.parse(MESSAGE.replace("4W^12", "5E^12").encode()), who, IDS)
    assert of(moved, "Location")[0]["name"] == "5E"
    elsewhere = program.run(message.parse(MESSAGE.encode()), who, Ids(b"another site"))
    assert {one["id"] for one in elsewhere.resources}.isdisjoint(one["id"] for one in first.resources)


def test_nothing_of_the_patient_is_remembered() -> None:
    """What a sender keeps beyond a message holds no value of PID."""
    text = emits("p: {resource: Patient, key: =PID-3, name: =PID-5, address: =PID-11, telecom: =PID-13, birthDate: =PID-7}\n"
                 "d: {each: PV1-7, resource: Practitioner, key: =PV1-7.1, name: =PV1-7}")
    program, who = compiled(text), sender()
    program.run(message.parse(MESSAGE.encode()), who, IDS)
    kept = repr(who._lasting)
    assert "GRAY" in kept
    assert not any(word in kept for word in ("DOE", "JANE", "MAIN", "19790314", "5550142", "900-11"))


def test_parts_of_a_person_that_come_again_are_remembered_and_stay_apart() -> None:
    """A coded part of the patient's resource is the same for the same code, findings included, whoever has it."""
    program, who = compiled(patient("gender: =PID-8.map(sex)\nmaritalStatus: =PID-16\ncommunication: [{language: =PID-15}]\nbirthDate: =PID-7")), sender()
    other = MESSAGE.replace("19790314", "19800101").replace("DOE", "ROE")
    first, second = (program.run(message.parse(body.encode()), who, IDS) for body in (MESSAGE, other))
    alone = program.run(message.parse(other.encode()), sender(), IDS)
    assert second == alone
    assert first.resources[0]["birthDate"] != second.resources[0]["birthDate"]
    for part in second.resources[0].values():
        if isinstance(part, dict | list):
            part.clear()
    assert program.run(message.parse(other.encode()), who, IDS) == alone


def test_a_finding_in_a_let_is_said_by_whoever_uses_it() -> None:
    """What is remembered repeats the findings of the lets it used, also when another element said them first."""
    lets = "code: =PID-8.map(sex)"
    text = patient("gender: =code\nlanguage: =code", lets)
    program, who = compiled(text), sender()
    body = MESSAGE.replace("|F|", "|Q|")
    first = program.run(message.parse(body.encode()), who, IDS)
    assert [(one.table, one.code) for one in first.questions] == [("sex", "Q")]
    assert program.run(message.parse(body.encode()), who, IDS) == first


def test_alternatives_carry_the_first_that_converts() -> None:
    """A value that cannot be converted counts as absent for `??`."""
    body = MESSAGE.replace("|20260501092500-0500", "|nonsense")
    made, = run(emits("e: {resource: Encounter, key: e, period: {end: =PV1-45 ?? EVN-2}}"), body).resources
    assert made["period"]["end"] == "2026-05-01T09:31:00-05:00"
