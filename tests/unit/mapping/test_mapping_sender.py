"""Senders: whose words they are, and that no bare word ever becomes a system."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from bridge.hl7v2 import message
from bridge.hl7v2.dialect import Feed
from bridge.language.table import read_table
from bridge.mapping.sender import FeedSender, Senders
from tests.unit.language.workbench import MESSAGE, sender

NEW_YORK = ZoneInfo("America/New_York")

TABLES = {"coding-systems": read_table("source,target\nI10,urn:icd\nLN,http://loinc.org\n", "coding-systems.csv"),
          "sex": read_table("# target-system: urn:t\nsource,target,display\nF,female,woman\n", "sex.csv")}


@pytest.mark.parametrize(("parts", "uri"), [
    (("GEN", "", ""), "urn:sdoh-bridge:gen:gen"),
    (("GEN", "1.2.840.1", "ISO"), "urn:oid:1.2.840.1"),
    (("GEN", "not an oid", "ISO"), "urn:sdoh-bridge:gen:gen"),
    (("", "2c1f5b9e-8f0a-4c0c-9d50-0a1b2c3d4e5f", "GUID"), "urn:uuid:2c1f5b9e-8f0a-4c0c-9d50-0a1b2c3d4e5f"),
    (("X", "https://x.example/id", "URI"), "https://x.example/id"),
    (("X", "hospital.example", "DNS"), "urn:dns:hospital.example"),
    (("", "", ""), "urn:sdoh-bridge:gen:local"),
    (("Ünusual Näme!", "", ""), "urn:sdoh-bridge:gen:nusual-n-me"),
])
def test_an_authority_always_has_a_uri(parts: tuple[str, str, str], uri: str) -> None:
    """HD.2 by its kind; a bare namespace belongs to the sender."""
    assert sender().system(*parts) == uri


def test_the_feed_knows_best() -> None:
    """What the feed file says about a namespace or an OID stands before everything."""
    who = sender(systems={"GEN": "urn:mine", "1.2.3": "urn:theirs"})
    assert (who.system("GEN", "9.9.9", "ISO"), who.system("X", "1.2.3", "ISO")) == ("urn:mine", "urn:theirs")


@pytest.mark.parametrize(("name", "uri"), [
    ("I10", "urn:icd"), ("i10", "urn:icd"), ("HL70005", "http://terminology.hl7.org/CodeSystem/v2-0005"), ("HL7189", "http://terminology.hl7.org/CodeSystem/v2-0189"),
    ("1.2.3", "urn:oid:1.2.3"), ("http://x.example", "http://x.example"), ("L", "urn:sdoh-bridge:f:code-l"), ("", "urn:sdoh-bridge:f:code"),
    ("99ABC", "urn:sdoh-bridge:f:code-99abc"),
])
def test_a_coding_system_always_has_a_uri(name: str, uri: str) -> None:
    """The table of names, the rule of HL7 tables, else one of the sender's own."""
    assert FeedSender(Feed("f"), TABLES).coding_system(name) == uri


def test_rows_come_from_the_feed_then_answers_then_the_table() -> None:
    """An answer is one feed's; a feed's row beats it; both take system and display of the target."""
    answers = {("f", "sex", "", "W"): "female", ("f", "sex", "", "F"): "x", ("other", "sex", "", "Q"): "female"}
    who = FeedSender(Feed("f", tables={"sex": {"F": "male"}}), TABLES, answers)
    rows = {code: (row.target, row.target_system, row.display) if (row := who.translate("sex", code)) else None for code in "FWQ"}
    assert rows == {"F": ("male", "urn:t", ""), "W": ("female", "urn:t", "woman"), "Q": None}
    assert who.translate("nowhere", "F") is None


def test_a_row_is_found_by_the_name_or_the_uri_of_its_system() -> None:
    """A table may name a system as CWE.3 does, or by its URI."""
    tables = {**TABLES, "t": read_table("source,system,target\nA,LN,one\nB,http://loinc.org,two\n", "t.csv")}
    who = FeedSender(Feed("f"), tables)
    assert [row.target if (row := who.translate("t", code, "LN")) else "" for code in "AB"] == ["one", "two"]


def test_two_unknown_hospitals_never_share_a_system() -> None:
    """The default feed's senders are told apart by MSH-4; a named feed is one sender."""
    senders = Senders(TABLES)
    one = senders.of(Feed("default", default=True), message.parse(MESSAGE.encode()))
    other = senders.of(Feed("default", default=True), message.parse(MESSAGE.replace("|GEN|", "|OTHER|").encode()))
    assert one.system("MRN", "", "") != other.system("MRN", "", "")
    assert senders.of(Feed("f", zone=NEW_YORK)) is senders.of(Feed("f", zone=NEW_YORK), message.parse(MESSAGE.encode()))


def test_a_feed_without_a_zone_takes_the_offset_of_msh_7() -> None:
    """HL7 v2.5.1 2.15.9.7: an offset in MSH-7 holds for the whole message; the feed's own zone comes before it."""
    senders, read = Senders(TABLES), message.parse(MESSAGE.encode())
    assert str(senders.of(Feed("f"), read).zone) == "UTC-05:00"
    assert senders.of(Feed("g", zone=NEW_YORK), read).zone is NEW_YORK
    assert senders.of(Feed("f")).zone is None


def test_what_is_remembered_is_bounded() -> None:
    """A sender that invents codes and systems without end does not grow the process."""
    who = FeedSender(Feed("f"), TABLES)
    for number in range(6000):
        who.translate("sex", f"x{number}")
        who.system(f"n{number}", "", "")
        who.coding_system(f"c{number}")
    assert len(who._found) <= 4096 and len(who._systems) <= 4096 and len(who._coding) <= 4097
