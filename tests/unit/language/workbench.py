"""Compile and run small mappings in a line or two: the real element tables, a message, two tables and a set."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from bridge.core.draft import Draft
from bridge.core.errors import MappingError
from bridge.core.ids import Ids
from bridge.fhir import elements
from bridge.hl7v2 import message
from bridge.hl7v2.dialect import Feed
from bridge.language.source import Fields
from bridge.language.table import CodeSet, Table, read_set, read_table
from bridge.mapping.build import Ground, build
from bridge.mapping.program import Program
from bridge.mapping.sender import FeedSender
from bridge.mapping.spec import read

IDS = Ids(b"a secret for tests only")

MESSAGE = "\r".join([  # noqa: FLY002 - one segment a line
    "MSH|^~\\&|APP|GEN|||20260501093000-0500||ADT^A03|M1|P|2.5.1",
    "EVN|A03|20260501093100-0500",
    "PID|1||100^^^GEN^MR~900-11-2233^^^SSA^SS||DOE^JANE^Q^^MS^^L~ROE^JANE^^^^^N||19790314|F|||1 MAIN ST^^DAYTON^OH^45402||^PRN^PH^^1^937^5550142~^NET^Internet^j@example.org",
    "NK1|1|DOE^JOHN|SPO",
    "PV1|1|I|4W^12^A||||1^GRAY^LEE~2^BLUE^ANN||||||||||||V1^^^GEN^VN|||||||||||||||||01||||||||20260420091200-0500|20260501092500-0500",
    "DG1|1||Z59.01^Sheltered^I10||20260420|F",
    "DG1|2||I50.9^Heart^I10||20260421|F",
    "DG1|3||Z59.41^Food^I10||20260422|F",
    "OBX|1|NM|8302-2^Height^LN||170|cm|||||F",
    "NTE|1||first note",
    "OBX|2|ST|11450-4^Text^LN||words|||||F",
    "IN1|1|PLAN1|||||||||||||||||",
    "IN2|ONE",
    "IN1|2|PLAN2|||||||||||||||||",
    "IN2|TWO",
]) + "\r"

FIELDS: Fields = {
    "record_type": "code", "record_id": "string", "given": "string", "birth_date": "date", "safe": "boolean", "hours": "decimal",
    "codes": "code*", "event_at": "dateTime", "client": {"mrn": "string", "phones": "string*"}, "services*": {"code": "code", "hours": "integer"},
}
"""A partner's record, small."""


def tables() -> dict[str, Table]:
    """`sex` maps F, M and nothing for N; `class` keeps its source; `priority` is by prefix."""
    return {
        "sex": read_table("source,target\nF,female\nM,male\nN,\n", "sex.csv"),
        "class": read_table("# keep: source\n# source-system: urn:class\n# target-system: urn:act\nsource,target,display\nI,IMP,inpatient\nE,EMER,\n", "class.csv"),
        "need": read_table("# target-system: urn:services\nsource,target\nZ59.01,S1\nZ59.4*,S2\n", "need.csv"),
    }


def sets() -> dict[str, CodeSet]:
    """`z` holds Z59.01 and everything under Z59.4; `icd` holds one code of one system."""
    return {"z": read_set("code\nZ59.01\nZ59.4*\n", "z.csv"),
            "icd": read_set("code,system\nZ59.01,http://hl7.org/fhir/sid/icd-10-cm\n", "icd.csv")}


@cache
def ground() -> Ground:
    """What every test mapping stands on."""
    return Ground(elements.load(), tables(), sets(), FIELDS)


def compiled(text: str, file: str = "test.yaml") -> Program:
    """The Program of a mapping file's text."""
    spec = read(text, file)
    assert spec is not None
    return build(spec, ground())


def head(origin: str = "hl7v2 ADT^A03") -> str:
    """The first lines of a test mapping."""
    return f"mapping: test\nfrom: {origin}\n"


def patient(body: str, lets: str = "", origin: str = "hl7v2 ADT^A03") -> str:
    """A mapping with one Patient, whose key is always there, and these lines in it."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    let = "let:\n" + "".join(f"  {line}\n" for line in lets.splitlines()) if lets else ""
    return f"{head(origin)}{let}emit:\n  patient:\n    resource: Patient\n    key: fixed\n{lines}"


def sender(**words: Any) -> FeedSender:
    """A feed that knows ICD-10 and what it is told."""
    return FeedSender(Feed("gen", **{"coding": {"I10": "http://hl7.org/fhir/sid/icd-10-cm"}, **words}), tables())


def run(text: str, body: str = MESSAGE, **words: Any) -> Draft:
    """The draft of a mapping's text over a message."""
    return compiled(text).run(message.parse(body.encode()), sender(**words), IDS)


def first(text: str, body: str = MESSAGE) -> dict[str, Any]:
    """The first resource, without what every resource has."""
    made = run(text, body).resources[0]
    return {name: value for name, value in made.items() if name not in ("resourceType", "id")}


def value(expression: str, lets: str = "", body: str = MESSAGE) -> list[str]:
    """What an expression gives as texts: it stands where a repeating string is due."""
    quoted = expression.replace('"', '\\"')
    made = first(patient(f'name: {{given: "={quoted}"}}', lets), body)
    return list(made["name"][0]["given"]) if made else []


def holds(condition: str, body: str = MESSAGE) -> bool:
    """Whether a condition holds for the message."""
    return value(f"if({condition}, 'yes', 'no')", body=body) == ["yes"]


def refused(text: str) -> str:
    """The error text of a mapping that must not compile."""
    with pytest.raises(MappingError) as caught:
        compiled(text)
    return str(caught.value)
