"""Whatever text comes: the readers give a tree or a MappingError, and what compiles runs."""

from __future__ import annotations

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.errors import MappingError
from bridge.hl7v2 import message
from bridge.language import expr, syntax
from bridge.language.syntax import Place, Scalar, SourceText
from bridge.language.table import read_set, read_table
from bridge.mapping.spec import read
from tests.unit.language.workbench import IDS, MESSAGE, compiled, patient, sender

PIECES = ["PID-3", "PID-5.1", "PID-3[2].4.1", "DG1-3", "OBX-5", "PID-7", "PV1-44", "PID-40", "IN1", "mrn", "two", "patient", "this", "5", "4.1", "-3", "'MR'",
          "''", "true", "sex", "z", "icd", "class", ".", "(", ")", ",", "=", "!=", "<", ">=", "??", "+", " and ", " or ", " not ", " in ", "if(", "code(", "set(",
          ".map(", ".where(", ".first()", ".exists()", ".empty()", ".count()", ".as(NM)", ".matches('[A-Z]+')", ".split(',')", ".age(", ".or_text",
          ".or_default('x')", ".lower()", ".substring(1)", ".component(4)", ".name", ".identifier.value", ".distinct()", ".last()"]
EXPRESSIONS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=9).map("".join)
WORDS = st.text("abc=:-[]{}'\"#&*!|>%@`,? \n\t.01", max_size=120)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=200), WORDS))
def test_any_text_as_yaml(text: str) -> None:
    """The YAML reader and the mapping reader raise nothing but MappingError, with the file's name in it."""
    for act in (lambda: syntax.load(text, "x.yaml"), lambda: read(text, "x.yaml"), lambda: read(f"mapping: x\nemit: {text}", "x.yaml")):
        try:
            act()
        except MappingError as error:
            assert "x.yaml:" in str(error)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=80), EXPRESSIONS))
def test_any_text_as_an_expression(text: str) -> None:
    """The expression parser raises nothing but MappingError, at a place of the line."""
    scalar = Scalar(Place(SourceText("x.yaml", (text,)), 1, 1), f"={text}")
    try:
        expr.parse(scalar)
    except MappingError as error:
        assert str(error).startswith("x.yaml:1:")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_any_text_as_a_table(text: str) -> None:
    """So do the readers of tables and sets."""
    for act in (read_table, read_set):
        with contextlib.suppress(MappingError):
            act(text, "t.csv")


@settings(max_examples=250, deadline=None)
@given(EXPRESSIONS, st.sampled_from(["name: {{text: {}}}", "identifier: {}", "gender: {}", "birthDate: {}", "active: {}", "managingOrganization: {}",
                                     "contact: {{when: {}, gender: male}}", "multipleBirthInteger: {}", "maritalStatus: {}"]))
def test_what_compiles_runs(text: str, line: str) -> None:
    """Any expression in any place is a MappingError when it is compiled, or it runs without raising and without a value in its findings."""
    quoted = '"=' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    source = patient(line.format(quoted), "mrn: =PID-3.where(5 = 'MR').first()\ntwo: =PID-5 ?? 'x'")
    try:
        program = compiled(source)
    except MappingError:
        return
    draft = program.run(message.parse(MESSAGE.encode()), sender(), IDS)
    said = " ".join(str(issue) for issue in draft.issues)
    assert not any(word in said for word in ("DOE", "JANE", "MAIN ST", "5550142", "900-11-2233"))
