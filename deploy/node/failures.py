"""Failures an administrator can do something about, each as one sentence.

Anything not listed here is a defect of ours and shows as such.
"""

from __future__ import annotations

from deploy.node.config import ConfigError
from deploy.node.control import CommandFailed
from directory.openpgp.certificate import CertificateRefused
from mail_server.keys.interface import KeyUnavailable
from mail_server.store.interface import StoreError
from policies.refusal import Refusal


class StartError(Exception):
    """The node cannot start; the text says why and what to do."""


KNOWN: tuple[type[Exception], ...] = (
    ConfigError,
    CommandFailed,
    StartError,
    KeyUnavailable,
    StoreError,
    CertificateRefused,
    Refusal,
)


def sentence(failure: Exception) -> str:
    if isinstance(failure, CertificateRefused | Refusal):
        return f"{failure.sentence} ({failure.reason})"
    return str(failure) or type(failure).__name__
