"""The operator's own mail server for notices: one connection, TLS that is verified, several notices on it.

Invariants: no notice and no password goes over a connection whose certificate was not verified (but to this very
machine); what the server says reaches no log but as its code.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiosmtplib

from webmail.notices.settings import NoticesSettings

_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Parcel:
    to: str = field(repr=False)
    message: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Handed:
    done: bool
    lasting: bool = False  # refused for good: this address takes no mail
    code: int = 0  # of the server's reply; 0: there was none


class Smarthost:
    def __init__(self, settings: NoticesSettings) -> None:
        self._settings = settings

    async def send(self, parcels: Sequence[Parcel]) -> list[Handed]:
        """One outcome for each, in their order. Never raises for what a server or the network does."""
        outcomes: list[Handed] = []
        try:
            client = await self._connected()
        except (aiosmtplib.SMTPException, OSError, ValueError) as failure:
            return [Handed(False, code=_code(failure)) for _ in parcels]
        try:
            for parcel in parcels:
                outcomes.append(await self._one(client, parcel))
                if not client.is_connected:
                    break
        finally:
            client.close()
        return outcomes + [Handed(False)] * (len(parcels) - len(outcomes))

    async def _connected(self) -> aiosmtplib.SMTP:
        settings = self._settings
        client = aiosmtplib.SMTP(
            hostname=settings.smarthost,
            port=settings.port,
            use_tls=settings.security == "tls",
            start_tls=settings.security == "starttls",  # True: required, never a fall-back
            tls_context=self._context(),
            timeout=_SECONDS,
        )
        try:
            await client.connect()
            if settings.user and settings.password_file is not None:
                await client.login(settings.user, settings.password_file.read_text(encoding="utf-8").strip())
        except BaseException:
            client.close()  # else each attempt with a wrong password would leave a connection behind
            raise
        return client

    def _context(self) -> ssl.SSLContext | None:
        if self._settings.security == "none":
            return None
        context = ssl.create_default_context(cafile=str(self._settings.ca) if self._settings.ca else None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    async def _one(self, client: aiosmtplib.SMTP, parcel: Parcel) -> Handed:
        try:
            await client.sendmail(self._settings.sender, [parcel.to], parcel.message)
        except aiosmtplib.SMTPRecipientsRefused as refused:
            code = max((one.code for one in refused.recipients), default=0)
            return Handed(False, lasting=code >= 500, code=code)
        except (aiosmtplib.SMTPException, OSError, ValueError) as failure:
            return Handed(False, code=_code(failure))
        return Handed(True, code=250)


def _code(failure: Exception) -> int:
    return failure.code if isinstance(failure, aiosmtplib.SMTPResponseException) else 0
