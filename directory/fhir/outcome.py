"""Refusals of the FHIR door, as HTTP and as OperationOutcome.

Invariant: what is said comes from here or names a parameter; never a library's text, never what a database holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

# Codes of http://hl7.org/fhir/issue-type
Code = Literal[
    "invalid", "structure", "value", "not-supported", "not-found", "security", "login", "expired", "forbidden",
    "conflict", "duplicate", "multiple-matches", "business-rule", "throttled", "timeout", "too-costly", "too-long",
    "exception", "no-store", "transient", "informational", "processing",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Issue:
    code: Code
    words: str
    where: str = ""  # the parameter, or the element by FHIRPath
    severity: Literal["error", "warning", "information"] = "error"


class FhirRefusal(Exception):
    """Answered with this status and these issues."""

    def __init__(
        self, status: int, code: Code, words: str, where: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(words)
        self.status = status
        self.issues = (Issue(code, words, where),)
        self.headers = dict(headers or {})


def too_many() -> FhirRefusal:
    return FhirRefusal(503, "transient", "Too many ask at once.", headers={"Retry-After": "2"})


def operation_outcome(issues: Sequence[Issue]) -> dict[str, Any]:
    return {"resourceType": "OperationOutcome", "issue": [_issue(issue) for issue in issues]}


def _issue(issue: Issue) -> dict[str, Any]:
    told: dict[str, Any] = {"severity": issue.severity, "code": issue.code, "diagnostics": issue.words}
    if issue.where:
        told["expression"] = [issue.where]
    return told
