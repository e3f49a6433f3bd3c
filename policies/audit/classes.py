"""How long an act is told: two classes of retention, and which act belongs to which.

The technical trace (who came in, who was turned away, from where) is kept for months; the functional one (what was done
with letters, keys, readers) as long as the record it tells about.

Invariants: an act that is not on the list is functional: what nobody thought of is kept rather than lost.
"""

from __future__ import annotations

from enum import IntEnum


class Retention(IntEnum):
    TECHNICAL = 0
    FUNCTIONAL = 1

    @property
    def word(self) -> str:
        return self.name.lower()


_TECHNICAL = (
    # logins, by every way
    "login",
    "login-failed",
    "logout",
    "session-end",
    "session-cut",
    "step-up",
    "step-up-failed",
    "token-refused",
    "code-refused",
    "challenge",
    # refusals and connections
    "refuse",
    "handshake-failed",
    "connection-refused",
    "connection-cut",
    "provider-logout",
    "probing",
    # limits
    "limit",
    "throttled",
    "harvest",
)
_FUNCTIONAL = (
    # letters
    "deliver",
    "keep",
    "read",
    "preview",
    "summary",
    "search",
    "download",
    "copy",
    "software-copy",
    "move",
    "destroy",
    "mdn",
    "submission-refused",
    "receipt",
    "morning-letter",
    "report-failures",
    "delivery-report",
    # letters to other operators
    "send-out",
    "sent",
    "send-failed",
    "send-expired",
    "send-cancelled",
    "queue-retry",
    "queue-cancel",
    "queue-hold",
    "queue-release",
    "queue-show",
    "integration-answer",
    "forward",
    "forward-set",
    "egress-key",
    "peer-key",
    "certificate-lookup",
    "dkim-rotate",
    # notices to ordinary addresses
    "notice",
    "notice-address",
    "notice-address-asked",
    "notice-address-forgotten",
    # what becomes of sealed letters
    "reseal",
    "reseal-begin",
    "reseal-end",
    "past-begin",
    "past-end",
    "export",
    "access-log-export",
    # exchanges
    "conversation-open",
    "conversation-close",
    "block",
    "unblock",
    "contact",
    "profile-change",
    "dispensing",
    "inactivity-notice",
    "inactivity-objection",
    # keys
    "key-publish",
    "key-revoke",
    "key-reopened",
    "operator-key-made",
    "operator-key-given",
    "operator-key-used",
    "operator-key-destroyed",
    # accounts and who reads them
    "account-add",
    "account-suspend",
    "account-reinstate",
    "account-close",
    "practice-lost",
    "listing-struck-off",
    "listing-published",
    "listing-withdrawn",
    "listing-elsewhere",  # another operator published a mailbox under the name of a professional of ours
    "practice-regained",
    "member-add",
    "member-remove",
    "reader-add",
    "reader-remove",
    "seen-set",
    "software-set",
    "software-copies",
    "outbound-set",
    "space-oppose",
    "space-activated",
    "activate",
    "code-issue",
    "code-accepted",
    # ways in
    "password-add",
    "password-revoke",
    "api-key",
    "directory-import",
    "password-change",
    "recovery-change",
    "passkey-add",
    "passkey-remove",
    "totp-on",
    "totp-off",
    "certificate-bind",
    "certificate-unbind",
    # the operator
    "administer-refused",
    "operator-block",
    "operator-unblock",
    "trust-list",
    "trust-list-change",
    "policies-in-force",
    "policies-reload",
    "policies-explain",
    "policy-alarm",
    "check",
    "backup",
    "restore",
    "audit-converted",
    "audit-export",
    "audit-purge",
)

ACTIONS: dict[str, Retention] = {
    **dict.fromkeys(_TECHNICAL, Retention.TECHNICAL),
    **dict.fromkeys(_FUNCTIONAL, Retention.FUNCTIONAL),
}


def retention_of(action: str) -> Retention:
    return ACTIONS.get(action, Retention.FUNCTIONAL)
