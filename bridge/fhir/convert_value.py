"""What a conversion reads and asks: one repetition of an HL7 v2 field, and the sender it came from.

Both are duck-typed, so this layer knows neither the HL7 reader nor the mapping engine.
"""

from __future__ import annotations

from datetime import tzinfo
from typing import Protocol


class Value(Protocol):
    """One repetition of a field, or one component seen as a value; components and subcomponents count from 1."""

    raw: str
    is_null: bool

    @property
    def parts(self) -> list[str]:
        """The raw components, still escaped."""

    @property
    def texts(self) -> list[str]:
        """`text` of every component."""

    @property
    def wholes(self) -> list[str]:
        """`whole` of every component."""

    def text(self, component: int = 1, sub: int = 1) -> str:
        """The unescaped text; "" when it is absent or HL7 null."""

    def whole(self, component: int = 1) -> str:
        """The unescaped text of a component that has no subcomponents by its type: a bare `&` in it is a letter."""

    def component(self, n: int) -> Value:
        """That component as a value of its own: its subcomponents are the components."""


class Row(Protocol):
    """One row of a code table; an empty `target` means that the code deliberately has none."""

    target: str
    target_system: str
    display: str


class Sender(Protocol):
    """Who sent the message: what its local words and clock mean, and where findings go."""

    zone: tzinfo | None

    def system(self, namespace: str, universal: str, kind: str) -> str:
        """The URI of an assigning authority (HD.1, HD.2, HD.3); one owned by the sender when it is not known."""

    def coding_system(self, name: str) -> str:
        """The URI of a coding system as CWE.3 names it; one owned by the sender when it is local or blank."""

    def translate(self, table: str, code: str, system: str = "") -> Row | None:
        """The row of a code table, or None when the code is not in it."""

    def report(self, severity: str, code: str, text: str, hint: str = "") -> None:
        """File a finding at the current source path; the text never holds the value."""


def word(sender: Sender, table: str, code: str) -> str:
    """The target of a code in a table of small words; "" when it has none; an unknown code is reported."""
    if not code:
        return ""
    row = sender.translate(table, code)
    if row is None and (folded := code.upper()) != code:
        row = sender.translate(table, folded)
    if row is None:
        sender.report("information", "BRG-M207", f"code not in table {table}; the element stays out",
                      f"add a row to the feed or to mappings/tables/{table}.csv")
        return ""
    return row.target
