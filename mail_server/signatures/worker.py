"""A worker that verifies signatures with dkimpy: one process, one letter at a time.

Started as `python -m mail_server.signatures.worker` by the pool of `mail_server.sealing`, with nothing in its
environment and no secret ever. dkimpy reads what strangers wrote, in pure Python and with expressions that may take
their time: whoever makes it slow or breaks it has one letter's verdict.

Invariants: no letter costs more processor time than `CPU_SECONDS`; keys come with the question, nothing is looked up;
a signature passes only when dkimpy verified the very one that was asked for; no exception's text leaves; of the letter
nothing stays once it is answered.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

import dkim
from dkim import canonicalization

from mail_server.sealing.frames import Ask, Slug
from mail_server.sealing.serving import Failed, limit_processor, run
from mail_server.signatures import canonical, key_records

CPU_SECONDS = 8

Found = Callable[..., bytes | None]


class _Canonicalises(Protocol):
    canonicalize_body: Any


# Each signature of a letter has the same body: dkimpy would write it anew for every one of them, by an expression whose
# time grows with the square of a run of blanks: a megabyte of them would cost minutes.
_relaxed = functools.lru_cache(maxsize=1)(canonical.relaxed_body)
_simple = functools.lru_cache(maxsize=1)(canonical.simple_body)
cast(_Canonicalises, canonicalization.Relaxed).canonicalize_body = staticmethod(_relaxed)
cast(_Canonicalises, canonicalization.Simple).canonicalize_body = staticmethod(_simple)


class Worker:
    def answer(self, ask: int, fields: list[bytes], payload: bytes) -> tuple[list[bytes], bytes]:
        if ask == Ask.LOAD:
            return [], b""  # there is nothing that it should know
        if ask != Ask.VERIFY or len(fields) != 1:
            raise Failed(Slug.BAD_FRAME)
        try:
            asked = cast("dict[str, Any]", json.loads(fields[0]))
        except ValueError:
            raise Failed(Slug.BAD_FRAME) from None
        limit_processor(CPU_SECONDS)
        try:
            return [], json.dumps(_verified(asked, payload)).encode("ascii")
        finally:
            _relaxed.cache_clear()
            _simple.cache_clear()


def _verified(asked: dict[str, Any], message: bytes) -> dict[str, object]:
    """`{"dkim": [[result, comment, bits]], "arc": [result, comment]}`, in the order of the question."""
    keys = cast("dict[str, str]", asked["keys"])

    def look_up(name: bytes, timeout: int = 0) -> bytes | None:
        record = keys.get(name.decode("ascii").rstrip(".").lower())
        return record.encode("utf-8") if record else None

    try:
        letter = dkim.DKIM(message)
    except Exception:
        # dkimpy raises what it likes over a header that it cannot read.
        return {"dkim": [["permerror", "header", 0] for _ in asked["dkim"]], "arc": ["fail", "header"]}
    signatures = [
        _signature(letter, cast("dict[str, Any]", one), keys, look_up)
        for one in cast("list[Any]", asked["dkim"])
    ]
    sets = cast("list[dict[str, Any]]", asked["arc"])
    arc = _chain(letter, sets, keys, look_up) if sets else ["none", ""]
    return {"dkim": signatures, "arc": arc}


def _signature(letter: Any, one: dict[str, Any], keys: dict[str, str], look_up: Found) -> list[object]:
    standing = key_records.standing(keys.get(one["name"], ""), one["algorithm"])
    refused = _refused(standing, one)
    if refused is not None:
        return [*refused, standing.bits]
    try:
        passed = letter.verify(idx=one["index"], dnsfunc=look_up) is True
    except dkim.ValidationError:
        return ["fail", "", standing.bits]
    except Exception:
        return ["permerror", "", standing.bits]
    # It must be the one that was read: dkimpy's own reading of a field may differ from ours.
    if (_said(letter.domain), _said(letter.selector)) != (one["domain"], one["selector"]) or [
        _said(name) for name in letter.include_headers
    ] != one["names"]:
        return ["permerror", "read in two ways", standing.bits]
    return ["pass" if passed else "fail", "", standing.bits]


def _refused(standing: key_records.Standing, one: dict[str, Any]) -> list[object] | None:
    if standing.fault:
        return ["permerror", standing.fault]
    if standing.weak:
        return ["policy", "weak key"]
    if standing.testing:
        return ["neutral", "testing"]
    if standing.strict and one["identity"] not in ("", one["domain"]):
        return ["permerror", "i= is not d="]
    return None


def _chain(letter: Any, sets: list[dict[str, Any]], keys: dict[str, str], look_up: Found) -> list[object]:
    for one in sets:
        standing = key_records.standing(keys.get(one["name"], ""), "rsa-sha256")
        if standing.fault or standing.weak or standing.testing:
            return ["fail", standing.fault or ("weak key" if standing.weak else "testing")]
    chain: Any = dkim.ARC()
    chain.headers, chain.body = letter.headers, letter.body
    try:
        result, found, _ = chain.verify(dnsfunc=look_up)
    except Exception:
        return ["fail", ""]
    last = cast("list[dict[str, Any]]", found)[0] if found else {}
    newest = (_said(last.get("as-domain")), _said(last.get("ams-domain")))
    if newest != (sets[-1]["domain"], sets[len(sets) // 2 - 1]["domain"]):
        return ["fail", "read in two ways"]
    return ["pass" if result == dkim.CV_Pass else "fail", ""]


def _said(value: object) -> str:
    return value.decode("ascii", "replace").lower() if isinstance(value, bytes) else ""


def main(arguments: Sequence[str]) -> int:
    return run(arguments, Worker())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
