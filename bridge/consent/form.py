"""A signed form as a person has read it, as the provisions of a Consent: who may receive what, for which purpose, until when.

The form is a mapping (YAML or JSON); docs/consent.md has one in full. What it does not name stays unpermitted: without `labels` a
rule reaches data of normal confidentiality only. Source: reference/consent.md 1.2 (practical path for B2), R4 Consent.provision.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bridge.consent import labels as labelling
from bridge.consent.terms import ACT_CODE, ACT_REASON, CONFIDENTIALITY, CONSENT_ACTION, PART2
from bridge.core.errors import SettingsError

Resource = dict[str, Any]
Resolve = Callable[[str], Resource]
"""A word of `who` (a partner's id, `kind:housing`) as a Reference; raises SettingsError for one that nobody has."""
RECEIVER = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]}
LEVELS = ("U", "L", "M", "N", "R", "V")
FORM = frozenset({"form", "patient", "signed", "signed_by", "from", "until", "permit", "deny", "verified", "organization", "original"})
RULE = frozenset({"who", "purpose", "action", "labels", "classes", "codes", "authored_by", "data_from", "data_until", "from", "until"})
OPEN = "open"
"""`until` of a form that says that it has no end."""
_DATE = re.compile(r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))?)?)?", re.ASCII)


def provision(form: Mapping[str, Any], resolve: Resolve) -> Resource:
    """The root provision: context alone, with one nested rule for each of `permit` and `deny` (R4: the root has no type).

    Raises SettingsError naming the key that is wrong, never its value.
    """
    unknown = sorted(str(key) for key in set(form) - FORM if re.fullmatch(r"\w{1,30}", str(key)))
    if unknown or set(form) - FORM:
        raise SettingsError(f"the form has unknown keys: {', '.join(unknown) or 'not words'}; there are {', '.join(sorted(FORM))}")
    rules = [*_rules(form, "permit", resolve), *_rules(form, "deny", resolve)]
    if not rules:
        raise SettingsError("the form says nothing: give permit, deny or both")
    until = date(form, "until") if form.get("until") != OPEN else ""
    if form.get("permit") and not form.get("until") and not all(rule.get("period", {}).get("end") for rule in rules if rule["type"] == "permit"):
        raise SettingsError(f"until: a permit needs its end, as the form has it; `{OPEN}` when the form says that it has none")
    return {**_period(date(form, "from"), until), "provision": rules}


def date(form: Mapping[str, Any], key: str) -> str:
    """A date or moment of the form as FHIR writes it; "" when it is not given."""
    text = str(form.get(key) or "")
    if text and not _DATE.fullmatch(text):
        raise SettingsError(f"{key}: a date is written 2026-11-20, a moment 2026-11-20T15:00:00-05:00")
    return text


def _rules(form: Mapping[str, Any], kind: str, resolve: Resolve) -> Iterable[Resource]:
    listed = form.get(kind) or []
    if not isinstance(listed, list) or not all(isinstance(each, Mapping) for each in listed):
        raise SettingsError(f"{kind}: a list of rules, each with who, purpose, ...")
    return [_rule(each, kind, f"{kind}[{place}]", resolve) for place, each in enumerate(listed)]


def _rule(rule: Mapping[str, Any], kind: str, where: str, resolve: Resolve) -> Resource:
    if set(rule) - RULE:
        raise SettingsError(f"{where}: unknown keys; there are {', '.join(sorted(RULE))}")
    who = _words(rule, "who", where)
    if not who and kind == "permit":
        raise SettingsError(f"{where}.who: name the partners, or kind:housing and the like")
    purposes = _words(rule, "purpose", where) or (["TREAT"] if kind == "permit" else [])
    made: Resource = {"type": kind, **_period(date(rule, "from"), date(rule, "until"))}
    made["actor"] = [{"role": RECEIVER, "reference": resolve(word)} for word in who]
    made["action"] = [{"coding": [{"system": CONSENT_ACTION, "code": _known(word, "action", where)}]} for word in _words(rule, "action", where)]
    made["securityLabel"] = _labels(_words(rule, "labels", where), kind, where)
    made["purpose"] = [{"system": ACT_REASON, "code": _known(word, "purpose", where)} for word in purposes]
    made["class"] = [{"system": "http://hl7.org/fhir/resource-types", "code": word} for word in _words(rule, "classes", where)]
    made["code"] = [{"coding": [_coding(word, where)]} for word in _words(rule, "codes", where)]
    data = _period(date(rule, "data_from"), date(rule, "data_until"))
    made |= {"dataPeriod": data["period"]} if data else {}
    made["data"] = [{"meaning": "authoredby", "reference": resolve(word)} for word in _words(rule, "authored_by", where)]
    return {name: value for name, value in made.items() if value not in ([], {})}


def _period(start: str, end: str) -> Resource:
    period = {name: value for name, value in (("start", start), ("end", end)) if value}
    return {"period": period} if period else {}


def _words(rule: Mapping[str, Any], key: str, where: str) -> list[str]:
    value = rule.get(key) or []
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(each, str) and each for each in listed):
        raise SettingsError(f"{where}.{key}: a word or a list of words")
    return listed


def _known(word: str, key: str, where: str) -> str:
    terms = labelling.load().terms
    if word not in (terms.purposes if key == "purpose" else terms.actions):
        raise SettingsError(f"{where}.{key}: no such code; see profiles/consent/purposes.csv and consentaction")
    return word


def _labels(words: list[str], kind: str, where: str) -> list[Resource]:
    """Codings of the labels; a permit that names no level reaches normal confidentiality, and what it names besides."""
    terms, made = labelling.load().terms, list[Resource]()
    known = {code: system for system, code in terms.canonical if system}
    for word in words:
        if word in LEVELS:
            made.append({"system": CONFIDENTIALITY, "code": word})
        elif word == PART2 or word in known:
            made.append({"system": known.get(word, ACT_CODE), "code": word})
        else:
            raise SettingsError(f"{where}.labels: no such label; see profiles/consent/sensitivities.csv")
    named = any(word in LEVELS for word in words)
    return made if named or kind == "deny" else [{"system": CONFIDENTIALITY, "code": "N"}, *made]


def _coding(word: str, where: str) -> Resource:
    system, bar, code = word.rpartition("|")
    if not bar or not system or not code:
        raise SettingsError(f"{where}.codes: written system|code")
    return {"system": system, "code": code}
