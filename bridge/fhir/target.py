"""Judges references by the resources at hand: those of the same Bundle, and those contained in the same resource.

The schema keyword `targets` stands at every Reference.reference. A resource that is checked alone, with nothing contained,
is judged by the text of its references and never comes here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Resource = dict[str, Any]
Fits = Callable[[Resource, str, str], bool]
"""Whether a resource (of a type) conforms to the profile with this URL."""


class Here(threading.local):
    """What is at hand while a Bundle or a resource with contained ones is checked, in this thread."""

    entries: Mapping[str, Resource] | None = None
    """By every address that an entry answers to; None outside a Bundle."""
    contained: Mapping[str, Resource] = {}
    fits: Fits = staticmethod(lambda resource, kind, url: True)


HERE = Here()


class Leads(ValueError):
    """A reference does not lead to what is asked; the message is the issue's code, `found` the type it leads to."""

    def __init__(self, code: str, found: str = "") -> None:
        super().__init__(code)
        self.found = found


class Target:
    """The keyword `targets`: {"types": allowed (none means any), "profiles": by type, those of which the target meets one}."""

    __slots__ = ("profiles", "types")

    def __init__(self, parent: Any, asked: Mapping[str, Any], path: Any) -> None:
        self.types = frozenset(asked["types"])
        self.profiles: Mapping[str, list[str]] = asked["profiles"]

    def validate(self, text: Any) -> None:
        """Raise Leads where the reference goes wrong."""
        if not isinstance(text, str):
            return  # the schema itself objects
        here = HERE
        entries = here.entries
        target = entries.get(text) if entries is not None else None
        if target is None:
            if entries is None and text[:1] != "#":
                return  # nothing is known of what is elsewhere
            target = here.contained.get(text) or (entries or {}).get(text.partition("/_history/")[0])
            if target is None:
                _astray(text)
                return
        kind = target.get("resourceType", "")
        if self.types and kind not in self.types:
            raise Leads("BRG-P010", kind)
        if self.profiles and (asked := self.profiles.get(kind)) and not any([here.fits(target, kind, url) for url in asked]):
            raise Leads("BRG-P021", kind)


def _astray(text: str) -> None:
    """An address that nothing at hand answers to: wrong within, unknown relative, nobody's business elsewhere."""
    if text.startswith(("http://", "https://")) or "?" in text:
        return
    if text.startswith(("#", "urn:")):
        raise Leads("BRG-P011")
    if "/" in text:
        raise Leads("BRG-P019")


def within(schema: Any) -> Any:
    """The schema with every address left to the keyword `targets` where `#id` and `urn:` are concerned."""
    if isinstance(schema, dict):
        if "targets" in schema and "x" in schema:
            rest = {key: value for key, value in schema.items() if key not in ("anyOf", "$ref")}
            text = {key: value for key, value in schema.items() if key in ("anyOf", "$ref")}
            return rest | {"anyOf": [{"pattern": "^#"}, text]}
        return {key: within(value) for key, value in schema.items()}
    if isinstance(schema, list):
        return [within(value) for value in schema]
    return schema


def asked(schema: Any) -> Iterator[str]:
    """The resource types for which the schema asks targets to meet a profile."""
    if isinstance(schema, dict):
        yield from schema.get("targets", {}).get("profiles", ()) if "x" in schema else ()
        for value in schema.values():
            yield from asked(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from asked(value)
