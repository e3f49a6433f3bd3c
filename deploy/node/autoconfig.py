"""What of the configuration mail programs are told, and what signs their profiles.

Invariants: a port that is closed, or any free one, is told to nobody; patients' domain is not one that mail programs
are set up for: their space has its page.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from urllib.parse import urlsplit

from deploy.node.config import Config, TlsSettings
from directory.autoconfig import apple
from directory.autoconfig.services import Services

_log = logging.getLogger("vaguemestre.node")
_PORTS = {"https": 443, "http": 80}


def services_of(config: Config) -> Services:
    page = config.page_address.rstrip("/")
    parts = urlsplit(page)
    over_tls = parts.scheme == "https"
    host = config.web.mail_host or config.smtp.hostname
    return Services(
        operator=config.node.operator,
        host=host.lower(),
        domains=config.accounts.domains,
        imaps=config.imap.tls_port or None,
        imap=config.imap.port or None,
        submissions=config.smtp.submissions_port or None,
        submission=config.smtp.submission_port or None,
        ldaps=config.ldap.tls_port or None,
        ldap=config.ldap.port or None,
        ldap_base=config.ldap.base,
        page=page,
        page_host=(parts.hostname or host).lower(),
        page_port=(parts.port or _PORTS["https"]) if over_tls else None,
    )


def profile_signer(settings: TlsSettings) -> Callable[[], apple.Sign | None]:
    """With the certificate that is there now: a renewed one is used without a restart."""

    def now() -> apple.Sign | None:
        if settings.certificate is None or settings.key is None:
            return None
        try:
            return apple.signer(settings.certificate.read_bytes(), settings.key.read_bytes())
        except (OSError, ValueError, TypeError) as failure:
            _log.warning("profiles of Apple's are not signed (%s)", type(failure).__name__)
            return None

    return now
