"""What a compiled expression runs in: one message, the current items, who sent it, and what was found on the way.

A Scope is also the `Sender` that conversions ask, so that their findings carry the source path that is being read.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from bridge.core.draft import Question
from bridge.core.issue import Issue


class Asked(Protocol):
    """Who sent the message: `bridge.fhir.convert_value.Sender` without `report`."""

    zone: ZoneInfo | None

    def system(self, namespace: str, universal: str, kind: str) -> str: ...

    def coding_system(self, name: str) -> str: ...

    def translate(self, table: str, code: str, system: str = "") -> Any: ...


class Scope:
    """One run over one source.

    `source` is what paths read (a Message, a dict, resources by type), `facts` the extra named values; `seps`, `inner`,
    `repeat` and `split` are an HL7 message's separators. `slots` hold the current item of each `each`, its position and
    fields; `step` and `position` are the innermost, for findings; `turn` counts the items of emits. `cache` holds what lets
    gave, `made` the emitted items by name, `plan` per object the parts that the message has fields for. `memo` keeps what
    conversions gave for a field of this message, `lasting` for codes, places and staff beyond it. `where` is the path that
    is being read, `said` and `asked` all that was reported and asked, repetitions included, `filed` how many of both. `null` is set
    when HL7 null was read, `side` when a code element stays out and its source code is kept beside it.
    """

    __slots__ = ("asked", "cache", "coding_system", "facts", "filed", "heard", "inner", "issues", "lasting", "made", "memo", "null",
                 "plan", "position", "questions", "repeat", "said", "seps", "side", "slots", "source", "split", "step", "system",
                 "translate", "turn", "where", "zone")

    def __init__(self, source: Any, sender: Asked, slots: int | list[Any] = 0, cache: int = 0,
                 facts: dict[str, Any] | None = None, made: list[Any] | None = None, plan: Any = ()) -> None:
        self.source = source
        self.facts = facts
        self.zone = sender.zone
        self.system = sender.system
        self.coding_system = sender.coding_system
        self.translate = sender.translate
        self.slots: list[Any] = [None] * slots if slots.__class__ is int else slots  # type: ignore[assignment]
        self.cache: list[Any] = [None] * cache
        self.made: list[Any] = made if made is not None else []
        self.plan = plan
        self.seps: Any = None
        self.repeat = ""
        self.split = ""
        self.inner: Any = None
        self.memo: dict[Any, Any] = {}
        self.lasting: dict[Any, Any] = {}
        self.turn = 0
        self.filed = 0
        self.issues: list[Issue] = []
        self.heard: set[tuple[str, str, str]] = set()
        self.said: list[tuple[str, str, str, str, str]] = []
        self.questions: list[Question] = []
        self.asked: list[Question] = []
        self.null = False
        self.side: Any = None
        self.where = ""
        self.step: Any = None
        self.position = 0

    def report(self, severity: str, code: str, text: str, hint: str = "") -> None:
        """File a finding at the source path that is being read; the same one is filed once."""
        self.file(self.place(), severity, code, text, hint)

    def file(self, where: str, severity: str, code: str, text: str, hint: str = "") -> None:
        """File a finding at this path."""
        self.filed += 1
        self.said.append((where, severity, code, text, hint))
        if (code, where, text) not in self.heard:
            self.heard.add((code, where, text))
            self.issues.append(_issue(severity, code, where, text, hint))

    def ask(self, question: Question) -> None:
        """File a question, once."""
        self.filed += 1
        self.asked.append(question)
        if question not in self.questions:
            self.questions.append(question)

    def place(self) -> str:
        """The source path that is being read, numbered inside an `each`: `DG1[2]-3`, `PV1-7[2]`."""
        where, step = self.where, self.step
        if step is None or not step.segment or not where.startswith(step.segment + "-"):
            return where
        rest = where[len(step.segment):]
        if not step.field:
            before = self.source.segments[:self.position + 1]
            return f"{step.segment}[{sum(segment.name == step.segment for segment in before)}]{rest}"
        field = f"-{step.field}"
        if rest == field or rest.startswith(field + "."):
            return f"{step.segment}{field}[{self.position + 1}]{rest[len(field):]}"
        return where


@lru_cache(maxsize=4096)
def _issue(severity: str, code: str, where: str, text: str, hint: str) -> Issue:
    """The same finding is one object: a feed gives the same few again with every message."""
    return Issue(severity, code, where, text, hint)  # type: ignore[arg-type]


class Nobody:
    """A sender for expressions that no sender stands behind: programme rows and consent rules."""

    __slots__ = ("translate", "zone")

    def __init__(self, translate: Callable[..., Any]) -> None:
        self.zone: ZoneInfo | None = None
        self.translate = translate

    def system(self, namespace: str, universal: str, kind: str) -> str:
        """The universal id as it is; there is no sender that could own a word."""
        return universal or namespace

    def coding_system(self, name: str) -> str:
        """The name as it is."""
        return name
