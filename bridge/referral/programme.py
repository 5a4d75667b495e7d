"""Programme rows: for whom a programme is, who takes it on, and what a draft means for it. One YAML file each.

A row is all that a new programme needs; no programme is named in code. The expressions are those of the mappings, over
the draft's resources by type and the facts `event`, `at`, `needs`; a recipient rule may also read `partner`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bridge.core.draft import Draft, Question
from bridge.language.scope import Nobody, Scope
from bridge.referral.need import Need, needs
from bridge.referral.partner import Partner

Truth = Callable[[Scope], bool]


@dataclass(frozen=True, slots=True)
class Check:
    """One named condition. `needs` are code tables: an open question of one of them makes the decision wait."""

    name: str
    truth: Truth
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """Who takes it on: partners that pass every key given; the first of the register wins.

    `serves` is a category or programme name, or `need` for the need at hand. `area`: the person's home must be covered.
    """

    partner: str = ""
    kind: str = ""
    serves: str = ""
    area: bool = False
    truth: Truth | None = None


@dataclass(frozen=True, slots=True)
class Checklist:
    """An admission form: each item with the answer that passes, and further fields that must be filled in."""

    items: Mapping[str, bool]
    required: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One programme. `per` is `visit` (one referral for a visit) or `need` (one for each); `need` limits the categories.

    `service` is (SNOMED CT procedure, our words), None to go by the need. `category` and `domain` are for a visit.
    `purpose` and `scope` are what the consent must allow; `hours` is the time to the first contact.
    """

    programme: str
    about: str
    events: tuple[str, ...]
    trigger: Truth | None
    eligible: tuple[Check, ...]
    per: str
    need: tuple[str, ...]
    rule: Rule
    slots: int
    caches: int
    category: str = "sdoh-category-unspecified"
    domain: str = ""
    service: tuple[str, str] | None = None
    priority: str = "routine"
    status: str = "requested"
    business: str = "sent"
    payload: str = ""
    purpose: str = "TREAT"
    scope: tuple[str, ...] = ()
    hours: int = 0
    unit: str = ""
    measures: tuple[str, ...] = ()
    checklist: Checklist | None = None
    version: str = ""
    tests: tuple[Mapping[str, Any], ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Opening:
    """One referral to open: `need` is "" for a visit; `reasons` are the `Type/id` behind the need."""

    row: Row
    need: str
    recipient: Partner
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """The decision waits for the answer to a question."""

    row: Row
    question: Question


@dataclass(frozen=True, slots=True)
class No:
    """Not for this person: names of the checks that failed, or `outside-area`, `area-unknown`, `no-partner`."""

    row: Row
    reasons: tuple[str, ...]
    need: str = ""


Finding = Opening | Waiting | No
NOBODY = frozenset({"outside-area", "area-unknown", "no-partner"})
"""Reasons that say nothing about the person's need: nobody was found to take it on."""


def evaluate(
    draft: Draft, row: Row, partners: Sequence[Partner], questions: Sequence[Question], at: str, *,
    background: Sequence[Mapping[str, Any]] = (), without: Collection[str] = (),
) -> list[Finding]:
    """What a draft means for one programme; [] when the programme does not look at such messages. See `evaluate_all`."""
    return evaluate_all(draft, (row,), partners, questions, at, background=background, without=without)


def evaluate_all(
    draft: Draft, rows: Iterable[Row], partners: Sequence[Partner], questions: Sequence[Question], at: str, *,
    background: Sequence[Mapping[str, Any]] = (), without: Collection[str] = (),
) -> list[Finding]:
    """What a draft means for each programme that looks at such messages, in their order.

    `questions` are the open ones of the message, `at` is now (FHIR dateTime). `background` are stored resources of the
    patient that the draft lacks (a screening names the Patient only). `without` are partners already tried. A check that
    fails for certain ends it; an open question of a table that a check reads makes an opening wait, and only that.
    """
    looking = [row for row in rows if draft.event in row.events]
    if not looking:
        return []
    by_type = _by_type(draft, background)
    known = needs(one for held in by_type.values() for one in held)
    facts = {"event": draft.event, "at": at, "needs": [need.category for need in known]}
    return [one for row in looking for one in _evaluate(row, by_type, facts, known, partners, questions, without)]


def _evaluate(
    row: Row, by_type: Mapping[str, list[Any]], facts: Mapping[str, Any], known: Sequence[Need], partners: Sequence[Partner],
    questions: Sequence[Question], without: Collection[str],
) -> list[Finding]:
    scope = Scope(by_type, Nobody(_untranslated), row.slots, row.caches, dict(facts))
    if row.trigger is not None and not row.trigger(scope):
        return []
    failed, question = _judge(row, scope, questions)
    if failed:
        return [No(row, failed)]
    wanted = [Need("", ())] if row.per == "visit" else [need for need in known if not row.need or need.category in row.need]
    address = _home(by_type)
    found: list[Finding] = [_choose(row, need, partners, scope, address, without) for need in wanted]
    if question is not None and any(isinstance(one, Opening) for one in found):
        return [Waiting(row, question)]
    return found or [No(row, ("no-need",))]


def checklist(row: Row, form: Mapping[str, Any]) -> dict[str, Any]:
    """Judge an admission form: `decision` eligible, ineligible (`failed` items) or needs-info (`missing` items), and the
    `task` status that follows.

    A failed item decides even when others are blank; a blank or unreadable item is never taken for a yes or a no.
    Raises ValueError for a row without a checklist.
    """
    if row.checklist is None:
        raise ValueError(f"programme {row.programme} has no checklist")
    given = form.get("checklist") or {}
    answers = {item: _truth(given.get(item)) for item in row.checklist.items}
    failed = [item for item, passes in row.checklist.items.items() if answers[item] is not None and answers[item] != passes]
    if failed:
        return {"decision": "ineligible", "task": "rejected", "failed": failed}
    missing = [item for item, answer in answers.items() if answer is None]
    missing += [name for name in row.checklist.required if not _filled(form, name)]
    if missing:
        return {"decision": "needs-info", "task": "requested", "missing": missing}
    return {"decision": "eligible", "task": "requested"}


def _judge(row: Row, scope: Scope, questions: Sequence[Question]) -> tuple[tuple[str, ...], Question | None]:
    """(names of the checks that failed for certain, the question to wait for)."""
    open_ = {question.table: question for question in questions if question.kind == "code"}
    failed: list[str] = []
    waits: Question | None = None
    for check in row.eligible:
        question = next((open_[table] for table in check.needs if table in open_), None)
        if question is not None:
            waits = waits or question
        elif not check.truth(scope):
            failed.append(check.name)
    return tuple(failed), waits


def _choose(
    row: Row, need: Need, partners: Sequence[Partner], scope: Scope, address: Mapping[str, Any], without: Collection[str],
) -> Opening | No:
    rule, outside = row.rule, False
    for partner in partners:
        wanted = need.category if rule.serves == "need" else rule.serves
        fits = (not rule.partner or partner.id == rule.partner) and (not rule.kind or partner.kind == rule.kind) and (
            not wanted or wanted in partner.serves) and partner.id not in without
        if not fits or (rule.truth is not None and not _agrees(rule.truth, scope, partner)):
            continue
        if rule.area and not partner.covers(address):
            outside = True
            continue
        return Opening(row, need.category, partner, need.reasons)
    why = ("outside-area" if address else "area-unknown") if outside else "no-partner"
    return No(row, (why,), need.category)


def _agrees(truth: Truth, scope: Scope, partner: Partner) -> bool:
    scope.facts = {**(scope.facts or {}), "partner": {
        "id": partner.id, "name": partner.name, "kind": partner.kind, "serves": list(partner.serves),
        "counties": list(partner.counties), "states": list(partner.states), "zips": list(partner.zips),
    }}
    scope.cache = [None] * len(scope.cache)
    return truth(scope)


def _by_type(draft: Draft, background: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The draft's resources, with what it lacks or only names filled in from those on file."""
    by_type: dict[str, list[Any]] = {}
    for one in draft.resources:
        by_type.setdefault(one["resourceType"], []).append(one)
    for stored in background:
        held = by_type.setdefault(stored["resourceType"], [])
        same = next((index for index, other in enumerate(held) if other["id"] == stored["id"]), None)
        if same is None:
            held.append(dict(stored))
        elif _stub(held[same]):
            held[same] = dict(stored)
    return by_type


def _untranslated(table: str, code: str, system: str = "") -> None:
    """Programme rows read what the mapping has translated already."""


def _stub(resource: Mapping[str, Any]) -> bool:
    return any(tag.get("code") == "stub" for tag in resource.get("meta", {}).get("tag", ()))


def _home(by_type: Mapping[str, list[Any]]) -> Mapping[str, Any]:
    """Where the person lives: the first home address, else one without a use, else any that is not old or for bills."""
    addresses = [address for person in by_type.get("Patient", ())[:1] for address in person.get("address", ())]
    usable = [one for one in addresses if one.get("use") not in ("old", "billing", "work") and one.get("type") != "postal"]
    ranked = sorted(usable, key=lambda one: {"home": 0, None: 1}.get(one.get("use"), 2))
    return ranked[0] if ranked else {}


def _truth(value: Any) -> bool | None:
    """A yes or no of a form, however it was written; None when it is neither."""
    if isinstance(value, bool):
        return value
    return {"true": True, "yes": True, "y": True, "1": True, "false": False, "no": False, "n": False, "0": False}.get(
        str(value).strip().lower() if value is not None else "")


def _filled(form: Mapping[str, Any], path: str) -> bool:
    value: Any = form
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value not in (None, "", False, [], {})
