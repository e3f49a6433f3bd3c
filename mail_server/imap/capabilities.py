"""What the door says it can do: one table, each line with the test file that holds it to its word.

Invariant: nothing is advertised that is not in the table, and nothing is in the table without its tests
(tests/mail_server/imap/test_capabilities.py checks both).
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass


class When(enum.Flag):
    BEFORE_LOGIN = enum.auto()
    AFTER_LOGIN = enum.auto()
    ALWAYS = BEFORE_LOGIN | AFTER_LOGIN


@dataclass(frozen=True, slots=True)
class Capability:
    name: str
    reference: str
    test: str  # file under tests/mail_server/imap/
    when: When = When.AFTER_LOGIN
    enabled_by_name: bool = False  # ENABLE takes it


TABLE = (
    Capability("IMAP4rev1", "RFC 3501", "test_selected.py", When.ALWAYS),
    Capability("IMAP4rev2", "RFC 9051", "test_rev2.py", When.ALWAYS, enabled_by_name=True),
    Capability("LITERAL+", "RFC 7888", "test_connection.py", When.ALWAYS),
    Capability("ID", "RFC 2971", "test_login.py", When.ALWAYS),
    Capability("ENABLE", "RFC 5161", "test_login.py", When.ALWAYS),
    Capability("SASL-IR", "RFC 4959", "test_login.py", When.BEFORE_LOGIN),
    Capability("IDLE", "RFC 2177", "test_updates.py", When.ALWAYS),
    Capability("ACL", "RFC 4314", "test_acl.py"),
    Capability("RIGHTS=texk", "RFC 4314", "test_acl.py"),
    Capability("NAMESPACE", "RFC 2342", "test_other_users.py"),
    Capability("CHILDREN", "RFC 3348", "test_mailboxes.py"),
    Capability("SPECIAL-USE", "RFC 6154", "test_mailboxes.py"),
    Capability("LIST-EXTENDED", "RFC 5258", "test_list_extended.py"),
    Capability("LIST-STATUS", "RFC 5819", "test_list_extended.py"),
    Capability("STATUS=SIZE", "RFC 8438", "test_mailboxes.py"),
    Capability("UIDPLUS", "RFC 4315", "test_changing.py"),
    Capability("MOVE", "RFC 6851", "test_changing.py"),
    Capability("UNSELECT", "RFC 3691", "test_selected.py"),
    Capability("CONDSTORE", "RFC 7162", "test_condstore.py", enabled_by_name=True),
    Capability("ESEARCH", "RFC 4731", "test_search.py"),
    Capability("SEARCHRES", "RFC 5182", "test_search.py"),
    Capability("WITHIN", "RFC 5032", "test_search.py"),
    Capability("BINARY", "RFC 3516", "test_fetch.py"),
    Capability("OBJECTID", "RFC 8474", "test_objectid.py"),
    Capability("SAVEDATE", "RFC 8514", "test_objectid.py"),
)

ENABLES = frozenset(capability.name.upper() for capability in TABLE if capability.enabled_by_name)
_BEFORE = " ".join(c.name for c in TABLE if c.when & When.BEFORE_LOGIN)
_AFTER = " ".join(c.name for c in TABLE if c.when & When.AFTER_LOGIN).encode("ascii")


def advertised(logged_in: bool, tls: bool, may_start_tls: bool, mechanisms: Sequence[str]) -> bytes:
    """The words of CAPABILITY, now."""
    if logged_in:
        return _AFTER
    words = [_BEFORE]
    if not tls:
        # RFC 9051 §6.2.3: no password in clear.
        words.extend(["STARTTLS"] if may_start_tls else [])
        words.append("LOGINDISABLED")
    words.extend(f"AUTH={mechanism}" for mechanism in mechanisms)
    return " ".join(words).encode("ascii")
