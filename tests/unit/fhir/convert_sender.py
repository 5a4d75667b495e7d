"""A sender for conversion tests: our own tables, an urn for what is local, and a list of what was reported."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from bridge.fhir.convert import CONVERTERS
from bridge.hl7v2.message import Value
from bridge.language.table import Row, Table, read_table

TABLES = Path(__file__).resolve().parents[3] / "mappings" / "tables"
V2 = "http://terminology.hl7.org/CodeSystem/v2-"


@cache
def table(name: str) -> Table:
    return read_table((TABLES / f"{name}.csv").read_text(), f"{name}.csv")


class TestSender:
    """Answers as the engine does, without an engine."""

    __test__ = False

    def __init__(self, zone: str = "America/Chicago") -> None:
        self.zone = ZoneInfo(zone)
        self.codes: list[str] = []
        self.texts: list[str] = []

    def system(self, namespace: str, universal: str, kind: str) -> str:
        return f"urn:oid:{universal}" if kind == "ISO" else f"urn:test:system:{universal or namespace}"

    def coding_system(self, name: str) -> str:
        if row := table("coding-systems").find(name):
            return row.target
        return V2 + name[3:] if name.startswith("HL7") else f"urn:test:local:{name}"

    def translate(self, name: str, code: str, system: str = "") -> Row | None:
        return table(name).find(code, system)

    def report(self, severity: str, code: str, text: str, hint: str = "") -> None:
        self.codes.append(code)
        self.texts.append(f"{text} {hint}")


def convert(source: str, target: str, raw: str) -> tuple[object, list[str]]:
    """(what came out, the codes that were reported)."""
    sender = TestSender()
    return CONVERTERS[source, target](Value(raw), sender), sender.codes
