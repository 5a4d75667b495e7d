"""The lint of label rules: what ships is clean, and each thing that makes a rule worthless is found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridge.consent import label_lint, labels
from bridge.consent.terms import LOINC
from bridge.core.errors import SettingsError

SCT = "http://snomed.info/sct"
GOOD = {
    "id": "s1", "labels": "SUD", "system": LOINC, "pattern": "75626-2", "except": "", "about": "a test", "basis": "policy: ours",
    "confidence": "high", "source": "us", "reviewed_on": "2026-11-22", "positive": "75626-2", "negative": "72166-2",
}


def found(folder: Path, *rows: dict[str, str]) -> list[str]:
    """What lint says of a site's rows, without their ids."""
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    (folder / "site.csv").write_text("\n".join(lines), encoding="utf-8")
    return [one.text for one in label_lint.lint([folder])]


def test_the_packaged_rules_are_clean() -> None:
    """Every rule, form and system that ships passes: syntax, check digits, examples, no doubles."""
    assert label_lint.lint() == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({}, []),
        ({"pattern": "75626-3", "positive": "75626-3"}, ["pattern: wrong check digit", "positive: wrong check digit"]),
        ({"pattern": "LA33-6", "positive": "LA33-6"}, ["pattern: not what a code of this system looks like",
                                                     "positive: not what a code of this system looks like"]),
        ({"system": SCT, "pattern": "1.09399E+16", "positive": "75544000", "negative": "38341003"},
         ["pattern: a number that a spreadsheet made of a code"]),
        ({"system": SCT, "pattern": "124451014", "positive": "75544000", "negative": "38341003"},
         ["pattern: not what a code of this system looks like"]),
        ({"system": SCT, "pattern": "75545000", "positive": "75544000", "negative": "38341003"}, ["pattern: wrong check digit"]),
        ({"system": "urn:nobody"}, ["the system is not in systems.csv"]),
        ({"labels": "SUX"}, ["labels: none, or one that sensitivities.csv does not have",
                             "profiles/consent/labels: rule s1 has an unknown label or no pattern"]),
        ({"basis": "because"}, ["basis: begins with neither law: nor policy:"]),
        ({"confidence": "sure"}, ["confidence: none of high, medium, low"]),
        ({"source": ""}, ["source: empty"]),
        ({"reviewed_on": "22.11.2026"}, ["reviewed_on: no date like 2026-11-22"]),
        ({"negative": "75626-2"}, ["negative: gets these labels"]),
        ({"positive": "72166-2"}, ["positive: does not get these labels"]),
        ({"except": "7*"}, ["except: only ICD-10 has prefixes to make exceptions from"]),
        ({"system": "icd10", "pattern": "F10.2", "positive": "F10.20", "negative": "F17.2"},
         ["pattern: neither a dot-free upper-case prefix nor a range like F10-F16"]),
        ({"system": "icd10", "pattern": "F16-F10", "positive": "F10.20", "negative": "F17.2"},
         ["pattern: neither a dot-free upper-case prefix nor a range like F10-F16"]),
        ({"system": "icd10", "pattern": "F10-F19", "positive": "F10.20", "negative": "F17.210"}, ["negative: gets these labels"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_each_fault_is_named(tmp_path: Path, change: dict[str, str], says: list[str]) -> None:
    """One fault in a good row gives this finding and no other."""
    assert found(tmp_path, {**GOOD, **change}) == says


def test_doubles_are_found_through_ranges(tmp_path: Path) -> None:
    """The same id, and the same label for the same category, are doubles; another label for it is none."""
    icd = {**GOOD, "system": "icd10", "positive": "F11.20", "negative": "F17.2"}
    assert found(tmp_path, {**icd, "pattern": "F10-F12"}, {**icd, "id": "s2", "pattern": "F11"}) == ["the same as s1"]
    assert found(tmp_path, {**icd, "pattern": "F10-F12"}, {**icd, "id": "s2", "pattern": "F11", "labels": "MH"}) == []
    assert found(tmp_path, GOOD, {**GOOD, "pattern": "82666-9", "positive": "82666-9"}) == ["the same as s1"]


def test_a_column_that_is_missing_ends_the_row(tmp_path: Path) -> None:
    """A file of another shape is said to be one, and cannot be loaded."""
    assert found(tmp_path, {name: value for name, value in GOOD.items() if name != "except"}) == [
        f"its columns are not {', '.join(label_lint.COLUMNS)}"]
    with pytest.raises(SettingsError, match="s1 lacks a column"):
        labels.load(str(tmp_path))


def test_a_value_set_labels_its_members_alone(tmp_path: Path) -> None:
    """A site's expansion labels each code it lists, in every system of it, and no code below one."""
    row = {**GOOD, "labels": "OPIOIDUD", "system": "valueset", "pattern": "opioid.json", "positive": "F11.2", "negative": "F11.20"}
    contains = [{"system": SCT, "code": "75544000", "contains": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "F11.2"}]}]
    (tmp_path / "opioid.json").write_text(json.dumps({"resourceType": "ValueSet", "expansion": {"contains": contains}}), encoding="utf-8")
    assert found(tmp_path, row) == []
    site = labels.load(str(tmp_path))
    assert site.of_code(SCT, "75544000") == site.of_code("urn:oid:2.16.840.1.113883.6.90", "F112") == {"OPIOIDUD"}
    assert site.of_code("http://hl7.org/fhir/sid/icd-10-cm", "F11.20") == frozenset()
    (tmp_path / "opioid.json").write_text('{"compose": {"include": [{"system": "http://loinc.org", "concept": [{"code": "1-1"}]}]}}', encoding="utf-8")
    assert "pattern: 1 codes of the value set cannot exist or are of an unknown system" in found(tmp_path, row)


