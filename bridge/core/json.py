"""JSON from outside, read strictly: a document that two readers could understand differently is refused."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from bridge.core.errors import Unreadable
from bridge.core.issue import Issue

LIMIT = 16 * 1024 * 1024
"""Bytes of one document."""
_SIGN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[][{},]', re.DOTALL)


def read(body: bytes) -> Any:
    """The parsed document; raises Unreadable (BRG-H010) for bad UTF-8, doubled keys, NaN, infinities, depth or size.

    Source: RFC 8259 sections 4 and 8.1, FHIR R4 json.html (no duplicate property).
    """
    if len(body) > LIMIT:
        raise _unreadable(f"document larger than {LIMIT} bytes", "send it in parts", "too-long")
    try:
        text = body.decode("utf-8-sig")
        document = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse, parse_float=_float)
        if "\\ud" in text or "\\uD" in text:  # RFC 8259 8.2: half a surrogate pair cannot be written again
            json.dumps(document, ensure_ascii=False).encode()
        return document
    except UnicodeEncodeError:
        raise _unreadable("half of a surrogate pair", "write the character itself, or both halves") from None
    except UnicodeDecodeError as error:
        raise _unreadable(f"not UTF-8 at byte {error.start}", "JSON travels as UTF-8") from None
    except json.JSONDecodeError as error:
        raise _unreadable(f"not JSON at line {error.lineno}, column {error.colno}", "check quotes, commas and brackets") from None
    except RecursionError:
        raise _unreadable("nested too deeply", "no FHIR resource or record needs this depth") from None
    except ValueError as error:  # ours below, and numbers of more digits than Python converts
        reason = str(error) if isinstance(error, _Refusal) else "a number that cannot be represented"
        raise _unreadable(reason, "write every property once and numbers as decimals") from None


def elements(body: bytes) -> list[bytes]:
    """The elements of an array as they stand, so that one which cannot be read leaves the others whole.

    What is left over (the array is cut off, or something follows it) is an element that is no JSON.
    """
    found, depth, start = list[bytes](), 0, 0
    for sign in _SIGN.finditer(body):
        mark = sign[0][:1]
        if mark in b"[{":
            depth += 1
            start = sign.end() if depth == 1 else start
        elif mark in b"]}," and depth == 1:
            found.append(body[start:sign.start()])
            start = sign.end()
        depth -= mark in b"]}"
    return [one for one in (*found, body[start:]) if one.strip()]


class _Refusal(ValueError):
    """A reason that holds nothing of the document's content."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Refusal("the same property twice in one object")
    return members


def _refuse(_: str) -> Any:
    raise _Refusal("NaN or Infinity is not a JSON number")


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _Refusal("a number that cannot be represented")
    return number


def _unreadable(text: str, hint: str, kind: str = "structure") -> Unreadable:
    return Unreadable(Issue("fatal", "BRG-H010", "", text, hint, kind))
