"""HL7's tables of segments, types and events."""

from __future__ import annotations

import pytest

from bridge.hl7v2 import tables, tables_from_hl7apy


def test_tables_are_what_hl7apy_says() -> None:
    """The stored tables equal what the generator makes of the installed hl7apy."""
    assert tables_from_hl7apy.TARGET.read_text(encoding="utf-8") == tables_from_hl7apy.text(
        tables_from_hl7apy.generate()
    )


@pytest.mark.parametrize(
    ("segment", "field", "type_"),
    [
        ("PID", 3, "CX"),
        ("PID", 7, "TS"),
        ("PID", 40, "XTN"),
        ("PV1", 19, "CX"),
        ("ARV", 3, "CWE"),
        ("PRT", 5, "XCN"),
        ("OBX", 5, "varies"),
        ("PID", 99, ""),
        ("PID", 0, ""),
        ("ZZZ", 1, ""),
        ("DG1", 3, "CE"),
        ("MSH", 9, "MSG"),
        ("IN1", 49, "CX"),
        ("RF1", 1, "CE"),
    ],
)
def test_field_types(segment: str, field: int, type_: str) -> None:
    """A field has the type of 2.5.1, else of 2.8.2; what HL7 does not know has none."""
    assert tables.field_type(segment, field) == type_


@pytest.mark.parametrize(
    ("type_", "component", "expected"),
    [
        ("CX", 4, "HD"),
        ("XPN", 1, "FN"),
        ("XPN", 15, "ST"),
        ("CWE", 22, "DTM"),
        ("TS", 1, "DTM"),
        ("ST", 1, ""),
        ("CX", 0, ""),
        ("??", 1, ""),
    ],
)
def test_component_types(type_: str, component: int, expected: str) -> None:
    """A component has a type; a primitive and an unknown type have no components."""
    assert tables.component_type(type_, component) == expected


def test_names_and_cardinality() -> None:
    """Names, required fields and counts are available for messages to people."""
    assert tables.field_name("PID", 3) == "patient identifier list"
    assert tables.component_name("CX", 4) == "assigning authority"
    assert tables.required("PID", 3)
    assert not tables.required("PID", 8)
    assert tables.segment_fields("PID") == 40
    assert tables.segment_fields("ZPD") == 0
    assert tables.components("XTN") == 18
    assert {"PID", "ARV", "PRT", "RF1", "CON"} <= set(tables.segments())


@pytest.mark.parametrize(
    ("event", "structure"),
    [
        ("ADT^A01", "ADT_A01"),
        ("ADT^A04", "ADT_A01"),
        ("ADT^A08", "ADT_A01"),
        ("ADT^A13", "ADT_A01"),
        ("ADT^A03", "ADT_A03"),
        ("ADT^A11", "ADT_A09"),
        ("ADT^A28", "ADT_A05"),
        ("ADT^A31", "ADT_A05"),
        ("ADT^A40", "ADT_A39"),
        ("ORU^R01", "ORU_R01"),
        ("REF^I13", "REF_I12"),
        ("MDM^T08", "MDM_T02"),
        ("SIU^S14", "SIU_S12"),
        ("ACK^A03", "ACK"),
        ("ORM^O01", "ORM_O01"),
        ("PPR^PC2", "PPR_PC1"),
    ],
)
def test_structures(event: str, structure: str) -> None:
    """A missing MSH-9.3 follows from the event by HL7 table 0354."""
    assert tables.structure(*event.split("^")) == structure


def test_required_segments() -> None:
    """A structure names the segments that every message of it has; a person event needs no visit."""
    assert tables.required_segments("ADT_A03") == ("MSH", "EVN", "PID", "PV1")
    assert "PV1" not in tables.required_segments("ADT_A05")
    assert tables.required_segments("QQQ_Y01") == ()
    assert tables.required_segments("ADT_A39") == ("MSH", "EVN", "PID", "MRG")
