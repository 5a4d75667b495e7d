"""Something to say about a message, without saying anything about the patient."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["fatal", "error", "warning", "information"]


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding: where it is, what is wrong and what to do about it.

    `code` is ours, stable and documented (`BRG-H003`). `where` is a field or element path (`PID-3[2].4`,
    `Patient.identifier[0].system`). `text` and `hint` never hold a value from the message: codes and paths only.
    `kind` is a code of OperationOutcome.issue.code (http://hl7.org/fhir/issue-type).
    """

    severity: Severity
    code: str
    where: str
    text: str
    hint: str = ""
    kind: str = "processing"

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.severity} {self.code} {self.where}: {self.text}{hint}"


def operation_outcome(issues: Iterable[Issue]) -> dict[str, Any]:
    """Return the R4 OperationOutcome for these issues; one `information` entry when there are none."""
    entries = [
        {
            "severity": issue.severity,
            "code": issue.kind,
            "details": {"coding": [{"system": "urn:sdoh-bridge:issue", "code": issue.code}], "text": issue.text},
            **({"diagnostics": issue.hint} if issue.hint else {}),
            **({"expression": [issue.where]} if issue.where else {}),
        }
        for issue in issues
    ]
    if not entries:
        entries = [{"severity": "information", "code": "informational", "details": {"text": "no issue"}}]
    return {"resourceType": "OperationOutcome", "issue": entries}
