"""SEARCH: every key, charsets, RETURN options, saved results, and what a sealed message lets be searched."""

from __future__ import annotations

import time

import pytest

from mail_server.store.model import Flag

DAY = 86_400_000
NOW = 1_772_452_800_000  # 2 March 2026, 12:00 UTC

ONE = (
    b"From: Anne <anne@example.org>\r\nTo: bob@example.org\r\nCc: cc@example.org\r\n"
    b"Subject: =?utf-8?q?R=C3=A9sultats?= de biologie\r\nDate: Sun, 1 Mar 2026 23:30:00 -0500\r\nX-Odd: yes\r\n"
    b"\r\nLe dosage est normal\r\n"
)
TWO = (
    b"From: carl@example.org\r\nBcc: hidden@example.org\r\nSubject: second\r\nDate: Tue, 3 Mar 2026 08:00:00 +0100\r\n"
    b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"Compte rendu d'=E9chographie " + b"x" * 300 + b"\r\n"
)
THREE = b"Subject: third\r\n\r\nbase\r\n"


@pytest.fixture
async def client(world):
    await world.file(ONE, flags=Flag.SEEN | Flag.FLAGGED, received_at=NOW - 2 * DAY)
    await world.file(TWO, flags=Flag.ANSWERED | Flag.DRAFT, received_at=NOW, keywords=frozenset({"$Work"}))
    await world.file(THREE, flags=Flag.DELETED, received_at=int(time.time() * 1000) - 5000)
    client = await world.client()
    await client("SELECT INBOX")
    return client


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ("ALL", "1 2 3"), ("SEEN", "1"), ("UNSEEN", "2 3"), ("FLAGGED", "1"), ("UNFLAGGED", "2 3"),
        ("ANSWERED", "2"), ("UNANSWERED", "1 3"), ("DRAFT", "2"), ("UNDRAFT", "1 3"), ("DELETED", "3"),
        ("UNDELETED", "1 2"), ("RECENT", "1 2 3"), ("OLD", ""), ("NEW", "2 3"),
        ("KEYWORD $work", "2"), ("UNKEYWORD $Work", "1 3"), ("KEYWORD unknown", ""),
        ("1,3", "1 3"), ("2:*", "2 3"), ("*", "3"), ("7:9", ""), ("UID 2", "2"), ("UID 2:*", "2 3"), ("UID 99", ""),
        ("FROM anne", "1"), ("FROM example.org", "1 2"), ("TO bob", "1"), ("CC cc@", "1"), ("BCC hidden", "2"),
        ("SUBJECT BIOLOGIE", "1"), ("SUBJECT third", "3"), ("HEADER X-Odd \"\"", "1"), ("HEADER x-odd yes", "1"),
        ("HEADER X-Odd no", ""), ("BODY normal", "1"), ("BODY biologie", ""), ("TEXT biologie", "1"),
        ("BODY dosag", "1"), ("TEXT nothing", ""),
        ("BEFORE 28-Feb-2026", ""), ("BEFORE 1-Mar-2026", "1"), ("ON 28-Feb-2026", "1"), ("ON 2-Mar-2026", "2"),
        ("SINCE 2-Mar-2026", "2 3"), ("SENTON 1-Mar-2026", "1"), ("SENTBEFORE 2-Mar-2026", "1"),
        ("SENTSINCE 3-Mar-2026", "2 3"), ("LARGER 400", "2"), ("SMALLER 100", "3"), ("YOUNGER 60", "3"),
        ("OLDER 60", "1 2"), ("NOT SEEN", "2 3"), ("NOT NOT SEEN", "1"), ("OR SEEN DELETED", "1 3"),
        ("OR SUBJECT third SEEN", "1 3"), ("(SEEN FLAGGED)", "1"), ("NOT (SEEN FLAGGED)", "2 3"),
        ("OR (FROM anne BODY normal) BODY base", "1 3"), ("SEEN DELETED", ""), ("NOT 1 NOT BODY base", "2"),
        ("SAVEDON 1-Jan-2000", ""), ("SAVEDSINCE 1-Jan-2000", "1 2 3"), ("UNSEEN UID 1:2 UNDELETED", "2"),
    ],
)  # fmt: skip
async def test_keys(client, keys, found):
    assert await client(f"SEARCH {keys}") == [f"* SEARCH {found}".rstrip(), "tag OK SEARCH completed"]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("SEARCH CHARSET UTF-8 SUBJECT {10+}\r\nrésultats", "1"),
        ("SEARCH CHARSET utf-8 BODY {12+}\r\néchographie", "2"),
        ("SEARCH CHARSET US-ASCII SUBJECT second", "2"),
        ('SEARCH SUBJECT "résultats"', "1"),
    ],
)
async def test_accents_in_either_case_and_whatever_the_encoding(client, line, found):
    assert (await client(line.encode()))[0] == f"* SEARCH {found}"


