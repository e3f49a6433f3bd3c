"""GETACL, SETACL, DELETEACL, LISTRIGHTS, MYRIGHTS (RFC 4314): who else reads an account, and may do what.

Rights are given for a whole account: every mailbox shows them, its INBOX alone takes changes. An identifier is the
address of a person of this node.

Invariants: only who has the right "a" sees or changes them; someone new, or more rights, is let in only by a session
that an identity provider vouched for (a stolen app password lets nobody in), unless the settings say otherwise;
whoever made a change stands in the trace as themselves.
"""

from __future__ import annotations

from mail_server.accounts.book import SHARED
from mail_server.accounts.changes import AccountError
from mail_server.accounts.entities import EVERY_RIGHT, rights_in
from mail_server.accounts.grants import sorted_rights
from mail_server.accounts.interface import Account, Kind
from mail_server.delivery.sharing import Sharing
from mail_server.imap.access import may, require, rights, trace_refusal
from mail_server.imap.mailboxes import find
from mail_server.imap.protocol.commands import Acl
from mail_server.imap.protocol.responses import astring
from mail_server.imap.protocol.responses import mailbox as mailbox_text
from mail_server.imap.session import Refused, Session, Wrong
from mail_server.store.model import Mailbox, SpecialUse

_VOUCHED = 2  # eIDAS level: substantial
# RFC 4314 §2.1.1: the rights that RFC 2086 knew, and what they stand for here.
_OF_OLD = {"c": "kx", "d": "et"}
_SHOWN_BY = "lrikxa"  # RFC 4314 §4: MYRIGHTS needs one of these


def _shown(letters: str) -> bytes:
    """With "c" and "d" for programs that know RFC 2086 alone."""
    old = [name for name, stands_for in _OF_OLD.items() if set(stands_for) & set(letters)]
    return "".join([*letters, *old]).encode("ascii")


async def get_acl(session: Session, wanted: Acl) -> bytes:
    _, account = await _administered(session, wanted.mailbox)
    pairs: list[bytes] = []
    if account.kind not in SHARED:
        pairs.append(_pair(account.address, EVERY_RIGHT))
    for grant in account.grants:
        person = session.services.accounts.by_id(grant.person)
        letters = rights_in(account, grant.person)
        if person is not None and letters:
            pairs.append(_pair(person.address, letters))
    name = mailbox_text(wanted.mailbox, session.rev2)
    session.untagged(b"ACL " + b" ".join([name, *pairs]))
    return b"GETACL completed"


def _pair(address: str, letters: str) -> bytes:
    return astring(address.encode("utf-8")) + b" " + _shown(letters)


async def my_rights(session: Session, wanted: Acl) -> bytes:
    mailbox = await find(session, wanted.mailbox)
    letters = rights(session, mailbox.account)
    if not set(letters) & set(_SHOWN_BY):
        raise Refused("[NONEXISTENT] No such mailbox")
    session.untagged(b"MYRIGHTS " + mailbox_text(wanted.mailbox, session.rev2) + b" " + _shown(letters))
    return b"MYRIGHTS completed"


async def list_rights(session: Session, wanted: Acl) -> bytes:
    _, account = await _administered(session, wanted.mailbox)
    person = _person(session, wanted.identifier)
    # RFC 4314 §3.7: what an identifier always has, then what may be given, each by itself.
    always, others = (EVERY_RIGHT, "") if person.id == account.id else ("", EVERY_RIGHT)
    listed = [always.encode("ascii") or b'""', *(letter.encode("ascii") for letter in others)]
    session.untagged(
        b" ".join(
            [
                b"LISTRIGHTS",
                mailbox_text(wanted.mailbox, session.rev2),
                astring(wanted.identifier.encode("utf-8")),
                *listed,
            ]
        )
    )
    return b"LISTRIGHTS completed"


async def set_acl(session: Session, wanted: Acl) -> bytes:
    mailbox, account = await _administered(session, wanted.mailbox)
    _changeable(mailbox)
    person = _person(session, wanted.identifier)
    if person.id == account.id:
        raise Refused("[CANNOT] The holder keeps all rights")
    before = rights_in(account, person.id)
    after = _after(before, wanted.rights)
    if set(after) - set(before):
        _vouched_for(session, account)
    until = next((each.until for each in account.grants if each.person == person.id), None)
    try:
        if after:
            await _sharing(session).let(session.person.account, account.id, person.id, after, until)
        elif before:
            await _sharing(session).end(session.person.account, account.id, person.id)
    except AccountError as error:
        raise Refused(f"[NOPERM] {error.sentence}") from None
    return b"SETACL completed"


async def delete_acl(session: Session, wanted: Acl) -> bytes:
    mailbox, account = await _administered(session, wanted.mailbox)
    _changeable(mailbox)
    person = _person(session, wanted.identifier)
    if person.id == account.id:
        raise Refused("[CANNOT] The holder keeps all rights")
    if any(each.person == person.id for each in account.grants):
        try:
            await _sharing(session).end(session.person.account, account.id, person.id)
        except AccountError as error:
            raise Refused(f"[NOPERM] {error.sentence}") from None
    return b"DELETEACL completed"


# ── shared steps ──


async def _administered(session: Session, name: str) -> tuple[Mailbox, Account]:
    """The mailbox and its account, where this person may see and say who reads it."""
    mailbox = await find(session, name)
    if not may(session, mailbox.account, "l") and not may(session, mailbox.account, "a"):
        raise Refused("[NONEXISTENT] No such mailbox")
    require(session, mailbox.account, "a")
    account = session.services.accounts.by_id(mailbox.account)
    if account is None:
        raise Refused("[NONEXISTENT] No such mailbox")
    return mailbox, account


def _changeable(mailbox: Mailbox) -> None:
    if mailbox.special_use is not SpecialUse.INBOX:
        raise Refused("[CANNOT] Rights are given for a whole account: change them on its INBOX")


def _person(session: Session, identifier: str) -> Account:
    if identifier.startswith("-") or identifier.lower() in ("anyone", "anonymous"):
        # RFC 4314 §2: negative rights and "anyone" are options of a server.
        raise Refused("[CANNOT] Rights are given to a person, by their address")
    found = session.services.accounts.by_address(identifier)
    if found is None or found.kind is Kind.PATIENT:  # nobody learns here who is a patient
        raise Refused("[NONEXISTENT] Nobody here has this address")
    return found


def _after(before: str, given: str) -> str:
    """RFC 4314 §3.1: the rights themselves, or "+" and "-" with what changes."""
    sign = given[:1] if given[:1] in ("+", "-") else ""
    letters = given[len(sign) :]
    for old, stands_for in _OF_OLD.items():
        letters = letters.replace(old, stands_for)
    try:
        named = set(sorted_rights(letters)) if letters else set[str]()
    except AccountError:
        # RFC 4314 §3.1: unrecognized rights MUST cause a BAD response.
        raise Wrong(f"Rights are letters out of {EVERY_RIGHT}") from None
    chosen = named
    if sign == "+":
        chosen = set(before) | named
    elif sign == "-":
        chosen = set(before) - named
    return "".join(sorted(chosen))


def _vouched_for(session: Session, account: Account) -> None:
    if session.person.acr >= _VOUCHED or session.services.settings.sharing_by_password:
        return
    trace_refusal(session, account.id, "sharing-needs-strong-login")
    raise Refused("[NOPERM] More rights are given on the page, after a strong login, or by the administrator")


def _sharing(session: Session) -> Sharing:
    found = session.services.sharing
    if found is None:
        raise Refused("[CANNOT] Rights are not changed by this door")
    return found
