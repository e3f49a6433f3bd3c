"""The keys of a professional in the page: made, renewed, held elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.demo.browser import derivations
from deploy.demo.browser.keys import BareKey, make_bare_key
from directory.certificates.interface import Standing
from tests.webmail.office import Office, Refused, text


async def refused(work: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await work
    return caught.value


def current(session: dict[str, Any]) -> str:
    (key,) = [one for one in session["keys"] if one["current"]]
    return key["fingerprint"]


async def without_key(office: Office) -> Any:
    browser = office.browser()
    account = await office.professional()
    await browser.start(await office.code(account), account)
    await browser.complete("orage", key=False)
    await browser.set_up_totp()
    return browser


async def test_a_professional_makes_a_key_later(office: Office) -> None:
    browser = await without_key(office)
    session = await browser.put("key", await browser.challenged())
    assert current(session) == browser.made.fingerprint
    assert session["keys"][0]["wrappedSecret"]
    assert office.resealed == [browser.account.id]
    assert "key-publish done" in await office.traced(party=browser.account.id)


async def test_a_certificate_alone_is_published_and_its_secret_stays_where_it_is(office: Office) -> None:
    browser = await without_key(office)
    session = await browser.put("key", {**await browser.challenged(), "wrappedSecret": None})
    assert session["keys"] == [
        {
            "fingerprint": browser.made.fingerprint,
            "certificate": text(browser.made.certificate),
            "wrappedSecret": None,
            "current": True,
        }
    ]


async def test_a_renewed_key_takes_the_place_of_the_one_before_which_still_opens(office: Office) -> None:
    browser = await without_key(office)
    first = current(await browser.put("key", await browser.challenged()))
    session = await browser.put("key", await browser.challenged())
    assert current(session) != first
    assert [bool(key["wrappedSecret"]) for key in session["keys"]] == [True, True]


async def test_a_key_published_from_the_console_is_shown_as_held_elsewhere(office: Office) -> None:
    browser = await without_key(office)
    made = make_bare_key(browser.account.address)
    office.directory.publish(browser.account.address, made.certificate, office.clock())
    (key,) = (await browser.get("session"))["keys"]
    assert (key["fingerprint"], key["wrappedSecret"], key["current"]) == (made.fingerprint, None, True)


async def test_who_has_a_certificate_already_is_told_so_at_enrolment(office: Office) -> None:
    account = await office.professional()
    made = make_bare_key(account.address)
    office.directory.publish(account.address, made.certificate, office.clock())
    begun = await office.browser().start(await office.code(account), account)
    assert begun["hasCertificate"]


async def test_a_key_of_another_address_is_refused_and_nothing_of_it_stays(office: Office) -> None:
    browser = await without_key(office)
    other = await office.professional("other")
    shared = _with_both(browser.account.address, other.address)
    office.directory.publish(other.address, shared.certificate, office.clock())
    answer = await refused(browser.put("key", await browser.challenged(shared)))
    assert (answer.error, answer.answer["reason"]) == ("key-refused", "key-of-another")
    assert (await browser.get("session"))["keys"] == []
    standing = office.directory.certificate(browser.account.address, office.clock()).standing
    assert standing is Standing.NONE


def _with_both(one: str, other: str) -> BareKey:
    """A key with two addresses on it."""
    import gnupg

    from deploy.demo.people import temporary_home

    with temporary_home() as home:
        gpg: Any = gnupg.GPG(gnupghome=str(home), options=["--allow-freeform-uid"])
        made = gpg.gen_key(
            "Key-Type: EDDSA\nKey-Curve: ed25519\nKey-Usage: sign,cert\nSubkey-Type: ECDH\n"
            f"Subkey-Curve: cv25519\nSubkey-Usage: encrypt\nName-Email: {one}\nExpire-Date: 0\n"
            "%no-protection\n%commit\n"
        )
        assert gpg.add_subkey  # the program is there
        import subprocess

        subprocess.run(
            ["gpg", "--homedir", str(home), "--batch", "--pinentry-mode=loopback", "--passphrase", "",
             "--quick-add-uid", made.fingerprint, f"<{other}>"],
            check=True, capture_output=True,
        )  # fmt: skip
        certificate = gpg.export_keys(made.fingerprint, armor=False)
        secret = gpg.export_keys(made.fingerprint, secret=True, armor=False, expect_passphrase=False)
    return BareKey(made.fingerprint.upper(), certificate, secret)


async def test_a_patient_brings_no_key_of_their_own(office: Office) -> None:
    browser = await office.enrolled()
    assert (await refused(browser.put("key", await browser.challenged()))).error == "forbidden"


async def test_a_key_of_this_generation_is_not_wrapped_anew(office: Office) -> None:
    browser = await office.enrolled()
    wrapped = derivations.wrap_secret_key(browser.account_key, b"another secret", browser.made.fingerprint)
    answer = await refused(browser.put(f"keys/{browser.made.fingerprint}", {"wrappedSecret": text(wrapped)}))
    assert answer.error == "unknown-key"


async def test_nobody_wraps_the_key_of_another_account(office: Office) -> None:
    mine = await office.enrolled()
    other = await office.enrolled(await office.patient("1600275056002"))
    wrapped = text(b"\x01" + bytes(60))
    answer = await refused(mine.put(f"keys/{other.made.fingerprint}", {"wrappedSecret": wrapped}))
    assert answer.error == "unknown-key"


async def test_an_armored_certificate_is_taken_too(office: Office) -> None:
    from directory.openpgp.armor import armor

    browser = await without_key(office)
    made = make_bare_key(browser.account.address)
    armored = armor(made.certificate, "PGP PUBLIC KEY BLOCK".removeprefix("PGP "))
    asked = await browser.post("keys/challenge", {"certificate": text(armored)})
    assert asked["challenge"]


async def test_a_publication_killed_before_its_trace_leaves_a_key_that_opens(office: Office) -> None:
    browser = await without_key(office)
    given = await browser.challenged()
    publish = office.directory.publish

    def killed(*arguments: Any) -> Any:
        publish(*arguments)
        raise RuntimeError

    office.directory.publish = killed  # type: ignore[method-assign]
    try:
        assert (await browser.raw("PUT", "key", given)).status_code == 500
    finally:
        office.directory.publish = publish  # type: ignore[method-assign]
    (key,) = (await browser.get("session"))["keys"]
    assert (key["current"], bool(key["wrappedSecret"])) == (True, True)
