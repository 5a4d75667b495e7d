"""Codes and numbers: every triplet, systems that can hold them, digits that stay as they were."""

from __future__ import annotations

from decimal import Decimal

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.fhir.convert_codes import ICD9, ICD10, LOINC, SNOMED, form
from tests.unit.fhir.convert_sender import convert


def test_every_triplet_is_a_coding_and_the_senders_words_are_the_text() -> None:
    """CWE 1-3, 4-6 and 10-12 are kept in order; CWE.9 is what the sender wrote."""
    made, codes = convert(
        "CWE",
        "CodeableConcept",
        "Z59.01^Sheltered^I10^LOC1^Shelter^99GH^2024^1^no home of her own^32911000^Homeless^SCT^^^^",
    )
    assert made == {
        "text": "no home of her own",
        "coding": [
            {"system": ICD10, "code": "Z59.01", "display": "Sheltered", "version": "2024"},
            {"system": "urn:test:local:99GH", "code": "LOC1", "display": "Shelter", "version": "1"},
            {"system": SNOMED, "code": "32911000", "display": "Homeless"},
        ],
    }
    assert codes == []


def test_loinc_in_the_second_triplet_is_not_lost() -> None:
    """Labs send their own code first."""
    made, _ = convert("CE", "CodeableConcept", "HOUS^Housing^L^71802-3^Housing status^LN")
    assert [coding["system"] for coding in made["coding"]] == ["urn:test:local:L", LOINC]
    assert convert("CE", "Coding", "^words only^^71802-3^Housing status^LN")[0]["code"] == "71802-3"


@pytest.mark.parametrize(
    ("sent", "made"),
    [
        ("^CHF exacerbation", {"text": "CHF exacerbation"}),
        ("^AT&T", {"text": "AT&T"}),
        ("^^", None),
        ("", None),
        ('""', None),
    ],
)
def test_words_without_a_code(sent: str, made: object) -> None:
    """They become text, an unescaped ampersand included; nothing becomes nothing."""
    assert convert("CE", "CodeableConcept", sent) == (made, [])


@pytest.mark.parametrize(
    ("system", "sent", "made"),
    [
        (ICD10, "Z5901", "Z59.01"),
        (ICD10, "z59.01", "Z59.01"),
        (ICD10, "Z59", "Z59"),
        (ICD10, "DRG 123", None),
        (ICD9, "V7283", "V72.83"),
        (ICD9, "71596", "715.96"),
        (ICD9, "E8809", "E880.9"),
        (ICD9, "01.4", "01.4"),
        (ICD9, "J18.9", None),
        (LOINC, "71802-3", "71802-3"),
        (LOINC, "71802-4", None),
        (LOINC, "LA30190-5", "LA30190-5"),
        (LOINC, "la30190-5", "LA30190-5"),
        (LOINC, "housing", None),
        (SNOMED, "733423003", "733423003"),
        (SNOMED, "733423004", None),
        (SNOMED, "464131000124100", "464131000124100"),
        ("urn:ietf:bcp:47", "EN", "en"),
        ("urn:ietf:bcp:47", "English", None),
        ("urn:any", "what ever", "what ever"),
    ],
)
def test_forms(system: str, sent: str, made: str | None) -> None:
    """A code is written as its system writes it; what the system cannot have is None."""
    assert form(system, sent) == made


def test_a_malformed_code_stays_the_senders_own() -> None:
    """It is neither dropped nor passed on as a LOINC code."""
    made, codes = convert("CE", "CodeableConcept", "111-9^TotalProtein^LN")
    assert made["coding"] == [{"system": "urn:test:local:", "code": "111-9", "display": "TotalProtein"}]
    assert codes == ["BRG-M206"]


@pytest.mark.parametrize(
    ("sent", "made"),
    [
        ("120", {"value": 120}),
        ("007", {"value": 7}),
        ("+5", {"value": 5}),
        ("-3.5", {"value": -3.5}),
        (".5", {"value": 0.5}),
        ("1769.859285", {"value": 1769.859285}),
        ("> 90", {"value": 90, "comparator": ">"}),
        ("<=1.5", {"value": 1.5, "comparator": "<="}),
        ("120.0", {"value": 120.0}),
        (
            "98.60",
            {
                "value": 98.6,
                "_value": {
                    "extension": [
                        {"url": "http://hl7.org/fhir/StructureDefinition/quantity-precision", "valueInteger": 2}
                    ]
                },
            },
        ),
    ],
)
def test_numbers_keep_their_digits(sent: str, made: object) -> None:
    """Integers stay integers, decimals are exact, trailing zeros are kept beside the value."""
    assert convert("NM", "Quantity", sent) == (made, [])


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("60~120", "BRG-M208"),
        ("negative", "BRG-M208"),
        ("1e5", "BRG-M208"),
        ("nan", "BRG-M208"),
        ("0.12345678901234567890", "BRG-M209"),
        ("12345678901234567890.5", "BRG-M209"),
        ("9" * 400, "BRG-M209"),
        ("1" * 5000, "BRG-M209"),
    ],
)
def test_what_is_no_exact_number_stays_out(sent: str, code: str) -> None:
    """It is reported, not rounded."""
    assert convert("NM", "Quantity", sent) == (None, [code])


