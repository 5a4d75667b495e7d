"""The notice of 42 CFR 2.32 and the scope of a consent in words, from `profiles/consent/part2.yaml`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

REDISCLOSURE = frozenset({"42CFRPart2", "NORDSCLCD", "NORDSCLCDS"})
"""Labels of what its recipient may not pass on (v3-ActCode)."""


@dataclass(frozen=True, slots=True)
class Part2:
    """The texts and marks that go with a Part 2 record. `words` holds the pieces of the scope sentence."""

    security: tuple[Mapping[str, str], ...]
    notice: str
    short: str
    words: Mapping[str, Any]

    def scope(self, consents: Iterable[Mapping[str, Any]], recipient: str) -> list[str]:
        """What each of these consents lets the recipient have, for what and until when; a sentence for each."""
        return [self._scope(consent, recipient) for consent in consents]

    def _scope(self, consent: Mapping[str, Any], recipient: str) -> str:
        words, rules = self.words, list(_permits(consent))
        end = (consent.get("provision") or {}).get("period", {}).get("end", "")
        return str(words["scope"]).format(
            signed=consent.get("dateTime", words["unsigned"])[:10], recipient=recipient,
            what=_listed(rules, "securityLabel", words["labels"], known=True) or words["everything"],
            purposes=_listed(rules, "purpose", words["purposes"]) or words["anything"],
            until=str(words["with_end"]).format(end=end[:10]) if end else words["without_end"])


@cache
def load() -> Part2:
    """The packaged texts; read once per process."""
    words = yaml.safe_load(files("profiles").joinpath("consent/part2.yaml").read_text("utf-8"))
    return Part2(tuple(words["security"]), words["notice"], words["short"], words)


def marked(resource: Mapping[str, Any], security: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """The resource with these labels in meta.security, each once."""
    meta = resource.get("meta") or {}
    have = list(meta.get("security") or ())
    codes = {(one.get("system"), one.get("code")) for one in have}
    more = [dict(one) for one in security if (one["system"], one["code"]) not in codes]
    return {**resource, "meta": {**meta, "security": [*have, *more]}}


def bound(resource: Mapping[str, Any]) -> bool:
    """Whether the resource, or one that it contains, is labelled as not to be passed on."""
    parts = [resource, *(resource.get("contained") or ())]
    return any(label.get("code") in REDISCLOSURE for part in parts for label in (part.get("meta") or {}).get("security") or ())


def _permits(consent: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    waiting = [consent.get("provision") or {}]
    for rule in waiting:
        if rule.get("type", "permit") == "permit":
            yield rule
        waiting += rule.get("provision") or ()


def _listed(rules: Iterable[Mapping[str, Any]], element: str, words: Mapping[str, str], *, known: bool = False) -> str:
    """The codes of an element in words, without repeats; with `known`, only those that have words."""
    codes = [coding.get("code", "") for rule in rules for coding in rule.get(element) or ()]
    return ", ".join(dict.fromkeys(words.get(code, code) for code in codes if code in words or not known))
