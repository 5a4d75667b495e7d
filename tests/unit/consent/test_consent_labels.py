"""The labelling rules as data: every row is well formed, and known codes get the labels the rule set says."""

from __future__ import annotations

import pytest

from bridge.consent import labels
from bridge.consent.terms import ANY_PURPOSE, load

ROWS = labels.rules_of(labels.packaged())
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
LOINC = "http://loinc.org"


@pytest.mark.parametrize("row", [row for row in ROWS if row["system"] == "icd10"], ids=lambda row: row["id"])
def test_icd_row_labels_its_own_codes_and_not_a_neighbour(row: dict[str, str]) -> None:
    """Each ICD-10 row labels the code it names; the label does not depend on the dot."""
    labeller = labels.load()
    code = row["pattern"].partition("-")[0]
    wanted = set(row["labels"].split())
    dotted = f"{code[:3]}.{code[3:]}" if len(code) > 3 else code
    assert wanted <= labeller.of_code(ICD, dotted)
    assert wanted <= labeller.of_code(ICD, code.lower())
    assert labeller.of_code(ICD, "E11.9") == frozenset()


@pytest.mark.parametrize(
    ("code", "expect"),
    [
        ("F10.20", {"ETHUD"}),
        ("F11.20", {"OPIOIDUD"}),
        ("F17.210", set()),
        ("Z79.891", set()),
        ("T40.2X1A", {"SUD"}),
        ("T40.2X5A", set()),
        ("T40.415A", set()),
        ("T51.0X1A", {"SUD"}),
        ("F84.0", {"DVD"}),
        ("F70", {"COGN"}),
        ("F64.0", {"MH", "GENDER"}),
        ("F52.0", {"MH", "SEX"}),
        ("O99.310", {"SUD", "SEX"}),
        ("A53.9", {"STD", "SEX"}),
        ("Z63.0", set()),
        ("Z59.41", set()),
        ("Z65.1", {"custody"}),
        ("D57.1", {"SCA"}),
        ("Z14.1", {"GDIS"}),
        ("T74.11XA", {"SDV"}),
        ("F01.50", set()),
        ("Z20.6", {"HIV"}),
        ("Z20.5", set()),
        ("O04.5", {"SEX", "abortion"}),
        ("Z33.2", {"SEX", "abortion"}),
        ("Z33.1", {"SEX"}),
        ("Z71.4", {"SUD"}),
        ("Z71.42", set()),
        ("Z71.52", set()),
        ("B24", {"HIV"}),
        ("T51.1X1A", set()),
        ("T40.6X6A", set()),
        ("Z91.51", {"MH"}),
        ("O98.711", {"HIV", "SEX"}),
        ("Z31.430", {"GDIS", "SEX"}),
        ("O9A.311", {"SDV", "SEX"}),
    ],
)
def test_icd_codes(code: str, expect: set[str]) -> None:
    """Known ICD-10-CM codes carry these sensitivities and no others (reference/consent.md 2.1)."""
    assert labels.load().of_code(ICD, code) == expect


def test_other_vocabularies() -> None:
    """LOINC, SDOH categories, extension URLs and linkIds carry labels; unknown ones none."""
    labeller = labels.load()
    sdoh = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
    assert labeller.of_code(LOINC, "76501-6") == {"SDV"}
    assert labeller.of_code(LOINC, "88122-7") == frozenset()
    assert labeller.of_code(sdoh, "intimate-partner-violence") == {"SDV"}
    assert labeller.of_code(sdoh, "food-insecurity") == frozenset()
    assert labeller.of_url("http://hl7.org/fhir/StructureDefinition/patient-genderIdentity") == {"GENDER"}
    assert labeller.of_link_id("/93025-5/76501-6") == {"SDV"}
    assert labeller.of_link_id("question-1") is None
    assert labeller.of_form("http://x.example/Questionnaire/SDOHCC-QuestionnairePRAPARE|3.0") >= {"SDV"}


def test_purposes_are_one_tree() -> None:
    """Every purpose of use descends from the root, and from its family."""
    terms = load()
    assert all(ANY_PURPOSE in lineage for lineage in terms.purposes.values())
    assert terms.within("BTG", ("TREAT",))
    assert terms.within("CAREMGT", ("HOPERAT",))
    assert not terms.within("TREAT", ("BTG",))


def test_a_list_of_a_state_changes_no_general_answer() -> None:
    """The narrower code of O04 and Z33.2 is covered by SEX, for permits and denies: only who names it sees a difference."""
    terms = load()
    assert "SEX" in terms.covered_by_permit["abortion"]
    assert "SEX" in terms.covered_by_deny["abortion"]


def test_every_label_of_a_rule_can_be_covered() -> None:
    """Each label that a rule gives is known to the hierarchy, for permits and for denies."""
    terms = load()
    for row in ROWS:
        for label in row["labels"].split():
            assert label in terms.covered_by_permit[label]
            assert label in terms.covered_by_deny[label]
