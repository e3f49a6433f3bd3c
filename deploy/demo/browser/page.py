"""The page as a program: enrols, logs in, opens, answers, over the same HTTP as a browser.

Invariants: passwords, recovery codes, account keys and secret keys stay in this object; the server is given what
the page's contract names, nothing else.
"""

from __future__ import annotations

import base64
import http.client
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, cast
from urllib.parse import parse_qs, urlencode, urlsplit

import pysequoia

from deploy.demo.browser import derivations
from deploy.demo.browser.key_packets import encryption_key, swapped
from deploy.demo.browser.keys import BareKey, make_bare_key
from directory.openpgp.armor import dearmor
from mail_server import mime
from mail_server.delivery import autocrypt

CORE, MAIL, SUBMISSION = (f"urn:ietf:params:jmap:{name}" for name in ("core", "mail", "submission"))
VENDOR = "https://vaguemestre.example/jmap/mail"


class PageRefused(Exception):
    """The server refused; the text is its slug."""

    def __init__(self, status: int, answer: dict[str, Any]) -> None:
        super().__init__(str(answer.get("error") or answer.get("type") or status))
        self.status = status
        self.answer = answer


@dataclass(slots=True)
class Letter:
    """A letter as its reader sees it."""

    email_id: str
    thread_id: str
    guard: str
    outer_subject: str
    inner: EmailMessage = field(repr=False)

    @property
    def subject(self) -> str:
        return str(self.inner["Subject"])

    @property
    def attachments(self) -> list[bytes]:
        return [cast(bytes, part.get_payload(decode=True)) for part in self.inner.iter_attachments()]


