"""What a message carries; see README.md."""

from __future__ import annotations

from mail_server.payloads.findings import SUMMARY_LIMIT, Findings, find

__all__ = ["SUMMARY_LIMIT", "Findings", "find"]
