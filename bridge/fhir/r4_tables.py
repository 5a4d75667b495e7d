"""Writes `profiles/r4/` from published R4 4.0.1 StructureDefinitions: facts only, trimmed to the resource types in use.

    python -m bridge.fhir.r4_tables SOURCE_FOLDER OUT

SOURCE_FOLDER holds StructureDefinitions with snapshots and ValueSets with expansions, one JSON per file, at any depth.
Run by hand when the list of types grows; never imported by the bridge.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

TYPES = """Account AllergyIntolerance Appointment AuditEvent Basic Binary Bundle CarePlan CareTeam Communication Composition Condition

Consent Coverage Device DiagnosticReport DocumentReference Encounter Endpoint EpisodeOfCare Flag Goal Group HealthcareService

Immunization Linkage List Location MeasureReport Media Medication MedicationAdministration MedicationDispense

MedicationRequest MedicationStatement MessageHeader NutritionOrder Observation OperationOutcome Organization Parameters

Patient Practitioner PractitionerRole Procedure Provenance Questionnaire QuestionnaireResponse RelatedPerson

RiskAssessment ServiceRequest Specimen Subscription Substance Task""".split()

CORE = "http://hl7.org/fhir/StructureDefinition/"
FHIR_TYPE = CORE + "structuredefinition-fhir-type"
REGEX = CORE + "regex"
MOST_CODES = 400
"""Larger sets (and those that HL7 could not expand: media types, UCUM, languages) are not embedded and not checked."""

JSON_TYPES = {"boolean": "boolean", "integer": "integer", "positiveInt": "integer", "unsignedInt": "integer", "decimal": "number"}


def read(folder: Path) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """The base StructureDefinitions by type name and the expanded ValueSets by URL below `folder`."""
    structures: dict[str, dict[str, Any]] = {}
    sets: dict[str, dict[str, Any]] = {}
    for file in sorted(folder.rglob("*.json")):
        document = json.loads(file.read_bytes())
        if not isinstance(document, dict):
            continue
        kind = document.get("resourceType")
        if kind == "StructureDefinition" and document["url"] == CORE + document["type"] and "snapshot" in document:
            structures[document["type"]] = document
        elif kind == "ValueSet" and "expansion" in document:
            sets[document["url"]] = document
    return structures, sets


def type_code(entry: dict[str, Any]) -> str:
    """The FHIR type of a snapshot's type entry; FHIRPath system types name theirs in an extension."""
    named: str = next((e["valueUrl"] for e in entry.get("extension", []) if e["url"] == FHIR_TYPE), "")
    code: str = entry["code"]
    return named or code


def element(snapshot: dict[str, Any], resource_id: str) -> dict[str, Any]:
    """One element as facts; minimum 0 and maximum 1 are left out."""
    path: str = snapshot["path"]
    fact: dict[str, Any] = {"path": path}
    if snapshot["min"]:
        fact["min"] = snapshot["min"]
    if snapshot["max"] != "1":
        fact["max"] = snapshot["max"]
    if "contentReference" in snapshot:
        fact["content"] = snapshot["contentReference"].removeprefix("#")
        return fact
    # R4 resource.html: a resource's id has type id, although the 4.0.1 snapshots call it a string.
    fact["types"] = ["id"] if path == resource_id else [type_code(entry) for entry in snapshot["type"]]
    targets = sorted({url.removeprefix(CORE) for entry in snapshot["type"] if entry["code"] == "Reference" for url in entry.get("targetProfile", [])})
    if targets and targets != ["Resource"]:
        fact["targets"] = targets
    binding = snapshot.get("binding", {})
    if binding.get("strength") == "required":
        fact["binding"] = binding["valueSet"].partition("|")[0]
    return fact


