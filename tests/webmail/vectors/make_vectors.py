"""Makes the vectors anew: `python tests/webmail/vectors/make_vectors.py COMMAND`, COMMAND being the page's worker
as a program for Node (webmail/ui/tests/command.ts, built). Derivations are made by `cryptography`, not by the page.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from deploy.demo.browser import derivations
from deploy.demo.browser.keys import make_bare_key
from directory.openpgp.gate import gate
from mail_server import mime
from mail_server.keys.wrapper import AesKeyWrapper
from mail_server.payloads.findings import find
from mail_server.sealing.authority import Authority
from mail_server.sealing.engine import OpenPgpEngine
from mail_server.sealing.interface import Sealed
from mail_server.sealing.pool import Pool
from mail_server.sealing.settings import SealingSettings

HERE = Path(__file__).parent
ACCOUNT = "A0123456789abcdef"
PATIENT = "0f3c9a7be2d14c55@patient.mss.example"
SHOWN = "267017506512334@patient.mss.example"
DOCTOR = "claire.martin@chu.mss.example"

CLEAR = (
    "From: =?utf-8?q?H=C3=B4pital?= <rapports@chu.mss.example>\r\nTo: 267017506512334@patient.mss.example\r\n"
    "Subject: =?utf-8?b?UsOpc3VsdGF0cyBkZSBsYSBwcmlzZSBkZSBzYW5n?=\r\nDate: Thu, 19 Nov 2026 10:00:00 +0100\r\n"
    "Message-ID: <report-1@chu.mss.example>\r\nMIME-Version: 1.0\r\n"
    'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n'
    "Content-Transfer-Encoding: 8bit\r\n\r\nBonjour, vos résultats sont joints.\r\n--b\r\n"
    "Content-Type: application/pdf\r\n"
    'Content-Disposition: attachment; filename="analyse.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    "JVBERi0xLjQKJcOkw7zDtsOfCg==\r\n--b--\r\n"
).encode()


def text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def derived() -> dict[str, Any]:
    passwords: list[dict[str, Any]] = []
    account_key = secrets.token_bytes(32)
    # The ligature and the two spellings of é are one password: NFKC.
    for password in (
        "Été 1948, la fin du café",
        "E\u0301te\u0301 1948, la \ufb01n du cafe\u0301",
        "mot de passe bien long",
    ):
        salt = secrets.token_bytes(16)
        split = derivations.from_password(password, salt)
        wrapped = derivations.wrap_account_key(split.kek, account_key, ACCOUNT)
        passwords.append(
            {"password": password, "salt": text(salt), "login": text(split.login), "wrapped": text(wrapped)}
        )
    code = derivations.new_recovery_code()
    split = derivations.from_recovery(code)
    wrapped = derivations.wrap_account_key(split.kek, account_key, ACCOUNT)
    body = derivations.normalised(code)
    other = "1" if body[3] != "1" else "2"
    return {
        "account": ACCOUNT,
        "accountKey": text(account_key),
        "params": {"algorithm": "argon2id", "memory": 65536, "passes": 3, "lanes": 1},
        "passwords": passwords,
        "recovery": {
            "typed": [code, body, body.lower(), " ".join(body), body.replace("0", "O").replace("1", "l")],
            "refused": [body[:-1], body + "0", body[:3] + other + body[4:], "U" + body[1:], ""],
            "login": text(split.login),
            "wrapped": text(wrapped),
        },
        "checkCharacters": [
            {"body": one, "check": derivations.check_character(one)}
            for one in ("00000000000", "ABCDEFGHJKM", "ZZZZZZZZZZZ", "0123456789ABCDEFGHJKMNPQ", body[:-1])
        ],
        "secret": {
            "fingerprint": "0123456789ABCDEF0123456789ABCDEF01234567",
            "clear": text(b"a secret key, binary"),
            "wrapped": text(
                derivations.wrap_secret_key(
                    account_key, b"a secret key, binary", "0123456789abcdef0123456789abcdef01234567"
                )
            ),
        },
    }


async def sealed(certificates: list[bytes]) -> tuple[bytes, list[Sealed]]:
    """The operator's certificate, and the report as the server seals it to each certificate."""
    now = int(time.time() * 1000)
    with tempfile.TemporaryDirectory(prefix="vm-vec-") as place:
        authority = Authority(Path(place) / "authority", AesKeyWrapper(b"k" * 32), "mss.example")
        authority.make()
        pool = Pool(SealingSettings(workers=1, deadline_seconds=30))
        await pool.start()
        try:
            await pool.load(authority.signing_key())
            inner = mime.protect(CLEAR, [("Subject", b"[...] abcd")])
            summary = find(CLEAR, mime.parse(CLEAR)).summary or b""
            engine = OpenPgpEngine(pool)
            return authority.certificate(), [
                await engine.seal(inner, [gate(one, PATIENT, now)], summary) for one in certificates
            ]
        finally:
            await pool.close()


