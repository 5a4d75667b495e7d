"""The labelling rules as data: every row is well formed, and known codes get the labels the rule set says."""

from __future__ import annotations

from importlib.resources import files

import pytest

from bridge.consent import labels
from bridge.consent.terms import ANY_PURPOSE, load, rows

FOLDER = files("profiles").joinpath("consent", "labels")
ROWS = [row for name in ("icd10.csv", "loinc.csv", "other.csv") for row in rows(FOLDER.joinpath(name))]
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
LOINC = "http://loinc.org"


def loinc_check(code: str) -> bool:
    """Modulus 10 of LOINC codes."""
    number, _, digit = code.partition("-")
    doubled = (int(each) * (2 if place % 2 == 0 else 1) for place, each in enumerate(reversed(number)))
    return -sum(each // 10 + each % 10 for each in doubled) % 10 == int(digit)


def snomed_check(code: str) -> bool:
    """Verhoeff check of SNOMED CT ids, by the dihedral group of ten elements."""
    permutation = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    check = 0
    for digit in reversed(code):
        value = permutation[int(digit)]
        check = _dihedral(check, value)
        permutation = [(1, 5, 7, 6, 2, 8, 3, 0, 9, 4)[each] for each in permutation]
    return check == 0


def _dihedral(left: int, right: int) -> int:
    if left < 5:
        return (left + right) % 5 if right < 5 else 5 + (left + right) % 5
    return 5 + (left - right) % 5 if right < 5 else (left - right) % 5


def test_rows_are_unique_and_typed() -> None:
    """No rule id and no (system, pattern) twice; no code has the shape of a number a spreadsheet made."""
    assert len({row["id"] for row in ROWS}) == len(ROWS)
    assert len({(row["system"], row["pattern"]) for row in ROWS}) == len(ROWS)
    assert not [row["id"] for row in ROWS if "E+" in row["pattern"] or row["pattern"].endswith(".0")]
    assert {row["confidence"] for row in ROWS} <= {"high", "medium", "low"}


def test_check_digits() -> None:
    """Every LOINC and SNOMED CT code of the rules has a right check digit, and none is an answer or part code."""
    assert [row["pattern"] for row in ROWS if row["system"] == LOINC and not loinc_check(row["pattern"])] == []
    snomed = [row["pattern"] for row in ROWS if row["system"] == "http://snomed.info/sct"]
    assert [code for code in snomed if not snomed_check(code)] == []


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


def test_every_label_of_a_rule_can_be_covered() -> None:
    """Each label that a rule gives is known to the hierarchy, for permits and for denies."""
    terms = load()
    for row in ROWS:
        for label in row["labels"].split():
            assert label in terms.covered_by_permit[label]
            assert label in terms.covered_by_deny[label]
