"""Results, orders and documents: what belongs to what, and nothing to a patient it is not about."""

from __future__ import annotations

from typing import Any

from bridge.core.draft import Draft
from tests.unit.mappings import packaged

MSH = r"MSH|^~\&|LAB|EAST|||20260301101500-0500||ORU^R01^ORU_R01|T-1|P|2.5.1"
FINAL = "|||20260301090000-0500||||||||||||||||||F"


def draft(*lines: str) -> Draft:
    return packaged.draft("\r".join(lines).encode())


def example(name: str) -> Draft:
    return packaged.draft((packaged.EXAMPLES / name).read_bytes())


def by_code(found: Draft, type_: str) -> dict[str, dict[str, Any]]:
    return {one["code"]["coding"][0]["code"]: one for one in found.of_type(type_)}


def refs(value: Any) -> list[str]:
    """The references of one element, in order."""
    return [one["reference"] for one in (value if isinstance(value, list) else [value])]


def named(resource: dict[str, Any]) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def test_a_report_has_the_results_order_and_specimen_of_its_own_obr() -> None:
    """Results, order and specimen of a report are those that its OBR brings, whatever stands before and behind it."""
    found = example("oru-lab.hl7")
    reports, orders, results = (by_code(found, type_) for type_ in ("DiagnosticReport", "ServiceRequest", "Observation"))
    chemistry, culture = reports["24320-4"], reports["600-7"]
    assert refs(chemistry["result"]) == [named(results["2345-7"]), named(results["48642-3"])]
    assert refs(culture["result"]) == [named(results["600-7"])]
    assert refs(chemistry["basedOn"]) == [named(orders["24320-4"])] == refs(results["2345-7"]["basedOn"])
    assert refs(culture["basedOn"]) == [named(orders["600-7"])] == refs(results["600-7"]["basedOn"])
    first, second = found.of_type("Specimen")
    assert refs(chemistry["specimen"]) == [named(first)] == refs(results["2345-7"]["specimen"])
    assert refs(culture["specimen"]) == [named(second)] == refs(results["600-7"]["specimen"])
    assert refs(first["request"]) == [named(orders["24320-4"])]
    assert refs(second["request"]) == [named(orders["600-7"])]
    patient, visit = named(found.of_type("Patient")[0]), named(found.of_type("Encounter")[0])
    for one in (*reports.values(), *orders.values(), *results.values()):
        assert refs(one["subject"]) == [patient]
        assert refs(one["encounter"]) == [visit]


def test_an_order_brings_what_stands_behind_it() -> None:
    """Diagnoses and observations behind an OBR of an order are its reasons and its supporting information."""
    found = example("orm-order.hl7")
    order, = found.of_type("ServiceRequest")
    assert refs(order["reasonReference"]) == [named(found.of_type("Condition")[0])]
    assert order["supportingInfo"] == [{"reference": named(found.of_type("Observation")[0])}, {"display": "Smoker"}]


def test_a_question_asked_with_the_order_is_no_result() -> None:
    """OBX-29 QST supports the order and stays out of the report."""
    found = draft(MSH, "PID|1||E1^^^EAST^MR||DOE^JO", "ORC|RE|P-1", "OBR|1|P-1||24320-4^Panel^LN" + FINAL,
                  "OBX|1|ST|8661-1^Fasting^LN||yes||||||F||||||||||||||||||QST", "OBX|2|NM|2345-7^Glucose^LN||5||||||F")
    asked, measured = by_code(found, "Observation")["8661-1"], by_code(found, "Observation")["2345-7"]
    assert refs(found.of_type("ServiceRequest")[0]["supportingInfo"]) == [named(asked)]
    assert refs(found.of_type("DiagnosticReport")[0]["result"]) == [named(measured)]


def test_a_screening_panel_has_its_answers_as_members() -> None:
    """SDOH Clinical Care 3.0.0: a panel without a QuestionnaireResponse is a response whose members are the answers."""
    results = by_code(example("oru-screening.hl7"), "Observation")
    assert refs(results["88121-9"]["hasMember"]) == [named(results["88122-7"]), named(results["88123-5"])]


