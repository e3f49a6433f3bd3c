"""CAPABILITY is one table; each line names the test file that holds it to its word."""

from __future__ import annotations

from pathlib import Path

from mail_server.imap.capabilities import TABLE, advertised

HERE = Path(__file__).parent


def test_every_capability_names_a_test_file_that_speaks_of_it():
    for capability in TABLE:
        path = HERE / capability.test
        assert path.is_file(), capability
        text = path.read_text("utf-8")
        assert "async def test_" in text or "def test_" in text
        known = (
            capability.name.replace("IMAP4rev1", "SELECT")
            .replace("LITERAL+", "literal")
            .replace("STATUS=", "")
        )
        known = {"SASL-IR": "initial", "WITHIN": "YOUNGER", "CHILDREN": "HasChildren"}.get(known, known)
        known = {"SPECIAL-USE": "special", "UIDPLUS": "COPYUID", "UNSELECT": "unselect"}.get(known, known)
        known = {"LIST-EXTENDED": "SUBSCRIBED", "LIST-STATUS": "RETURN (STATUS"}.get(known, known)
        known = {"SEARCHRES": "SAVE", "OBJECTID": "EMAILID"}.get(known, known)
        assert known.lower() in text.lower(), capability


def test_nothing_is_named_twice():
    names = [capability.name for capability in TABLE]
    assert len(names) == len(set(names))


def test_before_tls_no_login_is_offered():
    words = advertised(False, tls=False, may_start_tls=True, mechanisms=()).split()
    assert b"STARTTLS" in words
    assert b"LOGINDISABLED" in words
    assert b"MOVE" not in words


def test_before_login_the_mechanisms_of_the_authenticator():
    words = advertised(False, tls=True, may_start_tls=True, mechanisms=("PLAIN", "SCRAM-SHA-256")).split()
    assert {b"AUTH=PLAIN", b"AUTH=SCRAM-SHA-256", b"SASL-IR", b"LITERAL+", b"IMAP4rev1"} <= set(words)
    assert b"STARTTLS" not in words


def test_after_login_everything_else():
    words = advertised(True, tls=True, may_start_tls=True, mechanisms=()).decode().split()
    asked = "IMAP4rev1 LITERAL+ ID ENABLE IDLE NAMESPACE CHILDREN SPECIAL-USE UIDPLUS MOVE UNSELECT CONDSTORE"
    assert set(asked.split()) <= set(words)


def test_imap4rev2_comes_with_all_it_folds_in():
    """RFC 9051 Appendix E."""
    words = set(advertised(True, tls=True, may_start_tls=True, mechanisms=()).decode().split())
    assert "IMAP4rev2" in words
    assert {
        "NAMESPACE", "UNSELECT", "UIDPLUS", "ESEARCH", "SEARCHRES", "ENABLE", "IDLE", "LIST-EXTENDED",
        "LIST-STATUS", "MOVE", "SPECIAL-USE", "STATUS=SIZE", "BINARY",
    } <= words  # fmt: skip
