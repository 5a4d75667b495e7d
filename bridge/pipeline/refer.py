"""What a message means for referrals: open some, call some off, or move one because its recipient answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bridge.core.draft import Draft, Question
from bridge.core.issue import Issue
from bridge.core.outcome import Held, Rejected
from bridge.core.ports import Work
from bridge.core.rows import InboxRow, Outgoing, Referral
from bridge.pipeline import forms
from bridge.pipeline import outgoing as queue
from bridge.pipeline.bridge import Bridge
from bridge.pipeline.custody import victims
from bridge.pipeline.merge import CANCELS_DISCHARGE, CANCELS_VISIT, OnFile
from bridge.pipeline.outgoing import outputs, parties, ref_of
from bridge.pipeline.recall import Recall, at_discharge, call_off, died, of_visit
from bridge.pipeline.told import Told, home_of
from bridge.referral import flag, programme, respond, told_consent
from bridge.referral import open as opening
from bridge.referral.intake import Answer
from bridge.referral.match import UNKNOWN, survivor
from bridge.referral.partner import Partner
from bridge.referral.state import BEFORE_WORK
from bridge.referral.terms import CLIENT, PARTNER

Resource = dict[str, Any]
CANCELS = CANCELS_DISCHARGE | CANCELS_VISIT
DISCHARGE = "ADT^A03"
OF_VISIT = ("Condition", "Observation")


@dataclass(frozen=True, slots=True)
class Referred:
    """A draft with what was decided about it: ledger rows to write, deliveries to queue, decisions that wait.

    `told` says which message the elements of its resources are from, `home` is the record that the message names. `joined`:
    records were merged or parted, and `moved` are the resources (`Type/id`, version) that were put for it.
    """

    draft: Draft
    referrals: tuple[Referral, ...] = ()
    outgoing: tuple[Outgoing, ...] = ()
    waiting: tuple[tuple[str, Question], ...] = ()
    told: Mapping[str, Told] = field(default_factory=dict)
    home: str = ""
    joined: bool = False
    moved: tuple[tuple[str, int], ...] = ()

    def with_recall(self, recall: Recall) -> Referred:
        """With what was called off, before what was opened."""
        draft = replace(self.draft, resources=(*self.draft.resources, *recall.resources), issues=(*self.draft.issues, *recall.issues))
        return replace(self, draft=draft, referrals=(*recall.referrals, *self.referrals), outgoing=(*recall.outgoing, *self.outgoing))


def refer(row: InboxRow, filed: OnFile, work: Work, bridge: Bridge) -> Referred:
    """Apply the programme register to a draft whose patient is known.

    What decides is the visit as it now stands, not the message: a discharge that was cancelled opens nothing, however late
    it comes, and a fact that comes after the discharge counts as if it had come with it. A message marked as a test
    (MSH-11 T or D) opens nothing. One referral per patient, programme, need and recipient.
    """
    draft = filed.draft
    nothing = Referred(draft)
    if not draft.patient:
        return nothing
    if unread := forms.questions(draft, work, bridge):
        filed = replace(filed, draft=replace(draft, questions=(*draft.questions, *unread)))
        draft, nothing = filed.draft, Referred(filed.draft)
    if draft.event == "Consent":
        return Referred(draft, waiting=tuple(("consent", one) for one in draft.questions if one.kind == "code"))
    if _is_test(draft):
        note = Issue("information", "BRG-R020", "MSH-11", "a test or training message opens no referral", kind="informational")
        return Referred(replace(draft, issues=(*draft.issues, note)))
    if draft.event in CANCELS:
        programmes = at_discharge(bridge.programmes) if draft.event in CANCELS_DISCHARGE else bridge.programmes
        fallen = of_visit(filed, work, programmes) if filed.stands else []
        return nothing.with_recall(_off(fallen, draft.event, draft, row, work, bridge))
    dead = died(filed, work)
    referred = _open(row, filed, work, bridge, dead=dead) if filed.stands else nothing
    return referred.with_recall(_off(work.referrals(draft.patient), "death", draft, row, work, bridge)) if dead else referred


def _open(row: InboxRow, filed: OnFile, work: Work, bridge: Bridge, *, dead: bool) -> Referred:
    draft = filed.draft
    known = work.resource(f"Patient/{draft.patient}")
    background = [*([known] if known else []), *_rest_of_visit(filed, work)]
    events = dict.fromkeys((draft.event, *((DISCHARGE,) if filed.discharged and _one_visit(draft) else ())))
    waits = at_discharge(bridge.programmes) if filed.kept_back else []
    programmes = [one for one in bridge.programmes if one not in waits]
    openings, waiting, issues = list[programme.Opening](), [], list[Issue]()
    called = Recall()
    for event in events:
        found = programme.evaluate_all(
            _asked(draft, event), programmes, tuple(bridge.partners.values()), draft.questions, bridge.clock().isoformat(),
            background=background)
        openings += [one for one in found if isinstance(one, programme.Opening)]
        waiting += [(one.row.programme, one.question) for one in found if isinstance(one, programme.Waiting)]
        issues += [_not_referred(one) for one in found if isinstance(one, programme.No)] if event == draft.event else []
        if event == DISCHARGE:
            called = _off(_unfounded(filed, found, work, bridge), "corrected", draft, row, work, bridge)
    hospital = bridge.asker(row.envelope.feed, known)
    made = opening.refer(draft, [] if dead else openings, work.referrals(draft.patient), bridge.ids, message_id=row.envelope.id,
                         hospital=hospital, resource=work.resource)
    resources = tuple(_asked_by(one, hospital) for one in made.resources)
    grown = replace(draft, resources=(*draft.resources, *resources), issues=(*draft.issues, *issues))
    by_ref = {ref_of(one): one for one in grown.resources}
    sent = [queue.referral(one, by_ref, row, bridge) for one in made.referrals]
    answers = queue.findings(row, grown, hospital, bridge) if draft.event == "QuestionnaireResponse" else []
    return Referred(grown, made.referrals, (*sent, *answers), tuple(waiting)).with_recall(called)


def _one_visit(draft: Draft) -> bool:
    """Whether an admission message is about one visit of one person (A17 is about two)."""
    return draft.event.startswith("ADT^") and len(draft.of_type("Encounter")) == 1


def _rest_of_visit(filed: OnFile, work: Work) -> list[Resource]:
    """What earlier messages said of the visits of this one, and how the person is insured."""
    draft = filed.draft
    visits = {f"Encounter/{one['id']}" for one in draft.of_type("Encounter") if work.told(f"Encounter/{one['id']}")}
    here = {ref_of(one) for one in draft.resources}
    stored = work.of_patient(draft.patient, "Coverage", *OF_VISIT) if visits else []
    return [one for one in stored if ref_of(one) not in here and (
        one["resourceType"] not in OF_VISIT or one.get("encounter", {}).get("reference") in visits)]


def _asked(draft: Draft, event: str) -> Draft:
    """The draft as programmes look at it: as that event, about the person and no other record of theirs."""
    about = tuple(one for one in draft.resources if one["resourceType"] != "Patient" or one["id"] == draft.patient)
    return replace(draft, event=event, resources=about)


def _unfounded(filed: OnFile, found: Sequence[programme.Finding], work: Work, bridge: Bridge) -> list[Referral]:
    """Open referrals of this discharge that nobody has begun and that its programme would not open any more."""
    wanted = {(one.row.programme, one.need) for one in found
              if isinstance(one, programme.Opening) or (isinstance(one, programme.No) and set(one.reasons) <= programme.NOBODY)}
    waits = {one.row.programme for one in found if isinstance(one, programme.Waiting)}
    return [one for one in of_visit(filed, work, at_discharge(bridge.programmes))
            if one.status in BEFORE_WORK and one.programme not in waits and (one.programme, one.need) not in wanted]


def _not_referred(found: programme.No) -> Issue:
    return Issue("information", "BRG-R021", found.row.programme, f"not referred: {', '.join(found.reasons)}", kind="informational")


def _off(referrals: Sequence[Referral], why: str, draft: Draft, row: InboxRow, work: Work, bridge: Bridge) -> Recall:
    return call_off(referrals, why, draft.event_time, row, work, bridge)


def answered(row: InboxRow, answer: Answer, work: Work, bridge: Bridge) -> Referred | Held | Rejected:
    """Apply a recipient's record to the referral it names and send what changed home to the EHR that asked.

    What it says of consent and flags about the person counts even when it cannot move the referral.
    """
    sender = row.envelope.feed
    referral = _meant(answer, sender, work)
    if referral is None:
        unknown = Issue("error", "BRG-R313", "bridge_referral_id", "no referral has this reference",
                        "check the reference on the form; unsolicited records need a person", "not-found")
        return Held(Question("message", UNKNOWN if not answer.referral else unknown.text, "bridge_referral_id"), (unknown,))
    task, request = work.resource(f"Task/{referral.id}"), work.resource(f"ServiceRequest/{referral.request}")
    if task is None or request is None:
        return Rejected((Issue("error", "BRG-R314", "bridge_referral_id", "the referral's resources are not on file", kind="not-found"),))
    applied = respond.apply(answer, task, request, bridge.ids, sender=sender)
    patient, record = survivor(referral.patient, work), home_of(f"Task/{referral.id}", work)
    said = _said(answer, patient, _asker(task), work, bridge) if respond.foreign(answer, task, sender) is None else ()
    if applied.moved.effect == "refused" and not said:
        return Rejected(applied.issues)
    labels = flag.labels(answer)
    steps = [flag.labelled(one, labels) for one in applied.steps or ((task,) if labels and said else ())]
    made = [flag.labelled(one, labels) for one in applied.resources]
    if labels and said and not any(one["resourceType"] == "ServiceRequest" for one in made):
        made.append(flag.labelled(request, labels))
    resources = (*steps, *made)
    draft = Draft((*resources, *said), f"record/{answer.kind}", answer.at, "cbo/intake", "", patient, applied.issues)
    if not applied.steps and not applied.resources:
        return Referred(draft, home=record)
    last = steps[-1] if steps else task
    hospital = bridge.partners.get(_asker(task))
    if not applied.resources and _visible(last) == _visible(task):
        return Referred(draft, (opening.row_of(referral, last),), home=record)  # kept as history; the hospital knows it all already
    refs = tuple(dict.fromkeys((
        f"Task/{referral.id}", f"ServiceRequest/{referral.request}", f"Patient/{patient}",
        *parties(last, request), *outputs(last), *(ref_of(one) for one in applied.resources))))
    sent = queue.home(row, hospital, patient, refs, referral.short, bridge)
    return Referred(draft, (opening.row_of(referral, last),), tuple(sent), home=record)


def _meant(answer: Answer, sender: str, work: Work) -> Referral | None:
    """The referral that a record names, or for a record about the person alone one of those that this organisation has of them."""
    if answer.referral:
        return work.referral(answer.referral)
    if answer.kind != "intake" or not answer.get("client_local_id"):
        return None
    number = f"{CLIENT}{sender}", str(answer.get("client_local_id"))
    patient = work.persons([number]).get(number, "")
    return next((one for one in reversed(work.referrals(survivor(patient, work))) if one.recipient == sender), None) if patient else None


def _said(answer: Answer, patient: str, asker: str, work: Work, bridge: Bridge) -> tuple[Resource, ...]:
    """What a record says about the person: what is to be minded, and the consent. The organisation's own number of them is kept for
    its next records, but not that of a victim service provider, whose clients nobody may look up (reference/consent.md 3.4)."""
    partner = bridge.partners.get(answer.partner)
    if partner is None:
        return ()
    if (local := str(answer.get("client_local_id"))) and not victims(partner):
        work.link((f"{CLIENT}{partner.id}", local), patient)
    stored = work.resource(f"Flag/{flag.key(patient, partner.id, bridge.ids)}")
    made = [flag.flag(answer, patient, partner, stored, bridge.ids),
            told_consent.consent(answer, patient, partner, bridge.partners.get(asker), bridge.ids)]
    return tuple(one for one in made if one is not None)


def _visible(task: Resource) -> Resource:
    """What a recipient sees of a Task: not its event list, nor when it was touched."""
    return {key: value for key, value in task.items() if key not in ("extension", "lastModified", "meta")}


def _asked_by(resource: Resource, hospital: Partner) -> Resource:
    """A Task that also says which partner asked, so that the answer finds its way home."""
    if resource["resourceType"] != "Task":
        return resource
    return {**resource, "requester": {**resource["requester"], "identifier": {"system": PARTNER, "value": hospital.id}}}


def _asker(task: Resource) -> str:
    identifier = task.get("requester", {}).get("identifier", {})
    return str(identifier.get("value", "")) if identifier.get("system") == PARTNER else ""


def _is_test(draft: Draft) -> bool:
    """MSH-11 T (training) or D (debugging), as the mapping keeps it in meta.tag (HL7 table 0103)."""
    tags = [tag for header in draft.of_type("MessageHeader") for tag in header.get("meta", {}).get("tag", ())]
    return any(tag.get("code") in ("T", "D") and tag.get("system", "").endswith("v2-0103") for tag in tags)
