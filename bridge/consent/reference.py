"""Who or what a Reference means: keys that are equal exactly when two references name the same thing.

A key is a normalised reference (text) or an identifier (system, value). Bare identifiers, without system, are no key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Key = str | tuple[str, str]

NOBODY: frozenset[Key] = frozenset()


def normalise(reference: str, base: str, home: str = "") -> str:
    """The reference without our own base and without a version (S2); `home` is the foreign base it stands under, if
    any.

    FHIR R4 Bundle 2.36.4: a relative reference in an entry belongs to the server that the entry's fullUrl names.
    """
    text = reference.partition("/_history/")[0]
    own = base.rstrip("/") + "/"
    if base and text.startswith(own):
        return text[len(own) :]
    if home and ":" not in text and not text.startswith("#"):
        return f"{home}/{text}"
    return text


def type_of(reference: str) -> str:
    """`Patient` for `Patient/p1` and `https://host/fhir/Patient/p1`; "" when the reference does not say."""
    head, _, name = reference.rpartition("/")
    type_ = head.rpartition("/")[2]
    return type_ if name and type_.isalpha() and type_[:1].isupper() else ""


def foreign_home(full_url: str, type_: str, base: str) -> str:
    """The base of a RESTful fullUrl that is not ours, else "" (also for urn:uuid and malformed ones)."""
    text = normalise(full_url, base)
    if "://" not in text:
        return ""
    head, _, _ = text.rpartition("/")
    return head[: -len(type_) - 1] if head.endswith("/" + type_) else ""


def identifiers(value: Any) -> tuple[frozenset[Key], frozenset[str]]:
    """(system, value) pairs and bare values of one Identifier or a list of them."""
    listed = value if isinstance(value, list) else [value] if value else []
    pairs, bare = set[Key](), set[str]()
    for identifier in listed:
        system, text = identifier.get("system"), identifier.get("value")
        if text is not None and text.__class__ is not str:
            raise ValueError("an identifier's value is no text")  # 7 and "7" would be two copies of one consent (S7)
        if text and system:
            pairs.add((system, text))
        elif text:
            bare.add(text)
    return frozenset(pairs), frozenset(bare)


@dataclass(frozen=True, slots=True)
class Named:
    """What one Reference says: keys, and identifier values without a system. `empty` when it names nothing
    computable."""

    keys: frozenset[Key]
    bare: frozenset[str]

    @property
    def empty(self) -> bool:
        return not self.keys and not self.bare


def named(reference: Mapping[str, Any], base: str, container: Mapping[str, Any] | None = None, home: str = "") -> Named:
    """Read one Reference; `#id` stands for the identifiers of that resource contained in `container`."""
    keys, bare = identifiers(reference.get("identifier"))
    text = reference.get("reference")
    if not text:
        return Named(keys, bare)
    if text.startswith("#"):
        inner = contained_of(container or {}).get(text[1:], {})
        more, loose = identifiers(inner.get("identifier"))
        return Named(keys | more, bare | loose)
    return Named(keys | {normalise(text, base, home)}, bare)


def union(references: Iterable[Named]) -> Named:
    """All the keys of several references."""
    listed = list(references)
    return Named(frozenset().union(*(each.keys for each in listed)), frozenset().union(*(each.bare for each in listed)))


def contained_of(resource: Mapping[str, Any]) -> dict[str | None, Any]:
    """Contained resources by id."""
    return {inner.get("id"): inner for inner in resource.get("contained") or ()}
