"""What requests of enrolment, re-seal and keys may say."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from webmail.login.bodies import CertificateBytes, Id, PasswordSlot, RecoverySlot, WrappedSecret
from webmail.login.front import Binary, Body
from webmail.spaces import lookups, reseal
from webmail.spaces.activation import NewKey
from webmail.spaces.reseal import NewPackets

_Short = Annotated[str, StringConstraints(max_length=64)]
_Packet = Annotated[Binary, Field(max_length=2048)]


class Start(Body):
    code: _Short
    birthDate: _Short | None = None
    lastFive: _Short | None = None
    address: Annotated[str, StringConstraints(max_length=320)] | None = None


class Challenged(Body):
    certificate: CertificateBytes


class SentKey(Body):
    certificate: CertificateBytes
    wrappedSecret: WrappedSecret | None = None
    challenge: Id
    nonce: Annotated[str, StringConstraints(max_length=200)]

    def as_new(self) -> NewKey:
        return NewKey(self.certificate, self.challenge, self.nonce, self.wrappedSecret)


class Complete(Body):
    password: PasswordSlot
    recovery: RecoverySlot
    key: SentKey | None = None


class Rewrapped(Body):
    wrappedSecret: WrappedSecret


class Letter(Body):
    id: int = Field(ge=0, lt=2**63)
    keyPackets: _Packet
    summaryKeyPackets: _Packet | None = None

    def as_new(self) -> NewPackets:
        return NewPackets(reseal.MessageId(self.id), self.keyPackets, self.summaryKeyPackets)


class Letters(Body):
    letters: list[Letter] = Field(max_length=reseal.MOST)


class Addresses(Body):
    addresses: list[Annotated[str, StringConstraints(max_length=320)]] = Field(
        max_length=lookups.MOST, repr=False
    )
