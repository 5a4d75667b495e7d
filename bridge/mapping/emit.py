"""Emitted resources: which items an emit has and what their ids are, then what stands in them.

Ids come first for all emits, then bodies, so a reference may point forward. An emit whose `when` or `key` looks into
another's body waits for it; the order is found when the mapping is compiled, and a circle is an error there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.core.ids import Ids
from bridge.language.context import Face
from bridge.language.memory import Key, Known, keep, put
from bridge.language.presence import ALWAYS, Clauses
from bridge.language.scope import Scope
from bridge.language.shape import beside
from bridge.language.term import Step, Truth

NO_KEY, TWICE, BAD_ID = "BRG-L104", "BRG-L105", "BRG-L106"
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}\Z")

Keys = Callable[[Scope], list[str] | None]
"""(scope) -> the texts of an emit's key, None when one of them is missing."""
Walk = tuple[Step | None, Callable[[Scope], Any]]
"""How an `each` goes over its items; without a Step they are those of another emit."""


class Made:
    """One item of an emit: its identity, the items of the `each` it was made for, and its resource once built."""

    __slots__ = ("body", "id", "items", "ref", "steps")

    def __init__(self, type_: str, id_: str, items: list[list[Any]], steps: tuple[Step, ...]) -> None:
        self.id, self.items, self.steps = id_, items, steps
        self.ref = f"{type_}/{id_}"
        self.body: dict[str, Any] | None = None

    def enter(self, scope: Scope) -> None:
        """Make its items the current ones."""
        slots = scope.slots
        for step, item in zip(self.steps, self.items, strict=True):
            slots[step.slot:step.slot + 3] = item
            scope.step, scope.position = step, item[1]


