"""One complete command, text and literals, into a `Command`.

Invariant: any bytes give a Command or `Malformed`; nothing else is ever raised (the fuzz tests hold this).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence

from mail_server.imap.protocol.commands import (
    Acl,
    Append,
    Arguments,
    Authenticate,
    Bare,
    Change,
    Command,
    Copy,
    Create,
    Enable,
    Expunge,
    Fetch,
    FlagList,
    Id,
    List,
    Login,
    OnMailbox,
    Rename,
    Select,
    Status,
    Store,
)
from mail_server.imap.protocol.fetch_items import parse_items
from mail_server.imap.protocol.lexer import Lexer, Malformed
from mail_server.imap.protocol.search_keys import parse_search

TAG_AND_NAME = re.compile(rb'([^\x00-\x20\x7f-\xff(){%*"\\+]{1,255}) +((?:[Uu][Ii][Dd] +)?[A-Za-z0-9]{1,32})')
STATUS_ITEMS = frozenset(
    {
        "MESSAGES",
        "RECENT",
        "UIDNEXT",
        "UIDVALIDITY",
        "UNSEEN",
        "HIGHESTMODSEQ",
        "SIZE",
        "DELETED",
        "MAILBOXID",
    }
)
_MAX_PATTERNS = 100
_MAX_ID_FIELDS = 30  # RFC 2971 §3.3


def split(text: bytes) -> tuple[bytes, str, int] | None:
    """Tag, upper-case command name and where its arguments begin; None when the line has no such shape."""
    match = TAG_AND_NAME.match(text)
    if match is None or text[match.end() : match.end() + 1] not in (b"", b" "):
        return None
    return match[1], b" ".join(match[2].upper().split()).decode("ascii"), match.end()


def parse(tag: bytes, name: str, text: bytes, literals: Sequence[bytes] = (), utf8: bool = False) -> Command:
    """`text` begins right after the command's name. Raises Malformed."""
    reader = _READERS.get(name)
    if reader is None:
        raise Malformed("Unknown command")
    lexer = Lexer(text, literals, utf8)
    arguments = reader(lexer, name)
    lexer.end()
    return Command(tag, name, arguments)


def parse_append(text: bytes, literals: Sequence[bytes], utf8: bool) -> Append | None:
    """APPEND's arguments up to the message literal, whose marker is cut off `text`.

    None when the literal just announced is not the message (a mailbox name sent as a literal).
    """
    lexer = Lexer(text, literals, utf8)
    lexer.space()
    if lexer.finished:
        return None
    mailbox = lexer.mailbox()
    lexer.space()
    flags = FlagList()
    received_at: int | None = None
    if lexer.ahead(b"("):
        flags = lexer.flag_list()
        lexer.space()
    if lexer.ahead(b'"'):
        received_at = lexer.date_time()
        lexer.space()
    lexer.end()
    return Append(mailbox, flags, received_at)


def _bare(_: Lexer, __: str) -> Arguments:
    return Bare()


def _id(lexer: Lexer, _: str) -> Arguments:
    lexer.space()
    if not lexer.accept(b"("):
        if lexer.nstring() is not None:
            raise Malformed("Expected a list or NIL")
        return Id(())
    fields: list[tuple[bytes, bytes | None]] = []
    while not lexer.accept(b")"):
        name = lexer.string()
        lexer.space()
        fields.append((name, lexer.nstring()))
        if len(fields) > _MAX_ID_FIELDS:
            raise Malformed("More than 30 ID fields")
        while lexer.accept(b" "):
            pass
    return Id(tuple(fields))


def _login(lexer: Lexer, _: str) -> Arguments:
    lexer.space()
    user = lexer.astring()
    lexer.space()
    return Login(user, lexer.astring())


def _authenticate(lexer: Lexer, _: str) -> Arguments:
    lexer.space()
    mechanism = lexer.word("a mechanism")
    if lexer.finished:
        return Authenticate(mechanism, None)
    lexer.space()
    encoded = lexer.take(re.compile(rb"[A-Za-z0-9+/=]+"), "base64")
    return Authenticate(mechanism, b"" if encoded == b"=" else decode_base64(encoded))


def decode_base64(encoded: bytes) -> bytes:
    """A SASL response (RFC 9051 §6.2.2). Raises Malformed."""
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("Invalid base64") from None


def _enable(lexer: Lexer, _: str) -> Arguments:
    lexer.space()
    names = [lexer.word("a capability")]
    while not lexer.finished:
        lexer.space()
        if not lexer.finished:
            names.append(lexer.word("a capability"))
    return Enable(tuple(names))


