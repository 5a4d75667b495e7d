"""Signed forms that say nothing a computer could apply (rule B2), and opt-outs of a sender's registry: each is a question on the
work list until a person has entered what it says (decision 029)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bridge.consent import labels
from bridge.consent.paper import Paper, superseded
from bridge.consent.request import Policy
from bridge.core.draft import Draft, Question
from bridge.core.ports import Work
from bridge.pipeline.bridge import Bridge

Resource = dict[str, Any]
FORM = "consent-form"
"""Question.table of a form to transcribe; the code is the form's, the same in every message that repeats it."""
SIGNED = "a signed form without rules: read it, then `sdoh-bridge consent transcribe`"
UNREADABLE = "a consent of this person cannot be read: nothing leaves for it; ask the sender"
OPTED_OUT = "an opt-out of the sender's registry: if it holds here too, `sdoh-bridge consent transcribe` a deny"


def questions(draft: Draft, work: Work, bridge: Bridge) -> tuple[Question, ...]:
    """What a person must read of the Consents of this draft; nothing for those that have been read already."""
    fresh = draft.of_type("Consent")
    if not fresh:
        return ()
    ids = {one["id"] for one in fresh}
    consents = [*(one for one in work.consents(draft.patient) if one["id"] not in ids), *fresh]
    papers = [Paper(one, policy(bridge), labels.load()) for one in consents]
    try:
        return tuple(dict.fromkeys(_asked(papers, len(consents) - len(fresh), draft.patient, bridge)))
    except (ValueError, TypeError, KeyError, AttributeError):  # a revocation among them must be kept all the same
        return (Question("consent", UNREADABLE, "Consent", FORM, "", form_of(fresh[0], draft.patient, bridge)),)


def policy(bridge: Bridge) -> Policy:
    """How the site reads consents' dates and references."""
    return Policy(timezone=bridge.zone, fhir_base=bridge.fhir_base)


def form_of(consent: Resource, patient: str, bridge: Bridge) -> str:
    """The code under which a form is asked about, whichever of its copies asks."""
    numbers = sorted(f"{one.get('system', '')}|{one['value']}" for one in consent.get("identifier", ()) if one.get("value"))
    return bridge.ids.uuid("form", patient, *(numbers or [consent["id"]]))


def _asked(papers: list[Paper], first: int, patient: str, bridge: Bridge) -> Iterator[Question]:
    replaced, _ = superseded(papers)
    for place in range(first, len(papers)):
        paper, sisters = papers[place], [papers[at] for at in range(len(papers)) if at not in replaced and at != place]
        text = _text(paper)
        read = any(not one.business_identifiers.isdisjoint(paper.business_identifiers) and one.active and one.tree.root is not None
                   for one in sisters)
        if text and place not in replaced and not read:
            yield Question("consent", text, "Consent.provision", FORM, "", form_of(dict(paper.consent), patient, bridge))


def _text(paper: Paper) -> str:
    """What to ask about one copy; "" when it asks for nothing."""
    if paper.scope != "privacy" or paper.acknowledges:
        return ""
    if paper.active and paper.tree.root is None and not paper.tree.contradicts:
        return SIGNED
    codes = [each.get("code") for each in paper.consent.get("policyRule", {}).get("coding", ())]
    return OPTED_OUT if paper.consent.get("status") == "draft" and "OPTOUT" in codes else ""
