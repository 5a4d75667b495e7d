"""The pytest plugin: a site's mappings folder runs its inline tests under pytest, each one an item."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
PLUGIN = () if any(one.name == "sdoh_bridge" for one in entry_points(group="pytest11")) else ("-p", "bridge.plugin")
MAPPING = """mapping: hello
from: hl7v2 ADT^A03
when: =MSH-3 = 'ADTOUT'
emit:
  patient: {resource: Patient, key: =PID-3.first(), gender: =PID-8.map(administrative-sex)}
tests:
  - name: the sex is mapped
    given: a03-two-needs.hl7
    expect: {Patient.gender: female}
  - name: and this is wrong
    given: a03-two-needs.hl7
    expect: {Patient.gender: male}
"""
FEED = "name: f\ntests:\n  - name: nothing to repair\n    given: MSH|^~\\&|A|B|||20260101||ADT^A03|1|P|2.5.1\n    expect: {MSH-3: A}\n"


@pytest.fixture
def site(pytester: pytest.Pytester) -> Path:
    folder = pytester.path / "site" / "mappings"
    (folder / "feeds").mkdir(parents=True)
    (folder / "examples").mkdir()
    (folder / "hello.yaml").write_text(MAPPING)
    (folder / "feeds" / "f.yaml").write_text(FEED)
    (folder / "examples" / "not-a-test.yaml").write_text("mapping: nothing\n")
    return folder


def test_each_inline_test_is_one_item(pytester: pytest.Pytester, site: Path) -> None:
    """`--mappings FOLDER` collects mappings and feeds; a failure names file, line, path, what was expected and found."""
    ran = pytester.runpytest(*PLUGIN, "--mappings", str(site), "-v", "-p", "no:cacheprovider")
    ran.assert_outcomes(passed=2, failed=1)
    ran.stdout.fnmatch_lines(["*feeds/f.yaml::nothing to repair PASSED*", "*site/mappings/hello.yaml::the sex is mapped PASSED*"])
    ran.stdout.fnmatch_lines(["mappings/hello.yaml:10: and this is wrong", "  Patient.gender: expected male, found female"])


def test_the_settings_may_name_the_folder(pytester: pytest.Pytester, site: Path) -> None:
    """`sdoh_mappings` of the project does the same as the option, and a test is chosen by name as any other."""
    pytester.makeini("[pytest]\nsdoh_mappings = site/mappings\n")
    pytester.runpytest(*PLUGIN, "-k", "sex", "-p", "no:cacheprovider").assert_outcomes(passed=1, deselected=2)


def test_a_folder_elsewhere_is_collected_too(pytester: pytest.Pytester, site: Path, tmp_path: Path) -> None:
    """The folder need not be below what pytest collects anyway; without it nothing is collected."""
    pytester.makepyfile("def test_nothing(): pass")
    away = tmp_path / "away"
    site.rename(away)
    pytester.runpytest(*PLUGIN, "--mappings", str(away), "-p", "no:cacheprovider").assert_outcomes(passed=3, failed=1)
    pytester.runpytest(*PLUGIN, "-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_a_mapping_that_does_not_load_says_where(pytester: pytest.Pytester, site: Path) -> None:
    """The error is the bridge's own, with excerpt and hint, and no traceback."""
    (site / "hello.yaml").write_text(MAPPING.replace("gender:", "gendre:"))
    ran = pytester.runpytest(*PLUGIN, "--mappings", str(site), "-p", "no:cacheprovider")
    assert ran.ret != 0
    ran.stdout.fnmatch_lines(["*mappings/hello.yaml:5:*: unknown element Patient.gendre", "*did you mean gender?"])
    assert "Traceback" not in ran.stdout.str()
