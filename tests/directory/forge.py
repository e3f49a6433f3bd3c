"""Makes OpenPGP certificates octet by octet, also such as no program would make. For tests alone."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from directory.openpgp.packets import Algorithm, Curve, PublicKey, Tag, frame, public_key, span, write_mpi
from directory.openpgp.signatures import Hash, Kind, Sub, over_key, over_subkey, over_user_id

HASHES = {Hash.SHA1: "sha1", Hash.SHA256: "sha256", Hash.SHA512: "sha512"}
NOW = int(time.time()) - 3600


def _subpackets(says: list[tuple[int, bytes]]) -> bytes:
    return b"".join(bytes([len(value) + 1, kind]) + value for kind, value in says)


@dataclass
class Forge:
    """One primary key and one encryption subkey, whose secrets are at hand."""

    created: int = NOW
    signing: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    decrypting: X25519PrivateKey = field(default_factory=X25519PrivateKey.generate)

    @property
    def primary(self) -> PublicKey:
        point = self.signing.public_key().public_bytes_raw()
        return self._key(Algorithm.EDDSA_LEGACY, Curve.ED25519, point, b"")

    @property
    def subkey(self) -> PublicKey:
        point = self.decrypting.public_key().public_bytes_raw()
        return self._key(Algorithm.ECDH, Curve.CV25519, point, b"\x03\x01\x08\x07")

    def _key(self, algorithm: Algorithm, curve: Curve, point: bytes, rest: bytes) -> PublicKey:
        head = b"\x04" + self.created.to_bytes(4, "big") + bytes([algorithm, len(curve.value)]) + curve.value
        return public_key(head + write_mpi(b"\x40" + point) + rest)

    def sign(
        self,
        kind: Kind,
        covered: bytes,
        says: list[tuple[int, bytes]],
        *,
        made: int | None = None,
        hashed_with: Hash = Hash.SHA512,
    ) -> bytes:
        """A signature packet by the primary key."""
        when = self.created if made is None else made
        issuer = (Sub.ISSUER_FINGERPRINT, b"\x04" + bytes.fromhex(self.primary.fingerprint))
        hashed = _subpackets([issuer, (Sub.CREATED, when.to_bytes(4, "big")), *says])
        head = bytes([4, kind, Algorithm.EDDSA_LEGACY, hashed_with]) + len(hashed).to_bytes(2, "big") + hashed
        trailer = head + b"\x04\xff" + len(head).to_bytes(4, "big")
        value = hashlib.new(HASHES[hashed_with], covered + trailer).digest()
        signed = self.signing.sign(value)
        numbers = write_mpi(signed[:32]) + write_mpi(signed[32:])
        hint = _subpackets([(Sub.ISSUER, bytes.fromhex(self.primary.key_id))])
        unhashed = len(hint).to_bytes(2, "big") + hint
        return frame(Tag.SIGNATURE, head + unhashed + value[:2] + numbers)

    def user_id(
        self,
        text: str,
        *,
        features: int | None = 1,
        says: list[tuple[int, bytes]] | None = None,
        made: int | None = None,
        hashed_with: Hash = Hash.SHA512,
    ) -> bytes:
        """A user id and its certification."""
        raw = text.encode("utf-8")
        wanted: list[tuple[int, bytes]] = [(Sub.KEY_FLAGS, b"\x03"), *(says or [])]
        if features is not None:
            wanted.append((Sub.FEATURES, bytes([features])))
        covered = over_user_id(self.primary, raw)
        certification = self.sign(
            Kind.CERTIFICATION_POSITIVE, covered, wanted, made=made, hashed_with=hashed_with
        )
        return frame(Tag.USER_ID, raw) + certification

    def bind(
        self,
        subkey: PublicKey | None = None,
        *,
        flags: int = 0x0C,
        says: list[tuple[int, bytes]] | None = None,
        made: int | None = None,
        hashed_with: Hash = Hash.SHA512,
    ) -> bytes:
        """A subkey (our own by default) and its binding."""
        bound = subkey or self.subkey
        wanted = [(Sub.KEY_FLAGS, bytes([flags])), *(says or [])]
        covered = over_subkey(self.primary, bound)
        binding = self.sign(Kind.SUBKEY_BINDING, covered, wanted, made=made, hashed_with=hashed_with)
        return frame(Tag.PUBLIC_SUBKEY, bound.body) + binding

    def bind_signing(self, other: Forge, *, backed: Forge | None = None) -> bytes:
        """Another's primary key bound as a signing subkey; with the signature that `other` made for it as a subkey
        of `backed`, when that is given."""
        says: list[tuple[int, bytes]] = []
        if backed is not None:
            covered = over_subkey(backed.primary, other.primary)
            made = other.sign(Kind.PRIMARY_KEY_BINDING, covered, [])
            says.append((Sub.EMBEDDED, span(made).body(made)))
        return self.bind(other.primary, flags=0x02, says=says)

    @property
    def head(self) -> bytes:
        return frame(Tag.PUBLIC_KEY, self.primary.body)

    def direct(self, kind: Kind, says: list[tuple[int, bytes]], hashed_with: Hash = Hash.SHA512) -> bytes:
        """A signature over the primary key itself."""
        return self.sign(kind, over_key(self.primary), says, hashed_with=hashed_with)

    def certificate(self, address: str, *, features: int | None = 1) -> bytes:
        """An ordinary one."""
        return self.head + self.user_id(address, features=features) + self.bind()

    def secret_key(self, address: str, *, features: int | None = 1) -> bytes:
        """The same with its secrets, unprotected (RFC 9580 §5.5.3)."""
        certificate = self.certificate(address, features=features)
        public_primary = self.head
        public_subkey = frame(Tag.PUBLIC_SUBKEY, self.subkey.body)
        primary = _secret(Tag.SECRET_KEY, self.primary.body, self.signing.private_bytes_raw())
        scalar = bytearray(self.decrypting.private_bytes_raw())
        scalar[0] &= 248
        scalar[31] = (scalar[31] & 127) | 64
        subkey = _secret(Tag.SECRET_SUBKEY, self.subkey.body, bytes(reversed(scalar)))
        return certificate.replace(public_primary, primary).replace(public_subkey, subkey)


def _secret(tag: Tag, public: bytes, number: bytes) -> bytes:
    secret = write_mpi(number)
    return frame(tag, public + b"\0" + secret + (sum(secret) & 0xFFFF).to_bytes(2, "big"))