def _select(lexer: Lexer, _: str) -> Arguments:
    lexer.space()
    mailbox = lexer.mailbox()
    condstore = False
    if lexer.accept(b" ("):
        # RFC 4466 §2.1: parameters we do not know are refused, not skipped.
        while not lexer.accept(b")"):
            if lexer.word("a parameter") != "CONDSTORE":
                raise Malformed("Unknown SELECT parameter")
            condstore = True
            while lexer.accept(b" "):
                pass
    return Select(mailbox, condstore)


def _create(lexer: Lexer, _: str) -> Arguments:
    lexer.space()
    name = lexer.mailbox()
    # RFC 3501 §6.3.3: a trailing separator only says that children will follow.
    return Create(name.rstrip("/") if name.endswith("/") else name, name.endswith("/"))


def _on_mailbox(lexer: Lexer, _: str) -> Arguments:
    lexer.space()
    return OnMailbox(lexer.mailbox())


def _rename(lexer: Lexer, _: str) -> Arguments:
    lexer.space()
    old = lexer.mailbox()
    lexer.space()
    return Rename(old, lexer.mailbox())


def _status_items(lexer: Lexer) -> tuple[str, ...]:
    lexer.expect(b"(")
    items: dict[str, None] = {}
    while not lexer.accept(b")"):
        item = lexer.word("a status item")
        if item not in STATUS_ITEMS:
            raise Malformed("Unknown status item")
        items[item] = None
        while lexer.accept(b" "):
            pass
    if not items:
        raise Malformed("Empty list of status items")
    return tuple(items)


def _status(lexer: Lexer, _: str) -> Arguments:
    lexer.space()
    mailbox = lexer.mailbox()
    lexer.space()
    return Status(mailbox, _status_items(lexer))


def _lsub(lexer: Lexer, _: str) -> Arguments:
    lexer.space()
    reference = lexer.mailbox()
    lexer.space()
    return List(reference, (lexer.pattern(),))


def _list(lexer: Lexer, _: str) -> Arguments:
    """RFC 5258 §3, with RFC 5819 and RFC 6154 options."""
    lexer.space()
    selection: set[str] = set()
    extended = lexer.accept(b"(")
    if extended:
        selection = _options(lexer, {"SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"})
        if selection & {"RECURSIVEMATCH"} and not selection & {"SUBSCRIBED", "SPECIAL-USE"}:
            # RFC 5258 §3.1: RECURSIVEMATCH alone, or with REMOTE alone, is an error.
            raise Malformed("RECURSIVEMATCH needs another selection")
        lexer.space()
    reference = lexer.mailbox()
    lexer.space()
    patterns: list[str] = []
    if lexer.accept(b"("):
        extended = True
        while not lexer.accept(b")"):
            patterns.append(lexer.pattern())
            if len(patterns) > _MAX_PATTERNS:
                raise Malformed("Too many patterns")
            while lexer.accept(b" "):
                pass
        if not patterns:
            raise Malformed("No pattern")
    else:
        patterns.append(lexer.pattern())
    wanted: set[str] = set()
    status: tuple[str, ...] = ()
    if not lexer.finished:
        lexer.space()
        if lexer.word("RETURN") != "RETURN":
            raise Malformed("Expected RETURN")
        lexer.space()
        lexer.expect(b"(")
        extended = True
        while not lexer.accept(b")"):
            option = lexer.word("a RETURN option")
            if option == "STATUS":
                lexer.space()
                status = _status_items(lexer)
            elif option in ("SUBSCRIBED", "CHILDREN", "SPECIAL-USE"):
                wanted.add(option)
            else:
                raise Malformed("Unknown RETURN option")
            while lexer.accept(b" "):
                pass
    return List(
        reference,
        tuple(patterns),
        select_subscribed="SUBSCRIBED" in selection,
        select_remote="REMOTE" in selection,
        select_recursive="RECURSIVEMATCH" in selection,
        select_special="SPECIAL-USE" in selection,
        return_subscribed="SUBSCRIBED" in wanted,
        return_children="CHILDREN" in wanted,
        return_special="SPECIAL-USE" in wanted,
        return_status=status,
        extended=extended,
    )


def _options(lexer: Lexer, known: set[str]) -> set[str]:
    found: set[str] = set()
    while not lexer.accept(b")"):
        option = lexer.word("an option")
        if option not in known:
            raise Malformed("Unknown selection option")
        found.add(option)
        while lexer.accept(b" "):
            pass
    return found


