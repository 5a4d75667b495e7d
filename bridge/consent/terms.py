"""The filter's vocabulary, read once from `profiles/consent`: code systems, purposes, sensitivities, where elements
are."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import yaml

ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
CONSENT_ACTION = "http://terminology.hl7.org/CodeSystem/consentaction"
CONSENT_SCOPE = "http://terminology.hl7.org/CodeSystem/consentscope"
CONSENT_CATEGORY = "http://terminology.hl7.org/CodeSystem/consentcategorycodes"
OBSERVATION_VALUE = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
LOINC = "http://loinc.org"
ICD10 = "icd10"
"""One name for ICD-10 and ICD-10-CM: a label or a category holds in both (L1, M7)."""
PART2 = "42CFRPart2"
ANY_PURPOSE = "PurposeOfUse"

_ICD = {"http://hl7.org/fhir/sid/icd-10-cm", "http://hl7.org/fhir/sid/icd-10"}


def rows(file: Traversable) -> list[dict[str, str]]:
    """The rows of a CSV file of ours; lines that begin with # are about the file."""
    lines = [line for line in file.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    return list(csv.DictReader(lines))


@dataclass(frozen=True, slots=True)
class Terms:
    """Facts of `terms.yaml`, `purposes.csv`, `sensitivities.csv`, `elements.yaml`, in the shapes the evaluator asks
    them in."""

    facts: Mapping[str, Any]
    elements: Mapping[str, Any]
    systems: Mapping[str, str]
    ranks: Mapping[str, int]
    purposes: Mapping[str, frozenset[str]]
    """Purpose code -> itself and everything it descends from."""
    canonical: Mapping[tuple[str, str], str]
    """(system, code) -> sensitivity, synonyms folded; system "" for codes labelled without one."""
    covered_by_permit: Mapping[str, frozenset[str]]
    covered_by_deny: Mapping[str, frozenset[str]]
    acknowledgements: frozenset[str]
    compartments: frozenset[str]
    refrains: frozenset[str]
    actions: frozenset[str]
    part2_described_by: frozenset[str]
    flags: frozenset[str]

    def system(self, name: str) -> str:
        """The name this filter uses for a code system; ICD-10 and ICD-10-CM are one."""
        name = self.systems.get(name, name)
        return ICD10 if name in _ICD else name

    def within(self, purpose: str, families: Iterable[str]) -> bool:
        """Whether a purpose equals or descends from one of these."""
        return not self.purposes.get(purpose, frozenset()).isdisjoint(families)


def bare_code(system: str, code: str) -> str:
    """ICD-10 codes dot-free and upper-case; other codes as they are."""
    return code.replace(".", "").upper() if system == ICD10 else code


@cache
def load() -> Terms:
    """The packaged vocabulary; read once per process."""
    folder = files("profiles").joinpath("consent")
    facts = yaml.safe_load(folder.joinpath("terms.yaml").read_text("utf-8"))
    table = rows(folder.joinpath("sensitivities.csv"))
    parents = {row["code"]: row["parent"] for row in rows(folder.joinpath("purposes.csv"))}
    real = [row for row in table if not row["same_as"]]
    permit = {row["code"]: row["parent"] for row in real if row["scope"] != "deny"} | {
        row["code"]: "" for row in real if row["scope"] == "deny"
    }
    deny = {row["code"]: row["parent"] for row in real}
    described = frozenset(facts["part2_described_by"])
    return Terms(
        facts=facts,
        elements=yaml.safe_load(folder.joinpath("elements.yaml").read_text("utf-8")),
        systems=facts["systems"],
        ranks={code: rank for rank, code in enumerate(facts["confidentiality"])},
        purposes={code: _lineage(code, parents) for code in parents},
        canonical={(system, row["code"]): row["same_as"] or row["code"] for row in table for system in (row["system"] or ACT_CODE, "")},
        # F2, S14: what describes Part 2 records; a deny of a single substance does not reach all of them.
        covered_by_permit={code: _lineage(code, permit) for code in permit} | {PART2: described},
        covered_by_deny={code: _lineage(code, deny) for code in deny} | {PART2: described - {"ETHUD", "OPIOIDUD"}},
        acknowledgements=frozenset(facts["acknowledgements"]),
        compartments=frozenset(facts["compartments"]),
        refrains=frozenset(facts["refrains"]),
        actions=frozenset(facts["actions"]),
        part2_described_by=described,
        flags=frozenset(facts["flags"]),
    )


def _lineage(code: str, parents: Mapping[str, str]) -> frozenset[str]:
    found = set[str]()
    while code and code not in found:
        found.add(code)
        code = parents.get(code, "")
    return frozenset(found)