def table(structure: dict[str, Any]) -> dict[str, Any]:
    """One resource or datatype as facts, elements in the order of the standard."""
    name: str = structure["type"]
    resource_id = f"{name}.id" if structure["kind"] == "resource" else ""
    elements = [element(entry, resource_id) for entry in structure["snapshot"]["element"] if "." in entry["path"]]
    return {"name": name, "of": structure.get("baseDefinition", "").removeprefix(CORE), "elements": elements}


def primitive(structure: dict[str, Any]) -> dict[str, str]:
    """JSON type and published regular expression of a primitive type."""
    name = structure["type"]
    value = next(e for e in structure["snapshot"]["element"] if e["path"] == f"{name}.value")
    found = [e["valueString"] for entry in value["type"] for e in entry.get("extension", []) if e["url"] == REGEX]
    return {"json": JSON_TYPES.get(name, "string")} | ({"regex": found[0]} if found else {})


def codes(valueset: dict[str, Any]) -> dict[str, list[str]] | None:
    """The expansion as {system: codes}; None for sets too large to embed or not fully expanded."""
    expansion = valueset["expansion"]
    entries = expansion.get("contains", [])
    if expansion.get("extension") or not entries or len(entries) > MOST_CODES:
        return None
    found: dict[str, list[str]] = {}
    for entry in entries:
        if not entry.get("abstract"):
            found.setdefault(entry["system"], []).append(entry["code"])
    return found


def used(tables: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Type names that these tables' elements use."""
    for each in tables:
        for fact in each["elements"]:
            yield from fact.get("types", ())


def closure(structures: dict[str, dict[str, Any]], start: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Every datatype and primitive that `start` reaches, by name, as StructureDefinitions."""
    found: dict[str, dict[str, Any]] = {}
    waiting = set(used(start))
    while waiting:
        name = waiting.pop()
        structure = structures.get(name)
        if structure is None or name in found or structure["kind"] == "resource":
            continue
        found[name] = structure
        if structure["kind"] == "complex-type":
            waiting.update(used([table(structure)]))
    return found


def write_table(out: Path, content: dict[str, Any]) -> None:
    """One element per line, so that a difference between two runs can be read."""
    lines = ",\n".join("  " + json.dumps(fact, separators=(", ", ": ")) for fact in content["elements"])
    head = json.dumps({k: v for k, v in content.items() if k != "elements"})[1:-1]
    out.write_text(f'{{{head}, "elements": [\n{lines}\n]}}\n')


def write_lines(out: Path, content: dict[str, Any]) -> None:
    """One key per line."""
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(content[key])}" for key in sorted(content))
    out.write_text(f"{{\n{lines}\n}}\n")


def write(source: Path, out: Path) -> list[str]:
    """Write every table below `out` and return the names of the files."""
    structures, sets = read(source)
    resources = [table(structures[name]) for name in TYPES]
    reached = closure(structures, resources)
    complex_types = [table(s) for n, s in sorted(reached.items()) if s["kind"] == "complex-type"]
    bound = {fact["binding"] for each in resources + complex_types for fact in each["elements"] if "binding" in fact}
    expanded = {url: codes(sets[url]) for url in bound if url in sets}
    everything = codes(sets["http://hl7.org/fhir/ValueSet/resource-types"]) or {}
    for folder in (out / "resources", out / "datatypes"):
        folder.mkdir(parents=True, exist_ok=True)
    for each in resources:
        write_table(out / "resources" / f"{each['name']}.json", each)
    for each in complex_types:
        write_table(out / "datatypes" / f"{each['name']}.json", each)
    write_lines(out / "primitives.json", {n: primitive(s) for n, s in reached.items() if s["kind"] == "primitive-type"})
    write_lines(out / "codes.json", {url: found for url, found in expanded.items() if found})
    write_lines(out / "types.json", {"resources": sorted(code for listed in everything.values() for code in listed)})
    return sorted(str(file.relative_to(out)) for file in out.rglob("*.json"))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m bridge.fhir.r4_tables SOURCE_FOLDER OUT")
    print("\n".join(write(Path(sys.argv[1]), Path(sys.argv[2]))))  # noqa: T201 - a script's answer
