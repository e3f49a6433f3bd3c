"""One thing that `vaguemestre doctor` looked at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, whether it is well, and a sentence that says what to do."""

    subject: str
    verdict: str  # "good", "warning", "failed"
    sentence: str

    @property
    def failed(self) -> bool:
        return self.verdict == "failed"

    @property
    def mark(self) -> str:
        return {"good": "[ok]  ", "warning": "[warn]", "failed": "[FAIL]"}[self.verdict]

    def as_json(self) -> dict[str, str]:
        return {"subject": self.subject, "verdict": self.verdict, "sentence": self.sentence}
