"""The expression parser: what binds how, and where it stops."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.core.errors import MappingError
from bridge.language import expr
from bridge.language.expr import Call, FieldPath, Listing, Literal, Member, Name, Operation
from bridge.language.syntax import Place, Scalar, SourceText


def parse(text: str) -> Any:
    return expr.parse(Scalar(Place(SourceText("x.yaml", (f"a: ={text}",)), 1, 4), f"={text}"))


def said(text: str) -> str:
    with pytest.raises(MappingError) as caught:
        parse(text)
    return str(caught.value)


def shape(tree: Any) -> Any:
    """The tree without places, as nested tuples."""
    if isinstance(tree, Literal | FieldPath | Name):
        return tree.text
    if isinstance(tree, Member):
        return (shape(tree.of), tree.name)
    if isinstance(tree, Call):
        return (shape(tree.of) if tree.of else None, f"{tree.name}()", *(shape(item) for item in tree.arguments))
    if isinstance(tree, Operation):
        return (tree.sign, *(shape(item) for item in tree.operands))
    assert isinstance(tree, Listing)
    return [shape(item) for item in tree.items]


@pytest.mark.parametrize(("text", "tree"), [
    ("PID-3[2].4.1", "PID-3[2].4.1"),
    ("PV1-45 ?? EVN-2 ?? MSH-7", ("??", "PV1-45", "EVN-2", "MSH-7")),
    ("a or b and not c = 'x'", ("or", "a", ("and", "b", ("not", ("=", "c", "x"))))),
    ("a ?? b + 'x' = 'y'", ("=", ("??", "a", ("+", "b", "x")), "y")),
    ("a not in ('01', '06')", ("not", ("in", "a", ["01", "06"]))),
    ("PID-3.where(5 = 'MR').first()", (("PID-3", "where()", ("=", "5", "MR")), "first()")),
    ("need.code.coding.code.map(need-to-service)", (((("need", "code"), "coding"), "code"), "map()", "need-to-service")),
    ("'it''s' + \"so\"", ("+", "it's", "so")),
    ("mrn.4.1", ("mrn", "component()", "4.1")),
    ("((a))", "a"),
    ("if(a, 'b')", (None, "if()", "a", "b")),
    ("-3", "-3"),
])
def test_what_binds_how(text: str, tree: Any) -> None:
    """Precedence, chains, lists, methods and hyphened names read as they are written."""
    assert shape(parse(text)) == tree


@pytest.mark.parametrize(("text", "column", "words"), [
    ("PID-3 ==", 12, "unexpected `=`"),
    ("'abc", 5, "a text that does not end"),
    ("1 = 2 = 3", 11, "comparisons do not chain"),
    ("(PID-3, 'x'", 16, "`)` is missing"),
    ("", 5, "ends too early"),
    ("a b", 7, "unexpected `b`"),
    ("a.", 7, "a name after `.`"),
    ("a § b", 7, "unexpected"),
    ("a not b", 11, "wanted `in`"),
])
def test_errors_stand_at_the_character(text: str, column: int, words: str) -> None:
    """Each error names line and column of the character that is wrong, and what was wanted."""
    error = said(text)
    assert error.startswith(f"x.yaml:1:{column}: "), error
    assert words in error


@pytest.mark.parametrize("text", ["(" * 100 + "a" + ")" * 100, "a" + ".b" * 100, "not " * 100 + "a", "x" * 5000, "a" + ".first()" * 90])
def test_depth_and_length_are_bounded(text: str) -> None:
    """Brackets, chains, prefixes and long lines stop with an error, not with a recursion."""
    assert "deeper than" in said(text) or "chain of more" in said(text) or "longer than" in said(text)


def test_a_long_chain_of_one_operator_is_flat() -> None:
    """Fifty alternatives are one node with fifty operands."""
    tree = parse(" ?? ".join(["PID-3"] * 50))
    assert isinstance(tree, Operation)
    assert len(tree.operands) == 50
