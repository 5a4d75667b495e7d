"""What lint finds, and an error of a mapping or feed file seen as such."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.core.errors import MappingError, SettingsError


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding, where it is and what to do."""

    severity: str
    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.severity}: {self.text}"


def errors(error: MappingError | SettingsError) -> list[Finding]:
    """An error as findings, one an error; the excerpt stays with its error."""
    blocks: list[str] = []
    for line in str(error).split("\n"):
        if line.startswith(" ") and blocks:
            blocks[-1] += f"\n{line}"
        elif line:
            blocks.append(line)
    found = []
    for block in blocks:
        place, _, text = block.partition(": ")
        found.append(Finding("error", place, text) if text and " " not in place else Finding("error", "", block))
    return found
