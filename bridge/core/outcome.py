"""How a message ended. Expected trouble is a value; exceptions mean broken."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.core.draft import Draft, Question
from bridge.core.issue import Issue


@dataclass(frozen=True, slots=True)
class Accepted:
    """Mapped, checked, decided and committed. `waiting` are questions that some decision waits for."""

    draft: Draft
    waiting: tuple[Question, ...] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """Kept until a person answers `question`; nothing of it has been stored or sent."""

    question: Question
    issues: tuple[Issue, ...] = ()


@dataclass(frozen=True, slots=True)
class Retry:
    """A passing fault: the same line will run again after `after` seconds, later messages of the patient wait."""

    after: float
    why: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """Cannot become anything; the bytes are kept, the sender is told where and why."""

    issues: tuple[Issue, ...]


Outcome = Accepted | Held | Retry | Rejected


def name(outcome: Outcome) -> str:
    """`accepted`, `held`, `retry` or `rejected`: the word used in logs, metrics and the ledger."""
    return type(outcome).__name__.lower()
