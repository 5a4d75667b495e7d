"""Overrides: a feed file changes lines of a mapping for its sender alone, and proves it in its own tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.core.errors import MappingError
from bridge.fhir import elements
from bridge.hl7v2 import message
from bridge.inline import Suite
from bridge.mapping import coverage, explain, library
from bridge.mapping.library import Library, Named
from bridge.referral.register import Ground
from tests.unit.language.workbench import IDS, MESSAGE, sender

BASE = """mapping: base
abstract: true
from: hl7v2
let: {left: =PV1-45}
emit:
  patient: {resource: Patient, key: =PID-3.first(), name: =PID-5, birthDate: =PID-7}
  encounter: {resource: Encounter, key: =PV1-19, status: finished, class: "=code('urn:c', PV1-2)", subject: =patient, period: {end: =left}}
"""
A03 = "mapping: a03\nextends: base\nfrom: hl7v2 ADT^A03\n"
A01 = "mapping: a01\nextends: base\nfrom: hl7v2 ADT^A01\nlet: {left: =PV1-44}\n"
FEED = """name: mercy
match: {MSH-4: [GEN]}
overrides:
  base:
    let: {left: =ZPV-3}
    emit: {patient: {birthDate: null, gender: =ZPD-1}}
  a03: {emit: {encounter: {class: "=code('urn:mercy', PV1-2)"}}}
tests:
  - name: what is in the Z segments arrives
    given: |
      MSH|^~\\&|APP|GEN|||20260501||ADT^A03|1|P|2.5.1
      PID|1||1||DOE^JO||19790314
      PV1|1|I|||||||||||||||||V1||||||||||||||||||||||||||20260502
      ZPD|female
      ZPV|||20260503
    expect:
      PID-3: "1"
      Patient.gender: female
      Encounter.period.end: 2026-05-03
      Encounter.class.system: urn:mercy
    absent: [Patient.birthDate]
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return write(tmp_path, FEED)


def write(folder: Path, feed: str) -> Path:
    site = folder / "site"
    (site / "feeds").mkdir(parents=True, exist_ok=True)
    for name, text in (("base", BASE), ("a03", A03), ("a01", A01), ("feeds/mercy", feed), ("feeds/default", "name: default\ndefault: true\n")):
        (site / f"{name}.yaml").write_text(text)
    return site


def test_only_the_feed_has_its_lines(site: Path) -> None:
    """The sender of the feed gets the mapping with the lines, every other sender the mapping; both keep their versions."""
    found = Library.load([site])
    read = message.parse((MESSAGE + "ZPV|||20260503\r").encode())
    plain, own = found.choose(read, sender()), found.choose(read, Named("mercy"))
    assert plain is found.choose(read) is found["a03"]
    assert own is not None
    assert (own.name, own.version != plain.version) == ("a03", True)
    assert own is found.choose(read, Named("mercy"))
    visit = own.run(read, sender(), IDS).of_type("Encounter")[0]
    assert visit["period"]["end"] == "2026-05-03"
    assert visit["class"]["system"] == "urn:mercy"
    assert "birthDate" not in own.run(read, sender(), IDS).of_type("Patient")[0]


def test_a_mapping_s_own_line_wins_over_one_for_what_it_extends(site: Path) -> None:
    """An override of `base` stands in `base`: a01 says itself when the visit ended."""
    read = message.parse((MESSAGE.replace("ADT^A03", "ADT^A01") + "ZPV|||20260503\r").encode())
    own = Library.load([site]).choose(read, Named("mercy"))
    assert own is not None
    assert own.run(read, sender(), IDS).of_type("Encounter")[0]["period"]["end"].startswith("2026-04-20")


def test_another_override_is_another_version(tmp_path: Path) -> None:
    """What a feed overrides is part of the version that its messages are stored with."""
    versions = {next(Library.load([write(tmp_path, text)]).variants()).version for text in (FEED, FEED.replace("ZPV-3", "ZPV-4"), FEED)}
    assert len(versions) == 2


def test_an_earlier_folder_s_feed_stands_for_itself(site: Path, tmp_path: Path) -> None:
    """A site's feed of the same name replaces the packaged one with its overrides, also when it has none."""
    own = tmp_path / "own" / "feeds"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text("name: mercy\n")
    assert Library.load([own.parent, site]).overrides == {}


def ran(site: Path) -> list[str]:
    ground = Ground(elements.load(), {})
    return [str(one.run()) for one in Suite(Library.load([site]), ground).find([site])]


def test_the_feed_file_proves_it(site: Path, tmp_path: Path) -> None:
    """Tests in a feed file ask places of the repaired message and elements of what becomes of it."""
    assert ran(site) == [f"{site}/feeds/mercy.yaml:9: what is in the Z segments arrives"]
    (said,) = ran(write(tmp_path / "wrong", FEED.replace("gender: female", "gender: male").replace('PID-3: "1"', 'PID-3: "2"')))
    assert "Patient.gender: expected male, found female" in said
    assert "PID-3: expected 2, found 1" in said


@pytest.mark.parametrize(("old", "new", "said"), [
    ("  base:\n", "  bass:\n", "mercy.yaml:4:3: no mapping `bass` to override"),
    ("a03: {emit:", "a03: {emits:", "mercy.yaml:7:9: an override has no `emits`"),
    ("=ZPD-1", "=PID-99", "mercy.yaml:6:48: unknown field PID-99"),
    ("gender", "gendre", "mercy.yaml:6:39: unknown element Patient.gendre"),
])
def test_a_wrong_override_is_refused_at_its_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    """Errors name the feed file, with line and column."""
    with pytest.raises(MappingError) as caught:
        list(Library.load([write(tmp_path, FEED.replace(old, new))]).variants())
    assert said in str(caught.value)


def test_lint_explain_and_coverage_know_overrides(site: Path) -> None:
    """Lint looks at the lines of a feed, explain names the feed file, coverage counts its Z segment as used."""
    found = Library.load([write(site.parent, FEED)])
    read = message.parse((MESSAGE + "ZPV|||20260503\r").encode())
    own = found.choose(read, Named("mercy"))
    assert own is not None
    ends = [one for one in explain.explain(own, read, sender(), IDS) if one.element == "Encounter.period.end"]
    assert [(one.given, [source.path for source in one.sources]) for one in ends] == [(True, ["ZPV-3"])]
    assert "ZPV-3" in coverage.coverage(own, read, sender(), IDS).used
    wrong = write(site.parent / "more", FEED.replace("{left: =ZPV-3}", "{left: =ZPV-3, spare: =ZPV-4}"))
    assert any("mercy.yaml:5:" in str(one) and "no expression uses this let" in str(one) for one in library.check(library=Library.load([wrong])))
