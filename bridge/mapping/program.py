"""A compiled mapping: `run` makes a Draft of one message, purely and always the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.core.draft import Draft
from bridge.core.ids import Ids
from bridge.language.presence import met
from bridge.language.scope import Asked, Scope
from bridge.language.segment import survey
from bridge.language.shape import Body, Line, Live
from bridge.language.term import NOTHING, Truth
from bridge.mapping.emit import Emit, gather
from bridge.mapping.spec import Spec

SHAPES = 512
"""Message shapes (which fields are there) whose plans are kept; a new shape costs a fraction of a millisecond once."""

Cleared = dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What of a program a message of one shape can fill: the emits' steps and, per object, its parts."""

    steps: tuple[tuple[str, Emit], ...]
    emits: tuple[Emit, ...]
    live: tuple[Live, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """One mapping, ready to run.

    `emits` in file order, `order` the (`id` or `body`, emit) steps of work. `lines` say which source paths each element
    reads, `reads` all paths that anything reads, `used` what some expression names. `firsts` are the slots of segments'
    fields, `bodies` the objects that are built, `plans` what is known of message shapes.
    """

    name: str
    version: str
    language: str
    events: tuple[str, ...]
    spec: Spec
    emits: dict[str, Emit]
    order: tuple[tuple[str, str], ...]
    firsts: dict[str, int]
    slots: int
    caches: int
    bodies: tuple[Body, ...]
    time: Callable[[Scope], list[Any]] | None
    when: Truth | None
    patient: int | None
    lines: dict[str, tuple[Line, ...]]
    reads: frozenset[str]
    used: frozenset[tuple[str, str]]
    plans: dict[Any, Plan] = field(default_factory=dict)

    @property
    def general(self) -> bool:
        """Whether it reads any event that no other mapping reads."""
        return self.events == ("*",)

    def scope(self, message: Any, sender: Asked) -> tuple[Scope, Plan]:
        """A fresh Scope of this program over a message, and the plan for its shape."""
        slots: list[Any] = [None] * self.slots
        if self.language != "hl7v2":
            plan = self._plan(None, None)
            return Scope(message, sender, slots, self.caches, None, [_NONE] * len(self.emits), plan.live), plan
        for slot in self.firsts.values():
            slots[slot] = NOTHING
        masks = survey(message, self.firsts, slots)
        plan = self._plan(tuple(masks.items()), masks)
        scope = Scope(message, sender, slots, self.caches, None, [_NONE] * len(self.emits), plan.live)
        seps = scope.seps = message.seps
        scope.inner = seps.inner()
        scope.repeat = seps.repetition or _NEVER
        scope.split = seps.component or _NEVER
        if (lasting := getattr(sender, "lasting", None)) is not None:
            scope.lasting = lasting(seps.field + seps.wire)
        return scope, plan

    def _plan(self, shape: Any, masks: Mapping[str, int] | None) -> Plan:
        found = self.plans.get(shape)
        if found is None:
            absent = {name for name, emit in self.emits.items() if masks is not None and not met(emit.needs, masks)}
            steps = tuple((kind, self.emits[name]) for kind, name in self.order if name not in absent)
            emits = tuple(emit for name, emit in self.emits.items() if name not in absent)
            found = Plan(steps, emits, tuple(body.live(masks) for body in self.bodies))
            if len(self.plans) >= SHAPES:
                self.plans.clear()
            self.plans[shape] = found
        return found

    def fits(self, message: Any, sender: Asked) -> bool:
        """Whether the file's `when:` holds for the message."""
        return self.when is None or self.when(self.scope(message, sender)[0])

    def run(self, message: Any, sender: Asked, ids: Ids) -> Draft:
        """The message as FHIR resources with what was found on the way; never raises for what a message holds.

        `message` is a Message, or the dict of a record or resource. What the reader repaired is not repeated in the issues.
        """
        scope, plan = self.scope(message, sender)
        cleared = _carry_out(plan, scope, ids)
        resources = gather(plan.emits, scope)
        scope.step = None
        time = self.time(scope) if self.time is not None else NOTHING
        return Draft(
            resources, event(message), time[0] if time else "", self.name, self.version, self._patient(scope, resources),
            tuple(scope.issues), tuple(scope.questions), cleared)

    def execute(self, message: Any, sender: Asked, ids: Ids) -> tuple[Scope, Cleared]:
        """Run all steps; the Scope then holds the emitted items, for `run`, explain and coverage."""
        scope, plan = self.scope(message, sender)
        return scope, _carry_out(plan, scope, ids)

    def _patient(self, scope: Scope, resources: Iterable[dict[str, Any]]) -> str:
        if self.patient is not None:
            for made in scope.made[self.patient].values():
                return str(made.id)
        return next((resource["id"] for resource in resources if resource["resourceType"] == "Patient"), "")


def _carry_out(plan: Plan, scope: Scope, ids: Ids) -> Cleared:
    cleared: Cleared = {}
    for kind, emit in plan.steps:
        if kind == "id":
            emit.identify(scope, ids)
        else:
            emit.fill(scope, cleared)
    return cleared


def event(message: Any) -> str:
    """`ADT^A03`, `record/status` or the resource type: what a message says it is."""
    if isinstance(message, dict):
        if "resourceType" in message:
            return str(message["resourceType"])
        return f"record/{message.get('record_type', '')}"
    return str(message.event)


_NONE: dict[Any, Any] = {}
"""The items of an emit that a message has no fields for."""
_NEVER = "\0\0"
"""What no field holds, for a message without that separator."""