def test_an_observation_of_a_patient_is_of_no_order() -> None:
    """An OBX behind PID belongs to no OBR, the one of an earlier group least of all."""
    found = draft(MSH, "PID|1||E1^^^EAST^MR||DOE^JO", "OBX|1|NM|3141-9^Weight^LN||70|kg|||||F", "OBR|1||F-1|24320-4^Panel^LN" + FINAL,
                  "OBX|1|NM|2345-7^Glucose^LN||5||||||F")
    report, = found.of_type("DiagnosticReport")
    assert refs(report["result"]) == [named(by_code(found, "Observation")["2345-7"])]


def test_the_same_order_is_the_same_resource_in_order_and_result() -> None:
    """Placer number and assigner make a ServiceRequest, not the message that tells of it."""
    asked = draft(MSH.replace("ORU^R01^ORU_R01", "ORM^O01"), "PID|1||E1^^^EAST^MR||DOE^JO", "ORC|NW|P-1^EHR", "OBR|1|P-1^EHR||24320-4^Panel^LN")
    told = draft(MSH, "PID|1||E1^^^EAST^MR||DOE^JO", "OBR|1|P-1^EHR|F-1^LAB|24320-4^Panel^LN" + FINAL)
    assert asked.of_type("ServiceRequest")[0]["id"] == told.of_type("ServiceRequest")[0]["id"]


def test_a_corrected_result_is_the_same_observation() -> None:
    """A result is known by its order and code: the correction has the id of what it corrects."""
    one, other = (draft(MSH.replace("T-1", number), "PID|1||E1^^^EAST^MR||DOE^JO", "PV1|1|I|||||||||||||||||V1", "OBR|1||F-1^LAB|24320-4^Panel^LN" + FINAL,
                        f"OBX|1|NM|2345-7^Glucose^LN||{value}||||||{status}") for number, value, status in (("T-1", 5, "F"), ("T-2", 6, "C")))
    assert one.of_type("Observation")[0]["id"] == other.of_type("Observation")[0]["id"]
    assert other.of_type("Observation")[0]["status"] == "corrected"
    assert one.of_type("DiagnosticReport")[0]["id"] == other.of_type("DiagnosticReport")[0]["id"]


def test_nothing_of_one_patient_is_given_to_another() -> None:
    """Of several patients in one message each has the own visit, orders, specimens, reports and results, and no other's."""
    found = draft(MSH, "PID|1||E1^^^EAST^MR||DOE^JO", "PV1|1|I|||||||||||||||||V1", "OBR|1|P-1|F-1|24320-4^Panel^LN" + FINAL,
                  "OBX|1|NM|2345-7^Glucose^LN||5||||||F", "SPM|1|S1||BLD",
                  "PID|2||E2^^^EAST^MR||ROE^RAY", "PV1|1|I|||||||||||||||||V2", "OBX|1|NM|3141-9^Weight^LN||70|kg|||||F",
                  "OBR|1|P-2|F-2|24320-4^Panel^LN" + FINAL, "OBX|1|NM|2345-7^Glucose^LN||9||||||F", "SPM|1|S2||BLD")
    first, second = found.of_type("Patient")
    assert [one["name"][0]["family"] for one in (first, second)] == ["DOE", "ROE"]
    visits = {refs(one["subject"])[0]: named(one) for one in found.of_type("Encounter")}
    owners = {one["valueQuantity"]["value"]: refs(one["subject"])[0] for one in found.of_type("Observation")}
    assert owners == {5: named(first), 70: named(second), 9: named(second)}
    for one in (*found.of_type("Observation"), *found.of_type("DiagnosticReport"), *found.of_type("ServiceRequest")):
        assert refs(one["encounter"]) == [visits[refs(one["subject"])[0]]]
    whose = {named(one): refs(one["subject"])[0] for one in found.resources if "subject" in one}
    for report in found.of_type("DiagnosticReport"):
        assert {whose[ref] for ref in refs(report["result"] + report["basedOn"] + report["specimen"])} == {refs(report["subject"])[0]}
    assert [len(report["result"]) for report in found.of_type("DiagnosticReport")] == [1, 1]
