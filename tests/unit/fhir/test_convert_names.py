"""Names, addresses, telecom numbers, identifiers, places: what the guide maps and what feeds get wrong."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.fhir.convert import CONVERTERS
from bridge.hl7v2.message import Value
from tests.unit.fhir.convert_sender import TestSender, convert

V2 = "http://terminology.hl7.org/CodeSystem/v2-0203"
NPI = "http://hl7.org/fhir/sid/us-npi"


@pytest.mark.parametrize(
    ("sent", "made"),
    [
        (
            "OKAFOR^CHIDINMA^GRACE^JR^MS^MD^L",
            {
                "family": "OKAFOR",
                "given": ["CHIDINMA", "GRACE"],
                "prefix": ["MS"],
                "suffix": ["JR", "MD"],
                "use": "official",
            },
        ),
        ("OKAFOR^GRACE^^^^^N", {"family": "OKAFOR", "given": ["GRACE"], "use": "nickname"}),
        (
            "EVERYMAN&&&&Aniston^ADAM^A^III^Dr.^MD^D",
            {"family": "EVERYMAN", "given": ["ADAM", "A"], "prefix": ["Dr."], "suffix": ["III", "MD"], "use": "usual"},
        ),
        ("O\\T\\NEIL^SE\\S\\AN", {"family": "O&NEIL", "given": ["SE^AN"]}),
        (
            "STONE^AB^^^^^^^^20200101&20201231",
            {"family": "STONE", "given": ["AB"], "period": {"start": "2020-01-01", "end": "2020-12-31"}},
        ),
        (
            "STONE^AB^^^^^^^^^^20200101^20201231",
            {"family": "STONE", "given": ["AB"], "period": {"start": "2020-01-01", "end": "2020-12-31"}},
        ),
        ("MADONNA", {"family": "MADONNA"}),
        ("^ADA", {"given": ["ADA"]}),
        ("^^^^^^L", None),
        ("^^", None),
        ('""', None),
        ("", None),
    ],
)
def test_person_names(sent: str, made: object) -> None:
    """XPN parts go where FHIR wants them; a name without a name is none."""
    assert convert("XPN", "HumanName", sent) == (made, [])


def test_a_name_in_one_component_is_split_at_its_comma() -> None:
    """The Meditech-like way of 2.1 keeps the text and says so."""
    made, codes = convert("XPN", "HumanName", "WASHINGTON,VOLA K")
    assert made == {"text": "WASHINGTON,VOLA K", "family": "WASHINGTON", "given": ["VOLA", "K"]}
    assert codes == ["BRG-M211"]


def test_an_unknown_name_type_is_reported_not_guessed() -> None:
    """A use that table 0200 does not have stays out."""
    assert convert("XPN", "HumanName", "A^B^^^^^QQ") == ({"family": "A", "given": ["B"]}, ["BRG-M207"])


@pytest.mark.parametrize(
    ("sent", "made"),
    [
        (
            "418 W MAPLE AVE^APT 3B^DAYTON^OH^45402^USA^H^^MONTGOMERY",
            {
                "line": ["418 W MAPLE AVE", "APT 3B"],
                "city": "DAYTON",
                "state": "OH",
                "postalCode": "45402",
                "country": "USA",
                "district": "MONTGOMERY",
                "use": "home",
            },
        ),
        ("&Maple Ave&418^^DAYTON", {"line": ["418 Maple Ave"], "city": "DAYTON"}),
        (
            "1000&Hospital Lane^Ste. 123^Ann Arbor ^MI^99999^USA^M",
            {
                "line": ["1000 Hospital Lane", "Ste. 123"],
                "city": "Ann Arbor",
                "state": "MI",
                "postalCode": "99999",
                "country": "USA",
                "type": "postal",
            },
        ),
        ("1 ELM^^AKRON^OH^^^BA", {"line": ["1 ELM"], "city": "AKRON", "state": "OH", "use": "old"}),
        ("1 ELM^^AKRON^^^^P", {"line": ["1 ELM"], "city": "AKRON", "use": "home"}),
        (
            "5 A \\T\\ B ST^^MESA^AZ^85201",
            {"line": ["5 A & B ST"], "city": "MESA", "state": "AZ", "postalCode": "85201"},
        ),
        ("^^^^^^H", None),
        ("^^^^^", None),
        ('""^""^""', None),
    ],
)
def test_addresses(sent: str, made: object) -> None:
    """XAD by its components; a use alone is no address."""
    assert convert("XAD", "Address", sent) == (made, [])


@pytest.mark.parametrize(
    ("sent", "made"),
    [
        ("^PRN^PH^^1^937^5550142", {"system": "phone", "value": "+1 937 5550142", "use": "home"}),
        ("^PRN^PH^^^330^5550100^12", {"system": "phone", "value": "330 5550100 X12", "use": "home"}),
        ("^PRS^CP^^1^937^5550177", {"system": "phone", "value": "+1 937 5550177", "use": "mobile"}),
        ("^^CP^^1^937^5550177", {"system": "phone", "value": "+1 937 5550177", "use": "mobile"}),
        ("^NET^Internet^chi@example.org", {"system": "email", "value": "chi@example.org"}),
        ("chi@example.org^NET^Internet", {"system": "email", "value": "chi@example.org"}),
        ("^WPN^FX^^^^^^^^^(626)555-1234", {"system": "fax", "value": "(626)555-1234", "use": "work"}),
        ("(555) 555-2004^^PH", {"system": "phone", "value": "(555) 555-2004"}),
        ("8885552222", {"system": "phone", "value": "8885552222"}),
        ("^PRN^PH", None),
        ("^^^", None),
        ('""', None),
    ],
)
def test_telecom(sent: str, made: object) -> None:
    """XTN takes the value from the first component that has one, in the order of the guide."""
    assert convert("XTN", "ContactPoint", sent) == (made, [])


def kind(code: str) -> dict[str, object]:
    return {"coding": [{"system": V2, "code": code}]}


@pytest.mark.parametrize(
    ("sent", "made"),
    [
        (
            "E1^^^GENHOSP&1.2.840.9&ISO^MR",
            {
                "system": "urn:oid:1.2.840.9",
                "value": "E1",
                "type": kind("MR"),
                "use": "usual",
                "assigner": {"display": "GENHOSP"},
            },
        ),
        (
            "5001^^^OHMRN^MRN",
            {
                "system": "urn:test:system:OHMRN",
                "value": "5001",
                "use": "usual",
                "type": {**kind("MR"), "text": "MRN"},
                "assigner": {"display": "OHMRN"},
            },
        ),
        (
            "900-11-2233^^^SSA^SS",
            {
                "system": "http://hl7.org/fhir/sid/us-ssn",
                "value": "900-11-2233",
                "type": kind("SS"),
                "use": "official",
                "assigner": {"display": "SSA"},
            },
        ),
        (
            "77^^^CD:12345678",
            {"system": "urn:test:system:CD:12345678", "value": "77", "assigner": {"display": "CD:12345678"}},
        ),
        ("77^^^&1.2.3&ISO", {"system": "urn:oid:1.2.3", "value": "77"}),
        ("77", {"system": "urn:test:system:", "value": "77"}),
        ("77^^^^PI", {"system": "urn:test:system:PI", "value": "77", "type": kind("PI")}),
        (
            "77^4^M11^GH^MR^^20200101^20211231",
            {
                "system": "urn:test:system:GH",
                "value": "77",
                "type": kind("MR"),
                "use": "usual",
                "assigner": {"display": "GH"},
                "period": {"start": "2020-01-01", "end": "2021-12-31"},
            },
        ),
        ("^^^GH^MR", None),
        ('""', None),
    ],
)
def test_identifiers(sent: str, made: object) -> None:
    """CX always gets a system, never a bare word; without an authority its kind keeps numbers apart."""
    assert convert("CX", "Identifier", sent) == (made, [])


def test_an_unknown_identifier_type_stays_the_senders_own() -> None:
    """A kind that table 0203 does not have is kept under the sender's system and reported."""
    made, codes = convert("CX", "Identifier", "1^^^GH^EHRID")
    assert made["type"] == {"coding": [{"system": "urn:test:local:", "code": "EHRID"}], "text": "EHRID"}
    assert codes == ["BRG-M212"]


