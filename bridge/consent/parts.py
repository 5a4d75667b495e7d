"""Takes a resource apart into units and labels each one: what its codes reveal, what its source asserted (R1, R4,
L1-L3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bridge.consent.labels import INLINE, NONE, Code, Labeller, Labels
from bridge.consent.terms import PART2
from bridge.consent.unit import NOT_UNITS, PLAIN_REFERENCE, Found, Subject, Unit, clean, is_core

Piece = tuple[str, Found]
Inner = tuple[str, Subject, Found]
Forms = Mapping[str, Mapping[str, Any]]
"""Questionnaires by canonical URL without version."""


@dataclass(frozen=True, slots=True)
class Parts:
    """A resource as units; the first is the core. `inline` are the labels its elements carry themselves."""

    core: Unit
    others: tuple[Unit, ...]


def take_apart(
    subject: Subject,
    labeller: Labeller,
    extra: Labels | None = None,
    forms: Forms | None = None,
    with_codes: bool = True,
    by_labels: bool = False,
) -> Parts:
    """The units of one resource.

    `extra` are labels of the Bundle around it. Elements that add neither a label nor, when `with_codes`, a code to the
    core are left out: they are decided as the core is. `by_labels` says that nobody asks for codes at all: a resource
    that reveals nothing is then one unit, found in one look.
    """
    if by_labels and _is_plain(subject, labeller):
        labels = labeller.unlabelled if extra is None else labeller.unlabelled.join(extra)
        return Parts(Unit("", subject, labels, ()), ())
    core, pieces, inner = _gather(subject, forms or {})
    labels = labeller.unlabelled
    if subject.meta.get("security"):
        every = [core, *(found for _, found in pieces), *(found for _, _, found in inner)]
        labels = _source_labels(subject, labeller, every)
    labels = labels if extra is None else labels.join(extra)
    if subject.type == "QuestionnaireResponse":
        labels = labels.plus(_unresolved(subject, labeller, forms or {}), labeller.restricted)
    labels = _labelled(labels, core, labeller)
    others: list[Unit] = []
    for path, found in pieces:
        own = _labelled(labels, found, labeller)
        if own is not labels or (with_codes and found.codes):
            others.append(Unit(path, subject, own, clean(found.codes)))
    others += _contained(inner, labels, labeller)
    return Parts(Unit("", subject, labels, clean(core.codes)), tuple(others))


def _is_plain(subject: Subject, labeller: Labeller) -> bool:
    """Whether nothing anywhere in the resource carries a label or reveals one; most resources are such."""
    resource, meta = subject.resource, subject.meta
    if meta.get("security") or "contained" in resource or subject.type == "QuestionnaireResponse":
        return False
    waiting = [value for name, value in resource.items() if name not in NOT_UNITS]
    waiting += (meta.get("tag"), meta.get("extension"))
    for value in waiting:
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            if ("code" in value or "url" in value) and _reveals(value, labeller):
                return False
            for child in value.values():
                if child.__class__ is not str:
                    waiting.append(child)
    return True


def _reveals(value: Mapping[str, Any], labeller: Labeller) -> bool:
    """Whether this very object, whatever is in it, is an inline label, or has a code or URL that carries one."""
    url, code = value.get("url"), value.get("code")
    if isinstance(url, str) and (url == INLINE or labeller.of_url(url)):
        return True
    return isinstance(code, str) and bool(labeller.of_code(value.get("system") or "", code))


def _gather(subject: Subject, forms: Forms) -> tuple[Found, list[Piece], list[Inner]]:
    """The core's content, the ancillary pieces by path, and the contained resources."""
    core, pieces = Found(), list[Piece]()
    resource = subject.resource
    for name, value in resource.items():
        if name in NOT_UNITS or not isinstance(value, (dict, list)):
            continue
        element = name.removeprefix("_")
        if is_core(subject.type, element):
            core.walk(value)
            target = subject.contained_target(value)
            if target is not None:
                core.walk(target)
        elif isinstance(value, list) and name == "item" and subject.type == "QuestionnaireResponse":
            pieces += _items(value, "item", _item_codes(subject, forms))
        else:
            pieces += _pieces(element, value)
    for name in ("tag", "extension") if subject.meta else ():
        pieces += _pieces(f"meta.{name}", subject.meta.get(name) or [])
    return core, pieces, list(_inner(subject))


def _inner(subject: Subject) -> Iterator[Inner]:
    """The contained resources, looked into."""
    for place, each in enumerate(subject.resource.get("contained") or ()):
        found = Found()
        found.walk({name: value for name, value in each.items() if name != "meta"})
        yield f"contained[{place}]", Subject(each, subject.policy, subject.home, subject), found


def _pieces(name: str, value: Any) -> Iterator[Piece]:
    """One piece per repetition of an element (R1)."""
    listed = value if isinstance(value, list) else [value]
    for place, each in enumerate(listed):
        if isinstance(each, (dict, list)) and not (isinstance(each, dict) and each.keys() <= PLAIN_REFERENCE):
            found = Found()
            found.walk(each)
            if found.codes or found.urls or found.inline:
                yield (f"{name}[{place}]" if isinstance(value, list) else name), found


