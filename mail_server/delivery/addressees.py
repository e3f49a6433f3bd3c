"""For who writes from the page: may this address be written to, and which certificates is the letter sealed to.

Invariants: what is refused at RCPT TO is refused here, in the same words; a certificate that is given out passed the
gate, or is operator-held; every refusal is in the trace.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mail_server.accounts.interface import Account, Kind
from mail_server.delivery.abroad import AbroadAdmission
from mail_server.delivery.exchanges import Exchanges
from mail_server.delivery.gate import Gate
from mail_server.delivery.plan import Planner, Treatment
from mail_server.delivery.rates import Rates
from mail_server.delivery.suggestions import Suggestions
from mail_server.keys.interface import KeyUnavailable, OperatorKeys
from mail_server.outbound.interface import Egress, NotOpened
from policies.interface import Event
from policies.refusal import Refusal

_GUARDS = {Treatment.SEAL: "sealed", Treatment.CUSTODY: "custody", Treatment.WAIT: "waiting"}


@dataclass(frozen=True, slots=True)
class Addressee:
    """Someone who may be written to. A shared account gives the certificate of each of its members."""

    address: str = field(repr=False)  # as correspondents see it
    # Who can open the letter once it is there: "sealed", "custody", "waiting"; of another operator "sealed",
    # "sealed-to-operator", and "gate" where their operator reads it: the certificate is then the gate's.
    guard: str
    certificates: tuple[bytes, ...] = field(
        repr=False
    )  # binary; the letter is encrypted to every one of them
    patient: bool = False  # an exchange with them can be ended
    suggestions: tuple[str, ...] = field(
        default=(), repr=False
    )  # at another operator, and the directory does not know it: who else may be meant
    largest: int = 0  # octets of a letter that they take, where their operator said it


class Addressees:
    def __init__(
        self,
        *,
        gate: Gate,
        planner: Planner,
        exchanges: Exchanges,
        operator_keys: OperatorKeys,
        audit: Callable[[Sequence[Event]], None],
        rates: Rates | None = None,
        abroad: AbroadAdmission | None = None,
        egress: Egress | None = None,
        suggestions: Suggestions | None = None,
    ) -> None:
        """`abroad`, `egress`: where letters leave for other operators."""
        self._abroad = abroad
        self._egress = egress
        self._suggestions = suggestions
        self._gate = gate
        self._planner = planner
        self._exchanges = exchanges
        self._operator_keys = operator_keys
        self._audit = audit
        self._rates = rates

    async def addressee(self, speaker: Account, address: str) -> Addressee:
        """Raises Refusal."""
        try:
            if self._rates is not None:
                self._rates.require_patient_of(speaker, address)
            return await self._addressee(speaker, address)
        except Refusal as refusal:
            at = time.time_ns() // 1_000_000
            event = Event("refuse", at, speaker.id, outcome=refusal.reason, reference=refusal.id)
            events = [event]
            if self._rates is not None and self._rates.tried_by(speaker, address, refusal):
                events.append(Event("probing", at, speaker.id, outcome="limit-unknown-patients"))
            self._audit(events)
            if self._suggestions is not None:
                raise await self._suggestions.told(refusal, speaker.id, address) from None
            raise

    async def _addressee(self, speaker: Account, address: str) -> Addressee:
        if self._abroad is not None and self._gate.is_elsewhere(address):
            return await self._elsewhere(self._abroad, speaker, address)
        writer = self._gate.writer_for(speaker)
        account = self._gate.addressee(writer, address, await self._exchanges.facts(writer, address))
        plan = self._planner.plan(account)
        if plan.treatment is Treatment.SEAL:
            certificates = tuple(one.minimised for one in plan.sealing_set)
        else:
            certificates = (await self._operator_held(account),)
        return Addressee(account.shown, _GUARDS[plan.treatment], certificates, account.kind is Kind.PATIENT)

    async def _elsewhere(self, abroad: AbroadAdmission, speaker: Account, address: str) -> Addressee:
        to, found = await abroad.addressee(speaker, address)
        near = await self._suggestions.beside(speaker.id, to.address) if self._suggestions else ()
        if found is not None:
            guard = "sealed-to-operator" if found.operator_held else "sealed"
            minimised = found.certificate.minimised
            return Addressee(to.address, guard, (minimised,), to.patient, near, found.largest)
        try:
            if self._egress is None:
                raise NotOpened("gate-closed")
            return Addressee(to.address, "gate", (self._egress.certificate.minimised,), to.patient, near)
        except NotOpened:
            raise Refusal(
                451,
                "4.3.0",
                "Letters to this operator cannot leave now, please try again later",
                "gate-closed",
            ) from None

    async def _operator_held(self, account: Account) -> bytes:
        try:
            held = await self._operator_keys.certificate_for(account.id, account.address)
        except (KeyUnavailable, OSError, subprocess.SubprocessError):
            raise Refusal(
                451, "4.3.0", "No key can be made for this addressee now, please try again later", "no-key"
            ) from None
        return held.certificate
