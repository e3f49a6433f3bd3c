"""The gate: what a certificate must be before anything is sealed to it.

Invariants: every self-signature that is relied upon was verified here, with a hash better than SHA-1;
revocations are believed even with a weak hash; exactly one encryption subkey comes out; of subkeys that were merely
bound nothing is published, since anybody can bind anybody's. pysequoia is asked
last whether it can really encrypt to the result, because it encrypts to expired and revoked keys without a
word. (RFC 9580 §5.2.3, §10.1.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field

import pysequoia

from directory.openpgp.certificate import Certificate
from directory.openpgp.packets import (
    RSA_FAMILY,
    Algorithm,
    Curve,
    PacketError,
    PublicKey,
    Tag,
    frame,
    recipient_key_ids,
)
from directory.openpgp.reasons import refusal
from directory.openpgp.signatures import (
    CERTIFICATIONS,
    FLAG_ENCRYPT,
    LARGEST_RSA_BITS,
    Kind,
    Signature,
    check_numbers,
    good,
    over_key,
    over_subkey,
    over_user_id,
    signature,
)
from directory.openpgp.transferable import SubkeyPart, Transferable, UserIdPart, transferable

MINIMUM_RSA_BITS = 2048
# ANSSI's rules admit 2048 bits until the end of 2030, and ask for 3072 from then on.
LONG_RSA_BITS = 3072
SHORT_RSA_UNTIL = 1_924_992_000  # 2031-01-01T00:00:00Z, seconds
FAR_FUTURE = 0xFFFFFFFF - 600  # when every signature has been made, for what is only described
CLOCK_SKEW = 600  # seconds a signer's clock may be ahead of ours
OPERATOR_HELD_NOTATION = "operator-held@vaguemestre.example"
_MOST_EMBEDDED = 4  # signatures by a subkey in one binding: programs make one
_REMEMBERED = 1024
_REMEMBERED_FOR = 3_600_000  # ms


_passed: dict[tuple[bytes, str], tuple[Certificate, int]] = {}


@dataclass(frozen=True, slots=True)
class Inspected:
    """A certificate that passed, with what the directory keeps beside it."""

    certificate: Certificate
    published: bytes = field(repr=False)  # the verified parts that are its holder's, the one user id
    identities: tuple[tuple[bytes, str], ...] = field(
        repr=False
    )  # key material digest, fingerprint: its holder's
    unproven: tuple[bytes, ...] = field(
        default=(), repr=False
    )  # digests of keys it has bound, whoever's they are


@dataclass(frozen=True, slots=True)
class _Choice:
    """The newest good self-signature of a component, or why there is none."""

    made: Signature | None
    reason: str = ""


def gate(data: bytes, address: str, at: int) -> Certificate:
    """Check a certificate (binary or armored) for an address at time `at` (ms). Raises CertificateRefused.

    A certificate that passed is remembered for an hour, within its validity: half a millisecond spared a
    letter.
    """
    name = hashlib.sha256(data).digest(), address
    known = _passed.get(name)
    if known is not None:
        certificate, since = known
        if since <= at < since + _REMEMBERED_FOR and (certificate.not_after or at + 1) > at:
            return certificate
    certificate = inspect(data, address, at).certificate
    if len(_passed) >= _REMEMBERED:
        _passed.clear()
    _passed[name] = (certificate, at)
    return certificate


def inspect(data: bytes, address: str, at: int, own: Collection[bytes] = ()) -> Inspected:
    """As `gate`, with the publishable form and the identities of all its keys.

    `own`: identities that this address has proven before. The encryption subkey that comes out counts as proven: who
    publishes has had its holder decrypt something.
    """
    parts = transferable(data)
    address = address.lower()
    now = at // 1000
    primary = parts.primary
    _refuse(_weakness(primary, encrypts=False, now=now))
    user_id, certification = _user_id(parts, address, now)
    if _revoked(parts):
        raise refusal("revoked")
    ends = [_end_of(primary, certification), _end_of(primary, _direct(parts, now)), certification.expires]
    if any(end is not None and end <= now for end in ends):
        raise refusal("expired")
    subkey, binding = _encryption_subkey(parts, now)
    ends += [_end_of(subkey, binding), binding.expires]
    ends += [SHORT_RSA_UNTIL for key in (primary, subkey) if 0 < key.rsa_bits < LONG_RSA_BITS]
    not_after = min((end for end in ends if end is not None), default=None)
    minimised = (
        frame(Tag.PUBLIC_KEY, primary.body)
        + frame(Tag.USER_ID, user_id.user_id)
        + frame(Tag.SIGNATURE, certification.packet)
        + frame(Tag.PUBLIC_SUBKEY, subkey.body)
        + frame(Tag.SIGNATURE, binding.packet)
    )
    _try(minimised, primary, subkey)
    certificate = Certificate(
        fingerprint=primary.fingerprint,
        encryption_key_id=subkey.key_id,
        address=address,
        minimised=minimised,
        not_after=None if not_after is None else not_after * 1000,
        operator_held=any(name == OPERATOR_HELD_NOTATION for name, _ in certification.notations),
    )
    bound = [part for part in parts.subkeys if _bound(part, primary)]
    proven = {primary.identity, subkey.identity, *own}
    proven |= {
        part.key.identity for part in bound if part.key is not None and _signs(part, part.key, primary)
    }
    keys = [primary, *(part.key for part in bound if part.key is not None)]
    return Inspected(
        certificate,
        _publishable(parts, address, proven),
        tuple((key.identity, key.fingerprint) for key in keys if key.identity in proven),
        tuple(key.identity for key in keys if key.identity not in proven),
    )


@dataclass(frozen=True, slots=True)
class Standing:
    """What a certificate says of itself, whether it passes or not."""

    revoked: bool
    expires: int | None  # seconds


def standing_of(parts: Transferable) -> Standing:
    """For indexes of key servers; nothing is sealed on its word."""
    ends = [_end_of(parts.primary, _direct(parts, FAR_FUTURE))]
    for part in parts.user_ids:
        covered = over_user_id(parts.primary, part.user_id)
        made = _newest(part.signatures, CERTIFICATIONS, parts.primary, covered, FAR_FUTURE).made
        ends.append(_end_of(parts.primary, made))
    return Standing(_revoked(parts), min((end for end in ends if end is not None), default=None))


def address_of(user_id: bytes) -> str | None:
    """The address of a user id, lower case: `Name <address>` or the bare address."""
    try:
        text = user_id.decode("utf-8").strip()
    except UnicodeDecodeError:
        return None
    if text.endswith(">") and "<" in text:
        text = text[text.rindex("<") + 1 : -1]
    text = text.strip()
    return text.lower() if text.count("@") >= 1 and not any(c.isspace() or c in "<>" for c in text) else None


def _refuse(reason: str) -> None:
    if reason:
        raise refusal(reason)


def _weakness(key: PublicKey, *, encrypts: bool, now: int) -> str:
    """Why this key must not be used, or nothing."""
    if key.algorithm in RSA_FAMILY:
        if key.rsa_bits > LARGEST_RSA_BITS:
            return "unreadable-by-common-programs"
        wanted = MINIMUM_RSA_BITS if now < SHORT_RSA_UNTIL else LONG_RSA_BITS
        return "" if key.rsa_bits >= wanted and check_numbers(key) else "weak-key"
    if key.algorithm in (Algorithm.DSA, Algorithm.ELGAMAL, Algorithm.ELGAMAL_BOTH):
        return "weak-key"
    if key.algorithm not in (Algorithm.ECDH, Algorithm.ECDSA, Algorithm.EDDSA_LEGACY):
        return "unreadable-by-common-programs"  # 25, 27, post-quantum and whatever comes
    if key.curve is Curve.OTHER or encrypts != (key.algorithm == Algorithm.ECDH):
        return "unreadable-by-common-programs"
    if key.kdf is not None and (key.kdf[0] not in (8, 9, 10) or key.kdf[1] not in (7, 8, 9)):
        return "weak-key"
    return "" if check_numbers(key) else "weak-key"


def _newest(
    made: list[Signature], kinds: frozenset[Kind], primary: PublicKey, covered: bytes, now: int
) -> _Choice:
    """The newest self-signature in force, as RFC 9580 §5.2.3.10 wants it."""
    best: Signature | None = None
    reason = ""
    for one in made:
        if one.kind not in kinds or not _claims(one, primary) or one.created is None:
            continue
        if best is not None and one.created < (best.created or 0):
            continue
        if not good(one, primary, covered):
            continue
        if not one.strong:
            reason = reason or "weak-key"
        elif one.created > now + CLOCK_SKEW:
            reason = reason or "not-yet-valid"
        elif one.expires is not None and one.expires <= now:
            reason = reason or "expired"
        else:
            best = one
    return _Choice(best, reason)


def _claims(made: Signature, primary: PublicKey) -> bool:
    """Whether it says it comes from this key, or says nothing: spares verifying strangers' signatures."""
    return not made.issuers or primary.key_id in made.issuers


