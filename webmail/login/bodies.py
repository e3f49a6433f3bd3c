"""What requests of `/api/` may say: shapes and limits.

Invariants: secrets are not shown by repr; a wrap has the one length that its contents give it; unknown names are
refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints

from directory.openpgp.armor import ArmorError, dearmor, looks_armored
from mail_server.keys.slots import Stretching
from webmail.login.changes import NewPassword, NewRecovery
from webmail.login.front import Binary, Body
from webmail.login.programs import PROGRAMS, WantedPassword

_WRAP_VERSION = 1
_WRAPPED_KEY = 1 + 12 + 32 + 16  # version, nonce, account key, tag
_SMALLEST_WRAP = 1 + 12 + 16 + 1
_LARGEST_SECRET = 64 * 1024
_LARGEST_CERTIFICATE = 256 * 1024


def _of_length(length: int) -> AfterValidator:
    def check(value: bytes) -> bytes:
        if len(value) != length:
            raise ValueError("length")
        return value

    return AfterValidator(check)


def _wrapped_key(value: bytes) -> bytes:
    if len(value) != _WRAPPED_KEY or value[0] != _WRAP_VERSION:
        raise ValueError("not a wrapped account key")
    return value


def _wrapped_secret(value: bytes) -> bytes:
    if not _SMALLEST_WRAP <= len(value) <= _LARGEST_SECRET or value[0] != _WRAP_VERSION:
        raise ValueError("not a wrapped secret key")
    return value


def _certificate(value: bytes) -> bytes:
    """Binary from here on, also when it came armored inside its base64."""
    if not 0 < len(value) <= _LARGEST_CERTIFICATE:
        raise ValueError("length")
    if looks_armored(value):
        try:
            return dearmor(value, "PUBLIC KEY BLOCK")
        except ArmorError:
            return value  # the gate says what is wrong with it
    return value


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("characters")
    return value


LoginSecret = Annotated[Binary, _of_length(32)]
WrappedKey = Annotated[Binary, AfterValidator(_wrapped_key)]
WrappedSecret = Annotated[Binary, AfterValidator(_wrapped_secret)]
CertificateBytes = Annotated[Binary, AfterValidator(_certificate)]
Salt = Annotated[Binary, _of_length(16)]
User = Annotated[str, StringConstraints(min_length=1, max_length=320)]
Code = Annotated[str, StringConstraints(max_length=16)]
Label = Annotated[str, StringConstraints(max_length=80, strip_whitespace=True), AfterValidator(_printable)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class Params(Body):
    algorithm: Literal["argon2id"]
    memory: int = Field(ge=19456, le=1048576)
    passes: int = Field(ge=1, le=16)
    lanes: int = Field(ge=1, le=4)


class PasswordSlot(Body):
    salt: Salt
    params: Params
    login: LoginSecret
    wrapped: WrappedKey

    def as_new(self) -> NewPassword:
        how = self.params
        return NewPassword(Stretching(self.salt, how.memory, how.passes, how.lanes), self.login, self.wrapped)


class RecoverySlot(Body):
    login: LoginSecret
    wrapped: WrappedKey

    def as_new(self) -> NewRecovery:
        return NewRecovery(self.login, self.wrapped)


class Empty(Body):
    pass


class Who(Body):
    user: User


class PasswordLogin(Body):
    user: User
    login: LoginSecret
    totp: Code | None = None
    shared: bool = False


class RecoveryLogin(Body):
    user: User
    login: LoginSecret
    totp: Code | None = None


class PasskeyLogin(Body):
    id: Id
    credential: dict[str, Any]
    shared: bool = False


class ChangePassword(Body):
    current: LoginSecret | None = None
    password: PasswordSlot


class ChangeRecovery(Body):
    current: LoginSecret | None = None
    login: LoginSecret
    wrapped: WrappedKey


class NewPasskey(Body):
    id: Id
    credential: dict[str, Any]
    label: Label = ""
    wrapped: WrappedKey | None = None


class TotpCode(Body):
    code: Code


class StepUp(Body):
    login: LoginSecret
    totp: Code | None = None


class PasskeyAnswer(Body):
    id: Id
    credential: dict[str, Any]


class AppPassword(Body):
    label: Annotated[Label, StringConstraints(min_length=1)]
    protocols: Annotated[
        list[Literal["imap", "submission", "jmap", "ldap"]], Field(min_length=1, max_length=4)
    ] = Field(default_factory=lambda: list(PROGRAMS))
    days: int = Field(default=90, ge=1, le=365)
    network: Annotated[str, StringConstraints(max_length=1000)] = ""

    def as_wanted(self) -> WantedPassword:
        return WantedPassword(self.label, tuple(self.protocols), self.days, self.network)


class CibaAnswer(Body):
    id: Id
    shared: bool = False
