"""The YAML reader: positions, what it refuses and how it says so."""

from __future__ import annotations

import pytest

from bridge.core.errors import MappingError
from bridge.language import syntax
from bridge.language.syntax import Entries, Items, Scalar


def refused(text: str) -> str:
    with pytest.raises(MappingError) as caught:
        syntax.load(text, "x.yaml")
    return str(caught.value)


def test_scalars_stay_text_and_know_their_place() -> None:
    """`01`, `NO` and `1:30` stay as written, each with line and column."""
    tree = syntax.load("a: 01\nb:\n  - NO\n  - 1:30\n", "x.yaml")
    a, b = tree.values["a"], tree.values["b"]
    assert isinstance(a, Scalar)
    assert (a.text, str(a.place)) == ("01", "x.yaml:1:4")
    assert isinstance(b, Items)
    assert [(item.text, str(item.place)) for item in b.items if isinstance(item, Scalar)] == [("NO", "x.yaml:3:5"), ("1:30", "x.yaml:4:5")]


def test_equal_sign_marks_an_expression_and_two_escape_it() -> None:
    """`=x` is an expression, `==x` the text `=x`, quotes change nothing about it."""
    tree = syntax.load("a: =PID-3\nb: ==PID-3\nc: '=x'\n", "x.yaml")
    scalars = [node for _, node in tree if isinstance(node, Scalar)]
    assert [scalar.expression for scalar in scalars] == ["PID-3", None, "x"]
    assert scalars[1].literal == "=PID-3"


def test_null_is_only_what_stands_without_quotes() -> None:
    """An empty value, `null` and `~` are nothing; quoted they are texts."""
    tree = syntax.load("a:\nb: null\nc: ~\nd: ''\ne: 'null'\n", "x.yaml")
    assert [node.null for _, node in tree if isinstance(node, Scalar)] == [True, True, True, False, False]
    assert tree.get("a") is None
    assert syntax.plain(tree) == {"a": None, "b": None, "c": None, "d": "", "e": "null"}


@pytest.mark.parametrize(("text", "said"), [
    ("a: &x 1\nb: *x\n", "x.yaml:1:4: anchors and aliases are not used here"),
    ("a: !!int 3\n", "x.yaml:1:4: tags are not used here"),
    ("a: 1\nb: 2\na: 3\n", "x.yaml:3:1: `a` is already set on line 1"),
    ("? [a]\n: 1\n", "x.yaml:1:3: a key is a plain word"),
    ("- a\n", "x.yaml:1:1: a file is a mapping"),
    ("a: [1\n", "x.yaml:"),
    ("a: 1\n---\nb: 2\n", "one document per file"),
    ("a: \u0007\n", "not YAML"),
    ("", "a file is a mapping"),
])
def test_what_is_refused_says_where(text: str, said: str) -> None:
    """Anchors, tags, doubled keys, lists at the top and broken YAML are refused at the very place."""
    assert said in refused(text)


def test_an_error_shows_the_line_with_a_caret_and_the_nearest_name() -> None:
    """The excerpt has the line, a caret under the column, and what was probably meant."""
    tree = syntax.load("mapping: x\nemitt: 1\n", "x.yaml")
    text = str(syntax.fault(tree.keys["emitt"].place, "no head `emitt`", "emitt", ["emit", "let", "tests"]))
    assert text == "x.yaml:2:1: no head `emitt`\n    2 | emitt: 1\n        ^^^^^\n      did you mean emit, let?"


def test_depth_and_size_are_bounded() -> None:
    """Nested brackets and endless files stop before they cost anything."""
    assert "nested deeper than" in refused("a: " + "[" * 200 + "]" * 200)
    assert "larger than" in refused("a: " + "x" * syntax.LIMIT)


def test_nearest_lists_the_known_names_when_nothing_is_near() -> None:
    """A name like no other gets the list of valid ones."""
    assert syntax.nearest("qqqq", ["one", "two"]) == "known: one, two"
    assert syntax.nearest("Birthdate", ["birthDate", "name"]) == "did you mean birthDate?"
    assert isinstance(syntax.load("a: {}\n", "x").values["a"], Entries)