def _user_id(parts: Transferable, address: str, now: int) -> tuple[UserIdPart, Signature]:
    reasons: list[str] = []
    chosen: list[tuple[int, UserIdPart, Signature]] = []
    for part in parts.user_ids:
        if address_of(part.user_id) != address:
            continue
        covered = over_user_id(parts.primary, part.user_id)
        choice = _newest(part.signatures, CERTIFICATIONS, parts.primary, covered, now)
        if choice.made is None:
            reasons.append(choice.reason)
        elif _user_id_revoked(part, choice.made, parts.primary, covered):
            reasons.append("revoked")
        else:
            chosen.append((choice.made.created or 0, part, choice.made))
    if chosen:
        _, part, made = max(chosen, key=lambda item: item[0])
        return part, made
    # A user id that this key never signed for itself is nobody's claim: as good as absent.
    raise refusal(_first_of(reasons, otherwise="user-id-of-another"))


def _user_id_revoked(part: UserIdPart, made: Signature, primary: PublicKey, covered: bytes) -> bool:
    """A certification newer than the revocation takes it back (RFC 9580 §5.2.1.13)."""
    return any(
        one.kind == Kind.CERTIFICATION_REVOCATION
        and (one.created or 0) >= (made.created or 0)
        and good(one, primary, covered)
        for one in part.signatures
    )


