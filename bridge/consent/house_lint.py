"""Looks over rules of the house: rules nobody tested, rules that can never act, rules that take back what another says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bridge.consent import house_case
from bridge.consent.house import Between, Rule, What, Who
from bridge.consent.house_file import Shelf, Written
from bridge.consent.terms import load as load_terms


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something to look at. `where` is file:line:column; a `note` is said and fails nothing."""

    where: str
    rule: str
    text: str
    note: bool = False


def lint(shelf: Shelf) -> list[Doubt]:
    """Every doubt about the rules of a shelf, in order; raises MappingError for a test that cannot be read."""
    written = shelf.written
    found = [doubt for each in written for doubt in (*_alone(each), *_untested(each), *_among(each, written), *_homeless(each, shelf))]
    return [*found, *(Doubt(code, "", f"the law of {one.name} is as engineers read it: `verified: no`", note=True)
                      for code, one in sorted(shelf.overlays.items()) if not one.verified)]


def _doubt(written: Written, text: str) -> Doubt:
    return Doubt(str(written.place), written.rule.name, text)


def _alone(written: Written) -> Iterator[Doubt]:
    """What is wrong with a rule whatever the others say."""
    rule = written.rule
    if rule.since and rule.until and rule.since > rule.until:
        yield _doubt(written, "unreachable: it ends before it begins")
    if rule.effect == "withhold" and not (rule.who or rule.purposes or rule.actions) and rule.what == What():
        yield _doubt(written, "it keeps back everything from everybody")
    if rule.what.types and rule.what.elements and not any(each.partition(".")[0] in rule.what.types for each in rule.what.elements):
        yield _doubt(written, "unreachable: its elements are of other types than its `type:`")


def _untested(written: Written) -> Iterator[Doubt]:
    """A rule shows a case in which it acts and one in which it does not."""
    acts = house_case.acts(written)
    if not acts:
        yield _doubt(written, "untested: it has no `tests:`")
    elif True not in acts:
        yield _doubt(written, "untested: in none of its tests does it make a difference")
    elif False not in acts:
        yield _doubt(written, "untested: no test shows what it leaves alone")


def _homeless(written: Written, shelf: Shelf) -> Iterator[Doubt]:
    if written.rule.jurisdiction and written.rule.jurisdiction not in shelf.overlays:
        yield _doubt(written, f"unreachable: there is no jurisdiction {written.rule.jurisdiction}; there are {', '.join(sorted(shelf.overlays))}")


def _among(written: Written, others: Sequence[Written]) -> Iterator[Doubt]:
    """What other rules make of this one."""
    rule = written.rule
    for other in others:
        if other is written or not covers(other.rule, rule):
            continue
        if rule.effect == "allow" and other.rule.effect == "withhold":
            yield _doubt(written, f"contradiction: `{other.rule.name}` withholds all that it allows")
        elif _says_more(other.rule, rule) and (not _says_more(rule, other.rule) or other.rule.name < rule.name or not covers(rule, other.rule)):
            yield _doubt(written, f"unreachable: `{other.rule.name}` says all of it already")
        elif rule.forms and other.rule.forms and rule.forms.isdisjoint(other.rule.forms):
            yield _doubt(written, f"contradiction: no permit can be on its form and on that of `{other.rule.name}`")


def _says_more(one: Rule, other: Rule) -> bool:
    """Whether a rule of at least the same scope takes out all that the other would."""
    if "allow" in (one.effect, other.effect):
        return one.effect == other.effect
    if one.effect == "withhold":
        return True
    if one.effect != other.effect or one.what.elements != other.what.elements:
        return False
    if one.effect == "redact":
        return True
    return set(one.needs) >= set(other.needs) and (not other.forms or (bool(one.forms) and one.forms <= other.forms))


def covers(one: Rule, other: Rule) -> bool:
    """Whether a rule is about everything that the other is about."""
    return (
        (not one.jurisdiction or one.jurisdiction == other.jurisdiction)
        and (not one.since or (bool(other.since) and one.since <= other.since))
        and (not one.until or (bool(other.until) and other.until <= one.until))
        and _within(other.actions, one.actions)
        and (not one.purposes or (bool(other.purposes) and all(load_terms().within(each, one.purposes) for each in other.purposes)))
        and (not one.who or (bool(other.who) and all(any(_between(each, inner) for each in one.who) for inner in other.who)))
        and _what(one.what, other.what)
    )


def _between(one: Between, other: Between) -> bool:
    custodian = one.custodian is None or (other.custodian is not None and _who(one.custodian, other.custodian))
    return _who(one.recipient, other.recipient) and custodian and (one.but is None or one.but == other.but)


def _who(one: Who, other: Who) -> bool:
    return all(_within(inner, outer) for inner, outer in ((other.kinds, one.kinds), (other.ids, one.ids), (other.flags, one.flags)))


def _what(one: What, other: What) -> bool:
    plain = ((other.types, one.types), (other.categories, one.categories), (other.programmes, one.programmes), (other.codes, one.codes))
    if not all(_within(inner, outer) for inner, outer in plain):
        return False
    if not one.labelled:
        return True
    terms = load_terms()
    families = all(not terms.covered_by_deny.get(each, frozenset((each,))).isdisjoint(one.labels) for each in other.labels)
    levels = not other.levels or (bool(one.levels) and min(one.levels) <= min(other.levels))
    return other.labelled and families and levels and other.tags <= one.tags and other.local <= one.local


def _within(inner: Iterable[str | tuple[str, str]], outer: Iterable[str | tuple[str, str]]) -> bool:
    """Whether a criterion is at most as wide as another; an empty one is as wide as can be."""
    return not outer or (bool(inner) and set(inner) <= set(outer))
