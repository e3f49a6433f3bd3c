"""Signatures composed for a node: which domains sign, with which keys, and where keys of others are asked for."""

from __future__ import annotations

from collections.abc import Callable

from deploy.node.config import Config
from deploy.node.home import Home
from mail_server.keys.interface import KeyWrapper
from mail_server.signatures.keyring import KeyRing
from mail_server.signatures.signer import Signer
from mail_server.signatures.verifier import Verifier
from mail_server.signatures.zone import Zone


def local_domains(config: Config) -> tuple[str, ...]:
    """Every domain whose letters leave from here; the patients' is the last."""
    return (*config.accounts.domains, config.accounts.patient_domain)


def key_ring(home: Home, config: Config, keys: KeyWrapper) -> KeyRing:
    """Raises KeyUnavailable."""
    settings = config.signatures
    return KeyRing(
        home.signatures, keys, announce_hours=settings.announce_hours, keep_days=settings.keep_days
    )


def signer(home: Home, config: Config, keys: KeyWrapper, clock: Callable[[], int]) -> Signer:
    """Raises KeyUnavailable."""
    settings = config.signatures
    return Signer(
        key_ring(home, config, keys),
        local_domains(config),
        clock,
        enabled=settings.sign,
        expiry_days=settings.expiry_days,
    )


def verifier(config: Config, clock: Callable[[], int]) -> Verifier:
    settings = config.signatures
    return Verifier(
        settings, Zone(settings.resolver or config.outbound.resolver, settings.dns_seconds), clock
    )


def authserv_id(config: Config) -> str:
    """The name under which this node writes what it verified (RFC 8601 §2.5)."""
    return config.signatures.authserv_id or config.smtp.hostname
