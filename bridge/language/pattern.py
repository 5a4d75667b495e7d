"""Regular expressions that cannot take long: what may repeat, how often and on how long a text is bounded."""

from __future__ import annotations

import re
from collections.abc import Callable

from bridge.language.syntax import Place, fault

LONGEST = 200
"""Characters of a pattern, and of a text that is looked at."""
REPEATS = 3
"""Open repeats in one pattern: the worst case is a text's length to this power."""
CHOICES = 10

_GROUP_REPEAT = re.compile(r"\)\s*(?:[*+]|\{)")
_BACK = re.compile(r"\\[1-9]|\(\?P=|\(\?[<(=!]")


def compiled(text: str, place: Place) -> Callable[[str], bool]:
    """(text) -> whether the whole of it matches; raises MappingError for a pattern that is wrong or could be slow."""
    bare = re.sub(r"\\.", "x", text)
    bare = re.sub(r"\[\^?\]?[^\]]*\]", "x", bare)
    if len(text) > LONGEST:
        raise fault(place, f"a pattern longer than {LONGEST} characters")
    if _GROUP_REPEAT.search(bare) or _BACK.search(text):
        raise fault(place, "a group that repeats, looks around or refers back", hint="repeat single characters: [A-Z]{1,3}[0-9]+")
    if len(re.findall(r"[*+]|\{\d*,?\d*\}", bare)) > REPEATS or bare.count("|") + bare.count("?") > CHOICES:
        raise fault(place, f"at most {REPEATS} repeats and {CHOICES} choices", hint="use `in`, starts() or a set for many words")
    try:
        match = re.compile(text).fullmatch
    except re.error as error:
        raise fault(place, f"not a pattern: {error.msg}") from None
    except (OverflowError, RecursionError):
        raise fault(place, "not a pattern: too large") from None
    return lambda said: len(said) <= LONGEST and match(said) is not None
