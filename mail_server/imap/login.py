"""Before the mailbox: CAPABILITY, ID, STARTTLS, LOGIN, AUTHENTICATE, ENABLE, LOGOUT.

Invariants: no credential is read before TLS; a refused login is counted and says no more than
that (the authenticator makes who fails often wait).
"""

from __future__ import annotations

import base64

from mail_server.accounts.interface import Identity
from mail_server.imap import capabilities
from mail_server.imap.protocol import LineReceived, State
from mail_server.imap.protocol.commands import Authenticate, Bare, Enable, Id, Login
from mail_server.imap.protocol.lexer import Malformed
from mail_server.imap.protocol.parser import decode_base64
from mail_server.imap.session import Farewell, Refused, Session, Wrong
from mail_server.store.interface import NoSuchAccount, NoSuchMailbox, Reader, Transaction
from mail_server.store.model import AccountId, SpecialUse
from policies.refusal import Refusal


async def capability(session: Session, _: Bare) -> bytes:
    session.untagged(b"CAPABILITY " + session.capability_words())
    return b"CAPABILITY completed"


async def identify(session: Session, _: Id) -> bytes:
    # RFC 2971 §3.3: neither side may act on it; we name the program and no version.
    session.untagged(b'ID ("name" "Vaguemestre")')
    return b"ID completed"


async def logout(session: Session, _: Bare) -> bytes:
    session.untagged(b"BYE Au revoir")
    session.connection.state = State.LOGOUT
    return b"LOGOUT completed"


async def start_tls(session: Session, _: Bare, tag: bytes) -> None:
    """RFC 9051 §6.2.1: what was buffered in clear is forgotten before the handshake."""
    if session.peer.tls:
        raise Wrong("TLS is active already")
    if not session.services.may_start_tls:
        raise Wrong("STARTTLS is not offered")
    session.write(tag + b" OK Begin TLS now\r\n")
    session.connection.discard_input()
    try:
        certificate = await session.link.start_tls()
    except ConnectionAbortedError as aborted:
        session.services.trace_handshake(session.peer, aborted.__cause__ or aborted)
        raise
    session.connection.discard_input()
    session.take_peer(certificate)


async def login(session: Session, arguments: Login) -> bytes:
    if not session.peer.tls:
        # RFC 9051 §11.1: LOGINDISABLED was advertised.
        raise Refused("[PRIVACYREQUIRED] Log in after STARTTLS")
    try:
        user, password = arguments.user.decode("utf-8"), arguments.password.decode("utf-8")
    except UnicodeDecodeError:
        return await _refuse(session, Refusal(535, "5.7.8", "Authentication failed", "not-utf8"))
    try:
        identity = await session.services.authenticator.login(user, password, session.peer)
    except Refusal as refusal:
        return await _refuse(session, refusal)
    return await _admit(session, identity)


async def authenticate(session: Session, arguments: Authenticate) -> bytes:
    """RFC 9051 §6.2.2, with an initial response (RFC 4959) or without."""
    if not session.peer.tls:
        raise Refused("[PRIVACYREQUIRED] Log in after STARTTLS")
    if arguments.mechanism not in session.services.authenticator.mechanisms(session.peer):
        raise Refused("[CANNOT] No such mechanism")
    try:
        exchange = session.services.authenticator.begin(arguments.mechanism, session.peer)
        response = arguments.initial
        if response is None:
            response = await _ask(session, b"")
        for _ in range(10):
            outcome = await exchange.step(response)
            if isinstance(outcome, Identity):
                return await _admit(session, outcome)
            response = await _ask(session, outcome)
    except Refusal as refusal:
        return await _refuse(session, refusal)
    raise Refused("[AUTHENTICATIONFAILED] Too many steps")


async def _ask(session: Session, challenge: bytes) -> bytes:
    session.connection.expect_line()
    session.write(b"+ " + base64.b64encode(challenge) + b"\r\n")
    while not isinstance(event := session.connection.next_event(), LineReceived):
        if event is not None:
            raise Farewell("Unexpected input")
        await session.wait()
    if event.line.strip() == b"*":
        raise Wrong("Authentication cancelled")
    try:
        return decode_base64(event.line.strip())
    except Malformed as problem:
        raise Wrong(str(problem)) from None


async def _refuse(session: Session, refusal: Refusal) -> bytes:
    session.login_failures += 1
    session.services.limits.counters.login_failures += 1
    settings = session.services.settings
    code = "UNAVAILABLE" if refusal.temporary else "AUTHENTICATIONFAILED"
    if session.login_failures >= settings.max_login_failures:
        raise Farewell(f"[{code}] Too many failed logins")
    raise Refused(f"[{code}] {refusal.sentence} (ref {refusal.id})")


async def _admit(session: Session, identity: Identity) -> bytes:
    if not session.services.limits.log_in(identity.account):
        raise Refused("[LIMIT] Too many connections for this account: close one, or try again in a minute")
    session.identity = identity
    session.connection.state = State.AUTHENTICATED
    await _open_accounts(session, [identity.account, *session.shared_accounts().values()])
    return b"[CAPABILITY " + session.capability_words() + b"] Logged in"


async def _open_accounts(session: Session, accounts: list[AccountId]) -> None:
    """An account whose first visit comes before its first letter has no mailboxes yet."""

    def unopened(reader: Reader) -> list[AccountId]:
        missing: list[AccountId] = []
        for account in accounts:
            try:
                reader.mailbox_by_use(account, SpecialUse.INBOX)
            except (NoSuchAccount, NoSuchMailbox):
                missing.append(account)
        return missing

    missing = await session.services.store.read(unopened)
    if not missing or not session.services.store.writable:
        return

    def open_them(transaction: Transaction) -> None:
        for account in missing:
            transaction.open_account(account)

    await session.services.store.write(open_them)


async def enable(session: Session, arguments: Enable) -> bytes:
    """RFC 5161: unknown names are ignored, and only what was newly enabled is told."""
    enabled: list[bytes] = []
    for name in dict.fromkeys(arguments.capabilities):
        if name not in capabilities.ENABLES:
            continue
        if name == "CONDSTORE" and not session.condstore:
            enabled.append(b"CONDSTORE")
        elif name == "IMAP4REV2" and not session.rev2:
            session.rev2 = session.connection.utf8 = True
            enabled.append(b"IMAP4rev2")
    session.untagged(b"ENABLED" + b"".join(b" " + name for name in enabled))
    if b"CONDSTORE" in enabled:
        await session.use_condstore()
    return b"ENABLE completed"
