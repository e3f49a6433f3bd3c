"""Failures an administrator can do something about, each as one sentence.

Anything not listed here is a defect of ours and shows as such.
"""

from __future__ import annotations

from pathlib import Path

from deploy.node.config import ConfigError
from deploy.node.control import CommandFailed
from directory.openpgp.certificate import CertificateRefused
from directory.room import NoRoom
from mail_server.accounts.changes import AccountError
from mail_server.accounts.ins import InsRefused
from mail_server.accounts.patients import IdentityRefused
from mail_server.keys.interface import KeyUnavailable
from mail_server.sealing.authority import AuthorityError
from mail_server.sealing.pool import PoolError
from mail_server.store.interface import HomeBusy, StoreError
from policies.refusal import Refusal
from policies.ruleset import RulesRefused
from policies.trust_list.kept import StateDamaged


class StartError(Exception):
    """The node cannot start; the text says why and what to do."""


KNOWN: tuple[type[Exception], ...] = (
    ConfigError,
    CommandFailed,
    StartError,
    KeyUnavailable,
    AuthorityError,
    PoolError,
    StoreError,
    NoRoom,
    RulesRefused,
    AccountError,
    IdentityRefused,
    InsRefused,
    CertificateRefused,
    StateDamaged,
    Refusal,
)


def sentence(failure: Exception) -> str:
    """What an administrator reads: a sentence that begins and ends as one."""
    words = _words(failure)
    if words[-1:] not in (".", "?", "!"):
        words += "."
    # An address or a path keeps its spelling.
    return words[:1].upper() + words[1:] if words.partition(" ")[0].replace("-", "").isalpha() else words


def _words(failure: Exception) -> str:
    match failure:
        case CertificateRefused() | Refusal() | AccountError():
            return f"{failure.sentence.rstrip('.')} ({failure.reason})"
        case IdentityRefused() | InsRefused():
            return f"{failure.en.rstrip('.')} ({failure.reason})"
        case HomeBusy():
            return "A node serves this home already, or another command works in it"
        case AuthorityError():
            return f"The authority key cannot be used: {failure}"
        case PoolError():
            return f"The sealing workers do not start: {failure}"
        case RulesRefused():
            if len(failure.problems) == 1:
                return f"The rules cannot be used: {failure.problems[0]}"
            return "The rules cannot be used:\n" + "\n".join(f"  {problem}" for problem in failure.problems)
        case OSError():
            place = f"{Path(str(failure.filename))}: " if failure.filename else ""
            return f"{place}{failure.strerror or type(failure).__name__}"
        case _:
            return str(failure) or type(failure).__name__
