"""Whose word a letter from another operator carries: verified on arrival, told to its reader, and asked where From is
not who handed over.

A letter that another organisation's account sends on keeps its author's From, while MAIL FROM is that account. It is
taken only when every one of these holds: MAIL FROM is of a domain that the certificate speaks for (the gate saw to it);
From is of a domain of the trust list, or of an account of ours, and no patient's; a DKIM signature of that very domain
verifies now, is recent and covers the whole body and every field by which a letter acts or is shown; a valid ARC chain
was sealed last by the domain of MAIL FROM; no addressee is a patient, nor an address that acts.

Invariants: what could not be verified refuses nothing by itself, but vouches for nobody either; a field that claims our
name is taken away before anybody reads it (RFC 8601 §5); what is verified is the letter as it came.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from mail_server import mime
from mail_server.accounts.interface import Accounts, Kind
from mail_server.accounts.life import in_service
from mail_server.delivery.abroad import addressed
from mail_server.delivery.examine import Letter, examine
from mail_server.delivery.gate import domain_of
from mail_server.delivery.interface import Envelope, Road
from mail_server.mime import Field
from mail_server.signatures import results
from mail_server.signatures.results import Handover, Judged, Verified
from mail_server.signatures.signing import OVERSIGNED, PRIVATE
from mail_server.signatures.verifier import Verifier
from policies.refusal import Refusal

RECENT_DAYS = 7  # a letter on its way: five days in a queue, and some more; not one that was kept to be used
# By these a letter is shown, answered, filed or acts: who sends it on may have added none.
_ACTS = frozenset(OVERSIGNED) | {"disposition-notification-to", "auto-submitted", "autocrypt"}
_ONCE = frozenset({"from", "sender", "reply-to", "to", "cc", "subject", "date", "message-id", "content-type"})


class Authenticity:
    def __init__(
        self,
        *,
        verifier: Verifier,
        authserv_id: str,
        accounts: Accounts,
        listed: Callable[[str], bool],
        clock: Callable[[], int],
        large: int,
    ) -> None:
        self._verifier = verifier
        self._authserv_id = authserv_id
        self._accounts = accounts
        self._listed = listed
        self._clock = clock
        self._large = large

    async def told(self, letter: Letter, envelope: Envelope) -> Letter:
        """The letter with what came of its signatures; `vouched` when its author's domain speaks for it although
        another one handed it over. Raises Refusal (451) when that could not be found out now."""
        sender = envelope.sender
        if sender.road is not Road.OPERATOR or sender.operator_dn is None:
            return await self._cleaned(letter)
        author = author_of(letter)
        verified = await self._verifier.verify(letter.data, letter.fields, domain_of(author))
        vouched = False
        if verified is not None and sender.mail_from and author and author != sender.mail_from.lower():
            vouched = self._vouches(letter, envelope, verified, author)
        handed = Handover(sender.operator_dn, domain_of(sender.mail_from) or domain_of(author))
        cleaned = await self._cleaned(letter)
        return replace(
            cleaned.closing_nothing() if vouched else cleaned,
            results=results.written(self._authserv_id, verified, handed),
            verified=verified,
            vouched=vouched,
        )

    def _vouches(self, letter: Letter, envelope: Envelope, verified: Verified, author: str) -> bool:
        domain, sender = domain_of(author), domain_of(envelope.sender.mail_from)
        if of_a_patient(author, self._accounts) or not self._for_us(envelope):
            return False  # to whom a patient may write is asked of who hands over, and that is somebody else
        if not (self._ours(author) if self._accounts.is_local_domain(domain) else self._listed(domain)):
            return False
        if any(one.name == "sender" for one in letter.fields):
            return False
        signed = verified.passed(domain)
        if signed is not None and verified.sealed_by == sender:
            return self._recent(signed) and covers(letter.fields, signed.mark.names)
        if verified.later:
            raise Refusal(
                451,
                "4.7.5",
                "The signatures of this forwarded letter could not be verified now, please try again later",
                "from-unverified-now",
            )
        return False

    def _ours(self, author: str) -> bool:
        """Someone here wrote to the account elsewhere that sends it on to a program here."""
        account = self._accounts.by_address(author)
        return account is not None and in_service(account)

    def _for_us(self, envelope: Envelope) -> bool:
        """Whether everybody it is for has a mailbox of a professional, an organisation or a program here."""
        kinds = {
            account.kind if (account := self._accounts.by_id(one.account)) is not None else None
            for one in envelope.recipients
        }
        return bool(kinds) and not kinds & {None, Kind.PATIENT}

    def _recent(self, signed: Judged) -> bool:
        stamped = signed.mark.signed_at
        now = self._clock() // 1000
        return stamped is not None and now - stamped <= RECENT_DAYS * 86_400

    async def _cleaned(self, letter: Letter) -> Letter:
        data = results.without_forged(letter.data, letter.fields, self._authserv_id)
        return letter if data is letter.data else await examine(data, self._large)


def of_a_patient(author: str, accounts: Accounts) -> bool:
    """Whether an address is a patient's, here or elsewhere."""
    account = accounts.by_address(author)
    return addressed(author).patient or (account is not None and account.kind is Kind.PATIENT)


def covers(fields: Sequence[Field], names: Sequence[str]) -> bool:
    """Whether a signature over `names` (h=) covers every field that acts.

    Each name stands in h= as often as in the letter: one more field, above those that are signed, is somebody else's
    (RFC 6376 §8.15). Two of what RFC 5322 §3.6 wants once are never covered, signed or not.
    """
    found, signed = Counter(one.name for one in fields), Counter(names)
    acting = {name for name in found if name in _ACTS or name.startswith(PRIVATE)}
    if any(found[name] > 1 for name in _ONCE):
        return False
    return all(found[name] <= signed[name] for name in acting)


def author_of(letter: Letter) -> str:
    """The address of From, in lower case; "" when it is not one."""
    found = [one for one in letter.fields if one.name == "from"]
    boxes = mime.mailboxes(found[0].value) if len(found) == 1 else ()
    return boxes[0].spec.lower() if len(boxes) == 1 else ""
