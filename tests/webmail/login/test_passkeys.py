"""Passkeys, with an authenticator in software: made, used, copied, removed."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.webmail.office import ORIGIN, Office, Refused, text

VERIFIED, PRESENT, ATTESTED = 0x04, 0x01, 0x40


def b64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64url(encoded: str) -> bytes:
    return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))


@dataclass
class Authenticator:
    """A device that holds one credential (WebAuthn §6)."""

    host: str = "localhost"
    origin: str = ORIGIN
    count: int = 0
    verifies: bool = True
    credential: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    user: bytes = b""

    def _data(self, flags: int) -> bytes:
        flags |= PRESENT | (VERIFIED if self.verifies else 0)
        return hashlib.sha256(self.host.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _client(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin}).encode()

    def create(self, options: dict[str, Any]) -> dict[str, Any]:
        self.user = unb64url(options["user"]["id"])
        numbers = self.key.public_key().public_numbers()
        public = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        attested = bytes(16) + len(self.credential).to_bytes(2, "big") + self.credential
        data = self._data(ATTESTED) + attested + cbor2.dumps(public)
        client = self._client("webauthn.create", options["challenge"])
        return self._answer(
            {
                "clientDataJSON": b64url(client),
                "attestationObject": b64url(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})),
            }
        )

    def get(self, options: dict[str, Any]) -> dict[str, Any]:
        self.count += 1
        data = self._data(0)
        client = self._client("webauthn.get", options["challenge"])
        signed = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return self._answer(
            {
                "clientDataJSON": b64url(client),
                "authenticatorData": b64url(data),
                "signature": b64url(signed),
                "userHandle": b64url(self.user),
            }
        )

    def _answer(self, response: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": b64url(self.credential),
            "rawId": b64url(self.credential),
            "type": "public-key",
            "response": response,
            "clientExtensionResults": {},
        }


async def refused(work: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await work
    return caught.value


async def added(browser: Any, device: Authenticator, label: str = "Téléphone", *, opens: bool = True) -> Any:
    begun = await browser.post("passkeys/start")
    wrapped = text(b"\x01" + secrets.token_bytes(60)) if opens else None
    given = {"id": begun["id"], "credential": device.create(begun["options"]), "label": label}
    return await browser.post("passkeys", {**given, "wrapped": wrapped})


async def log_in(browser: Any, device: Authenticator, **more: Any) -> dict[str, Any]:
    begun = await browser.post("login/passkey/start")
    given = {"id": begun["id"], "credential": device.get(begun["options"]), "shared": False, **more}
    return await browser.post("login/passkey", given)


async def test_a_passkey_logs_in_without_a_name(office: Office) -> None:
    known, device = await office.enrolled(), Authenticator()
    session = await added(known, device)
    (slot,) = [one for one in session["slots"] if one["kind"] == "passkey"]
    assert slot["label"] == "Téléphone"
    assert slot["params"] == {"credentialId": b64url(device.credential), "prf": True}
    browser = office.browser()
    session = await log_in(browser, device)
    assert session["account"]["id"] == known.account.id
    assert office.page.sessions.by_cookie(browser.cookie) is not None


async def test_what_is_asked_of_the_device(office: Office) -> None:
    known = await office.enrolled()
    created = (await known.post("passkeys/start"))["options"]
    assert created["rp"] == {"id": "localhost", "name": "Essai"}
    assert created["authenticatorSelection"]["userVerification"] == "required"
    assert created["authenticatorSelection"]["residentKey"] == "required"
    asked = (await office.browser().post("login/passkey/start"))["options"]
    assert (asked["rpId"], asked["userVerification"]) == ("localhost", "required")
    assert not asked.get("allowCredentials")


async def test_the_device_is_told_no_number_of_a_patient(office: Office) -> None:
    known = await office.enrolled()
    created = (await known.post("passkeys/start"))["options"]
    number = office.accounts.patient_identity(known.account.id).number
    assert number[:10] not in json.dumps(created)
    assert unb64url(created["user"]["id"]).decode() == known.account.id


async def test_a_passkey_without_prf_logs_in_and_opens_nothing(office: Office) -> None:
    known, device = await office.enrolled(), Authenticator()
    session = await added(known, device, opens=False)
    (slot,) = [one for one in session["slots"] if one["kind"] == "passkey"]
    assert (slot["wrapped"], slot["params"]["prf"]) == (None, False)
    assert await log_in(office.browser(), device)


async def test_of_two_passkeys_one_is_removed_and_the_other_serves_on(office: Office) -> None:
    known, phone, tablet = await office.enrolled(), Authenticator(), Authenticator()
    await added(known, phone)
    session = await added(known, tablet, "Tablette")
    by_phone = office.browser()
    await log_in(by_phone, phone)
    slot = next(one["id"] for one in session["slots"] if one["label"] == "Téléphone")
    session = await known.delete(f"slots/{slot}")
    assert [one["label"] for one in session["slots"] if one["kind"] == "passkey"] == ["Tablette"]
    assert (await refused(log_in(office.browser(), phone))).error == "passkey-refused"
    assert (await refused(by_phone.get("session"))).error == "no-session"
    assert await log_in(office.browser(), tablet)


async def test_a_device_known_already_is_asked_not_to_make_another(office: Office) -> None:
    known, device = await office.enrolled(), Authenticator()
    await added(known, device)
    (excluded,) = (await known.post("passkeys/start"))["options"]["excludeCredentials"]
    assert excluded["id"] == b64url(device.credential)
    assert (await refused(added(known, device))).error == "passkey-refused"


async def test_a_professionals_passkey_is_both_factors(office: Office) -> None:
    known, device = await office.enrolled_professional(), Authenticator()
    await added(known, device)
    browser = office.browser()
    await log_in(browser, device)
    assert office.page.sessions.by_cookie(browser.cookie) is not None


async def test_a_device_that_did_not_verify_its_holder_is_refused(office: Office) -> None:
    known, device = await office.enrolled(), Authenticator()
    await added(known, device)
    device.verifies = False
    assert (await refused(log_in(office.browser(), device))).error == "passkey-refused"
    assert (await refused(added(known, Authenticator(verifies=False)))).error == "passkey-refused"


async def test_a_copied_device_whose_counter_lags_is_refused(office: Office) -> None:
    known, device = await office.enrolled(), Authenticator()
    await added(known, device)
    device.count = 5
    await log_in(office.browser(), device)
    device.count = 3
    assert (await refused(log_in(office.browser(), device))).error == "passkey-refused"


@pytest.mark.parametrize(
    ("host", "origin"), [("evil.example", ORIGIN), ("localhost", "https://evil.example")]
)
async def test_what_was_signed_for_another_site_is_refused(office: Office, host: str, origin: str) -> None:
    known, device = await office.enrolled(), Authenticator()
    await added(known, device)
    device.host, device.origin = host, origin
    assert (await refused(log_in(office.browser(), device))).error == "passkey-refused"


async def test_a_signature_of_another_key_is_refused(office: Office) -> None:
    known, device = await office.enrolled(), Authenticator()
    await added(known, device)
    thief = Authenticator(credential=device.credential, user=device.user)
    assert (await refused(log_in(office.browser(), thief))).error == "passkey-refused"
    assert office.noted() == ["login-failed wrong-passkey"]


async def test_a_challenge_serves_once_and_for_five_minutes(office: Office) -> None:
    known, device = await office.enrolled(), Authenticator()
    await added(known, device)
    browser = office.browser()
    begun = await browser.post("login/passkey/start")
    given = {"id": begun["id"], "credential": device.get(begun["options"]), "shared": False}
    await browser.post("login/passkey", given)
    assert (await refused(browser.post("login/passkey", given))).error == "challenge-refused"
    begun = await browser.post("login/passkey/start")
    given = {"id": begun["id"], "credential": device.get(begun["options"]), "shared": False}
    office.clock.forward(minutes=6)
    assert (await refused(browser.post("login/passkey", given))).error == "challenge-refused"


async def test_a_challenge_of_a_creation_does_not_log_in(office: Office) -> None:
    known, device = await office.enrolled(), Authenticator()
    await added(known, device)
    begun = await known.post("passkeys/start")
    given = {"id": begun["id"], "credential": device.get(begun["options"]), "shared": False}
    assert (await refused(office.browser().post("login/passkey", given))).error == "challenge-refused"


async def test_a_creation_begun_in_one_session_does_not_end_in_another(office: Office) -> None:
    mine = await office.enrolled()
    other = await office.enrolled(await office.patient("1600275056002"))
    begun = await mine.post("passkeys/start")
    given = {"id": begun["id"], "credential": Authenticator().create(begun["options"]), "wrapped": None}
    assert (await refused(other.post("passkeys", given))).error == "challenge-refused"


@pytest.mark.parametrize(
    "credential",
    [
        {},
        {"id": "x"},
        {"rawId": 5},
        {"rawId": "é"},
        {"id": "QUFB", "rawId": "QUFB", "type": "public-key", "response": {}},
        {"id": "QUFB", "rawId": "QUFB", "type": "public-key", "response": {"clientDataJSON": "e30"}},
        {"rawId": "A" * 4000},
    ],
)
async def test_what_is_no_answer_of_a_device_is_refused(office: Office, credential: dict[str, Any]) -> None:
    begun = await office.browser().post("login/passkey/start")
    given = {"id": begun["id"], "credential": credential, "shared": False}
    assert (await refused(office.browser().post("login/passkey", given))).error == "passkey-refused"


async def test_whatever_the_library_makes_of_garbage_is_one_refusal(office: Office) -> None:
    known, device = await office.enrolled(), Authenticator()
    await added(known, device)
    for spoiled in ("authenticatorData", "clientDataJSON", "signature"):
        begun = await office.browser().post("login/passkey/start")
        credential = device.get(begun["options"])
        credential["response"][spoiled] = b64url(secrets.token_bytes(20))
        given = {"id": begun["id"], "credential": credential, "shared": False}
        assert (await refused(office.browser().post("login/passkey", given))).error == "passkey-refused"
    begun = await known.post("passkeys/start")
    credential = Authenticator().create(begun["options"])
    credential["response"]["attestationObject"] = b64url(b"\xa1" * 50)
    given = {"id": begun["id"], "credential": credential, "wrapped": None}
    assert (await refused(known.post("passkeys", given))).error == "passkey-refused"


async def test_a_passkey_of_an_older_generation_logs_nobody_in(office: Office) -> None:
    known, device = await office.enrolled(), Authenticator()
    await added(known, device)
    browser = office.browser()
    await browser.start(await office.code(known.account), known.account)
    await browser.complete("second")
    assert (await refused(log_in(office.browser(), device))).error == "passkey-refused"


async def test_a_suspended_holder_does_not_come_in(office: Office) -> None:
    known, device = await office.enrolled(), Authenticator()
    await added(known, device)
    await office.accounts.suspend(known.account.id)
    assert (await refused(log_in(office.browser(), device))).error == "suspended"


async def test_credential_ids_lie_nowhere_in_clear(office: Office) -> None:
    known, device = await office.enrolled(), Authenticator()
    await added(known, device)
    for file in office.home.rglob("*"):
        if file.is_file():
            assert device.credential not in file.read_bytes()


async def test_ten_passkeys_are_enough(office: Office) -> None:
    known = await office.enrolled()
    for _ in range(10):
        await added(known, Authenticator())
    assert (await refused(known.post("passkeys/start"))).error == "forbidden"
