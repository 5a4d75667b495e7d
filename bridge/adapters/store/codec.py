"""Values to columns and back: JSON text, moments, folded names, and text that every database can hold."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson

from bridge.core.issue import Issue

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LONGEST = 255
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th"})
"""Letters that people without them on the keyboard write otherwise, and that Unicode does not decompose."""


def dump(value: Any) -> str:
    """JSON text; a Decimal keeps its digits. Raises ValueError, quoting nothing, when it is no JSON."""
    try:
        return orjson.dumps(value, _other).decode()
    except orjson.JSONEncodeError:
        raise ValueError("a value that is not JSON: wrong type, too large a number or broken Unicode") from None


def _other(value: Any) -> Any:
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(str(value).lower().replace("e+", "e"))
    raise TypeError


def load(text: str) -> Any:
    """JSON text of a column as a value."""
    return orjson.loads(text)


def same(one: str, other: str) -> bool:
    """Whether two JSON texts say the same, whatever the order of their keys."""
    if one == other:
        return True
    return len(one) == len(other) and _sorted(one) == _sorted(other)


def _sorted(text: str) -> bytes:
    return orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS)


def split(resource: Mapping[str, Any]) -> tuple[str, str, str]:
    """`Type/id`, content and meta as JSON text; meta without versionId and lastUpdated, which are the ledger's (but for a
    Consent, whose copies its source orders by lastUpdated: consent.md S7).

    Raises ValueError when there is no type or id, or the resource is no JSON.
    """
    content = dict(resource)
    meta = content.pop("meta", None)
    type_, id_ = content.get("resourceType"), content.get("id")
    if not (type_ and id_ and isinstance(type_, str) and isinstance(id_, str)):
        raise ValueError("a resource needs a resourceType and an id to be stored")
    if meta and ("versionId" in meta or "lastUpdated" in meta):
        own = ("versionId",) if type_ == "Consent" else ("versionId", "lastUpdated")
        meta = {name: value for name, value in meta.items() if name not in own}
    return plain(f"{type_}/{id_}"), dump(content), dump(meta) if meta else ""


def join(body: str, meta: str, version: int) -> dict[str, Any]:
    """The resource that `split` took apart, with meta.versionId, as a fresh dict."""
    resource: dict[str, Any] = orjson.loads(body)
    labels: dict[str, Any] = orjson.loads(meta) if meta else {}
    labels["versionId"] = str(version)
    resource["meta"] = labels
    return resource


def dump_issues(issues: Iterable[Issue]) -> str:
    """Issues as a column of JSON lists."""
    rows = [(one.severity, one.code, one.where, one.text, one.hint, one.kind) for one in issues]
    return dump(rows) if rows else "[]"


def load_issues(text: str) -> tuple[Issue, ...]:
    """The issues of such a column."""
    return () if text == "[]" else tuple(Issue(*row) for row in orjson.loads(text))


def texts(text: str) -> tuple[str, ...]:
    """A column that holds a JSON list of texts."""
    return () if text == "[]" else tuple(orjson.loads(text))


def micros(moment: datetime) -> int:
    """Microseconds since 1970, UTC. Raises ValueError when the moment has no offset."""
    if moment.tzinfo is None:
        raise ValueError("a moment without an offset")
    return (moment - _EPOCH) // _MICROSECOND


def moment(value: int) -> datetime:
    """Microseconds since 1970 as a moment in UTC."""
    return _EPOCH + value * _MICROSECOND


def bound(name: str, text: str) -> int:
    """Microseconds of an ISO date or date and time given by a person; without an offset it is UTC."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name} is no ISO date or time, such as 2025-03-01 or 2025-03-01T08:30:00-05:00") from None
    return micros(value if value.tzinfo else value.replace(tzinfo=UTC))


def later(one: str, other: str) -> bool:
    """Whether the first FHIR instant is after the second; anything is after none."""
    if not one or not other:
        return bool(one)
    try:
        return datetime.fromisoformat(one) > datetime.fromisoformat(other)
    except (ValueError, TypeError):
        return one > other


def plain(text: str) -> str:
    """The text without what a database cannot hold (NUL, lone surrogates), each replaced by U+FFFD."""
    if _holds(text):
        return text
    return text.replace("\0", "\ufffd").encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def _holds(text: str) -> bool:
    if "\0" in text:
        return False
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def plain_rows(rows: Sequence[tuple[Any, ...]]) -> Sequence[tuple[Any, ...]]:
    """The rows with every text made storable; looked at as one text, since hardly any batch needs it."""
    if _holds("".join([value for row in rows for value in row if value.__class__ is str])):
        return rows
    return [tuple([plain(value) if isinstance(value, str) else value for value in row]) for row in rows]


def keyed(text: str) -> str:
    """The text as an index column holds it: `plain`, and when very long its beginning and a hash.

    PostgreSQL refuses an index row over 2,704 bytes; a sender's nonsense in MSH-10 must not stop the batch it is in.
    """
    if len(text) <= _LONGEST:
        return plain(text)
    return f"{plain(text[:150])}~{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def fold(family: str) -> str:
    """A family name as it is compared: letters only, without case or accents ("O'Brien-Núñez" is "obriennunez")."""
    bare = unicodedata.normalize("NFKD", family.casefold().translate(_LETTERS))
    return "".join(filter(str.isalpha, bare)).casefold()


def names(patient: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """(birth date, folded family) pairs under which a Patient resource can be found; none without both."""
    born = patient.get("birthDate")
    if not isinstance(born, str) or not born:
        return ()
    found = (fold(name["family"]) for name in patient.get("name") or () if isinstance(name.get("family"), str))
    return tuple(sorted({(keyed(born), keyed(family)) for family in found if family}))
