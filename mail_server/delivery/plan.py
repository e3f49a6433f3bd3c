"""For one account, now: seal to whom, or hold in custody, or keep waiting, or refuse.

This is where DESIGN §4 is decided for each letter, once, so that a door, a re-seal and the console agree.

Invariants: a plan is never "clear": every one of its treatments names the key that guards the letter; a
certificate that is revoked without successor refuses; the decision is taken again at the end of data; a
patient's letters wait until the space is activated and are never in custody, whatever the rules say.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from dataclasses import dataclass

from directory.certificates.interface import CertificateStanding, Directory, Standing
from directory.openpgp.certificate import Certificate
from mail_server.accounts.entities import account_entity as account_entity  # others know it by this name
from mail_server.accounts.interface import Account, Accounts, Kind
from mail_server.store.model import AccountId
from policies import questions
from policies.interface import Decisions
from policies.refusal import Refusal


class Treatment(enum.Enum):
    SEAL = "seal"  # to the readers' own certificates
    CUSTODY = "custody"  # verbatim, under the account's at-rest key
    WAIT = "wait"  # to the operator-held waiting key


@dataclass(frozen=True, slots=True)
class Plan:
    account: Account
    treatment: Treatment
    sealing_set: tuple[Certificate, ...] = ()  # distinct by fingerprint; empty unless SEAL
    required: tuple[Certificate, ...] = ()
    """Those of the set that a letter sealed elsewhere must name: its sender may know of no delegate."""
    smime: tuple[bytes, ...] = ()
    """S/MIME certificates (DER), one for each of the set; empty where one of them has none."""
    sent: bool = False  # not a letter to the account, but the copy in its Sent of one from it
    gated: bool = False  # that copy is of a letter which leaves readable by another operator
    copy_of: AccountId | None = None  # the account, practice software, gets a copy of a letter to this one


class Planner:
    def __init__(
        self,
        *,
        accounts: Accounts,
        directory: Directory,
        decisions: Decisions,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._accounts = accounts
        self._directory = directory
        self._decisions = decisions
        self._clock = clock

    def plan(self, account: Account) -> Plan:
        """Raises Refusal 550 5.7.5 (revoked), 450 4.2.1 (a shared account whose members are all suspended)."""
        if account.kind is Kind.PATIENT and not account.activated:
            # A certificate may be published an instant before its secret is safely kept: activation comes last.
            return Plan(account, Treatment.WAIT)
        at = self._clock()
        readers = self._accounts.readers(account.id)
        if account.members and not readers:
            # Sealed until yesterday, say: a suspension must not lay its letters down openable by the operator.
            raise Refusal(450, "4.2.1", "Nobody reads this mailbox at the moment", "no-active-reader")
        standings = [self._directory.certificate(reader.address, at) for reader in readers]
        if account.kind is Kind.PER:
            # The holder's own key decides; a delegate who has none yet reads nothing, and keeps nobody from sealing.
            standings, along = standings[:1], standings[1:]
        else:
            along = []
        if any(found.standing is Standing.NONE for found in standings) or not standings:
            # Someone who reads this account cannot open a sealed letter yet.
            return Plan(account, Treatment.CUSTODY if self._custody_allowed(account) else Treatment.WAIT)
        valid = _distinct(standings)
        if valid:
            sealing_set = _distinct([*standings, *along])
            return Plan(account, Treatment.SEAL, sealing_set, valid, self._smime(sealing_set, at))
        if all(found.standing is Standing.REVOKED for found in standings):
            raise Refusal(
                550,
                "5.7.5",
                "The certificate of this mailbox is revoked and has no successor",
                "certificate-revoked",
            )
        return Plan(account, Treatment.WAIT)  # expired: waits for the holder to renew (DESIGN §4)

    def certificate(self, account: Account) -> Certificate | None:
        """The account's own, while it is valid and its space open: what others may be told."""
        if not account.activated:
            return None
        found = self._directory.certificate(account.address, self._clock())
        return found.certificate if found.standing is Standing.VALID else None

    def _smime(self, sealing_set: tuple[Certificate, ...], at: int) -> tuple[bytes, ...]:
        found = [self._directory.x509(one.address, at)[:1] for one in sealing_set]
        return tuple(one for (one,) in found) if all(found) else ()

    def _custody_allowed(self, account: Account) -> bool:
        allowed = self._decisions.decide(questions.may_hold_in_custody(account_entity(account))).allowed
        return allowed and account.kind is not Kind.PATIENT


def _distinct(standings: list[CertificateStanding]) -> tuple[Certificate, ...]:
    found: dict[str, Certificate] = {}
    for standing in standings:
        if standing.standing is Standing.VALID and standing.certificate is not None:
            found[standing.certificate.fingerprint] = standing.certificate
    return tuple(found.values())
