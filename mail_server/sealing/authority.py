"""The operator's authority key, and the gateway signing key that hangs under it.

The authority is a certify-only Ed25519 key in a GnuPG home on disk; its passphrase is random and lies beside
it, wrapped under the KEK, so that a thief of the home cannot sign. Under it hangs a signing subkey of 30
days, exported once (secret of that subkey alone), wrapped under the KEK, and handed to the sealing workers
in memory. It is made anew when fewer than 7 days remain, and when it is dated ahead of the clock: a node that was
started once with its clock in the future would seal nothing with the right one before that day.

Invariants: no secret lies on disk but under the KEK; no gpg-agent outlives a call; the public certificate
(`authority.asc`) always holds the subkey in use.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import os
import secrets
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

from directory.openpgp.packets import PacketError, Tag, public_key, spans
from directory.openpgp.signatures import Kind, signature
from mail_server.keys.interface import KeyWrapper
from mail_server.sealing import frames
from mail_server.sealing.gpg_home import GpgError, GpgHome, opened
from mail_server.sealing.pool import SigningKey

SUBKEY_DAYS = 30
RENEW_BELOW_DAYS = 7
_DAY = 86_400
_PASSPHRASE = b"authority passphrase"
_GATEWAY = b"gateway signing key"
_REVOCATION = b"authority revocation"


_log = logging.getLogger("vaguemestre.sealing")


class AuthorityError(Exception):
    """The authority is missing, unreadable, or GnuPG failed. Says nothing secret."""


@dataclass(frozen=True, slots=True)
class _Gateway:
    """The signing subkey in use."""

    primary: str
    fingerprint: str
    expires: int  # seconds
    secret: bytes = field(repr=False)

    def is_due(self, now: int) -> bool:
        """Whether another is to be made: this one ends soon, or is not valid yet."""
        return self.expires - now < RENEW_BELOW_DAYS * _DAY or self.made(Tag.SECRET_SUBKEY) > now

    def made(self, tag: Tag) -> int:
        """When the key in this packet was made, in seconds: after its version, four octets (RFC 9580 §5.5.2)."""
        with contextlib.suppress(PacketError):
            for part in spans(self.secret):
                if part.tag == tag:
                    return int.from_bytes(part.body(self.secret)[1:5], "big")
        raise AuthorityError("gateway key unreadable")

    def packed(self) -> bytes:
        fields = [self.primary.encode(), self.fingerprint.encode(), str(self.expires).encode(), self.secret]
        return frames.pack(fields)

    @classmethod
    def unpacked(cls, data: bytes) -> _Gateway:
        try:
            primary, fingerprint, expires, secret = frames.unpack(data)
            return cls(primary.decode("ascii"), fingerprint.decode("ascii"), int(expires), secret)
        except (frames.FrameError, ValueError):
            raise AuthorityError("gateway key unreadable") from None


class Authority:
    """`make()` once, at init; then `signing_key()` at start and every day. Blocking: call it in a thread."""

    def __init__(self, home: Path, keys: KeyWrapper, domain: str) -> None:
        self._home = home
        self._keys = keys
        self._domain = domain
        self._gnupg = home / "gnupg"
        self._public = home / "authority.asc"

    @property
    def made(self) -> bool:
        return self._public.exists()

    def make(self) -> None:
        """Make the authority and its first signing subkey. Raises AuthorityError if there is one already."""
        if self.made:
            raise AuthorityError("there is an authority already")
        shutil.rmtree(self._home, ignore_errors=True)  # left by a `make` that was cut short
        self._home.mkdir(mode=0o700, parents=True)
        passphrase = secrets.token_urlsafe(32)
        self._write("passphrase.wrapped", self._keys.wrap(passphrase.encode("ascii"), _PASSPHRASE))
        try:
            with opened(self._gnupg) as gpg:
                primary = gpg.make_certifying_key(
                    "Vaguemestre gateway", f"gateway@{self._domain}", passphrase
                )
                self._put_revocation_away()
                self._add_subkey(gpg, primary, passphrase)
        except GpgError as error:
            raise AuthorityError(str(error)) from None

    def signing_key(self, at: int | None = None) -> SigningKey:
        """The gateway signing key for the workers, renewed first when fewer than 7 days remain at `at` (ms), or when
        it is not valid yet."""
        now = int(time.time()) if at is None else at // 1000
        gateway = self._gateway()
        if gateway.is_due(now):
            if (dated := gateway.made(Tag.SECRET_SUBKEY)) > now:
                self._warn_of_clock(gateway, dated, now)
            self._renew(gateway)
            gateway = self._gateway()
        return SigningKey(gateway.secret, self._passphrase().encode("ascii"))

    def needs_renewal(self, at: int) -> bool:
        """Whether `signing_key(at)` would make a new subkey (then load it into the pool)."""
        return self._gateway().is_due(at // 1000)

    def certificate(self) -> bytes:
        """The public authority certificate, armored, for whoever checks our signatures."""
        try:
            return self._public.read_bytes()
        except OSError:
            raise AuthorityError("no authority yet") from None

    def _warn_of_clock(self, gateway: _Gateway, dated: int, now: int) -> None:
        """Raises AuthorityError where no key can be made either: the one that certifies is not valid yet."""
        if (first := gateway.made(Tag.SECRET_KEY)) > now:
            raise AuthorityError(
                f"it is dated {_day(first)} and the clock of this machine says {_day(now)}. Set the clock right. Where "
                "it was wrong when the node was made, move the home away and run `vaguemestre init` again"
            )
        _log.warning(
            "the gateway signing key is dated %s, after this machine's clock (%s): another is made that is valid now. "
            "See that the clock is right",
            _day(dated),
            _day(now),
        )

    def _renew(self, gateway: _Gateway) -> None:
        try:
            with opened(self._gnupg) as gpg:
                self._add_subkey(gpg, gateway.primary, self._passphrase())
        except GpgError as error:
            raise AuthorityError(str(error)) from None

    def _add_subkey(self, gpg: GpgHome, primary: str, passphrase: str) -> None:
        """The public certificate is written before the secret is used, so that no signature goes unexplained."""
        fingerprint = gpg.add_signing_subkey(primary, passphrase, SUBKEY_DAYS)
        expires = _expiry(gpg.export_public(primary, armored=False), fingerprint)
        secret = gpg.export_secret_subkey(fingerprint, passphrase)
        armored = gpg.export_public(primary, armored=True)
        gateway = _Gateway(primary, fingerprint, expires, secret)
        if self.made:
            self._write("authority.asc", armored)
        self._write("gateway.wrapped", self._keys.wrap(gateway.packed(), _GATEWAY))
        if not self.made:
            self._write("authority.asc", armored)  # last of all: with it the authority is made

    def _put_revocation_away(self) -> None:
        """GnuPG leaves a ready-made revocation in clear: whoever steals it could revoke us. It goes under the KEK."""
        folder = self._gnupg / "openpgp-revocs.d"
        for found in sorted(folder.glob("*.rev")):
            self._write("revocation.wrapped", self._keys.wrap(found.read_bytes(), _REVOCATION))
            found.unlink()

    def _gateway(self) -> _Gateway:
        return _Gateway.unpacked(self._unwrapped("gateway.wrapped", _GATEWAY))

    def _passphrase(self) -> str:
        return self._unwrapped("passphrase.wrapped", _PASSPHRASE).decode("ascii")

    def _unwrapped(self, name: str, purpose: bytes) -> bytes:
        """Raises AuthorityError when there is none, KeyUnavailable when the KEK does not fit."""
        try:
            wrapped = (self._home / name).read_bytes()
        except OSError:
            raise AuthorityError("no authority yet") from None
        return self._keys.unwrap(wrapped, purpose)

    def _write(self, name: str, data: bytes) -> None:
        """Whole or not at all, and durable."""
        part = self._home / f"{name}.part"
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._home / name)
        folder = os.open(self._home, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _day(seconds: int) -> str:
    return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%d}"


def _expiry(certificate: bytes, fingerprint: str) -> int:
    """When that subkey ends, in seconds, as its binding says."""
    current = None
    with contextlib.suppress(PacketError):
        for part in spans(certificate):
            body = part.body(certificate)
            if part.tag == Tag.PUBLIC_SUBKEY:
                current = public_key(body)
            elif part.tag == Tag.SIGNATURE and current is not None and current.fingerprint == fingerprint:
                made = signature(body)
                if made.kind == Kind.SUBKEY_BINDING and made.key_expires_after is not None:
                    return current.created + made.key_expires_after
    raise AuthorityError("subkey without an end")
