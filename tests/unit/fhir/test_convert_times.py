"""Times: precision, offsets and zones of HL7 v2 stamps in FHIR."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.fhir.convert import CONVERTERS
from bridge.hl7v2.message import Value

NEW_YORK = ZoneInfo("America/New_York")
DATE_TIME, DAY, INSTANT = CONVERTERS["TS", "dateTime"], CONVERTERS["TS", "date"], CONVERTERS["TS", "instant"]


class Clock:
    """A sender of whom only the zone matters."""

    def __init__(self, zone: ZoneInfo | None = NEW_YORK) -> None:
        self.zone = zone
        self.codes: list[str] = []

    def report(self, severity: str, code: str, text: str, hint: str = "") -> None:
        self.codes.append(code)


def read(text: str, zone: ZoneInfo | None = NEW_YORK, into=DATE_TIME) -> tuple[str | None, list[str]]:
    clock = Clock(zone)
    return into(Value(text), clock), clock.codes


@pytest.mark.parametrize(
    ("sent", "made"),
    [
        ("2024", "2024"),
        ("202406", "2024-06"),
        ("20240612", "2024-06-12"),
        ("2023110211-0500", "2023-11-02T11:00:00-05:00"),
        ("202406121430-0500", "2024-06-12T14:30:00-05:00"),
        ("20240612143015-0500", "2024-06-12T14:30:15-05:00"),
        ("20210817151943.4+0200", "2021-08-17T15:19:43.4+02:00"),
        ("20240612143015.1234+0000", "2024-06-12T14:30:15.1234+00:00"),
        ("20240612-0500", "2024-06-12"),
        ("20240612143015Z", "2024-06-12T14:30:15Z"),
        ("2024-06-12T14:30:15-05:00", "2024-06-12T14:30:15-05:00"),
        ("2024-06-12", "2024-06-12"),
        ("20240612^D", "2024-06-12"),
        ("20240612000000^D", "2024-06-12"),
        ("20240612^L", "2024-06"),
        ("20240612101010", "2024-06-12T10:10:10-04:00"),
        ("20240220101010", "2024-02-20T10:10:10-05:00"),
    ],
)
def test_precision_and_offset_stay_as_sent(sent: str, made: str) -> None:
    """Years, months and days stay partial, minutes get seconds, fractions and sent offsets are kept."""
    assert read(sent) == (made, [])


@pytest.mark.parametrize(
    "sent",
    [
        "202404714005700",
        "00000000",
        "20240230",
        "20241301",
        "2024061224",
        "yesterday",
        "20240612T",
        "20240612143060",
        "20240612101010+9900",
        "1234567",
        "20240612101010-05",
    ],
)
def test_an_impossible_stamp_is_reported_and_stays_out(sent: str) -> None:
    """What no calendar or clock has gives nothing and one report."""
    assert read(sent) == (None, ["BRG-M201"])


@pytest.mark.parametrize("sent", ["", '""', "^D"])
def test_nothing_and_null_say_nothing(sent: str) -> None:
    """An empty field and HL7 null give no value and no report."""
    assert read(sent) == (None, [])


def test_without_a_zone_only_the_day_is_certain() -> None:
    """A zone-less time of a sender without a zone is reduced to its day, with a warning; a day is a day anyway."""
    assert read("20240612101010", None) == ("2024-06-12", ["BRG-M202"])
    assert read("20240612", None) == ("2024-06-12", [])
    assert read("20240612101010-0400", None) == ("2024-06-12T10:10:10-04:00", [])


def test_a_time_in_the_gap_moves_forward() -> None:
    """02:30 on the night the clocks go forward becomes 03:30 daylight time and is reported."""
    assert read("20240310023000") == ("2024-03-10T03:30:00-04:00", ["BRG-M203"])


def test_a_time_in_the_fold_is_its_first_occurrence() -> None:
    """01:30 on the night the clocks go back is the one in daylight time and is reported."""
    assert read("20241103013000") == ("2024-11-03T01:30:00-04:00", ["BRG-M204"])


def test_an_instant_needs_a_moment() -> None:
    """A day, or a time on an unknown clock, is no instant."""
    assert read("20240612", into=INSTANT) == (None, ["BRG-M205"])
    assert read("20240612101010", None, INSTANT) == (None, ["BRG-M202", "BRG-M205"])
    assert read("20240612101010", into=INSTANT) == ("2024-06-12T10:10:10-04:00", [])


@pytest.mark.parametrize(
    ("sent", "made"),
    [
        ("19790314000000", "1979-03-14"),
        ("19790314120000-0500", "1979-03-14"),
        ("1979", "1979"),
        ("197903", "1979-03"),
        ("1979-03-14", "1979-03-14"),
        ("19790314999999", "1979-03-14"),
        ("1979+0500", "1979"),
    ],
)
def test_a_date_is_the_first_eight_digits(sent: str, made: str) -> None:
    """Midnight or noon after a birth date is no birth time, and is not looked at."""
    assert read(sent, into=DAY) == (made, [])


@pytest.mark.parametrize("sent", ["202404714005700", "19791332", "1979031", "unknown"])
def test_an_impossible_date_is_reported(sent: str) -> None:
    """A date that the calendar has not gives nothing and one report."""
    assert read(sent, into=DAY) == (None, ["BRG-M201"])


@pytest.mark.parametrize(
    ("sent", "made"),
    [
        ("1030", "10:30:00"),
        ("10", "10:00:00"),
        ("103015.25", "10:30:15.25"),
        ("10:30", "10:30:00"),
        ("103015-0500", "10:30:15"),
        ("20240612103015-0500", "10:30:15"),
    ],
)
def test_time_of_day(sent: str, made: str) -> None:
    """TM gets the seconds that FHIR wants and loses the offset that FHIR's time cannot hold."""
    assert read(sent, into=CONVERTERS["TM", "time"]) == (made, [])