def letters(command: str) -> dict[str, Any]:
    own, waiting = make_bare_key(PATIENT), make_bare_key(PATIENT)
    gateway, (mine, waited) = asyncio.run(sealed([own.certificate, waiting.certificate]))
    assert mine.beside is not None
    assert waited.beside is not None
    boundary = "0123456789abcdef"
    head, tail = mime.wrap(
        b"From: rapports@chu.mss.example\r\nTo: %b\r\nSubject: [...] abcd\r\n" % SHOWN.encode(), boundary
    )
    composed = by_page(command, own.fingerprint, own.certificate, own.secret)
    return {
        "account": ACCOUNT,
        "address": PATIENT,
        "fingerprint": own.fingerprint,
        "certificate": text(own.certificate),
        "secret": text(own.secret),
        "waitingSecret": text(waiting.secret),
        "gateway": gateway.decode("ascii"),
        "server": {
            "head": text(head),
            "tail": text(tail),
            "message": text(mine.key_packets[0].packet + mine.body),
            "summary": text(mine.beside.key_packets[0].packet + mine.beside.body),
        },
        "waited": {
            "keyPackets": text(waited.key_packets[0].packet),
            "body": text(waited.body),
            "summaryKeyPackets": text(waited.beside.key_packets[0].packet),
            "summaryBody": text(waited.beside.body),
        },
        "clear": text(CLEAR),
        "page": composed,
    }


def by_page(command: str, fingerprint: str, certificate: bytes, secret: bytes) -> dict[str, Any]:
    """A letter that the page's worker sealed, to its own author."""
    account_key = secrets.token_bytes(32)
    prf = secrets.token_bytes(32)
    kek = derivations._split(prf).kek  # pyright: ignore[reportPrivateUsage]
    key = {
        "fingerprint": fingerprint,
        "certificate": text(certificate),
        "wrappedSecret": text(derivations.wrap_secret_key(account_key, secret, fingerprint)),
        "current": True,
    }
    letter = {
        "from": {"name": "Élise Durand", "address": SHOWN},
        "to": [DOCTOR],
        "subject": "Une question sur mes résultats, s’il vous plaît",
        "text": "Bonjour docteur,\n\nJ’ai mal là.\n",
        "files": [{"name": "été.txt", "type": "text/plain", "data": {"bytes": text("à jeun".encode())}}],
        "inReplyTo": "<report-1@chu.mss.example>",
        "references": ["<first@chu.mss.example>"],
        "outerSubject": "[...] abcd",
        "certificates": [],
        "date": 1795000000000,
    }
    wrapped = text(derivations.wrap_account_key(kek, account_key, ACCOUNT))
    questions = [
        ("fromPasskey", {"prf": {"bytes": text(prf)}}),
        ("unlock", {"account": ACCOUNT, "wrapped": wrapped, "keys": [key], "persist": False}),
        ("seal", letter),
    ]
    lines = "".join(
        json.dumps({"id": number, "operation": name, "given": given}) + "\n"
        for number, (name, given) in enumerate(questions)
    )
    done = subprocess.run(["node", command], input=lines, capture_output=True, text=True, check=True)
    made = json.loads(done.stdout.splitlines()[-1])["made"]
    return {"message": made["message"]["bytes"], "summary": made["summary"], "letter": letter}


if __name__ == "__main__":
    for name, made in (("derivations", derived()), ("letters", letters(sys.argv[1]))):
        (HERE / f"{name}.json").write_text(json.dumps(made, ensure_ascii=False, indent=1) + "\n")
