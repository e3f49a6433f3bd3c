"""The national directory as a client sees it: one request, one answer, and what that answer means.

Invariants: one host, which is the configured one: no redirect is followed, no proxy of the environment used; TLS is
verified, and only this machine itself is spoken to without; an answer has a clock and a size; the key is in no log, no
exception and no repr; what the directory says in words is kept short and printable.
"""

from __future__ import annotations

import asyncio
import enum
import ipaddress
import json
import logging
import ssl
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, cast
from urllib.parse import urlsplit

import httpx

from directory.publication.client.states import Entry, Step
from directory.publication.client.wire import MEDIA_TYPE, parameters, target

for _library in ("httpx", "httpcore"):  # they write addresses asked for, at INFO and DEBUG
    logging.getLogger(_library).setLevel(logging.WARNING)

_LARGEST = 256 * 1024
_WORDS = 200
_LONGEST_WAIT = 3600.0  # whatever Retry-After says
_KEY = "ESANTE-API-KEY"


class Meaning(enum.Enum):
    DONE = "done"
    THERE_ALREADY = "there-already"  # what was to be inserted
    NOT_THERE = "not-there"  # what was to be replaced or deleted, or who carries it
    REFUSED = "refused"  # it will say the same again
    SHUT = "shut"  # our key: nothing of ours is taken now
    SLOWER = "slower"  # 429
    LATER = "later"  # it, or the way to it, is out of order


@dataclass(frozen=True, slots=True)
class Answer:
    meaning: Meaning
    reason: str = ""  # slug
    words: str = ""
    wait: float = 0.0  # seconds it asked for


class NationalDirectory:
    """Raises ValueError where its address is not one that may be spoken to."""

    def __init__(
        self,
        base: str,
        key: str,
        tls: ssl.SSLContext,
        seconds: float,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._base = checked(base)
        self._seconds = seconds
        headers = {"accept": MEDIA_TYPE, "accept-encoding": "identity", "user-agent": "vaguemestre"}
        if key:
            headers[_KEY] = key
        self._client = httpx.AsyncClient(
            verify=tls,
            timeout=seconds,
            follow_redirects=False,
            trust_env=False,
            transport=transport,
            headers=headers,
            limits=httpx.Limits(max_connections=2, max_keepalive_connections=1, keepalive_expiry=30),
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def ask(self, step: Step, entry: Entry) -> Answer:
        body = json.dumps(parameters(step, entry), ensure_ascii=False).encode()
        try:
            async with asyncio.timeout(self._seconds):  # httpx has a clock for each of its steps alone
                status, headers, told = await self._patch(f"{self._base}/{target(entry)}", body)
        except (TimeoutError, httpx.TimeoutException):
            return Answer(Meaning.LATER, "timeout", "The national directory did not answer in time.")
        except httpx.ConnectError:
            return Answer(
                Meaning.LATER, "connect", "The national directory cannot be reached, or not by TLS."
            )
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError):
            return Answer(Meaning.LATER, "protocol", "The national directory's answer was cut short.")
        if key := self._client.headers.get(_KEY, ""):
            told = told.replace(
                key.encode(), b"[key]"
            )  # what it says is kept and shown, also where it says our key
        return meaning(status, headers, told)

    async def _patch(self, url: str, body: bytes) -> tuple[int, httpx.Headers, bytes]:
        request = self._client.build_request("PATCH", url, content=body, headers={"content-type": MEDIA_TYPE})
        response = await self._client.send(request, stream=True)
        try:
            self._client.cookies.clear()
            received = bytearray()
            async for piece in response.aiter_raw():
                received += piece
                if len(received) > _LARGEST:
                    break  # its status says enough
            return response.status_code, response.headers, bytes(received[:_LARGEST])
        finally:
            await response.aclose()


def checked(base: str) -> str:
    """Raises ValueError with a sentence."""
    parts = urlsplit(base)
    if not parts.hostname or parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("publication.national_directory is an address like https://host/fhir/v2.")
    if parts.scheme != "https" and not (parts.scheme == "http" and _this_machine(parts.hostname)):
        raise ValueError("publication.national_directory must be asked over TLS (https).")
    return base.rstrip("/")


def meaning(status: int, headers: httpx.Headers, body: bytes) -> Answer:
    """What an answer to a PATCH means."""
    if 200 <= status < 300:
        return Answer(Meaning.DONE)
    code, said = _outcome(body)
    if status == 429:
        return Answer(
            Meaning.SLOWER, "too-many", "The national directory asks us to be slower.", _wait(headers)
        )
    if status >= 500:
        return Answer(
            Meaning.LATER,
            f"status-{status}",
            f"The national directory is out of order ({status}).",
            _wait(headers),
        )
    if status == 401:
        return Answer(
            Meaning.SHUT, f"status-{status}", _with("The national directory does not take our key.", said)
        )
    if status == 409 or (status in (400, 412, 422) and code == "duplicate"):
        return Answer(Meaning.THERE_ALREADY, "duplicate", _with("The address is there already.", said))
    if status in (404, 410) or (status == 422 and code == "not-found"):
        return Answer(
            Meaning.NOT_THERE, "not-found", _with("The national directory does not know its holder.", said)
        )
    if status == 412:
        return Answer(
            Meaning.REFUSED, "several", _with("Several have this identifier in the national directory.", said)
        )
    words = f"The national directory refuses it ({status})."
    return Answer(Meaning.REFUSED, code or f"status-{status}", _with(words, said))


def _outcome(body: bytes) -> tuple[str, str]:
    """The code and the words of the first issue of an OperationOutcome; "" where there are none."""
    try:
        told: Any = json.loads(body)
    except (ValueError, RecursionError):
        return "", ""
    for issue in _list(_dict(told).get("issue")):
        named = _dict(issue)
        code = named.get("code")
        words = _dict(named.get("details")).get("text") or named.get("diagnostics")
        slug = code if isinstance(code, str) and code.isascii() and len(code) <= 40 else ""
        return "".join(c for c in slug if c.isalnum() or c == "-"), _printable(words)
    return "", ""


def _dict(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _printable(words: Any) -> str:
    if not isinstance(words, str):
        return ""
    return "".join(one if one.isprintable() else " " for one in words[: 2 * _WORDS]).strip()[:_WORDS]


def _with(words: str, said: str) -> str:
    return f"{words} It says: {said}" if said else words


def _wait(headers: httpx.Headers) -> float:
    """Retry-After (RFC 9110 §10.2.3), in seconds or as a date."""
    told = headers.get("retry-after", "").strip()
    if told.isascii() and told.isdigit():
        return min(float(told[:9]), _LONGEST_WAIT)
    try:
        at = parsedate_to_datetime(told).timestamp()
        now = parsedate_to_datetime(headers["date"]).timestamp()
    except (ValueError, TypeError, KeyError, OverflowError):
        return 0.0
    return max(0.0, min(at - now, _LONGEST_WAIT))


def _this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