@dataclass(slots=True)
class Emit:
    """One compiled emit. `walks` give the items of its `each`, none for one item. `memory` is that of ids and of resources,
    when they come again in other messages; `placed`: findings carry the number of a segment."""

    name: str
    face: Face
    keys: Keys | None
    walks: list[Walk] = field(default_factory=list)
    when: Truth | None = None
    given_id: Callable[[Scope], list[str]] | None = None
    head: Callable[[], dict[str, Any]] = dict
    body: int = 0
    needs: Clauses = ALWAYS
    memory: tuple[Key, Key] | None = None
    placed: bool = False
    id_needs: set[tuple[str, str]] = field(default_factory=set)
    body_needs: set[tuple[str, str]] = field(default_factory=set)

    def identify(self, scope: Scope, ids: Ids) -> None:
        """Find the items and their ids; those whose `when` does not hold or whose key is empty are left out."""
        made = scope.made[self.face.number] = {}
        if self.walks:
            self._walk(scope, ids, made, self.walks)
            return
        scope.step = None
        scope.turn += 1
        id_ = self._id(scope, ids) if self.memory is None else self._known_id(self.memory[0], scope, ids)
        if id_:
            made[()] = Made(self.face.type, id_, [], ())

    def _walk(self, scope: Scope, ids: Ids, made: dict[tuple[Any, ...], Made], walks: list[Walk]) -> None:
        step, walk = walks[0]
        inner = walks[1:]
        slots, memory, steps = scope.slots, self.memory, self.face.steps
        for item in walk(scope):
            if step is None:
                item.enter(scope)
            else:
                slots[step.slot:step.slot + 3] = item
                scope.step, scope.position = step, item[1]
            if inner:
                self._walk(scope, ids, made, inner)
                continue
            scope.turn += 1
            id_ = self._id(scope, ids) if memory is None else self._known_id(memory[0], scope, ids)
            if id_:
                items = [slots[each.slot:each.slot + 3] for each in steps]
                made[tuple([each[1] for each in items])] = Made(self.face.type, id_, items, steps)

    def _known_id(self, key: Key, scope: Scope, ids: Ids) -> str:
        here = (*key(scope), ids)
        known = scope.lasting.get(here)
        if known is None:
            return str(keep(lambda scope: self._id(scope, ids), scope, here, placed=self.placed))
        if not known.plain:
            known.repeat(scope)
        return str(known.fresh())

    def _id(self, scope: Scope, ids: Ids) -> str:
        """The id of the current item; "" when its `when` does not hold or its key is empty."""
        if self.when is not None and not self.when(scope):
            return ""
        if self.given_id is not None:
            return self._given(scope)
        assert self.keys is not None
        keys = self.keys(scope)
        if keys:
            return ids.uuid(self.face.type, *keys)
        scope.where = self.name
        scope.report("warning", NO_KEY, f"no key for {self.face.type}; it is left out", "its key: field is empty in the message")
        return ""

    def _given(self, scope: Scope) -> str:
        assert self.given_id is not None
        found = self.given_id(scope)
        id_ = found[0].rpartition("/")[2] if found else ""
        if not _ID.match(id_):
            scope.where = self.name
            scope.report("warning", BAD_ID, f"no usable id for {self.face.type}; it is left out", "letters, digits, - and ., at most 64")
            return ""
        return id_

    def fill(self, scope: Scope, cleared: dict[str, tuple[str, ...]]) -> None:
        """Build the resources of all items."""
        scope.step = None
        memory = self.memory
        for made in scope.made[self.face.number].values():
            if made.steps:
                made.enter(scope)
            made.body = self._build(made, scope, cleared) if memory is None else self._known(memory[1], made, scope, cleared)

    def _known(self, key: Key, made: Made, scope: Scope, cleared: dict[str, tuple[str, ...]]) -> dict[str, Any]:
        here = (*key(scope), made.id)
        known = scope.lasting.get(here)
        if known is not None:
            if not known.plain:
                known.repeat(scope)
            again: dict[str, Any] = known.fresh()
            return again
        said, asked = len(scope.said), len(scope.asked)
        body = self._build(made, scope, cleared)
        quiet = len(scope.said) == said and len(scope.asked) == asked
        if made.ref not in cleared and (quiet or not self.placed):
            put(scope, here, Known(body, scope.said[said:], scope.asked[asked:], null=False, side=None))
        return body

    def _build(self, made: Made, scope: Scope, cleared: dict[str, tuple[str, ...]]) -> dict[str, Any]:
        parts, coded = scope.plan[self.body]
        scope.turn += 1
        scope.null = False
        body = self.head()
        body["id"] = made.id
        gone: list[str] = []
        for name, give in parts:
            value = give(scope)
            if value is not None:
                body[name] = value
            if scope.null:
                scope.null = False
                if value is None:
                    gone.append(name)
        for name, give in coded:
            value = give(scope)
            beside(body, name, value, scope)
            if scope.null:
                scope.null = False
                if value is None:
                    gone.append(name)
        if gone:
            cleared[made.ref] = tuple(gone)
        return body


def schedule(emits: Mapping[str, Emit]) -> list[tuple[str, str]]:
    """The order of the (`id` or `body`, emit) steps; ids as early as they can be. Raises ValueError with a circle's names."""
    needs: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for name, emit in emits.items():
        needs["id", name] = {need for need in emit.id_needs if need != ("id", name)}
        needs["body", name] = {("id", name), *emit.body_needs}
    order: list[tuple[str, str]] = []
    done: set[tuple[str, str]] = set()
    wanted = [("id", name) for name in emits] + [("body", name) for name in emits]
    while len(order) < len(wanted):
        ready = [step for step in wanted if step not in done and needs[step] <= done]
        if not ready:
            raise ValueError(", ".join(dict.fromkeys(name for kind, name in wanted if (kind, name) not in done)))
        ids = [step for step in ready if step[0] == "id"]
        for step in ids or ready[:1]:
            order.append(step)
            done.add(step)
    return order


def gather(emits: Iterable[Emit], scope: Scope) -> tuple[dict[str, Any], ...]:
    """All resources in the order of the file; of two with one id the first stays."""
    found: dict[str, dict[str, Any]] = {}
    for emit in emits:
        for made in scope.made[emit.face.number].values():
            body = made.body
            if body is None:
                continue
            first = found.setdefault(made.ref, body)
            if first is not body and first != body:
                scope.where = emit.name
                scope.step = None
                scope.report("information", TWICE, f"two {emit.face.type} with one key differ; the first was taken")
    return tuple(found.values())