@pytest.mark.parametrize(
    "sent",
    [
        "1265136360^JONES^JANE^^^^^^NPI^L^^^NPI",
        "1265136360^JONES^JANE^^^^^NPI",
        "1265136360^J^J^^^^^^X&2.16.840.1.113883.4.6&ISO",
        "1265136360^J^J^^^^^^^L^^^NPI",
    ],
)
def test_a_national_provider_identifier_is_recognised(sent: str) -> None:
    """By its authority, OID, kind or the source table that some feeds use."""
    made, codes = convert("XCN", "Identifier", sent)
    assert (made["system"], made["value"], codes) == (NPI, "1265136360", [])


def test_a_number_that_is_no_npi_is_not_called_one() -> None:
    """A wrong check digit keeps the number, the kind and the sender's system, and is reported."""
    made, codes = convert("XCN", "Identifier", "1922334455^PATEL^NEHA^^^DR^MD^^NPI^L^^^NPI")
    assert made == {
        "system": "urn:test:system:NPI",
        "value": "1922334455",
        "type": kind("NPI"),
        "assigner": {"display": "NPI"},
    }
    assert codes == ["BRG-M213"]


def test_staff_names() -> None:
    """XCN counts its name from the second component."""
    made, _ = convert("XCN", "HumanName", "1^PATEL&VAN^NEHA^K^JR^DR^MD^^NPI^L")
    assert made == {
        "family": "PATEL",
        "given": ["NEHA", "K"],
        "prefix": ["DR"],
        "suffix": ["JR", "MD"],
        "use": "official",
    }
    assert convert("XCN", "HumanName", "1265136360") == (None, [])