def _first_of(reasons: list[str], otherwise: str) -> str:
    for known in ("revoked", "expired", "not-yet-valid", "weak-key", "unreadable-by-common-programs"):
        if known in reasons:
            return known
    return otherwise


def _direct(parts: Transferable, now: int) -> Signature | None:
    kinds = frozenset({Kind.DIRECT_KEY})
    return _newest(parts.direct, kinds, parts.primary, over_key(parts.primary), now).made


def _revoked(parts: Transferable) -> bool:
    covered = over_key(parts.primary)
    revocations = [one for one in parts.direct if one.kind == Kind.KEY_REVOCATION]
    if any(good(one, parts.primary, covered) for one in revocations):
        return True
    # Made by somebody the owner named for it: it cannot be checked here without that key, so it is believed.
    named = {
        key_id
        for one in parts.direct
        if one.kind == Kind.DIRECT_KEY and good(one, parts.primary, covered)
        for key_id in one.revokers
    }
    return any(one.issuers & named for one in revocations)


def _end_of(key: PublicKey, made: Signature | None) -> int | None:
    after = made.key_expires_after if made is not None else None
    return None if after is None else key.created + after


def _encryption_subkey(parts: Transferable, now: int) -> tuple[PublicKey, Signature]:
    usable: list[tuple[PublicKey, Signature]] = []
    reasons: list[str] = []
    for part in parts.subkeys:
        choice = _usable(part, parts.primary, now)
        if isinstance(choice, str):
            reasons.append(choice)
        else:
            usable.append(choice)
    if not usable:
        raise refusal(_first_of(reasons, otherwise="no-encryption-subkey"))
    return max(usable, key=lambda item: (item[0].created, item[0].key_id))


