"""The SDOH category of a resource against its code: SDOH Clinical Care binds the code by the category.

The value sets come from VSAC and are not published with the guide, so what is known are members, never a whole set: a code
that is known to belong to other categories only is objected to, an unknown one is not. The binding is extensible: a warning.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

SYSTEM = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
UNSPECIFIED = "sdoh-category-unspecified"
FILE = "domains.csv"

Members = dict[tuple[str, str], list[str]]
"""Categories by (system, code)."""


def read(folders: Sequence[Path | Traversable]) -> dict[str, Members]:
    """What `domains.csv` of these folders says, by what the codes are of (`Condition`, `service`, `Goal`, `Observation`)."""
    found: dict[str, Members] = {}
    for folder in folders:
        file = folder.joinpath(FILE)
        if file.is_file():
            lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
            for row in csv.DictReader(lines):
                found.setdefault(row["of"], {}).setdefault((row["system"], row["code"]), []).append(row["category"])
    return found


class Domain:
    """The keyword `domain`: {"element": of the code, "members": Members}; it stands at the resource."""

    __slots__ = ("element", "members")

    def __init__(self, parent: Any, fact: Mapping[str, Any], path: Any) -> None:
        self.element: str = fact["element"]
        self.members: Members = {(system, code): categories for system, code, categories in fact["members"]}

    def validate(self, resource: Any) -> None:
        """Raise where every category of a known code is another than those of the resource."""
        known = [self.members[key] for key in _codings(resource.get(self.element)) if key in self.members]
        if not known:
            return
        categories = {code for system, code in _codings(resource.get("category")) if system == SYSTEM} - {UNSPECIFIED}
        if categories and not any(categories.intersection(each) for each in known):
            raise ValueError(self.element)


def _codings(value: Any) -> list[tuple[str, str]]:
    """(system, code) of a CodeableConcept or a list of them."""
    concepts = value if isinstance(value, list) else [value]
    return [(coding.get("system", ""), coding.get("code", ""))
            for concept in concepts if isinstance(concept, dict) for coding in concept.get("coding", ()) if isinstance(coding, dict)]
