"""Feeds: files, choice by sender, repairs."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bridge.core.errors import SettingsError
from bridge.hl7v2 import dialect, path
from bridge.hl7v2.message import encode, parse
from bridge.hl7v2.repair import FORMS

SHIPPED = Path(__file__).resolve().parents[3] / "mappings" / "feeds"
HEAD = "MSH|^~\\&|APP|FAC^1.2^ISO|||20240101||ADT^A03^ADT_A03|C-1|P|2.5.1\rEVN|A03|20240101\r"


def repaired(line: str, segments: str) -> tuple[dialect.Feed, str, list[str]]:
    """Run one repair over a message; return the feed, the later segments, the codes and places."""
    feed = dialect.read_feed(f"name: x\nrepairs:\n  - {line}\n", "x.yaml")
    message = feed.read((HEAD + segments).encode())
    after = "\r".join(segment.raw for segment in message.segments[2:])
    return feed, after, [f"{issue.code} {issue.where}" for issue in message.repairs if issue.code >= "BRG-H02"]


@pytest.mark.parametrize("feed", list(dialect.load(SHIPPED)), ids=lambda feed: feed.name)
def test_shipped_feeds_pass_their_own_tests(feed: dialect.Feed) -> None:
    """Every feed that we ship has tests in its file, and they pass."""
    assert feed.tests
    assert feed.failures() == []


def test_shipped_feeds() -> None:
    """The default feed has no zone and takes unknown senders; the examples match their own."""
    feeds = dialect.load(SHIPPED)
    assert feeds.of(("NOBODY", "NOWHERE")).name == "default"
    assert feeds.named("default").zone is None
    assert feeds.of(("EPICADT", "EXGENERAL")).zone == ZoneInfo("America/New_York")
    assert feeds.of(("ANY", "EXSTMARY")).name == "example-stmary-meditech"
    assert feeds.of(("LAKERES", "LAKESIDE")).ehr == "lakeside"
    assert len(feeds) == len(list(feeds)) == 4


@pytest.mark.parametrize(
    ("line", "before", "after", "report"),
    [
        (
            "move PID-2 to PID-3 as MR",
            "PID|1|5~6^^^X^PI|7^^^A^SS",
            "PID|1||7^^^A^SS~5^^^^MR~6^^^X^PI",
            "BRG-H020 PID-2",
        ),
        ("move PID-2 to PID-3 as MR", "PID|1|7|7^^^A^MR", "PID|1||7^^^A^MR", "BRG-H020 PID-2"),
        ("move PID-2 to PID-3 as MR", "PID|1||7", "PID|1||7", ""),
        (
            "use PID-18 as PV1-19 when empty, typed VN",
            "PID|1" + "|" * 17 + "A7\rPV1|1",
            "PID|1" + "|" * 17 + "A7\rPV1|1" + "|" * 18 + "A7^^^^VN",
            "BRG-H021 PID-18",
        ),
        (
            "use PID-18 as PV1-19 when empty",
            "PID|1" + "|" * 17 + "A7\rPV1|1" + "|" * 18 + "V",
            "PID|1" + "|" * 17 + "A7\rPV1|1" + "|" * 18 + "V",
            "",
        ),
        (
            "set PID-3.4 from MSH-4",
            'PID|1||5~6^^^X~^^^^MR~""',
            'PID|1||5^^^FAC&1.2&ISO~6^^^X~^^^^MR~""',
            "BRG-H022 PID-3.4",
        ),
        (
            "set PID-3.4 from MSH-4.1 for MR PI",
            "PID|1||5~6^^^^MR~7^^^^SS",
            "PID|1||5~6^^^FAC^MR~7^^^^SS",
            "BRG-H022 PID-3.4",
        ),
        ("set PID-3.4 from MSH-4.1 but SS", "PID|1||5~7^^^^SS", "PID|1||5^^^FAC~7^^^^SS", "BRG-H022 PID-3.4"),
        ("set PID-3.4 from MSH-24", "PID|1||5", "PID|1||5", ""),
        ("set PV1-44 from EVN-2", "PV1|1", "PV1|1" + "|" * 43 + "20240101", "BRG-H022 PV1-44"),
        ("set DG1-3.3 to I10", "DG1|1||Z59.0\rDG1|2||X^y^L", "DG1|1||Z59.0^^I10\rDG1|2||X^y^L", "BRG-H023 DG1-3.3"),
        ("translate PV1-2: {IN: I}", "PV1|1|IN", "PV1|1|I", "BRG-H024 PV1-2"),
        ("translate PV1-2: {IN: I}", "PV1|1|OUT", "PV1|1|OUT", ""),
        (
            "retype PID-3 PID-18: {MRN: MR, FIN NBR: AN}",
            "PID|1||5^^^A^MRN~6^^^A^XX",
            "PID|1||5^^^A^MR~6^^^A^XX",
            "BRG-H025 PID-3",
        ),
        (
            "split comma names in PID-5 PV1-7",
            "PID|1||||DOE,JO ANN JR~ROE^MO\rPV1|1||||||9^LEE, KIM",
            "PID|1||||DOE^JO^ANN^JR~ROE^MO\rPV1|1||||||9^LEE^KIM",
            "BRG-H026 PID-5",
        ),
        ("split comma names in PID-5", "PID|1||||DOE,\rPV1|1", "PID|1||||DOE\rPV1|1", "BRG-H026 PID-5"),
        ("cut PID-7 to the day", "PID|1||||||19700101120000-0500", "PID|1||||||19700101", "BRG-H027 PID-7"),
        ("cut PID-7 to the day", "PID|1||||||1970", "PID|1||||||1970", ""),
        ("drop PID-19 PID-3.2", "PID|1||5^9^M11" + "|" * 16 + "123", "PID|1||5^^M11" + "|" * 16, "BRG-H028 PID-19"),
        ("upper PID-8", "PID|1|||||||f", "PID|1|||||||F", "BRG-H029 PID-8"),
        (
            "blank parts like CD:* in PV1-3 PV1-7",
            "PV1|1||4W^1^CD:9&x|CD:1|||5^A^B^CD:77~CD:8",
            "PV1|1||4W^1^&x|CD:1|||5^A^B^~",
            "BRG-H030 PV1-3",
        ),
        ("prefer LN in OBX-3", "OBX|1|ST|A^a^L^B^b^LN", "OBX|1|ST|B^b^LN^A^a^L", "BRG-H032 OBX-3"),
        ("prefer LN in OBX-3", "OBX|1|ST|A^a^L^B^b^LN^1^2^t", "OBX|1|ST|B^b^LN^A^a^L^2^1^t", "BRG-H032 OBX-3"),
        ("prefer LN in OBX-3", "OBX|1|ST|A^a^LN^B^b^L", "OBX|1|ST|A^a^LN^B^b^L", ""),
        (
            "merge PV1-7 by name",
            "PV1|1||||||1^A^B~2^a^b^^^^^^NPI~3^C^D~4^^",
            "PV1|1||||||2^a^b^^^^^^NPI~3^C^D~4^^",
            "BRG-H031 PV1-7",
        ),
    ],
)
def test_repairs(line: str, before: str, after: str, report: str) -> None:
    """Each form of repair does what its line says, reports code and place, and says nothing otherwise."""
    _, found, reported = repaired(line, before)
    assert found == after
    assert reported == ([report] if report else [])


def test_every_form_is_covered_and_described() -> None:
    """All forms have a one-sentence description and a code of their own."""
    assert all(form.about.endswith(".") for form in FORMS)
    assert len({form.code for form in FORMS}) == len(FORMS)


def test_body_stays_and_encode_writes_the_repaired_message() -> None:
    """A repaired message keeps the bytes received; written out it has the repair."""
    feed, _, _ = repaired("upper PID-8", "PID|1")
    body = (HEAD + "PID|1|||||||f\r").encode()
    message = feed.read(body)
    assert message.body == body
    assert encode(message) == body.replace(b"|f\r", b"|F\r")
    assert feed.read(encode(message)).repairs == feed.read(encode(message)).repairs
    untouched = feed.read(body.replace(b"|f\r", b"|F\r"))
    assert encode(untouched) is untouched.body


def test_repairs_use_the_separators_of_the_message() -> None:
    """A repair of a message with other separators writes those."""
    feed = dialect.read_feed("name: x\nrepairs: [set PID-3.4 from MSH-4, move PID-2 to PID-3 as MR]", "x.yaml")
    message = feed.read(b"MSH*:;!%*A*F:1.2***1**ADT:A03*1*P*2.5.1\rEVN*A03\rPID*1*8*5\rPV1*1*I\r")
    assert message.all("PID")[0].field(3) == "5:::F%1.2;8::::MR"


def test_an_identifier_type_with_several_words() -> None:
    """A local type with a blank in it is translated like any other."""
    feed = dialect.read_feed('name: x\nrepairs:\n  - retype PID-18: {"FIN NBR": AN}\n', "x.yaml")
    message = feed.repair(parse((HEAD + "PID|1" + "|" * 17 + "5^^^P^FIN NBR\rPV1|1\r").encode()))
    assert path.text(path.parse("PID-18.5"), message) == "AN"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("about: y", "f.yaml:1:1: 'name' is missing"),
        ("name: x\nfoo: 1", "f.yaml:2:1: 'foo' is not known here\n    2 | foo: 1\n        ^^^\n      known: about, coding"),
        ("name: x\nzone: Mars/X", "f.yaml:2:7: 'Mars/X' is no IANA time zone"),
        ("name: x\nzone: ../../etc/passwd", "no IANA time zone"),
        ("name: x\nname: y", "f.yaml:2:1: 'name' stands here twice"),
        ("name: [x", "f.yaml:2:1: this is no YAML"),
        ("- a", "expected a table"),
        ("name: x\nsystems: {A: bare}", "'A' must be a URI"),
        ("name: x\nmatch: {MSH-5: a}", "f.yaml:2:9: 'MSH-5' is not known here"),
        ("name: x\ndefault: yes", "expected true or false"),
        ("name: [a]", "expected a text"),
        ("name: x\nrepairs: {a: b}", "expected a list"),
        ("name: x\nrepairs:\n  - mend PID-3", "f.yaml:3:5: no repair is written 'mend PID-3'\n    3 |   - mend PID-3\n            ^^^^\n      the forms are\n        move"),
        ("name: x\nrepairs:\n  - drop PID-0", "the field in 'PID-0' is 0"),
        ("name: x\nrepairs:\n  - drop PID-3.4.1", "must name a field or a component"),
        ("name: x\nrepairs:\n  - split comma names in PID-3", "PID-3 is no name"),
        ("name: x\nrepairs:\n  - move PID-2.1 to PID-3", "must be a whole field"),
        ("name: x\nrepairs:\n  - {retype PID-3: {A: B}, upper PID-8: {}}", "a repair is one line"),
        ("name: x\nrepairs:\n  - retype PID-3", "no repair is written"),
        ("name: x\ntests: [{name: t, given: a, expect: {pid-3: x}}]", "test 't': column 1"),
        ("name: x\ntests: [{name: t}]", "'given' is missing"),
        ("name: \x07", "characters that YAML does not allow"),
        ("", "'name' is missing"),
        ("name: x\ntables: {a: b}", "expected a table"),
    ],
)
def test_a_wrong_file_says_where_and_what(text: str, message: str) -> None:
    """What cannot be meant stops at load time, with file, line and the valid names."""
    with pytest.raises(SettingsError) as caught:
        dialect.read_feed(text, "f.yaml")
    assert message in str(caught.value)


def test_yaml_tags_are_text() -> None:
    """A feed file cannot make YAML build anything: every scalar is text."""
    feed = dialect.read_feed(
        "name: 007\nabout: !!python/object/apply:os.system [echo]\n".replace("[echo]", "no"), "f.yaml"
    )
    assert (feed.name, feed.about) == ("007", "no")


def folder(root: Path, name: str, **files: str) -> Path:
    """Write feed files into a folder."""
    (root / name).mkdir()
    for stem, text in files.items():
        (root / name / f"{stem}.yaml").write_text(text, encoding="utf-8")
    return root / name


def test_choice_by_sender(tmp_path: Path) -> None:
    """A feed that names both sender fields wins, then the facility, then the application, then the default."""
    feeds = dialect.load(
        folder(
            tmp_path,
            "a",
            both="name: both\nmatch: {MSH-3: [A], MSH-4: [F, G]}",
            facility="name: facility\nmatch: {MSH-4: [F]}",
            application="name: application\nmatch: {MSH-3: [A, B]}",
            rest="name: rest\ndefault: true",
        )
    )
    senders = [("A", "F"), ("A", "G"), ("X", "F"), ("B", "F"), ("B", "X"), ("X", "X"), ("", "")]
    assert [feeds.of(sender).name for sender in senders] == [
        "both",
        "both",
        "facility",
        "facility",
        "application",
        "rest",
        "rest",
    ]


def test_ambiguity_is_an_error(tmp_path: Path) -> None:
    """Two feeds of one name in a folder, two for one sender, two defaults, no such name, no default: errors."""
    with pytest.raises(SettingsError, match="second feed has the name 'x'"):
        dialect.load(folder(tmp_path, "a", one="name: x", two="name: x"))
    with pytest.raises(SettingsError, match="match the same sender"):
        dialect.load(
            folder(tmp_path, "b", one="name: x\nmatch: {MSH-4: [F, G]}", two="name: y\nmatch: {MSH-4: [G, H]}")
        )
    with pytest.raises(SettingsError, match="only one feed can be the default"):
        dialect.load(folder(tmp_path, "c", one="name: x\ndefault: true", two="name: y\ndefault: true"))
    feeds = dialect.load(folder(tmp_path, "d", one="name: x"))
    with pytest.raises(SettingsError, match="there is no feed 'y'; the feeds are x"):
        feeds.named("y")
    with pytest.raises(SettingsError, match="none is the default"):
        feeds.of(("A", "B"))


def test_a_site_stands_before_what_is_shipped(tmp_path: Path) -> None:
    """A feed, and a default, of an earlier folder take the place of later ones."""
    site = folder(tmp_path, "site", one="name: mine\ndefault: true", two="name: example-stmary-meditech\nabout: ours")
    feeds = dialect.load(site, SHIPPED)
    assert feeds.of(("?", "?")).name == "mine"
    assert feeds.named("example-stmary-meditech").about == "ours"


def test_a_failing_test_of_a_feed_is_listed() -> None:
    """failures() names file, test, path, and what was expected."""
    feed = dialect.read_feed(
        "name: x\ntests:\n  - name: t\n    given: |\n      MSH|^~\\&|A\n      PID|1||5\n    expect: {PID-3: '6'}",
        "f.yaml",
    )
    assert feed.failures() == ["f.yaml: test 't': PID-3 is '5', expected '6'"]


def test_all_that_is_wrong_in_a_file_is_said_at_once() -> None:
    """An unknown key, a zone, a system and two repairs: five errors, each with its line."""
    text = "name: x\nzone: Mars/X\ntabels: {}\nsystems: {A: bare}\nrepairs: [mend PID-3, drop PID-0]\n"
    with pytest.raises(SettingsError) as caught:
        dialect.read_feed(text, "f.yaml")
    assert [line for line in str(caught.value).split("\n") if line.startswith("f.yaml")] == [
        "f.yaml:3:1: 'tabels' is not known here",
        "f.yaml:2:7: 'Mars/X' is no IANA time zone; write one as America/New_York, or none",
        "f.yaml:4:14: 'A' must be a URI, as urn:oid:2.16.840.1.113883.4.1 or https://hospital.example/id",
        "f.yaml:5:11: no repair is written 'mend PID-3'",
        "f.yaml:5:23: repair 'drop PID-0': column 5: the field in 'PID-0' is 0; numbers start at 1",
    ]