def _items(items: Sequence[Mapping[str, Any]], path: str, codes: Mapping[str, Sequence[Code]]) -> Iterator[Piece]:
    """One piece per form item, without the items below it, which are pieces of their own."""
    for place, item in enumerate(items):
        here = f"{path}[{place}]"
        found = Found()
        found.walk(item, skip="item")
        link = item.get("linkId") or ""
        found.codes += codes.get(link, ())
        found.links.append(link)
        yield here, found
        yield from _items(item.get("item") or (), f"{here}.item", codes)
        for at, answer in enumerate(item.get("answer") or ()):
            yield from _items(answer.get("item") or (), f"{here}.answer[{at}].item", codes)


def _item_codes(subject: Subject, forms: Forms) -> dict[str, list[Code]]:
    """item.code of the Questionnaire by linkId, when the form is contained or known."""
    canonical = str(subject.resource.get("questionnaire") or "").partition("|")[0]
    form = subject.contained_target({"reference": canonical}) or forms.get(canonical) or {}
    codes: dict[str, list[Code]] = {}

    def read(items: Iterable[Mapping[str, Any]]) -> None:
        for item in items:
            listed = [(code.get("system") or "", code.get("code") or "") for code in item.get("code") or ()]
            if listed:
                codes.setdefault(item.get("linkId") or "", []).extend(listed)
            read(item.get("item") or ())

    read(form.get("item") or ())
    return codes


def _unresolved(subject: Subject, labeller: Labeller, forms: Forms) -> frozenset[str]:
    """L1, forms: what the form itself reveals, and when an item cannot be resolved, everything that it can."""
    form = str(subject.resource.get("questionnaire") or "")
    codes = _item_codes(subject, forms)
    links = [link for _, found in _items(subject.resource.get("item") or (), "", {}) for link in found.links]
    if all(link in codes or labeller.of_link_id(link) is not None for link in links):
        return labeller.of_panel(form)
    return labeller.of_form(form)


def _labelled(labels: Labels, found: Found, labeller: Labeller) -> Labels:
    """These labels, raised by what an element's codes, URLs, linkIds and inline labels say; the same object if by
    nothing."""
    revealed = NONE
    for system, code in found.codes:
        revealed |= labeller.of_code(system, code)
    for url in found.urls:
        revealed |= labeller.of_url(url)
    for link in found.links:
        revealed |= labeller.of_link_id(link) or NONE
    labels = labels.plus(revealed, labeller.restricted)
    if not found.inline:
        return labels
    joined = labels.join(labeller.asserted(found.inline))
    return labels if joined == labels else joined


def _source_labels(subject: Subject, labeller: Labeller, found: Iterable[Found]) -> Labels:
    """R4: the labels of meta.security; with PROCESSINLINELABEL, sensitivities repeated inline are the elements'
    alone."""
    codings = subject.meta.get("security") or ()
    labels = _levelled(labeller.asserted(codings), labeller)
    inline = ("PROCESSINLINELABEL" in {coding.get("code") for coding in codings}) if labels.sensitivities else False
    if not inline or subject.policy.inline_strict:
        return labels
    repeated = labeller.asserted(coding for each in found for coding in each.inline).sensitivities - {PART2}
    kept = [
        coding
        for coding in codings
        if labeller.sensitivity(labeller.terms.system(coding.get("system") or ""), coding.get("code") or "") not in repeated
    ]
    return _levelled(labeller.asserted(kept), labeller)


def _levelled(labels: Labels, labeller: Labeller) -> Labels:
    """L2: no level at all is N."""
    return replace(labels, rank=labeller.normal) if labels.rank < 0 else labels


def inline_labels(resource: Mapping[str, Any], labeller: Labeller) -> frozenset[str]:
    """Sensitivities that elements of a resource carry as inline labels."""
    found = Found()
    found.walk({name: value for name, value in resource.items() if name != "meta"})
    return labeller.asserted(found.inline).sensitivities


def uncarried(bundle: Mapping[str, Any], labeller: Labeller) -> list[Mapping[str, Any]]:
    """Labels of a Bundle that no entry carries, by its own labels or its codes: they cover every entry. The others are
    the high-water mark of the entries (consent.md 2.2)."""
    codings = (bundle.get("meta") or {}).get("security") or ()
    if not codings:
        return []
    carried, exact = Labels(-1), set[Code]()
    for entry in bundle.get("entry") or ():
        resource = entry.get("resource") or {}
        own = (resource.get("meta") or {}).get("security") or ()
        found = Found()
        found.walk(resource)
        carried = carried.join(_labelled(labeller.asserted(own), found, labeller))
        exact |= {(each.get("system") or "", each.get("code") or "") for each in own}
    return [each for each in codings if not _is_carried(each, carried, exact, labeller)]


def _is_carried(coding: Mapping[str, Any], carried: Labels, exact: set[Code], labeller: Labeller) -> bool:
    labels = labeller.asserted([coding])
    if (coding.get("system") or "", coding.get("code") or "") in exact:
        return True
    if labels.sensitivities:
        return labels.sensitivities <= carried.sensitivities
    return labeller.normal < labels.rank <= carried.rank


def _contained(inner: Iterable[Inner], labels: Labels, labeller: Labeller) -> Iterator[Unit]:
    """L3: contained resources carry no labels of their own, so they are looked into; directory entries need a label."""
    for path, subject, found in inner:
        own = _labelled(labels.join(labeller.asserted(subject.meta.get("security") or ())), found, labeller)
        if subject.type not in labeller.terms.elements["non_patient"] or own != labels:
            yield Unit(path, subject, own, clean(found.codes))
