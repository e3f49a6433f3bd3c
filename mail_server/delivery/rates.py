"""How much one sender may hand over: letters, recipients, and tries at patients' addresses that nobody has.

Asked at MAIL and RCPT, where a peer can still be told cheaply, and counted at the end of DATA, where several sessions
of one account meet. Who tried too many unknown patients is answered for no patient at all, known or not: the answer
then tells nothing.

Invariants: what one account sends never uses up another's; every refusal says when to come back; reaching the limit
of unknown patients is in the trace once for each hour, under the account.
"""

from __future__ import annotations

from dataclasses import dataclass

from mail_server.accounts.interface import Account, Accounts, Kind
from mail_server.delivery.interface import Envelope, Road, Sender
from policies.limits.limits import Limit, Limits
from policies.refusal import Refusal

UNKNOWN = frozenset({"recipient-unknown", "recipient-number-wrong"})


@dataclass(frozen=True, slots=True)
class _Own:
    """The limits of one sort of sender."""

    letters: tuple[Limit, ...]
    recipients: Limit
    unknown: Limit


_PERSON = _Own((Limit.LETTERS,), Limit.RECIPIENTS, Limit.UNKNOWN_PATIENTS)
_PATIENT = _Own((Limit.PATIENT_LETTERS,), Limit.PATIENT_RECIPIENTS, Limit.UNKNOWN_PATIENTS)
_SYSTEM = _Own((Limit.SYSTEM_LETTERS,), Limit.SYSTEM_RECIPIENTS, Limit.SYSTEM_UNKNOWN_PATIENTS)
_OPERATOR = _Own(
    (Limit.OPERATOR_LETTERS_MINUTE, Limit.OPERATOR_LETTERS),
    Limit.OPERATOR_RECIPIENTS,
    Limit.OPERATOR_UNKNOWN_PATIENTS,
)
_OF_KIND = {Kind.APP: _SYSTEM, Kind.PATIENT: _PATIENT}


class Rates:
    def __init__(self, limits: Limits, accounts: Accounts, patient_domain: str = "") -> None:
        self._limits = limits
        self._accounts = accounts
        self._patient_domain = patient_domain

    # -- letters

    def require_sender(self, sender: Sender) -> None:
        """MAIL FROM: room for one more letter. Raises Refusal."""
        own, key = self._of(sender)
        for limit in own.letters:
            self._limits.require(limit, key)

    def require_recipient(self, envelope: Envelope) -> None:
        """RCPT TO: room for one more recipient beside those of this letter. Raises Refusal."""
        own, key = self._of(envelope.sender)
        self._limits.require(own.recipients, key, _addressees(envelope) + 1)

    def take_letter(self, envelope: Envelope) -> None:
        """End of DATA: count it. Raises Refusal, and counts nothing, when another session was faster."""
        own, key = self._of(envelope.sender)
        count = max(1, _addressees(envelope))
        self._limits.require(own.recipients, key, count)
        if not envelope.continues:
            for limit in own.letters:
                self._limits.require(limit, key)
            for limit in own.letters:
                self._limits.take(limit, key)
        self._limits.take(own.recipients, key, count)

    # -- patients nobody knows

    def require_patient(self, sender: Sender, address: str) -> None:
        """No patient is answered for to who tried too many that do not exist. Raises Refusal."""
        if self._is_patients(address):
            own, key = self._of(sender)
            self._limits.require(own.unknown, key)

    def require_patient_of(self, speaker: Account, address: str) -> None:
        """The same, for who asks from the page."""
        if self._is_patients(address):
            self._limits.require(_OF_KIND.get(speaker.kind, _PERSON).unknown, speaker.id)

    def tried(self, sender: Sender, address: str, refusal: Refusal) -> bool:
        """Count a try at a patient nobody knows; True when it was the last one allowed."""
        own, key = self._of(sender)
        return self._tried(own, key, address, refusal)

    def tried_by(self, speaker: Account, address: str, refusal: Refusal) -> bool:
        return self._tried(_OF_KIND.get(speaker.kind, _PERSON), speaker.id, address, refusal)

    def _tried(self, own: _Own, key: str, address: str, refusal: Refusal) -> bool:
        if refusal.reason not in UNKNOWN or not self._is_patients(address):
            return False
        if self._limits.exhausted(own.unknown, key):
            return False
        self._limits.take(own.unknown, key)
        return self._limits.exhausted(own.unknown, key)

    # -- inside

    def _of(self, sender: Sender) -> tuple[_Own, str]:
        if sender.road is Road.OPERATOR or sender.identity is None:
            return _OPERATOR, sender.operator_dn or ""
        return _OF_KIND.get(sender.identity.kind, _PERSON), sender.identity.account

    def _is_patients(self, address: str) -> bool:
        domain = address.rpartition("@")[2].lower()
        return bool(domain) and domain == self._patient_domain


def _addressees(envelope: Envelope) -> int:
    """Here and at other operators."""
    return len(envelope.recipients) + len(envelope.abroad)
