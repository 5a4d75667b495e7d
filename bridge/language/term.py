"""What a compiled expression is: a closure over a Scope, and the type of what it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from bridge.language.flat import flat
from bridge.language.scope import Scope

Reads = Callable[[Scope], list[Any]]
"""(scope) -> values, possibly none. The list may be shared: never change it."""
Truth = Callable[[Scope], bool]

V2, FHIR, MADE, SEGMENT = "v2", "fhir", "made", "segment"


@dataclass(frozen=True, slots=True)
class Term:
    """A compiled expression.

    `kind` says what the values are: V2 (`hl7v2.Value` of v2 type `type`), FHIR (JSON of FHIR type, record or fact path
    `type`; `string`, `boolean`, `decimal` for what expressions compute), MADE (emitted items of resource type `type`) or
    SEGMENT. `many` is False when at most one value comes. `label` is the source path for findings; `path` the dotted or
    HL7 path when it is one. `texts` and `truth` are faster ways to the same, where there are any. `varies` reads the
    real type of an OBX-5. `quick` is (slot of a segment's fields, field, component or 0) for a
    plain path, `single` finds the one item of an emit.
    """

    read: Reads
    kind: str
    type: str
    many: bool = True
    label: str = ""
    path: str = ""
    texts: Callable[[Scope], list[str]] | None = None
    truth: Truth | None = None
    varies: Callable[[Scope], str] | None = None
    quick: tuple[int, int, int] | None = None
    single: Callable[[Scope], Any] | None = None

    def over(self, read: Reads, **changes: Any) -> Term:
        """The same with other values: what was a shorter way to the old ones is dropped."""
        return replace(self, read=read, **{"texts": None, "truth": None, "quick": None, "single": None, **changes})

    def shown(self) -> str:
        """The type as a person knows it."""
        return {SEGMENT: "a segment"}.get(self.kind, self.type.removeprefix("record:").removeprefix("fact:") or "anything")


@dataclass(frozen=True, slots=True)
class Step:
    """One `each` in whose item an expression stands: `key` as written, and the slot that holds the item.

    `kind` and `type` are those of the item's Term. The next slot holds its position; after it stand a segment's fields.
    """

    key: str
    slot: int
    kind: str
    type: str
    segment: str = ""
    field: int = 0
    varies: Callable[[Scope], str] | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Where a value goes: FHIR types that will do, and what to call the place in messages."""

    types: tuple[str, ...]
    path: str = ""
    targets: tuple[str, ...] = ()

    def shown(self) -> str:
        """`Coding` or `Quantity or string`."""
        return " or ".join(self.types)


NOTHING: list[Any] = []
"""What an empty expression gives; nobody changes it."""


def constant(values: list[Any], type_: str) -> Term:
    """A Term that always gives these JSON values."""
    return Term(flat("{values}", values=values), FHIR, type_, len(values) > 1)


def boolean(truth: Truth) -> Term:
    """A Term for a condition."""
    yes, no = [True], [False]
    return Term(flat("{yes} if {0} else {no}", truth, yes=yes, no=no), FHIR, "boolean", False, truth=truth)


def strings(read: Callable[[Scope], list[str]], many: bool = True, label: str = "") -> Term:
    """A Term for computed texts."""
    return Term(read, FHIR, "string", many, label, texts=read)