def test_places() -> None:
    """PL has words for people and one identifier for machines; subcomponents never leak into them."""
    place = "4WEST^412^B^GENHOSP&1.2.3&ISO^^N^MAIN^4"
    assert convert("PL", "string", place) == ("GENHOSP, MAIN, 4, 4WEST, 412, B", [])
    assert convert("PL", "string", "4WEST^^^^^^^^The west ward")[0] == "The west ward"
    assert convert("PL", "Identifier", place)[0] == {
        "system": "urn:test:system:",
        "value": "GENHOSP.MAIN.4.4WEST.412.B",
    }
    assert convert("PL", "Identifier", "^^^^^^^^") == (None, [])


def test_organisations_and_authorities() -> None:
    """XON prefers its long identifier; HD becomes a URI."""
    assert convert("XON", "string", "DAYTON FAMILY PRACTICE^^111")[0] == "DAYTON FAMILY PRACTICE"
    assert convert("XON", "Identifier", "ST. CLOUD^L^^^^CMS^NPI^^^1043269798")[0] == {
        "system": NPI,
        "value": "1043269798",
        "type": kind("NPI"),
        "assigner": {"display": "CMS"},
    }
    assert convert("HD", "uri", "GENHOSP^1.2.840^ISO")[0] == "urn:oid:1.2.840"
    assert convert("EI", "Identifier", "A1^NS^1.2^ISO")[0] == {
        "system": "urn:oid:1.2",
        "value": "A1",
        "assigner": {"display": "NS"},
    }


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(CONVERTERS)), st.text(alphabet='aZ019~^&\\|"-+.:/<> ,éF', max_size=60))
def test_no_text_breaks_a_conversion(pair: tuple[str, str], text: str) -> None:
    """Whatever a field holds, a conversion answers, says nothing empty and quotes nothing in its reports."""
    sender = TestSender()
    made = CONVERTERS[pair](Value(text), sender)
    assert made not in ("", {}, [])
    for report in sender.texts:
        assert "\u00e9" not in report
