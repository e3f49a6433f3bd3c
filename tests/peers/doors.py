"""The doors of a served node, as programs reach them."""

from __future__ import annotations

import imaplib
import smtplib
import ssl
from dataclasses import dataclass
from typing import Any

from deploy.demo import clients, world


@dataclass
class Doors:
    made: world.World
    node: world.NodeProcess

    @property
    def tls(self) -> ssl.SSLContext:
        return clients.tls(self.made.ca)

    def imap(self) -> imaplib.IMAP4_SSL:
        return imaplib.IMAP4_SSL("localhost", self.made.ports["imaps"], ssl_context=self.tls, timeout=60)

    def smtp(self) -> smtplib.SMTP:
        smtp = smtplib.SMTP("localhost", self.made.ports["submission"], timeout=60)
        smtp.starttls(context=self.tls)
        smtp.ehlo()
        return smtp

    def newest_failure(self) -> dict[str, Any]:
        rows = self.made.command("audit_show", limit=1, action="login-failed", address=None, reference=None)
        return dict(rows[-1])