class PageClient:
    """One browser. `port` is the plain HTTP port of a demo node on localhost."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._cookies: dict[str, str] = {}
        self._account_key = b""
        self._location = ""
        self._keys: dict[str, bytes] = {}  # fingerprint → unprotected secret key
        self.session: dict[str, Any] = {}
        self.sent: list[bytes] = []  # bodies of every request, for those who look for secrets in them

    # -- getting in ---------------------------------------------------------------------------------------

    def enrol(
        self,
        code: str,
        password: str,
        recovery: str,
        *,
        birth_date: str = "",
        last_five: str = "",
        address: str = "",
    ) -> None:
        """From the code to an open account; letters that waited still wait (see `reseal`)."""
        given = {"code": code, "birthDate": birth_date, "lastFive": last_five, "address": address}
        begun = self.post("/api/enrolment/start", {name: value for name, value in given.items() if value})
        account, key = begun["account"], make_bare_key(begun["address"])
        self._account_key = secrets.token_bytes(32)
        salt = secrets.token_bytes(16)
        by_password = derivations.from_password(password, salt)
        by_sheet = derivations.from_recovery(recovery)
        asked = self.post("/api/keys/challenge", {"certificate": _text(key.certificate)})
        nonce = _decrypted(_bytes(asked["message"]), key.secret).decode()
        self.session = self.post(
            "/api/enrolment/complete",
            {
                "password": {
                    "salt": _text(salt),
                    "params": {
                        "algorithm": "argon2id",
                        "memory": derivations.MEMORY,
                        "passes": derivations.PASSES,
                        "lanes": derivations.LANES,
                    },
                    "login": _text(by_password.login),
                    "wrapped": self._wrapped(by_password.kek, account),
                },
                "recovery": {
                    "login": _text(by_sheet.login),
                    "wrapped": self._wrapped(by_sheet.kek, account),
                },
                "key": {
                    "certificate": _text(key.certificate),
                    "wrappedSecret": self._wrapped_secret(key),
                    "challenge": asked["challenge"],
                    "nonce": nonce,
                },
            },
        )
        self._keys = {key.fingerprint: key.secret}

    def log_in(self, user: str, password: str) -> None:
        known = self.post("/api/login/parameters", {"user": user})
        split = derivations.from_password(password, _bytes(known["salt"]))
        asked = {"user": user, "login": _text(split.login), "shared": False}
        self._opened_session(self.post("/api/login", asked), "password", split.kek)

    def log_in_by_sheet(self, user: str, code: str) -> None:
        split = derivations.from_recovery(code)
        answer = self.post("/api/login/recovery", {"user": user, "login": _text(split.login)})
        self._opened_session(answer, "recovery", split.kek)

    def log_in_by_provider(self, provider: str, person: str) -> None:
        """Through an identity provider, as a browser goes there and back; letters stay locked: it holds no key."""
        away = self._led(f"/api/login/oidc/{provider}/start?shared=0")
        parts = urlsplit(away)
        separator = "&" if parts.query else "?"
        told = http.client.HTTPConnection(parts.netloc, timeout=60)
        try:
            told.request("GET", f"{parts.path}?{parts.query}{separator}{urlencode({'person': person})}")
            back = urlsplit(told.getresponse().getheader("Location") or "")
        finally:
            told.close()
        arrived = urlsplit(self._led(f"{back.path}?{back.query}"))
        if arrived.path != "/":
            raise PageRefused(403, {"error": parse_qs(arrived.query).get("refus", ["refused"])[0]})
        self.session = self.get("/api/session")

    def _led(self, path: str) -> str:
        """Where the page sends the browser."""
        self._location = ""
        self.request("GET", path)
        return self._location

    def _opened_session(self, session: dict[str, Any], kind: str, kek: bytes) -> None:
        slot = next(each for each in session["slots"] if each["kind"] == kind)
        account = session["account"]["id"]
        self._account_key = derivations.unwrap_account_key(kek, _bytes(slot["wrapped"]), account)
        self._keys = {
            key["fingerprint"]: derivations.unwrap_secret_key(
                self._account_key, _bytes(key["wrappedSecret"]), key["fingerprint"]
            )
            for key in session["keys"]
            if key["wrappedSecret"]
        }
        self.session = session

    def _wrapped(self, kek: bytes, account: str) -> str:
        return _text(derivations.wrap_account_key(kek, self._account_key, account))

    def _wrapped_secret(self, key: BareKey) -> str:
        return _text(derivations.wrap_secret_key(self._account_key, key.secret, key.fingerprint))

    def reseal(self, at_most: int | None = None) -> int:
        """Swap the key packets of what waited; returns how many letters became sealed."""
        begun = self.get("/api/reseal")
        if not begun["left"]:
            return 0
        own = encryption_key(self.own_certificate())
        waiting = encryption_key(_decrypted(_bytes(begun["waitingKey"]), self._secret()))
        done = after = 0
        while at_most is None or done < at_most:
            found = self.get(f"/api/reseal/letters?after={after}&limit=50")["letters"]
            if not found:
                break
            found = found if at_most is None else found[: at_most - done]
            swaps = [
                {
                    "id": letter["id"],
                    **{
                        name: _text(swapped(_bytes(letter[name]), waiting, own)) if letter[name] else None
                        for name in ("keyPackets", "summaryKeyPackets")
                    },
                }
                for letter in found
            ]
            done += len(self.post("/api/reseal/letters", {"letters": swaps})["done"])
            after = found[-1]["id"]
        return done

    def give_past(self, account: str, person: str, at_most: int | None = None) -> int:
        """Add a key packet for a new reader to the letters this page can open; returns how many."""
        begun = self.post(f"/api/past/{account}/{person}", {})
        new = encryption_key(dearmor(begun["certificate"].encode(), "PUBLIC KEY BLOCK"))
        own = encryption_key(self._secret())
        done = after = 0
        while at_most is None or done < at_most:
            found = self.get(f"/api/past/{account}/{person}/letters?after={after}&limit=50")["letters"]
            if not found:
                break
            found = found if at_most is None else found[: at_most - done]
            packets = [
                {
                    "id": letter["id"],
                    **{
                        name: _text(swapped(_bytes(letter[name]), own, new)) if letter[name] else None
                        for name in ("keyPackets", "summaryKeyPackets")
                    },
                }
                for letter in found
            ]
            done += len(self.post(f"/api/past/{account}/{person}/letters", {"letters": packets})["done"])
            after = found[-1]["id"]
        return done

    # -- letters ------------------------------------------------------------------------------------------

    def call(self, *calls: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
        """JMAP method calls in one request; each gets `accountId`. Raises PageRefused for a method error."""
        account = self.session["account"]["id"]
        request = {
            "using": [CORE, MAIL, SUBMISSION, VENDOR],
            "methodCalls": [
                [name, {"accountId": account, **arguments}, f"c{number}"]
                for number, (name, arguments) in enumerate(calls)
            ],
        }
        answers: list[dict[str, Any]] = []
        for name, answer, _ in self.post("/jmap/api", request)["methodResponses"]:
            if name == "error":
                raise PageRefused(200, answer)
            answers.append(answer)
        return answers

    def letters(self, role: str = "inbox", limit: int = 50) -> list[dict[str, Any]]:
        """Emails of a mailbox, newest first, as Email/get tells them."""
        mailbox = self.mailbox(role)
        (found,) = self.call(
            ("Email/query", {"filter": {"inMailbox": mailbox}, "limit": limit, "sort": [_NEWEST]}),
        )
        (got,) = self.call(
            (
                "Email/get",
                {
                    "ids": found["ids"],
                    "properties": [
                        "id",
                        "threadId",
                        "blobId",
                        "from",
                        "subject",
                        "guard",
                        "sealedSummary",
                        "keyIds",
                    ],
                },
            ),
        )
        by_id = {each["id"]: each for each in got["list"]}
        return [by_id[each] for each in found["ids"]]

    def mailbox(self, role: str) -> str:
        (known,) = self.call(("Mailbox/get", {"ids": None}))
        return str(next(each["id"] for each in known["list"] if each["role"] == role))

    def open(self, email: dict[str, Any]) -> Letter:
        """Download and decrypt. Raises RuntimeError when none of the keys opens it."""
        account = self.session["account"]["id"]
        stored = self.request("GET", f"/jmap/download/{account}/{email['blobId']}/lettre.eml")
        outer = message_from_bytes(stored, policy=policy.default)
        sealed = mime.ciphertext(stored, mime.parse(stored))
        inner = self.opened(sealed.data) if sealed is not None else stored
        return Letter(
            email["id"],
            email["threadId"],
            email["guard"],
            str(outer["Subject"]),
            message_from_bytes(inner, policy=policy.default),
        )

    def summary(self, email: dict[str, Any]) -> dict[str, Any]:
        return cast(dict[str, Any], json.loads(self.opened(_bytes(email["sealedSummary"]))))

    def opened(self, message: bytes) -> bytes:
        """An OpenPGP message, by any key of this page. Raises RuntimeError."""
        for secret in self._keys.values():
            try:
                return _decrypted(message, secret)
            except RuntimeError:
                continue
        raise RuntimeError("no key of this page opens it")

    def write(
        self,
        to: str,
        subject: str,
        text: str,
        answering: Letter | None = None,
        hold: int = 0,
        entity: bytes = b"",
    ) -> str:
        """Compose, encrypt, keep in Sent, hand over. Returns the submission's id. `entity`: in place of the text."""
        known = self.post("/api/certificates", {"addresses": [to]})["addressees"][0]
        if "error" in known:
            raise PageRefused(403, known)
        gated = known["guard"] == "gate"
        others = [_bytes(each) for each in known["certificates"]]
        certificates = [*([] if gated else others), self.own_certificate()]
        message = self._composed(to, subject, entity or mime.text_part(text), answering, certificates)
        packet = {"gateKeyPacket": self._packet_for_the_gate(message, others[0])} if gated else {}
        account = self.session["account"]["id"]
        uploaded = json.loads(self.request("POST", f"/jmap/upload/{account}/", message, "message/rfc822"))
        (imported,) = self.call(
            (
                "Email/import",
                {
                    "emails": {
                        "l": {
                            "blobId": uploaded["blobId"],
                            "mailboxIds": {self.mailbox("sent"): True},
                            "keywords": {"$seen": True},
                        }
                    }
                },
            ),
        )
        if imported.get("notCreated"):
            raise PageRefused(200, imported["notCreated"]["l"])
        made = imported["created"]["l"]["id"]
        (identities,) = self.call(("Identity/get", {"ids": None}))
        parameters = {"HOLDFOR": str(hold)} if hold else None
        (submitted,) = self.call(
            (
                "EmailSubmission/set",
                {
                    "create": {
                        "s": {
                            **packet,
                            "emailId": made,
                            "identityId": identities["list"][0]["id"],
                            "envelope": {
                                "mailFrom": {
                                    "email": self.session["account"]["shown"],
                                    "parameters": parameters,
                                },
                                "rcptTo": [{"email": to, "parameters": None}],
                            },
                        }
                    }
                },
            ),
        )
        if submitted.get("notCreated"):
            raise PageRefused(200, submitted["notCreated"]["s"])
        return str(submitted["created"]["s"]["id"])

    def _packet_for_the_gate(self, message: bytes, gate: bytes) -> str:
        """By which the gate opens a letter whose every copy names its readers alone."""
        sealed = mime.ciphertext(message, mime.parse(message))
        assert sealed is not None
        return _text(swapped(sealed.data, encryption_key(self._secret()), encryption_key(gate)))

    def _composed(
        self, to: str, subject: str, entity: bytes, answering: Letter | None, certificates: Sequence[bytes]
    ) -> bytes:
        sender = self.session["account"]["shown"]
        fields = [
            ("From", sender.encode()),
            ("To", to.encode()),
            ("Date", mime.date_text(_now())),
            ("Message-ID", mime.new_message_id(sender.partition("@")[2]).encode()),
        ]
        tag = "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(4))
        if answering is not None:
            named = str(answering.inner["Message-ID"] or "").encode()
            fields += [("In-Reply-To", named), ("References", named)]
            tag = answering.outer_subject.rpartition(" ")[2] or tag
        outside = [*fields, ("Subject", f"[...] {tag}".encode())]
        inner = b"".join(mime.header_field(name, value) for name, value in fields)
        inner += mime.header_field("Subject", subject) + entity
        signer = pysequoia.Tsk.from_bytes(self._secret()).signer()
        sealed = pysequoia.encrypt(
            mime.protect(inner, outer=outside),
            [pysequoia.Cert.from_bytes(each) for each in certificates],
            signer,
            armor=True,
        )
        head, tail = mime.wrap(
            self._named(sender) + b"".join(mime.header_field(name, value) for name, value in outside),
            secrets.token_hex(16),
        )
        return head + bytes(sealed).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") + tail

    def _named(self, address: str) -> bytes:
        """Whose key it is, under the name that correspondents see; as the page does (`worker/autocrypt.ts`)."""
        own = pysequoia.Tsk.from_bytes(self._secret())
        certificate = own.extract_certificate()
        if any(address in str(each) for each in certificate.user_ids):
            return b""
        return autocrypt.field(
            address, bytes(certificate.add_user_id(f"<{address}>", certifier=own.certifier()))
        )

    def _secret(self) -> bytes:
        return self._keys[self._current()["fingerprint"]]

    def own_certificate(self) -> bytes:
        return _bytes(self._current()["certificate"])

    def _current(self) -> dict[str, Any]:
        return next(each for each in self.session["keys"] if each["current"])

    # -- HTTP ---------------------------------------------------------------------------------------------

    def get(self, path: str) -> dict[str, Any]:
        return cast(dict[str, Any], json.loads(self.request("GET", path)))

    def post(self, path: str, body: Any, method: str = "POST") -> dict[str, Any]:
        answer = self.request(method, path, json.dumps(body).encode(), "application/json")
        return cast(dict[str, Any], json.loads(answer)) if answer else {}

    @property
    def cookie_header(self) -> str:
        """What goes with each request: who has it has the session."""
        return "; ".join(f"{name}={value}" for name, value in self._cookies.items())

    def request(self, method: str, path: str, body: bytes = b"", media_type: str = "") -> bytes:
        """As a browser asks, with its cookie and the page's own header. Raises PageRefused."""
        headers = {"X-Vaguemestre": "1", "Origin": f"http://localhost:{self._port}"}
        headers |= {"Sec-Fetch-Site": "same-origin"}
        if media_type:
            headers["Content-Type"] = media_type
        if self._cookies:
            headers["Cookie"] = self.cookie_header
        self.sent.append(body)
        connection = http.client.HTTPConnection("localhost", self._port, timeout=60)
        try:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            for name, value in answer.getheaders():
                if name.lower() == "location":
                    self._location = value
                if name.lower() == "set-cookie":
                    cookie, _, rest = value.partition("=")
                    self._cookies[cookie] = rest.partition(";")[0]
            content = answer.read()
        finally:
            connection.close()
        if answer.status >= 400:
            raise PageRefused(answer.status, _problem(content))
        return content


_NEWEST = {"property": "receivedAt", "isAscending": False}


def _problem(content: bytes) -> dict[str, Any]:
    try:
        return cast(dict[str, Any], json.loads(content))
    except ValueError:
        return {}


def _decrypted(message: bytes, secret: bytes) -> bytes:
    key = pysequoia.Tsk.from_bytes(secret)
    clear = pysequoia.decrypt(message, decryptor=key.decryptor()).bytes
    if clear is None:
        raise RuntimeError("nothing inside")
    return bytes(clear)


def _now() -> int:
    return time.time_ns() // 1_000_000


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)
