"""The code tables and sets: readable, sourced, and aimed at codes that exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.fhir import elements
from bridge.language.table import CodeSet, Table, read_set, read_table

ROOT = Path(__file__).resolve().parents[3] / "mappings"
TABLES = {file.stem: file for file in sorted((ROOT / "tables").glob("*.csv"))}
SETS = {file.stem: file for file in sorted((ROOT / "sets").glob("*.csv"))}
REQUIRED = {
    "administrative-sex": ("Patient", "gender"),
    "encounter-status": ("Encounter", "status"),
    "observation-status": ("Observation", "status"),
    "address-use": ("Address", "use"),
    "address-type": ("Address", "type"),
    "name-use": ("HumanName", "use"),
    "telecom-use": ("ContactPoint", "use"),
    "telecom-system": ("ContactPoint", "system"),
    "identifier-use": ("Identifier", "use"),
}


def table(name: str) -> Table:
    return read_table(TABLES[name].read_text(encoding="utf-8"), TABLES[name].name)


def code_set(name: str) -> CodeSet:
    return read_set(SETS[name].read_text(encoding="utf-8"), SETS[name].name)


@pytest.mark.parametrize("name", TABLES)
def test_every_table_reads_and_says_where_it_comes_from(name: str) -> None:
    """A table has rows, a head that gives its source, and no display of a licensed system."""
    assert table(name).rows
    assert TABLES[name].read_text(encoding="utf-8").startswith("# ")
    licensed = ("loinc.org", "snomed.info", "nubc.org")
    assert not [
        row for row in table(name).rows.values() if row.display and any(word in row.target_system for word in licensed)
    ]


@pytest.mark.parametrize("name", SETS)
def test_every_set_reads(name: str) -> None:
    """A set has codes."""
    assert code_set(name).codes or code_set(name).prefixes


@pytest.mark.parametrize("name", REQUIRED)
def test_targets_are_codes_of_the_required_binding(name: str) -> None:
    """Where FHIR R4 requires a value set, every target is in it."""
    known = elements.load()
    element = known.child(*REQUIRED[name])
    assert element is not None
    allowed = {code for codes in known.codes[element.binding].values() for code in codes}
    assert {row.target for row in table(name).rows.values() if row.target} <= allowed


def test_dispositions_are_in_one_set_each() -> None:
    """No disposition is both home and dead, and each has a row in the table."""
    names = [name for name in SETS if name.startswith("dispositions-")]
    listed = [code for name in names for code, _ in code_set(name).codes]
    assert len(listed) == len(set(listed))
    assert all(table("discharge-disposition").find(code) for code in listed)
    assert {row.target for row in table("discharge-disposition").rows.values()} <= {
        "home",
        "alt-home",
        "other-hcf",
        "hosp",
        "long",
        "aadvice",
        "exp",
        "psy",
        "rehab",
        "snf",
        "oth",
    }


@pytest.mark.parametrize(
    ("code", "domain"),
    [
        ("Z59.01", "homelessness"),
        ("Z5901", "homelessness"),
        ("Z59.41", "food-insecurity"),
        ("Z59.811", "housing-instability"),
        ("Z59.12", "utility-insecurity"),
        ("Z59.19", "inadequate-housing"),
        ("Z59.82", "transportation-insecurity"),
        ("Z56.0", "employment-status"),
        ("Z55.6", "personal-health-literacy"),
        ("Z91.82", "veteran-status"),
        ("Z73.3", "stress"),
        ("Z65.1", "incarceration-status"),
        ("Z65.8", "sdoh-category-unspecified"),
        ("Z62.810", "sdoh-category-unspecified"),
        ("T74.11XA", "sdoh-category-unspecified"),
    ],
)
def test_social_codes_have_their_domain(code: str, domain: str) -> None:
    """The longest prefix decides, with and without the dot, and every code of the set has a domain."""
    assert code_set("sdoh-z-codes").has(code)
    row = table("sdoh-domain").find(code)
    assert row is not None
    assert row.target == domain


@pytest.mark.parametrize("name", sorted(set(TABLES) - {"units"}))
def test_a_word_is_listed_once(name: str) -> None:
    """A word that a row has in capitals is read in any letters, so no row repeats it; units alone go by their letters."""
    rows = table(name).rows
    again = [code for code, system in rows if len(code) > 3 and code.isalpha() and not code.isupper() and (code.upper(), system) in rows]
    assert again == []


def test_illness_is_no_social_need() -> None:
    """Codes beside the range and of other chapters are not in the set."""
    assert not [
        code for code in ("I50.9", "Z54.0", "Z66", "Z74.2", "Z79.4", "R45.89") if code_set("sdoh-z-codes").has(code)
    ]


def test_questions_and_their_domains_are_the_same_list() -> None:
    """Each screening question has a domain, each domain row is a screening question; the same for races and confidentiality."""
    for names, rows in (
        ("screening-questions", "screening-domain"),
        ("race-categories", "race"),
        ("confidentiality-codes", "confidentiality"),
        ("ethnicity-categories", "ethnicity"),
    ):
        assert {code for code, _ in code_set(names).codes} == {source for source, _ in table(rows).rows}
