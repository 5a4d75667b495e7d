"""Where an expression stands while it is compiled, and what it may name besides its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bridge.core.errors import MappingError
from bridge.language.expr import Tree
from bridge.language.memory import Input
from bridge.language.term import Step

POLICIES = frozenset({"or_text", "or_hold", "or_default"})
"""What becomes of a code that a table does not have; written behind `.map(table)`."""


class Mixed(MappingError):
    """An expression whose branches have no type in common; it needs a target."""


@dataclass(frozen=True, slots=True)
class Face:
    """An emitted resource as expressions see it: its name, type, number and the steps of its `each`."""

    name: str
    type: str
    number: int
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """Where an expression stands: inside which items, with which local lets; `reads`, `needs` and `inputs` are filled
    for it.

    `item` is the current item of a `where`. `needs` holds (`id` or `body`, emit name). `lets` are those of an emit: they
    stand in its items, which `home` are, also when they are used inside a further `each`.
    """

    steps: tuple[Step, ...] = ()
    item: Step | None = None
    lets: Mapping[str, Tree] = field(default_factory=dict)
    home: tuple[Step, ...] = ()
    reads: list[str] = field(default_factory=list)
    needs: set[tuple[str, str]] = field(default_factory=set)
    inputs: set[Input] = field(default_factory=set)

    def inside(self) -> Context:
        """The same place, with sets of its own to be filled."""
        return replace(self, reads=[], needs=set(), inputs=set())

    def add(self, inner: Context) -> None:
        """What an expression inside needs, this one needs."""
        self.reads.extend(inner.reads)
        self.needs.update(inner.needs)
        self.inputs.update(inner.inputs)