def test_a_period_that_ends_before_it_starts_keeps_its_start() -> None:
    """FHIR forbids it (per-1), so the end stays out and is reported."""
    into = CONVERTERS["DR", "Period"]
    assert read("20240601^20240630", into=into) == ({"start": "2024-06-01", "end": "2024-06-30"}, [])
    assert read("20240630^20240601", into=into) == ({"start": "2024-06-30"}, ["BRG-M201"])
    assert read("20240630^2024", into=into) == ({"start": "2024-06-30", "end": "2024"}, [])


FIRST, LAST = datetime.fromisoformat("1970-01-02"), datetime.fromisoformat("2100-01-01")
MOMENTS = st.datetimes(FIRST, LAST, timezones=st.just(UTC))
ZONES = st.sampled_from(
    [NEW_YORK, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("America/Phoenix"), ZoneInfo("Asia/Kolkata")]
)


@settings(max_examples=300, deadline=None)
@given(MOMENTS, st.integers(-11 * 60, 13 * 60))
def test_a_sent_offset_round_trips(moment: datetime, minutes: int) -> None:
    """A stamp with an offset names the same moment on the same clock in FHIR."""
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    local = (moment + timedelta(minutes=minutes)).replace(microsecond=0)
    made, codes = read(f"{local:%Y%m%d%H%M%S}{sign}{hours:02d}{rest:02d}")
    assert made is not None
    assert datetime.fromisoformat(made) == moment.replace(microsecond=0)
    assert datetime.fromisoformat(made).replace(tzinfo=None) == local.replace(tzinfo=None)
    assert codes == []


@settings(max_examples=300, deadline=None)
@given(MOMENTS, ZONES)
def test_a_zone_less_time_is_read_on_the_senders_clock(moment: datetime, zone: ZoneInfo) -> None:
    """Whatever the clock shows outside a fold is that very moment; within a fold it is the earlier one, reported."""
    shown = moment.replace(microsecond=0).astimezone(zone)
    made, codes = read(f"{shown:%Y%m%d%H%M%S}", zone)
    assert made is not None
    said = datetime.fromisoformat(made)
    if codes:
        assert codes == ["BRG-M204"]
        assert said <= moment
        assert said.replace(tzinfo=None) == shown.replace(tzinfo=None)
    else:
        assert said == moment.replace(microsecond=0)


@settings(max_examples=300, deadline=None)
@given(st.datetimes(FIRST, LAST), ZONES)
def test_every_wall_clock_reading_becomes_a_real_moment(wall: datetime, zone: ZoneInfo) -> None:
    """A reading that the clock never showed moves forward by the gap; every other one is kept."""
    made, codes = read(f"{wall:%Y%m%d%H%M%S}", zone)
    assert made is not None
    said = datetime.fromisoformat(made)
    assert said.astimezone(zone).utcoffset() == said.utcoffset()
    moved = said.replace(tzinfo=None) - wall.replace(microsecond=0)
    assert (moved > timedelta(0)) == (codes == ["BRG-M203"])


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="0123456789+-.Z:T ^&", max_size=30))
def test_no_text_breaks_a_time(text: str) -> None:
    """Any text gives a well-formed dateTime, or nothing; never an exception."""
    made, _ = read(text)
    if made and len(made) > 10:
        assert made[10] == "T"
        assert made[-6] in "+-" or made.endswith("Z")
