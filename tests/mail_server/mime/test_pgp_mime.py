"""What comes encrypted, and how we wrap what we encrypt (RFC 3156)."""

import base64
import email

from mail_server.mime import ciphertext, dearmor, fields, inline_pgp, is_encrypted, parse, wrap

PACKETS = b"\xc1\x04abcd\xd2\x05\x01wxyz"
ARMOR = (
    b"-----BEGIN PGP MESSAGE-----\r\nVersion: Some\r\n\r\n" + base64.b64encode(PACKETS) + b"\r\n=abcd\r\n"
    b"-----END PGP MESSAGE-----\r\n"
)
OUTER = b"From: a@b\r\nSubject: [...] abcd\r\nDate: x\r\n"


def wrapped(armor=ARMOR, outer=OUTER):
    head, tail = wrap(outer, "=_b")
    return head + armor + tail


def test_what_we_wrap_is_recognised_and_opened():
    message = wrapped()
    tree = parse(message)
    assert is_encrypted(tree) == "pgp"
    found = ciphertext(message, tree)
    assert found is not None
    assert found.data == PACKETS


def test_a_wrapped_message_is_crlf_mime_that_others_read():
    message = wrapped()
    assert b"\n" not in message.replace(b"\r\n", b"")
    read = email.message_from_bytes(message)
    assert read.get_content_type() == "multipart/encrypted"
    assert read.get_param("protocol") == "application/pgp-encrypted"
    version, sealed = read.get_payload()
    assert version.get_content_type() == "application/pgp-encrypted"
    assert version.get_payload().strip() == "Version: 1"
    assert sealed.get_filename() == "encrypted.asc"
    assert sealed.get_payload(decode=True) == ARMOR


def test_the_outer_fields_keep_their_bytes_and_content_fields_are_ours():
    head, _ = wrap(OUTER + b"Content-Type: text/plain\r\nMIME-Version: 1.0\r\n", "b")
    assert head.startswith(OUTER + b"MIME-Version: 1.0\r\nContent-Type: multipart/encrypted;")
    names = [field.name for field in fields(head)]
    assert names.count("content-type") == names.count("mime-version") == 1


def test_text_around_the_armor_is_counted():
    clean = wrapped()
    base = ciphertext(clean, parse(clean))
    dirty = clean.replace(b"\r\n\r\n--=_b", b"\r\n\r\n" + b"clear text " * 20 + b"\r\n--=_b", 1)
    found = ciphertext(dirty, parse(dirty))
    assert base is not None
    assert found is not None
    assert base.clear_bytes < 64
    assert found.clear_bytes > base.clear_bytes + 200


def test_inline_pgp_is_recognised_in_a_text():
    message = b"Content-Type: text/plain\r\n\r\n" + ARMOR
    tree = parse(message)
    assert is_encrypted(tree) is None
    assert inline_pgp(message, tree)
    found = ciphertext(message, tree)
    assert found is not None
    assert (found.data, found.clear_bytes) == (PACKETS, 0)


def test_enveloped_smime_is_told_from_signed():
    def kind(value):
        return is_encrypted(parse(b"Content-Type: application/pkcs7-mime; " + value + b"\r\n\r\n"))

    assert kind(b"smime-type=enveloped-data") == "smime"
    assert kind(b"smime-type=authEnveloped-data; name=smime.p7m") == "smime"
    assert kind(b"name=smime.p7m") == "smime"
    assert kind(b"smime-type=signed-data") is None


def test_a_claim_without_the_structure_is_no_claim(crlf):
    kind = 'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b\n\n'
    for body in ("", "--b\n\nx\n--b--\n", "--b\n\nx\n--b\n\ny\n--b--\n"):
        message = crlf(kind + body)
        assert is_encrypted(parse(message)) is None
        assert ciphertext(message, parse(message)) is None


def test_armor_is_read_as_it_comes():
    assert dearmor(ARMOR) == PACKETS
    assert dearmor(ARMOR.replace(b"\r\n", b"\n")) == PACKETS
    assert dearmor(ARMOR.replace(b"=abcd\r\n", b"")) == PACKETS
    assert dearmor(b"see below\r\n" + ARMOR + b"bye") == PACKETS
    assert dearmor(b"nothing") is None
    assert dearmor(b"-----BEGIN PGP MESSAGE-----\r\n\r\nabcd") is None


def test_ciphertext_in_a_transfer_encoding_or_not_armored():
    head, tail = wrap(OUTER, "=_b")
    encoded = head.replace(b'asc"\r\n\r\n', b'asc"\r\nContent-Transfer-Encoding: base64\r\n\r\n')
    message = encoded + base64.encodebytes(ARMOR) + tail
    found = ciphertext(message, parse(message))
    assert found is not None
    assert found.data == PACKETS
    message = head + PACKETS + tail
    found = ciphertext(message, parse(message))
    assert found is not None
    assert found.data == PACKETS


def test_the_repr_hides_the_ciphertext():
    message = wrapped()
    assert "wxyz" not in repr(ciphertext(message, parse(message)))
