"""Generated functions: what closures would give, written as one text."""

from __future__ import annotations

import traceback
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.language.copier import copier
from bridge.language.flat import MOST, flat, source


def test_flat_parts_are_written_in_and_others_are_called() -> None:
    """A part that is flat becomes text, any other callable a call; constants keep their identity."""
    shared: list[int] = [1]
    inner = flat("{shared}", shared=shared)
    whole = flat("{0} or {1}", flat("not {0}", inner), lambda scope: scope.found)
    assert source(whole) == "(not (k0)) or k1(scope)"
    assert whole(SimpleNamespace(found="x")) == "x"
    assert inner(None) is shared


def test_the_same_text_is_compiled_once() -> None:
    """Mappings that say the same share the code; their constants differ."""
    one, other = flat("{value}", value="a"), flat("{value}", value="b")
    assert one.__code__ is other.__code__  # type: ignore[attr-defined]
    assert (one(None), other(None)) == ("a", "b")


def test_names_bound_in_parts_do_not_meet() -> None:
    """A part may bind a name that the text around it has bound and read already."""
    read = flat("found if (found := {value}) else None", value=[1])
    around = flat("[found, {1}] if (found := {0}) else None", flat("{value}", value=[2]), read)
    assert around(None) == [[2], [1]]


def test_a_long_text_is_called_instead() -> None:
    """Functions stay of a size that a person can read."""
    long = flat(" or ".join(["{0}"] * MOST), flat("{empty}", empty=[]))
    assert source(flat("not {0}", long)) == "not k0(scope)"


def test_a_traceback_shows_the_generated_text() -> None:
    """What fails in an expression can be read in the log."""
    broken: Any = flat("scope.nothing + {one}", one=1)
    with pytest.raises(AttributeError) as caught:
        broken(SimpleNamespace())
    assert "scope.nothing + k0" in "".join(traceback.format_exception(caught.value))


def test_a_copy_shares_nothing() -> None:
    """Each copy has dicts and lists of its own; names are written as they are, whatever stands in them."""
    value = {"coding": [{"code": "a", "it's": None}], "list": ["x", 1, True], "empty": {}, "none": []}
    make = copier(value)
    one, other = make(), make()
    assert one == other == value
    one["coding"][0]["code"] = one["list"][0] = "changed"
    assert other == value