@pytest.mark.parametrize(
    ("target", "sent", "made"),
    [
        ("Quantity", "^90", {"value": 90}),
        ("Quantity", ">=^90", {"value": 90, "comparator": ">="}),
        ("Quantity", "=^90", {"value": 90}),
        ("Quantity", "^1^-^3", None),
        ("Range", "^1^-^3", {"low": {"value": 1}, "high": {"value": 3}}),
        ("Range", "-^1^-^3", {"low": {"value": 1}, "high": {"value": 3}}),
        ("Ratio", "^1^:^128", {"numerator": {"value": 1}, "denominator": {"value": 128}}),
        ("Ratio", "^1^/^2", {"numerator": {"value": 1}, "denominator": {"value": 2}}),
        ("Quantity", "<>^5", None),
        ("string", "<>^5", "<>5"),
        ("string", "^2^+", "2+"),
        ("Quantity", "^2^+", None),
    ],
)
def test_structured_numerics(target: str, sent: str, made: object) -> None:
    """SN has one form that fits; the others give nothing."""
    assert convert("SN", target, sent) == (made, [])


def test_whole_numbers_keep_to_their_range() -> None:
    """positiveInt, unsignedInt and integer refuse what FHIR refuses."""
    assert convert("NM", "positiveInt", "2") == (2, [])
    assert convert("NM", "positiveInt", "0") == (None, ["BRG-M210"])
    assert convert("NM", "integer", "3000000000") == (None, ["BRG-M210"])
    assert convert("NM", "integer", "1.5") == (None, ["BRG-M210"])


def test_yes_and_no() -> None:
    """Table 0136 in either case; anything else is reported."""
    assert convert("ID", "boolean", "y") == (True, [])
    assert convert("ID", "boolean", "N") == (False, [])
    assert convert("ID", "boolean", "maybe") == (None, ["BRG-M216"])


def test_embedded_documents_are_bounded_and_checked() -> None:
    """ED becomes base64 whatever it was; of a broken one only its type stays, and that it was there."""
    assert convert("ED", "Attachment", "^TEXT^PDF^Base64^VGhpcw==")[0] == {
        "contentType": "application/pdf",
        "data": "VGhpcw==",
    }
    assert convert("ED", "Attachment", "^TEXT^^A^hello")[0] == {"contentType": "text/plain", "data": "aGVsbG8="}
    assert convert("ED", "Attachment", "^TEXT^PDF^Base64^not base64!") == (
        {"contentType": "application/pdf", "title": "the content is not in the encoding it names"}, ["BRG-M215"])
    assert convert("ED", "Attachment", "^TEXT^PDF^Base64^" + "A" * 1_000_004) == (
        {"contentType": "application/pdf", "title": "the content is too large"}, ["BRG-M214"])


@settings(max_examples=300, deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=4))
def test_a_number_comes_back_with_its_digits(number: Decimal) -> None:
    """Through JSON and back, a decimal is the number that was sent, trailing zeros included."""
    made, codes = convert("NM", "Quantity", f"{number:f}")
    assert codes == []
    again = Decimal(str(orjson.loads(orjson.dumps(made))["value"]))
    assert again == number


def test_a_code_that_its_hl7_table_does_not_have_is_the_senders_own() -> None:
    """Senders extend HL7 tables and still name them; such a code is kept, but not as one of HL7's."""
    made, codes = convert("CE", "Coding", "SPO^Spouse^HL70063")
    assert (made["system"], codes) == ("http://terminology.hl7.org/CodeSystem/v2-0063", [])
    made, codes = convert("CE", "Coding", "WIFE^Wife^HL70063")
    assert (made["system"], made["code"], codes) == ("urn:test:local:", "WIFE", ["BRG-M206"])
    assert convert("CE", "Coding", "Q1^Local^HL70999")[0]["system"] == "http://terminology.hl7.org/CodeSystem/v2-0999"
