"""A sealing worker: one process, one message at a time.

Started by `pool` as `python -m mail_server.sealing.worker`, before any secret exists; what it must know
comes over the socket. Invariants: clear text and secrets stay in this process's memory (no core dump, no
other process may read it, no file beyond memory-backed ones); it says nothing on stdout or stderr; an error
leaves it as a slug of `frames`, never as the library's text; it ends when its socket closes.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pysequoia

from mail_server.sealing.frames import Ask, Slug
from mail_server.sealing.interface import KeyPacket
from mail_server.sealing.opening import opened
from mail_server.sealing.serving import Failed, run
from mail_server.sealing.universal import WrongShape, split

_CACHED_CERTIFICATES = 4096


@dataclass(frozen=True, slots=True)
class _Loaded:
    signer: pysequoia.PySigner
    throw_away: pysequoia.Cert
    throw_away_id: str


@dataclass(frozen=True, slots=True)
class _Known:
    """A certificate read once."""

    certificate: pysequoia.Cert
    must_be_forced: bool  # the library alone would choose a shape that not all programs read


class Worker:
    """Answers one request after another."""

    def __init__(self) -> None:
        self._loaded: _Loaded | None = None
        self._certificates: OrderedDict[bytes, _Known] = OrderedDict()

    def answer(self, ask: int, fields: list[bytes], payload: bytes) -> tuple[list[bytes], bytes | memoryview]:
        """Fields and payload of the answer. Raises Failed."""
        if ask in (Ask.SEAL, Ask.SEAL_SIGNED_BESIDE):
            return self._seal(fields, payload, sign_beside=ask == Ask.SEAL_SIGNED_BESIDE)
        if ask == Ask.OPEN:
            return [], self._open(fields, payload)
        if ask == Ask.LOAD:
            self._load(fields)
            return [], b""
        raise Failed(Slug.BAD_FRAME)

    def _load(self, fields: Sequence[bytes]) -> None:
        if len(fields) != 4:
            raise Failed(Slug.BAD_FRAME)
        secret, passphrase, throw_away, key_id = fields
        try:
            signer = pysequoia.Tsk.from_bytes(secret).signer(passphrase.decode() if passphrase else None)
            self._loaded = _Loaded(signer, pysequoia.Cert.from_bytes(throw_away), key_id.decode("ascii"))
        except (RuntimeError, ValueError):
            raise Failed(Slug.BAD_KEY) from None

    def _seal(
        self, fields: Sequence[bytes], clear: bytes, *, sign_beside: bool
    ) -> tuple[list[bytes], memoryview]:
        loaded = self._loaded
        if loaded is None:
            raise Failed(Slug.NOT_LOADED)
        if len(fields) < 4 or len(fields) % 3 != 1:
            raise Failed(Slug.BAD_FRAME)
        recipients: dict[str, str] = {}
        known: list[_Known] = []
        for at in range(1, len(fields), 3):
            fingerprint, key_id = fields[at].decode("ascii"), fields[at + 1].decode("ascii")
            recipients[key_id] = fingerprint
            known.append(self._certificate(fields[at + 2], fingerprint, key_id))
        if len(recipients) != len(known):
            raise Failed(Slug.BAD_CERTIFICATE)
        forced = any(one.must_be_forced for one in known)
        certificates = [one.certificate for one in known] + ([loaded.throw_away] if forced else [])
        cut = loaded.throw_away_id if forced else None
        key_packets, body = _encrypted(clear, certificates, loaded.signer, recipients, cut)
        beside: dict[str, bytes] = {}
        beside_body = memoryview(b"")
        if fields[0]:
            # A bare summary is not signed: it says nothing to anybody else. A manifest is: the page goes by it.
            signer = loaded.signer if sign_beside else None
            packets, beside_body = _encrypted(fields[0], certificates, signer, recipients, cut)
            beside = {one.fingerprint: one.packet for one in packets}
        answer = [bytes(beside_body)]
        for one in key_packets:
            answer += [one.fingerprint.encode("ascii"), one.packet, beside.get(one.fingerprint, b"")]
        return answer, body

    def _certificate(self, minimised: bytes, fingerprint: str, key_id: str) -> _Known:
        known = self._certificates.get(minimised)
        if known is None:
            try:
                certificate = pysequoia.Cert.from_bytes(minimised)
            except RuntimeError:
                raise Failed(Slug.BAD_CERTIFICATE) from None
            known = _Known(certificate, _must_be_forced(certificate, fingerprint, key_id))
            self._certificates[minimised] = known
            if len(self._certificates) > _CACHED_CERTIFICATES:
                self._certificates.popitem(last=False)
        else:
            self._certificates.move_to_end(minimised)
        if known.certificate.fingerprint.upper() != fingerprint:
            raise Failed(Slug.BAD_CERTIFICATE)
        return known

    def _open(self, fields: Sequence[bytes], message: bytes) -> bytes:
        if len(fields) != 1:
            raise Failed(Slug.BAD_FRAME)
        try:
            decryptor = pysequoia.Tsk.from_bytes(fields[0]).decryptor()
        except (RuntimeError, ValueError):
            raise Failed(Slug.CANNOT_OPEN) from None
        return opened(message, decryptor)


def _encrypted(
    clear: bytes,
    certificates: list[pysequoia.Cert],
    signer: pysequoia.PySigner | None,
    recipients: Mapping[str, str],
    cut: str | None,
) -> tuple[list[KeyPacket], memoryview]:
    """In the universal shape, or Failed."""
    try:
        message = pysequoia.encrypt(clear, certificates, signer, armor=False)
    except RuntimeError:
        raise Failed(Slug.CANNOT_SEAL) from None
    try:
        key_packets, body = split(message, recipients, cut)
    except WrongShape:
        raise Failed(Slug.WRONG_SHAPE) from None
    return key_packets, memoryview(message)[body:]


def _must_be_forced(certificate: pysequoia.Cert, fingerprint: str, key_id: str) -> bool:
    """Tried once with nothing: what the library makes for this certificate alone."""
    try:
        split(pysequoia.encrypt(b"", [certificate], armor=False), {key_id: fingerprint}, None)
    except (RuntimeError, WrongShape):
        return True
    return False


def main(arguments: Sequence[str]) -> int:
    """As `serving.run` has them: FILE_MIB is the most that `open` may give back."""
    return run(arguments, Worker())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