def _usable(part: SubkeyPart, primary: PublicKey, now: int) -> tuple[PublicKey, Signature] | str:
    """The subkey and its binding, or why it is left aside; "" when it is not for encryption at all."""
    if part.key is None:
        return "unreadable-by-common-programs"
    covered = over_subkey(primary, part.key)
    choice = _newest(part.signatures, frozenset({Kind.SUBKEY_BINDING}), primary, covered, now)
    if choice.made is None:
        return choice.reason
    if not (choice.made.flags or 0) & FLAG_ENCRYPT:
        return ""
    if any(one.kind == Kind.SUBKEY_REVOCATION and good(one, primary, covered) for one in part.signatures):
        return "revoked"
    weakness = _weakness(part.key, encrypts=True, now=now)
    if weakness:
        return weakness
    if part.key.algorithm == Algorithm.RSA_SIGN:
        return ""
    if part.key.created > now + CLOCK_SKEW:
        return "not-yet-valid"
    end = _end_of(part.key, choice.made)
    return "expired" if end is not None and end <= now else (part.key, choice.made)


def _try(minimised: bytes, primary: PublicKey, subkey: PublicKey) -> None:
    """The engine itself must agree, and name the subkey we chose."""
    try:
        cert = pysequoia.Cert.from_bytes(minimised)
        message = pysequoia.encrypt(b"", [cert], armor=False)
        named = recipient_key_ids(message)
    except (RuntimeError, PacketError):
        raise refusal("unreadable-by-common-programs") from None
    if cert.fingerprint.upper() != primary.fingerprint or named != (subkey.key_id,):
        raise refusal("unreadable-by-common-programs")


def _publishable(parts: Transferable, address: str, proven: Collection[bytes]) -> bytes:
    """All verified parts, with the user ids of this address alone: what WKD serves.

    Of keys that are not `proven` those alone that it revoked, which nobody uses.
    """
    primary = parts.primary
    pieces = [frame(Tag.PUBLIC_KEY, primary.body)]

    def keep(made: list[Signature], covered: bytes) -> int:
        kept = [one for one in made if _claims(one, primary) and good(one, primary, covered)]
        pieces.extend(frame(Tag.SIGNATURE, one.packet) for one in kept)
        return len(kept)

    keep(parts.direct, over_key(primary))
    for user_id in parts.user_ids:
        if address_of(user_id.user_id) == address:
            pieces.append(frame(Tag.USER_ID, user_id.user_id))
            if not keep(user_id.signatures, over_user_id(primary, user_id.user_id)):
                pieces.pop()
    for subkey in parts.subkeys:
        if subkey.key is not None and (subkey.key.identity in proven or _revoked_subkey(subkey, primary)):
            pieces.append(frame(Tag.PUBLIC_SUBKEY, subkey.key.body))
            if not keep(subkey.signatures, over_subkey(primary, subkey.key)):
                pieces.pop()
    return b"".join(pieces)


def _bound(part: SubkeyPart, primary: PublicKey) -> bool:
    return part.key is not None and any(
        good(one, primary, over_subkey(primary, part.key)) for one in part.signatures
    )


def _revoked_subkey(part: SubkeyPart, primary: PublicKey) -> bool:
    return part.key is not None and any(
        one.kind == Kind.SUBKEY_REVOCATION and good(one, primary, over_subkey(primary, part.key))
        for one in part.signatures
    )


def _signs(part: SubkeyPart, key: PublicKey, primary: PublicKey) -> bool:
    """Whether the subkey itself says whose it is, by a signature in its binding (RFC 9580 §5.2.1.8, §10.1.5)."""
    covered = over_subkey(primary, key)
    for binding in part.signatures:
        if binding.kind != Kind.SUBKEY_BINDING or not good(binding, primary, covered):
            continue
        for body in binding.embedded[:_MOST_EMBEDDED]:
            try:
                made = signature(body)
            except PacketError:
                continue
            if made.kind == Kind.PRIMARY_KEY_BINDING and made.strong and good(made, key, covered):
                return True
    return False
