"""Notices over a real mail server: aiosmtpd with a certificate of the test authority, which keeps what it gets."""

from __future__ import annotations

from tests.webmail.office import office as office
