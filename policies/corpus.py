"""The corpus of decisions: questions that matter with their exact answers, so that no change widens unnoticed.

`corpus.toml` holds a line for each decision: a sentence that names who asks for what, and the answer with the
`@id` of its rule. Rules that allow what the corpus refuses are not used, unless the operator's own `accepted.toml`,
beside their local rules, lists that very line with a reason.

Invariants: the corpus is data of the product, not of an operator; reading it makes no exception for anybody; a
line that cannot be read is an error, never a line less.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

from policies import questions
from policies.decisions import CedarDecisions, Guard
from policies.interface import Entity, Question
from policies.ruleset import RuleSet, RulesRefused

CORPUS = Path(__file__).with_name("corpus.toml")
ACCEPTED = "accepted.toml"
_WHO = frozenset({"accounts", "operators", "administrators"})
_MEMBER_RIGHTS = "eilprstwx"


@dataclass(frozen=True, slots=True)
class Case:
    """One line: `name` is "log_in: robot by PLAIN on imap"; `answer` "refuse default-refuse"."""

    name: str
    question: Question
    answer: str

    @property
    def allowed(self) -> bool:
        return self.answer.startswith("allow ")


@dataclass(frozen=True, slots=True)
class Difference:
    """A line whose answer is not the one written."""

    case: Case
    answer: str

    @property
    def widened(self) -> bool:
        return not self.case.allowed and self.answer.startswith("allow ")

    @property
    def sentence(self) -> str:
        return f"{self.case.name}: the corpus says {self.case.answer!r}, these rules {self.answer!r}"


@cache
def cases(path: Path = CORPUS) -> tuple[Case, ...]:
    """Every line of the corpus. Raises RulesRefused for one that cannot be read."""
    found: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    asked = {action: lines for action, lines in found.items() if action not in _WHO}
    reader = _Reader(found)
    return tuple(
        Case(f"{action}: {sentence}", reader.question(action, sentence), str(answer))
        for action, lines in asked.items()
        for sentence, answer in cast("dict[str, str]", lines).items()
    )


def differences(rules: RuleSet) -> tuple[Difference, ...]:
    """The lines that these rules answer in another way than is written."""
    return tuple(
        Difference(case, answer)
        for case, answer in zip(cases(), _answers(rules), strict=True)
        if answer != case.answer
    )


def changes(before: RuleSet, after: RuleSet) -> tuple[tuple[Case, str, str], ...]:
    """The lines that two sets of rules answer differently, with both answers."""
    found = zip(cases(), _answers(before), _answers(after), strict=True)
    return tuple((case, old, new) for case, old, new in found if old != new)


def guard(local: Path | None) -> Guard:
    """What widens the corpus and is not accepted, as problems of a set of rules."""

    def problems(rules: RuleSet) -> list[str]:
        accepted = accepted_lines(local)
        known = {case.name for case in cases()}
        unknown = [f"{ACCEPTED}: the corpus has no line {name!r}" for name in accepted if name not in known]
        widened = [each for each in differences(rules) if each.widened and each.case.name not in accepted]
        return unknown + [
            f"{each.sentence}: this widens what is allowed (accept it by name in {ACCEPTED}, with a reason)"
            for each in widened
        ]

    return problems


def accepted_lines(local: Path | None) -> Mapping[str, str]:
    """Lines of the corpus that the operator lets their rules widen, with why. Raises RulesRefused."""
    if local is None or not (file := local / ACCEPTED).exists():
        return {}
    try:
        found = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RulesRefused((f"{ACCEPTED} cannot be read: {error}",)) from error
    if faults := [name for name, why in found.items() if not isinstance(why, str) or not why.strip()]:
        raise RulesRefused(tuple(f'{ACCEPTED}: {name!r} = "why, who, when" is expected' for name in faults))
    return cast("dict[str, str]", found)


def _answers(rules: RuleSet) -> list[str]:
    """In the order of the corpus."""
    decisions = CedarDecisions(rules, CORPUS.parent, kept=0)
    found = [decisions.examine(case.question).decision for case in cases()]
    return [f"{'allow' if decision.allowed else 'refuse'} {decision.rule}" for decision in found]


class _Reader:
    """Reads a sentence of the corpus as the question it stands for."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        self._accounts = cast("Mapping[str, Mapping[str, Any]]", found["accounts"])
        self._operators = cast("Mapping[str, list[str]]", found["operators"])
        self._administrators = cast("Mapping[str, Mapping[str, Any]]", found["administrators"])
        self._readers: dict[str, Callable[[list[str]], Question]] = {
            "submit": self._submit,
            "hand_over": self._hand_over,
            "receive": self._receive,
            "write_to": self._write_to,
            "send_out": self._send_out,
            "close_exchange": self._close_exchange,
            "carry": self._carry,
            "hold_in_custody": self._hold_in_custody,
            "log_in": self._log_in,
            "open_account": self._open_account,
            "share": self._share,
            "make_app_password": self._make_app_password,
            "look_up": self._look_up,
            "describe": self._describe,
            "administer": self._administer,
        }

    def question(self, action: str, sentence: str) -> Question:
        try:
            return self._readers[action](sentence.split())
        except (KeyError, IndexError, ValueError) as error:
            raise RulesRefused((f"corpus: {action}: {sentence!r} cannot be read",)) from error

    def _submit(self, words: list[str]) -> Question:
        rights = "" if words[0] == words[2] else _after(words, "with", _MEMBER_RIGHTS)
        return questions.may_submit(self._entity(words[0]), self._entity(words[2]), words[4], rights=rights)

    def _hand_over(self, words: list[str]) -> Question:
        return questions.may_hand_over(
            f"CN={words[0]}",
            frozenset(self._operators[words[0]]),
            "" if "null" in words else words[2],
            certificate="with" in words,
            local="ours" in words,
            blocked="blocked" in words,
        )

    def _receive(self, words: list[str]) -> Question:
        return questions.may_receive(self._entity(words[0]), self._entity(words[2]))

    def _write_to(self, words: list[str]) -> Question:
        return questions.may_write_to(
            self._entity(words[0]),
            self._entity(words[2]),
            from_patient=self._is_patient(words[0]),
            to_patient=self._is_patient(words[2]),
            standing=next((each for each in ("open", "closed") if each in words[3:]), "none"),
            blocked="blocked" in words[3:],
            dispensed="dispensed" in words[3:],
        )

    def _send_out(self, words: list[str]) -> Question:
        return questions.may_send_out(
            self._entity(words[0]),
            "autre.mssante.fr",
            listed="unlisted" not in words,
            stale="stale" in words,
            blocked="blocked" in words,
            from_patient=self._is_patient(words[0]),
            to_patient=words[2] == "patient",
            standing=next((each for each in ("open", "closed") if each in words[3:]), "none"),
            refused="refused" in words,
        )

    def _close_exchange(self, words: list[str]) -> Question:
        patient = self._is_patient(words[0]) and "unnoticed" not in words
        return questions.may_close_exchange(
            self._entity(words[0]), self._entity(words[2]), from_patient=patient
        )

    def _carry(self, words: list[str]) -> Question:
        return questions.may_carry(
            self._entity(words[0]),
            self._entity(words[2]),
            to_patient=self._is_patient(words[2]),
            codes=words[4:],
        )

    def _hold_in_custody(self, words: list[str]) -> Question:
        return questions.may_hold_in_custody(self._entity(words[0]))

    def _log_in(self, words: list[str]) -> Question:
        acr = int(_after(words, "acr", "0"))
        return questions.may_log_in(self._entity(words[0]), words[2], words[4], acr=acr)

    def _open_account(self, words: list[str]) -> Question:
        return questions.may_open_account(
            self._entity(words[0]),
            self._entity(words[2]),
            rights=_after(words, "with", ""),
            needed=words[4],
        )

    def _share(self, words: list[str]) -> Question:
        return questions.may_share(
            self._entity(words[0]), self._entity(words[2]), role=words[4], rights=_after(words, "with", "")
        )

    def _make_app_password(self, words: list[str]) -> Question:
        return questions.may_make_app_password(
            self._entity(words[0]),
            self._entity(words[2]),
            acr=int(_after(words, "acr", "0")),
            strong="strong" in words,
            fresh="fresh" in words,
        )

    def _look_up(self, words: list[str]) -> Question:
        return questions.may_look_up(self._entity(words[0]))

    def _describe(self, words: list[str]) -> Question:
        return questions.may_describe(
            self._entity(words[0]), self._entity(words[2]), words[4], rights=_after(words, "with", "")
        )

    def _administer(self, words: list[str]) -> Question:
        held = self._administrators[words[0]]
        by = questions.administrator(words[0], held.get("powers", ()), alone=held.get("alone", False))
        target = self._entity(words[4]) if "on" in words else questions.NODE
        return questions.may_administer(by, words[2], target)

    def _entity(self, name: str) -> Entity:
        if name.startswith("system:"):
            account = name.removeprefix("system:")
            state = self._accounts[account]
            return questions.system(
                "binding",
                account,
                suspended=state.get("suspended", False),
                closed=state.get("closed", False),
            )
        if name.startswith("operator:"):
            self._operators[name.removeprefix("operator:")]
            return questions.operator(f"CN={name.removeprefix('operator:')}")
        state = dict(self._accounts[name])
        kind = str(state.pop("kind"))
        suspended = bool(state.pop("suspended", False))
        return questions.account(name, f"{name}@corpus.invalid", kind, suspended=suspended, **state)

    def _is_patient(self, name: str) -> bool:
        if name.startswith("operator:"):
            return "patient" in name
        return self._accounts[name.removeprefix("system:")]["kind"] == "PATIENT"


def _after(words: list[str], mark: str, otherwise: str) -> str:
    found: Iterator[str] = (words[at + 1] for at, word in enumerate(words[:-1]) if word == mark)
    value = next(found, otherwise)
    return "" if value == "none" else value