def _append(_: Lexer, __: str) -> Arguments:
    # The connection takes APPEND's literal apart; one that arrives here had none.
    raise Malformed("APPEND needs a message literal")


def _fetch(lexer: Lexer, name: str) -> Arguments:
    lexer.space()
    which = lexer.sequence_set()
    lexer.space()
    items = parse_items(lexer)
    changed_since: int | None = None
    if not lexer.finished:
        # RFC 7162 §3.1.4.1
        lexer.space()
        lexer.expect(b"(")
        if lexer.word("CHANGEDSINCE") != "CHANGEDSINCE":
            raise Malformed("Unknown FETCH modifier")
        lexer.space()
        changed_since = lexer.number()
        lexer.expect(b")")
    return Fetch(which, items, name.startswith("UID"), changed_since)


def _store(lexer: Lexer, name: str) -> Arguments:
    lexer.space()
    which = lexer.sequence_set()
    lexer.space()
    unchanged_since: int | None = None
    if lexer.accept(b"("):
        # RFC 7162 §3.1.3
        if lexer.word("UNCHANGEDSINCE") != "UNCHANGEDSINCE":
            raise Malformed("Unknown STORE modifier")
        lexer.space()
        unchanged_since = lexer.number()
        lexer.expect(b")")
        lexer.space()
    word = lexer.word("FLAGS, +FLAGS or -FLAGS")
    silent = word.endswith(".SILENT")
    try:
        change = Change(word.removesuffix(".SILENT"))
    except ValueError:
        raise Malformed("Expected FLAGS, +FLAGS or -FLAGS") from None
    lexer.space()
    return Store(which, change, silent, lexer.flag_list(), name.startswith("UID"), unchanged_since)


def _copy(lexer: Lexer, name: str) -> Arguments:
    lexer.space()
    which = lexer.sequence_set()
    lexer.space()
    return Copy(which, lexer.mailbox(), name.startswith("UID"))


def _expunge(_: Lexer, __: str) -> Arguments:
    return Expunge()


def _uid_expunge(lexer: Lexer, _: str) -> Arguments:
    lexer.space()
    return Expunge(lexer.sequence_set())


_TAKES_IDENTIFIER = frozenset({"SETACL", "DELETEACL", "LISTRIGHTS"})
_LONGEST_IDENTIFIER = 1000
_MOST_RIGHTS = 100


def _acl(lexer: Lexer, name: str) -> Arguments:
    """RFC 4314 §3, §5.1."""
    lexer.space()
    mailbox = lexer.mailbox()
    identifier = rights = ""
    if name in _TAKES_IDENTIFIER:
        lexer.space()
        identifier = _text(lexer.astring(), _LONGEST_IDENTIFIER)
    if name == "SETACL":
        lexer.space()
        rights = _text(lexer.astring(), _MOST_RIGHTS)
    return Acl(mailbox, identifier, rights)


def _text(value: bytes, longest: int) -> str:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("Not UTF-8") from None
    if len(text) > longest or not text.isprintable():
        raise Malformed("Not an identifier, or not rights")
    return text


def _search(lexer: Lexer, name: str) -> Arguments:
    return parse_search(lexer, name.startswith("UID"))


_READERS: dict[str, Callable[[Lexer, str], Arguments]] = {
    **dict.fromkeys(
        ("CAPABILITY", "NOOP", "LOGOUT", "STARTTLS", "NAMESPACE", "IDLE", "CHECK", "CLOSE", "UNSELECT"), _bare
    ),
    "ID": _id,
    "LOGIN": _login,
    "AUTHENTICATE": _authenticate,
    "ENABLE": _enable,
    **dict.fromkeys(("SELECT", "EXAMINE"), _select),
    "CREATE": _create,
    **dict.fromkeys(("DELETE", "SUBSCRIBE", "UNSUBSCRIBE"), _on_mailbox),
    "RENAME": _rename,
    "LIST": _list,
    "LSUB": _lsub,
    "STATUS": _status,
    "APPEND": _append,
    "EXPUNGE": _expunge,
    "UID EXPUNGE": _uid_expunge,
    **dict.fromkeys(("SETACL", "DELETEACL", "GETACL", "LISTRIGHTS", "MYRIGHTS"), _acl),
    **dict.fromkeys(("SEARCH", "UID SEARCH"), _search),
    **dict.fromkeys(("FETCH", "UID FETCH"), _fetch),
    **dict.fromkeys(("STORE", "UID STORE"), _store),
    **dict.fromkeys(("COPY", "UID COPY", "MOVE", "UID MOVE"), _copy),
}
