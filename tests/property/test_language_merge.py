"""`extends`: the laws of merging one file over another."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.language import syntax
from bridge.language.syntax import Entries, Items, Node, Place, Scalar, SourceText
from bridge.mapping.spec import merge

PLACE = Place(SourceText("x.yaml", ("",)), 1, 1)
KEYS = st.sampled_from("abcd")
TEXTS = st.sampled_from(["1", "=PID-3", "x"])


def trees(nulls: bool) -> st.SearchStrategy[Any]:
    """Nested dicts of texts and lists, with null where it may stand."""
    leaf = st.one_of(TEXTS, st.lists(TEXTS, max_size=2), *([st.none()] if nulls else []))
    return st.dictionaries(KEYS, st.recursive(leaf, lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=6), max_size=4)


def shaped(depth: int = 2) -> st.SearchStrategy[Any]:
    """Trees in which `a` and `b` are always texts, `c` and `d` always mappings: files that agree on what is what."""
    inner = shaped(depth - 1) if depth else st.just({})
    return st.fixed_dictionaries({}, optional={"a": TEXTS, "b": TEXTS, "c": inner, "d": inner})


def node(value: Any) -> Node:
    if value is None:
        return Scalar(PLACE, "")
    if isinstance(value, list):
        return Items(PLACE, [node(item) for item in value])
    if isinstance(value, dict):
        made = Entries(PLACE)
        for name, inner in value.items():
            made.put(Scalar(PLACE, name), node(inner))
        return made
    return Scalar(PLACE, value)


def over(below: dict[str, Any], above: dict[str, Any]) -> Any:
    one, other = node(below), node(above)
    assert isinstance(one, Entries)
    assert isinstance(other, Entries)
    return syntax.plain(merge(one, other))


@settings(max_examples=150, deadline=None)
@given(trees(nulls=False))
def test_nothing_changes_nothing(tree: dict[str, Any]) -> None:
    """An empty file over another, and a file over itself, are that file."""
    assert over(tree, {}) == tree
    assert over(tree, tree) == tree


@settings(max_examples=150, deadline=None)
@given(shaped(), shaped(), shaped())
def test_merging_is_associative(a: dict[str, Any], b: dict[str, Any], c: dict[str, Any]) -> None:
    """A chain of three that agree on what is a mapping gives the same whichever two are merged first."""
    assert over(over(a, b), c) == over(a, over(b, c))


@settings(max_examples=150, deadline=None)
@given(trees(nulls=False), trees(nulls=True))
def test_the_child_wins_and_null_removes(below: dict[str, Any], above: dict[str, Any]) -> None:
    """Every leaf of the child stands; what it sets to null is gone; what it does not name stays."""
    made = over(below, above)
    for name, value in above.items():
        if value is None:
            assert name not in made
        elif not isinstance(value, dict):
            assert made[name] == value
    assert all(made[name] == value for name, value in below.items() if name not in above)


@settings(max_examples=100, deadline=None)
@given(trees(nulls=False), trees(nulls=True))
def test_merging_changes_neither(below: dict[str, Any], above: dict[str, Any]) -> None:
    """A parent that many files extend stays as it is."""
    one, other = node(below), node(above)
    assert isinstance(one, Entries)
    assert isinstance(other, Entries)
    merge(one, other)
    assert (syntax.plain(one), syntax.plain(other)) == (below, above)