async def test_an_unknown_charset_is_refused_by_name(client):
    assert (await client("SEARCH CHARSET KOI8-R ALL"))[-1].startswith("tag NO [BADCHARSET (US-ASCII UTF-8)]")


async def test_uid_search_tells_uids(world, client):
    await client("EXPUNGE")
    await world.file(b"Subject: four\r\n\r\n")
    await client("NOOP")
    assert (await client("UID SEARCH SUBJECT four"))[0] == "* SEARCH 4"
    assert (await client("SEARCH SUBJECT four"))[0] == "* SEARCH 3"


@pytest.mark.parametrize(
    ("options", "keys", "told"),
    [
        ("", "ALL", "ALL 1:3"),
        ("MIN MAX", "ALL", "MIN 1 MAX 3"),
        ("COUNT", "UNSEEN", "COUNT 2"),
        ("MIN COUNT ALL", "OR 1 3", "MIN 1 COUNT 2 ALL 1,3"),
        ("ALL", "KEYWORD none", ""),
        ("MIN MAX COUNT ALL", "KEYWORD none", "COUNT 0"),
    ],
)
async def test_esearch(client, options, keys, told):
    answer = await client(f"SEARCH RETURN ({options}) {keys}")
    tag = client._tag
    assert answer[0] == f'* ESEARCH (TAG "t{tag}") {told}'.rstrip()
    answer = await client(f"UID SEARCH RETURN ({options}) {keys}")
    assert answer[0] == f'* ESEARCH (TAG "t{tag + 1}") UID {told}'.rstrip()


async def test_saved_results_serve_later_commands(client):
    assert await client("SEARCH RETURN (SAVE) UNSEEN") == ["tag OK SEARCH completed"]
    assert [line.split()[1] for line in (await client("FETCH $ UID"))[:-1]] == ["2", "3"]
    assert (await client("SEARCH $ DELETED"))[0] == "* SEARCH 3"
    assert (await client("UID SEARCH NOT UID $"))[0] == "* SEARCH 1"
    assert (await client("SEARCH RETURN (SAVE MIN) UNSEEN"))[0].endswith("MIN 2")
    assert len(await client("FETCH $ UID")) == 2
    await client("EXPUNGE")
    assert (await client("UID FETCH $ FLAGS"))[0].startswith("* 2 FETCH")
    await client("SEARCH RETURN (SAVE) KEYWORD none")
    assert await client("FETCH $ UID") == ["tag OK FETCH completed"]
    assert await client("UID STORE $ +FLAGS (x)") == ["tag OK STORE completed"]


async def test_sealed_messages_are_searched_by_their_outer_headers_and_that_is_said(world):
    await world.seal(b"[...] qwer")
    await world.file(ONE)
    client = await world.inbox()
    for keys, found in (
        ("SUBJECT qwer", "1"), ("FROM lab@", "1"), ("TEXT lab@", "1"), ("BODY noise", ""), ("BODY PGP", ""),
        ("TEXT normal", "2"), ("OR SUBJECT qwer BODY normal", "1 2"),
    ):  # fmt: skip
        answer = await client(f"SEARCH {keys}")
        assert [line[:30] for line in answer[:-2]] == ["* OK Sealed messages were sear"], keys
        assert answer[-2] == f"* SEARCH {found}".rstrip(), keys
    assert await client("SEARCH ALL UNSEEN") == ["* SEARCH 1 2", "tag OK SEARCH completed"]


@pytest.mark.parametrize(
    "keys",
    ["", "NONSENSE", "OR SEEN", "NOT", "(SEEN", "SEEN)", "BEFORE 32-Jan-2026", "BEFORE tomorrow", "LARGER x",
     "UID x", "0", "HEADER x", "RETURN (NONSENSE) ALL", "(" * 50 + "SEEN" + ")" * 50, "NOT " * 50 + "SEEN"],
)  # fmt: skip
async def test_programs_that_are_none_are_bad(client, keys):
    assert (await client(f"SEARCH {keys}"))[-1].startswith("tag BAD")
    assert (await client("NOOP"))[-1].startswith("tag OK")