@pytest.mark.parametrize("content", ["", "{", '{"resourceType": "ValueSet"}'])
def test_a_value_set_that_cannot_be_read_is_an_error(tmp_path: Path, content: str) -> None:
    """A value set without codes would protect nobody: lint says so and loading fails."""
    row = {**GOOD, "system": "valueset", "pattern": "none.json"}
    if content:
        (tmp_path / "none.json").write_text(content, encoding="utf-8")
    assert [text for text in found(tmp_path, row) if "value set" in text]
    with pytest.raises(SettingsError, match="s1"):
        labels.load(str(tmp_path), str(labels.packaged()))


def test_a_site_adds_to_the_packaged_rules(tmp_path: Path) -> None:
    """What a site adds joins the labels that a code has already; nothing is taken away."""
    found(tmp_path, {**GOOD, "labels": "MH"})
    both = labels.load(str(tmp_path), str(labels.packaged()))
    assert both.of_code(LOINC, "75626-2") == {"ETHUD", "MH"}
    assert both.of_code(LOINC, "44249-1") == {"MH"}


def test_registries_and_forms_are_linted(tmp_path: Path) -> None:
    """A registry row of an unknown kind, without a name or doubled, and a form with an unknown label, are findings."""
    (tmp_path / "registry.csv").write_text(
        "id,kind,name,labels,basis,source,reviewed_on\nr1,facility,OTP,42CFRPart2 SUD,law: 42 CFR 2.11,us,2026-11-22\n"
        "r2,place,,SUX,because,us,2026-11-22\nr3,facility,otp,SUD,policy: x,us,2026-11-22\n", encoding="utf-8")
    (tmp_path / "forms.csv").write_text("form,labels\nq,SUX\n", encoding="utf-8")
    said = [(one.rule, one.text.partition(":")[0]) for one in label_lint.lint([tmp_path])]
    assert said == [("q", "a label that sensitivities.csv does not have"), ("r2", "kind"), ("r2", "name"), ("r2", "labels"), ("r2", "basis"),
                    ("r3", "the same as r1")]
