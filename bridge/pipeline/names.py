"""Whom a Consent names: references of its sender's server, contained organisations and numbers, as partners and people of ours.

A permit must fit its recipient exactly and a deny is read generously (rule M1). So a reference that nobody here can resolve is left
without a name: it permits nobody, denies everybody, and asks a person which partner it means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from bridge.consent.reference import contained_of, type_of
from bridge.core.draft import Question
from bridge.core.envelope import Envelope
from bridge.core.issue import Issue
from bridge.pipeline.bridge import Bridge
from bridge.pipeline.read import CHANNEL
from bridge.referral.match import COPIES
from bridge.referral.partner import reference
from bridge.referral.terms import PARTNER

Resource = dict[str, Any]
SERVER = "urn:sdoh-bridge:server:"
"""Identifier system of what only the sender's own server knows; the sender's id follows."""
AS_SENT = "urn:sdoh-bridge:as-sent"
"""Extension of a Reference that nobody could resolve: what it said."""
SAME = {"urn:oid:2.16.840.1.113883.4.6": "http://hl7.org/fhir/sid/us-npi"}
"""Identifier systems with two names (HL7 OID registry)."""
PERSONS = frozenset({"Practitioner", "PractitionerRole", "Patient", "RelatedPerson", "Device"})
"""What is never a partner, unless an alias says so."""
OURS = frozenset({"Task", "ServiceRequest"})
"""Resources that recipients know under our ids."""
TABLE = "partner"
"""Question.table of a reference that may mean a partner."""
_REFERENCE = re.compile(r"(https?://[\w.:-]{1,100}(/[\w.~-]{1,64}){0,8}/)?[A-Z][A-Za-z]{2,40}/[A-Za-z0-9.-]{1,64}", re.ASCII)


def recorder(envelope: Envelope, bridge: Bridge) -> str:
    """The partner whose message this is: whose channel it came by, or whose feed it names; "" for the site itself."""
    if channel := envelope.headers.get(CHANNEL, ""):
        return channel
    named = next((one for one in bridge.feeds if one.name == envelope.feed), None)
    return envelope.feed if envelope.feed in bridge.partners else named.ehr if named else ""


def bare(text: str) -> str:
    """A reference without the version it names."""
    return text.partition("/_history/")[0].partition("?")[0]


def tidy(consent: Resource) -> Resource:
    """The Consent with only those resources contained that it refers to (FHIR dom-3): a refusal must not be lost for the others."""
    listed = consent.get("contained")
    if not isinstance(listed, list):
        return consent
    rest = {name: value for name, value in consent.items() if name != "contained"}
    text = orjson.dumps(rest)
    kept = [one for one in listed if isinstance(one, dict) and f'"#{one.get("id", "")}"'.encode() in text]
    return {**rest, "contained": kept} if kept else rest


class Names:
    """Resolves the references of one Consent. `questions` and `issues` grow by what it could not."""

    def __init__(self, signed: Resource, around: Sequence[Resource], sender: str, feed: str, bridge: Bridge) -> None:
        self.signed, self.sender, self.feed, self.bridge = signed, sender, feed, bridge
        self.questions: list[Question] = []
        self.issues: list[Issue] = []
        self._inside = {f"#{id_}": one for id_, one in contained_of(signed).items()}
        self._around = {name: one for entry in around for name, one in _named(entry)}
        self._aliases = dict(_aliases(sender, bridge))
        self._numbers = {_folded(number): one.id for one in bridge.partners.values()
                         for number in ((PARTNER, one.id), *one.identifiers)}

    def subject(self) -> Resource:
        """Consent.patient."""
        subject: Resource = self.signed.get("patient") or {}
        return subject

    def target(self, named: Mapping[str, Any]) -> Resource | None:
        """The resource that a reference leads to, contained or in the Bundle around."""
        text = bare(str(named.get("reference") or ""))
        return self._inside.get(text) or self._around.get(text)

    def own(self, text: str) -> str:
        """The id of a Patient of ours; a relative reference is ours only where the site itself says so (rule S2)."""
        text, base = bare(text), self.bridge.fhir_base.rstrip("/") + "/"
        if text.startswith(base):
            text = text.removeprefix(base)
        elif self.sender:
            return ""
        kind, _, id_ = text.partition("/")
        return id_ if kind == "Patient" and f"#{id_}" not in self._inside and text not in self._around else ""

    def foreign(self, text: str) -> Resource:
        """What the sender's server calls somebody, as an identifier."""
        return {"system": f"{SERVER}{self.sender or self.feed}", "value": bare(text)}

    def copy_of(self, signed: Mapping[str, Any]) -> list[Resource]:
        """The name that every version of this Consent shares on its server (rule S7)."""
        return [{"system": f"{COPIES}{self.sender or self.feed or 'fhir'}", "value": signed["id"]}] if signed.get("id") else []

    def partner(self, named: Mapping[str, Any]) -> str:
        """The partner that a reference means: by number, by alias, by our own ids, or as a person has answered; "" if none."""
        numbers = [named.get("identifier") or {}, *((self.target(named) or {}).get("identifier") or ())]
        for one in numbers:
            if found := self._numbers.get(_folded((one.get("system", ""), one.get("value", "")))):
                return found
        text = bare(str(named.get("reference") or ""))
        local = text.removeprefix(self.bridge.fhir_base.rstrip("/") + "/")
        found = self._aliases.get(local) or (self._aliases.get(f"{self.sender}/{text}") if self.sender else "")
        answer = found or self._answer(text)
        return answer if answer in self.bridge.partners else ""

    def settled(self, signed: Resource, patient: str) -> Resource:
        """The Consent with every reference settled: ours, a number, or nobody's."""
        made = {name: value for name, value in signed.items() if name not in ("meta", "identifier", "patient")}
        if listed := signed.get("performer"):
            made["performer"] = [self._known(each, patient) or self._elsewhere(each, patient) for each in listed]
        if listed := signed.get("organization"):
            # one that nobody can tell, in the site's own word, keeps the consent from none of its hospitals (rule S8)
            owners = [self._owner(each, patient) for each in listed]
            made["organization"] = [one for one in owners if self.sender or one.keys() & {"reference", "identifier"}]
            if not made["organization"]:
                del made["organization"]
        if source := signed.get("sourceReference"):
            made["sourceReference"] = self._elsewhere(source, patient)
        if checks := signed.get("verification"):
            made["verification"] = [
                {**each, "verifiedWith": self._elsewhere(each["verifiedWith"], patient)} if "verifiedWith" in each else each for each in checks]
        if provision := signed.get("provision"):
            made["provision"] = self._provision(provision, patient, "Consent.provision", root=True)
        if any(issue.code == "BRG-C012" and issue.severity == "error" for issue in self.issues):
            made["verification"] = [{"verified": False}]  # rule S10: its permits are void, its denies count
        return tidy(made)

    def _provision(self, node: Resource, patient: str, where: str, *, root: bool = False) -> Resource:
        made = dict(node)
        if actors := node.get("actor"):
            made["actor"] = [{**each, "reference": self._actor(each.get("reference") or {}, patient, f"{where}.actor[{place}]")}
                             for place, each in enumerate(actors)]
        if about := node.get("data"):
            settled = [self._about(each, patient) for each in about]
            if None in settled and not self._may_be_foreign(node, where, root):
                del made["data"]
            else:
                made["data"] = [kept or {**each, "reference": self._elsewhere(each["reference"], patient)}
                                for kept, each in zip(settled, about, strict=True)]
        if kids := node.get("provision"):
            made["provision"] = [self._provision(each, patient, f"{where}.provision[{place}]") for place, each in enumerate(kids)]
        return made

    def _may_be_foreign(self, node: Resource, where: str, root: bool) -> bool:
        """Whether records that we cannot find may stay named: a permit of them permits nothing. A deny of them has to reach all."""
        if node.get("type") == "permit":
            return True
        unclear = root and node.get("type") != "deny"
        self.issues.append(Issue(
            "error" if unclear else "warning", "BRG-C012", where, "names single records by references that only the sender's server knows",
            "name them by identifier; until then its denial reaches every record, and an unclear rule permits nothing", "not-found"))
        return False

    def _about(self, each: Resource, patient: str) -> Resource | None:
        """One provision.data whose record is ours or has a number; None when nobody here can find it."""
        named = each.get("reference") or {}
        text = bare(str(named.get("reference") or ""))
        local = text.removeprefix(self.bridge.fhir_base.rstrip("/") + "/")
        if partner := self.partner(named):
            return {**each, "reference": reference(self.bridge.partners[partner], self.bridge.ids)}
        if self._is_subject(named):
            return {**each, "reference": {"reference": f"Patient/{patient}"}}
        if not self.sender or (local != text and type_of(local) in OURS):
            return {**each, "reference": {**named, **({"reference": local} if local else {})}}
        numbers = [named.get("identifier") or {}, *((self.target(named) or {}).get("identifier") or ())]
        number = next((one for one in numbers if one.get("system") and one.get("value")), None)
        return {**each, "reference": {"identifier": number}} if number else None

    def _actor(self, named: Resource, patient: str, where: str) -> Resource:
        """An actor: a partner, the person, somebody with a number, or nobody we can tell."""
        text = bare(str(named.get("reference") or ""))
        known = self._known(named, patient)
        if known is not None:
            return known
        if not text or text.startswith("#") or type_of(text) in PERSONS:
            return self._elsewhere(named, patient)
        if self._answer(text):  # a person has said that it is none of ours
            return self._elsewhere(named, patient)
        if _REFERENCE.fullmatch(text):  # a question shows what was sent, so it must be a reference and nothing else
            self.questions.append(Question(
                "code", f"which partner does {where} mean? `new` if it is none of ours", where, TABLE, f"{SERVER}{self.sender or self.feed}", text,
                tuple(sorted(self.bridge.partners))))
        display = {"display": named["display"]} if named.get("display") else {}
        return {**display, "extension": [*named.get("extension", ()), {"url": AS_SENT, "valueString": text}]}

    def _owner(self, named: Resource, patient: str) -> Resource:
        """Consent.organization; one that nobody can tell is the hospital that recorded it."""
        known = self._known(named, patient)
        if known is not None:
            return known
        name = str(named.get("display") or (self.target(named) or {}).get("name") or "").strip().casefold()
        same = [one for one in self.bridge.partners.values() if name and one.name.strip().casefold() == name]
        theirs = same[0] if len(same) == 1 else self.bridge.partners.get(self.sender)
        return reference(theirs, self.bridge.ids) if theirs else self._elsewhere(named, patient)

    def _known(self, named: Resource, patient: str) -> Resource | None:
        """The reference to a partner, to the person, or with a number; None when it is none of these."""
        if partner := self.partner(named):
            return reference(self.bridge.partners[partner], self.bridge.ids)
        if self._is_subject(named):
            return {"reference": f"Patient/{patient}"}
        if (named.get("identifier") or {}).get("value"):
            return {name: value for name, value in named.items() if name != "reference"}
        numbers = [one for one in (self.target(named) or {}).get("identifier", ()) if one.get("value")]
        if numbers and not str(named.get("reference")).startswith("#"):
            return {"identifier": numbers[0], **({"display": named["display"]} if named.get("display") else {})}
        return named if numbers else None

    def _is_subject(self, named: Resource) -> bool:
        text = named.get("reference")
        return bool(text) and text == self.subject().get("reference")

    def _elsewhere(self, named: Resource, patient: str) -> Resource:
        """A reference into the sender's server as a number of that server, so that it never means a record of ours."""
        text = bare(str(named.get("reference") or ""))
        if self._is_subject(named):
            return {"reference": f"Patient/{patient}"}
        if not text or text.startswith("#") or not self.sender:
            return named
        return {"identifier": named.get("identifier") or self.foreign(text), **({"display": named["display"]} if named.get("display") else {})}

    def _answer(self, text: str) -> str:
        return self.bridge.words.answers.get((self.feed, TABLE, f"{SERVER}{self.sender or self.feed}", text), "") if text else ""


def _named(entry: Mapping[str, Any]) -> Iterator[tuple[str, Resource]]:
    """The names under which an entry of a Bundle may be referred to."""
    resource = entry.get("resource")
    if isinstance(resource, dict):
        if entry.get("fullUrl"):
            yield bare(str(entry["fullUrl"])), resource
        if resource.get("id"):
            yield f"{resource.get('resourceType')}/{resource['id']}", resource


def _aliases(sender: str, bridge: Bridge) -> Iterator[tuple[str, str]]:
    """Reference to partner id: the ids under which we send our partners' organisations, and the settings' own list."""
    for one in bridge.partners.values():
        ours = bridge.ids.uuid("Organization", PARTNER, one.id)
        yield f"Organization/{one.id}", one.id
        yield f"Organization/{ours}", one.id
        if sender:
            yield f"Organization/{bridge.ids.pairwise(sender, 'Organization', ours)}", one.id
        yield from ((alias, one.id) for alias in one.aliases)


def _folded(number: tuple[str, str]) -> tuple[str, str]:
    system, value = str(number[0]).strip(), str(number[1]).strip()
    return SAME.get(system, system), value
