"""Upload and download (RFC 8620 §6): octets in, durable before 201; octets out, as a file and as nothing else.

Invariants: nothing large is taken before there is room for it, and what was taken is given back however the request
ends; in a patient's space only ciphertext is laid down; a download can run nothing, show nothing and be embedded
nowhere; whose content it shows is in the trace before its first octet.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import Any
from urllib.parse import quote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from directory.openpgp.packets import PacketError, recipient_key_ids
from mail_server import mime
from mail_server.jmap.blobs import NoSuchBlob, read_blob
from mail_server.jmap.entrance import Guest
from mail_server.jmap.interface import Turn
from mail_server.jmap.problems import Refused
from mail_server.jmap.services import Services
from mail_server.mime.pgp_mime import dearmor
from mail_server.store.interface import Damaged, NoSpace, StoreUnavailable
from mail_server.store.model import AccountId

_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,60}/[A-Za-z0-9!#$&^_.+-]{1,60}")
_SAFE_TYPES = frozenset(
    [
        "application/octet-stream", "application/pdf", "application/pgp-encrypted", "application/zip",
        "image/gif", "image/jpeg", "image/png", "image/webp", "message/rfc822", "text/calendar", "text/plain",
    ]
)  # fmt: skip
_LOCKED_DOWN = {
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-store",
    "Referrer-Policy": "no-referrer",
}
_CLEAR_BESIDE = 512  # octets that programs write around the encrypted part


class Transfers:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._uploading: Counter[AccountId] = Counter()

    @property
    def busiest(self) -> int:
        return max(self._uploading.values(), default=0)

    # ── in ──

    async def upload(self, request: Request, turn: Turn, guest: Guest, account: str) -> Response:
        """Raises Refused."""
        target = turn.accounts.get(AccountId(account))
        if target is None:
            raise Refused("unknown-account")
        if not turn.may(target.id, "i") and not turn.may(target.id, "p"):
            raise Refused("not-allowed")
        settings, speaker = self._services.settings, guest.identity.account
        if self._uploading[speaker] >= settings.max_concurrent_uploads:
            self._services.counters.crowded_uploads += 1
            raise Refused("too-many", limit="maxConcurrentUpload")
        self._uploading[speaker] += 1
        held = _Held(self._services)
        try:
            async with asyncio.timeout(self._services.settings.upload_seconds):
                data = await self._received(request, held)
            if self._services.sealed_only(target.id) and not await asyncio.to_thread(is_sealed, data):
                raise Refused("clear-content-refused")
            return await self._laid_down(request, target.id, data)
        except TimeoutError:
            raise Refused("too-slow") from None
        finally:
            held.release()
            self._uploading[speaker] -= 1
            if not self._uploading[speaker]:
                del self._uploading[speaker]

    async def _received(self, request: Request, held: _Held) -> bytes:
        most = self._services.settings.max_upload
        announced = request.headers.get("content-length", "")
        if announced.isascii() and announced.isdigit():
            if int(announced) > most:
                raise Refused("too-large", limit="maxSizeUpload")
            held.take(int(announced))
        pieces: list[bytes] = []
        size = 0
        try:
            async for piece in request.stream():
                size += len(piece)
                if size > most:
                    raise Refused("too-large", limit="maxSizeUpload")
                held.take(size)
                pieces.append(piece)
        except ClientDisconnect:
            raise Refused("bad-request") from None
        return b"".join(pieces)

    async def _laid_down(self, request: Request, account: AccountId, data: bytes) -> Response:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if _TYPE.fullmatch(media_type) is None:
            media_type = "application/octet-stream"
        expires = self._services.clock() + self._services.settings.upload_lifetime * 1000
        try:
            blob = await self._services.store.stage(account, data, compress=True)
            kept = await self._services.store.write(
                lambda transaction: transaction.keep_upload(blob, media_type, expires)
            )
        except NoSpace:
            raise Refused("no-space") from None
        except StoreUnavailable:
            raise Refused("unavailable") from None
        self._services.counters.uploads += 1
        told: dict[str, Any] = {
            "accountId": account,
            "blobId": kept.id,
            "type": media_type,
            "size": kept.size,
        }
        return JSONResponse(told, 201, {"Cache-Control": "no-store"})

    # ── out ──

    async def download(self, turn: Turn, account: str, blob: str, name: str, wanted: str) -> Response:
        """Raises Refused."""
        target = turn.accounts.get(AccountId(account))
        if target is None:
            raise Refused("unknown-account")
        if not turn.may(target.id, "r"):
            raise Refused("not-allowed")
        if self._services.trace_full():
            raise Refused("trace-full")
        try:
            found = await self._services.store.read(lambda reader: read_blob(reader, target.id, blob))
            if found.message is not None:
                await self._services.opened(target.id, [found.message[1]])
        except (NoSuchBlob, Damaged):
            raise Refused("unknown-blob") from None
        except StoreUnavailable:
            raise Refused("unavailable") from None
        if found.message is not None:
            action, kind = ("download", "attachment") if found.part else ("read", "message")
            self._services.trace_reads(turn, target.id, [found.message], action, kind)
        self._services.counters.downloads += 1
        headers = {"Content-Disposition": disposition(name), **_LOCKED_DOWN}
        return Response(found.data, 200, headers, safe_type(wanted or found.type))


class _Held:
    """A request's share of the node's budget of octets in memory."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._octets = 0

    def take(self, octets: int) -> None:
        """At least so many from now on. Raises Refused."""
        more = octets - self._octets
        if more <= 0:
            return
        counters = self._services.counters
        if counters.upload_octets + more > self._services.settings.upload_budget:
            raise Refused("unavailable")
        counters.upload_octets += more
        self._octets = octets

    def release(self) -> None:
        self._services.counters.upload_octets -= self._octets
        self._octets = 0


def is_sealed(data: bytes) -> bool:
    """Whether it is an OpenPGP message, bare, armored or as PGP/MIME, and nothing else."""
    packets: bytes | None = data
    if data[:1] < b"\x80":
        if data.lstrip().startswith(b"-----BEGIN PGP MESSAGE-----"):
            packets = dearmor(data) if data.rstrip().endswith(b"-----END PGP MESSAGE-----") else None
        else:
            tree = mime.parse(data)
            found = mime.ciphertext(data, tree) if mime.is_encrypted(tree) == "pgp" else None
            packets = found.data if found is not None and found.clear_bytes <= _CLEAR_BESIDE else None
    try:
        return packets is not None and bool(recipient_key_ids(packets))
    except PacketError:
        return False


def safe_type(wanted: str) -> str:
    """What a browser may be told: never a type it would run."""
    kind = wanted.partition(";")[0].strip().lower()
    if kind not in _SAFE_TYPES:
        return "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def disposition(name: str) -> str:
    """RFC 6266 with RFC 8187: a name for old programs, the true one for all others."""
    clean = "".join(each for each in name.replace("\\", "/").rpartition("/")[2] if each.isprintable())[:200]
    plain = "".join(each if each.isascii() and each not in '"\\%;' else "_" for each in clean) or "file"
    encoded = quote(clean or "file", safe="!#$&+-.^_`|~", errors="replace")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"
