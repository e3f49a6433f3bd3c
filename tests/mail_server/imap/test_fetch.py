"""FETCH: every item, every section form, partials, \\Seen, and the trace of reads."""

from __future__ import annotations

import pytest

NESTED = (
    b"From: a@example.org\r\nSubject: outer\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed;\r\n boundary="x\r\n y"\r\n\r\nprologue\r\n'
    b"--x y\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    b"Y2Fmw6kK\r\n"
    b"--x y\r\nContent-Type: message/rfc822\r\n\r\n"
    b"From: b@example.org\r\nSubject: inner\r\nContent-Type: multipart/alternative; boundary=z\r\n\r\n"
    b"--z\r\nContent-Type: text/plain\r\n\r\nplain\r\n--z\r\nContent-Type: text/html\r\n\r\n<b>\r\n--z--\r\n"
    b"\r\n--x y--\r\nepilogue\r\n"
)
HEADED = b"From: a@example.org\r\nTo: b@example.org,\r\n c@example.org\r\nSubject: s\r\n\r\nbody\r\n"


async def test_the_listing_a_client_makes(world):
    client = await world.inbox(HEADED)
    answer = await client("UID FETCH 1:* (FLAGS RFC822.SIZE ENVELOPE BODYSTRUCTURE INTERNALDATE)")
    assert answer[0].startswith(rf"* 1 FETCH (UID 1 FLAGS (\Recent) RFC822.SIZE {len(HEADED)} ENVELOPE (NIL")
    assert 'BODYSTRUCTURE ("text" "plain"' in answer[0].lower().replace("bodystructure", "BODYSTRUCTURE")
    assert 'INTERNALDATE "' in answer[0]
    assert answer[-1] == "tag OK FETCH completed"


async def test_macros(world):
    client = await world.inbox(HEADED)
    for macro, items in (
        ("FAST", ["FLAGS", "INTERNALDATE", "RFC822.SIZE"]),
        ("ALL", ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"]),
        ("FULL", ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY ("]),
    ):
        line = (await client(f"FETCH 1 {macro}"))[0]
        places = [line.index(item) for item in items]
        assert places == sorted(places), macro


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("BODY.PEEK[]", b"BODY[] {%d}\r\n%b" % (len(NESTED), NESTED)),
        ("RFC822.HEADER", b"RFC822.HEADER {%d}\r\n" % NESTED.index(b"prologue")),
        ("BODY.PEEK[TEXT]", b"BODY[TEXT] {%d}\r\nprologue\r\n" % (len(NESTED) - NESTED.index(b"prologue"))),
        (
            "BODY.PEEK[HEADER.FIELDS (Subject X)]",
            b"BODY[HEADER.FIELDS (Subject X)] {18}\r\nSubject: outer\r\n\r\n",
        ),
        ("BODY.PEEK[1]", b"BODY[1] {8}\r\nY2Fmw6kK"),
        ("BODY.PEEK[1.MIME]", b"BODY[1.MIME] {78}\r\nContent-Type: text/plain; charset=utf-8\r\n"),
        ("BODY.PEEK[2.HEADER.FIELDS (SUBJECT)]", b"{18}\r\nSubject: inner\r\n\r\n"),
        ("BODY.PEEK[2.1]", b"BODY[2.1] {5}\r\nplain"),
        ("BODY.PEEK[2.2.MIME]", b"BODY[2.2.MIME] {27}\r\nContent-Type: text/html\r\n\r\n"),
        ("BODY.PEEK[2.TEXT]", b"--z\r\nContent-Type: text/plain"),
        ("BODY.PEEK[3]", b"BODY[3] NIL"),
        ("BODY.PEEK[1.HEADER]", b"BODY[1.HEADER] NIL"),
        ("BODY.PEEK[]<0.4>", b"BODY[]<0> {4}\r\nFrom"),
        ("BODY.PEEK[]<6.5>", b"BODY[]<6> {5}\r\na@exa"),
        ("BODY.PEEK[]<99999.5>", b"BODY[]<99999> {0}\r\n"),
        ("BODY.PEEK[HEADER]<0.4>", b"BODY[HEADER]<0> {4}\r\nFrom"),
        ("BINARY.PEEK[1]", "BINARY[1] {6}\r\ncafé\n".encode()),
        ("BINARY.SIZE[1]", b"BINARY.SIZE[1] 6"),
        ("BINARY.PEEK[1]<0.3>", b"BINARY[1]<0> {3}\r\ncaf"),
    ],
)
async def test_sections(world, item, expected):
    client = await world.inbox(NESTED)
    await client.raw(b"x FETCH 1 " + item.encode() + b"\r\n")
    assert expected in await client.until(rb"^x OK")


async def test_header_fields_keep_their_folds_and_their_case(world):
    client = await world.inbox(HEADED)
    await client.raw(b'x FETCH 1 (BODY[HEADER.FIELDS ("to" Cc)] BODY[HEADER.FIELDS.NOT (TO FROM)])\r\n')
    said = await client.until(rb"^x OK")
    assert b"BODY[HEADER.FIELDS (to Cc)] {38}\r\nTo: b@example.org,\r\n c@example.org\r\n\r\n" in said
    assert b"BODY[HEADER.FIELDS.NOT (TO FROM)] {14}\r\nSubject: s\r\n\r\n" in said


async def test_an_unknown_transfer_encoding_is_said(world):
    message = b"Content-Transfer-Encoding: x-odd\r\nSubject: s\r\n\r\nbody\r\n"
    client = await world.inbox(message)
    assert (await client("FETCH 1 BINARY.PEEK[1]"))[-1].startswith("tag NO [UNKNOWN-CTE]")
    assert (await client("FETCH 1 BODY.PEEK[1]"))[-1] == "tag OK FETCH completed"


async def test_nul_octets_travel_as_literal8(world):
    client = await world.inbox(b"Content-Transfer-Encoding: base64\r\n\r\nYQBi\r\n")
    await client.raw(b"x FETCH 1 BINARY.PEEK[1]\r\n")
    assert b"BINARY[1] ~{3}\r\na\0b)" in await client.until(rb"^x OK")


async def test_reading_a_body_marks_it_seen_and_says_so(world):
    client = await world.inbox(HEADED, HEADED)
    assert (await client("FETCH 1 BODY.PEEK[]"))[-2].endswith(")")
    assert "FLAGS" not in " ".join(await client("FETCH 1 BODY.PEEK[TEXT]"))
    said = " ".join(await client("FETCH 1 BODY[TEXT]"))
    assert r"FLAGS (\Seen \Recent)" in said
    assert "FLAGS" not in " ".join(await client("FETCH 1 BODY[TEXT]"))
    assert (await client("FETCH 2 (FLAGS RFC822.TEXT)"))[0].startswith(r"* 2 FETCH (FLAGS (\Seen")
    assert await client("SEARCH UNSEEN") == ["* SEARCH", "tag OK SEARCH completed"]


async def test_headers_alone_mark_seen_only_without_peek(world):
    client = await world.inbox(HEADED)
    await client("FETCH 1 (BODY.PEEK[HEADER] RFC822.HEADER)")
    assert (await client("SEARCH SEEN"))[0] == "* SEARCH"
    assert r"FLAGS (\Seen" in " ".join(await client("FETCH 1 BODY[HEADER]"))


async def test_listings_never_touch_a_body_and_are_not_in_the_trace(world, monkeypatch):
    client = await world.inbox(NESTED)
    monkeypatch.setattr("mail_server.store.reader.StoreReader.content", None)
    items = "UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE RFC822.HEADER BODY.PEEK[HEADER]"
    answer = await client(f"FETCH 1 ({items} BODY.PEEK[HEADER.FIELDS (FROM)])")
    assert answer[-1] == "tag OK FETCH completed"
    assert world.events == []


async def test_the_first_read_of_a_body_is_in_the_trace_once_per_session(world):
    client = await world.inbox(HEADED)
    for command in ("FETCH 1 BODY.PEEK[1]", "FETCH 1 RFC822", "UID FETCH 1 BODY[]"):
        await client(command)
    (event,) = world.events
    assert (event.action, event.session, event.network) == ("read", "session-1", "192.0.2.1")
    assert event.actor == event.subject == client.session.person.account
    other = await world.client()
    await other("SELECT INBOX")
    await other("FETCH 1 BODY[TEXT]")
    assert len(world.events) == 2


async def test_a_sealed_message_is_read_as_pgp_mime(world):
    await world.seal()
    client = await world.inbox()
    await client.raw(b"x FETCH 1 (RFC822.SIZE BODY.PEEK[] BODY.PEEK[2] BODYSTRUCTURE)\r\n")
    said = await client.until(rb"^x OK")
    assert b'"encrypted" ' in said.lower()
    whole = said.split(b"BODY[] {")[1]
    size = int(whole.split(b"}")[0])
    assert b"RFC822.SIZE %d " % size in said
    assert b"-----BEGIN PGP MESSAGE-----" in said.split(b"BODY[2] {")[1]


async def test_message_numbers_that_do_not_exist_are_bad_and_uids_are_not(world):
    client = await world.inbox(HEADED)
    assert (await client("FETCH 2 FLAGS"))[-1] == "tag BAD No such message number"
    assert await client("UID FETCH 2 FLAGS") == ["tag OK FETCH completed"]
    assert (await client("UID FETCH 5:* FLAGS"))[0] == r"* 1 FETCH (UID 1 FLAGS (\Recent))"
    assert (await client("FETCH 1:* UID"))[0] == "* 1 FETCH (UID 1)"
    assert (await client("UID FETCH 1:4294967295 UID"))[0] == "* 1 FETCH (UID 1)"


async def test_an_empty_mailbox_answers_a_star_with_nothing(world):
    client = await world.inbox()
    assert await client("FETCH 1:* FLAGS") == ["tag OK FETCH completed"]
    assert await client("UID FETCH 1:* FLAGS") == ["tag OK FETCH completed"]


async def test_a_large_body_is_written_in_pieces(world):
    large = b"Subject: large\r\n\r\n" + b"0123456789abcdef\r\n" * 60_000
    client = await world.inbox(large)
    client.link.writes.clear()
    await client.raw(b"x FETCH 1 BODY.PEEK[]\r\n")
    said = await client.until(rb"^x OK")
    assert large in said
    assert max(client.link.writes) <= 131_072 + 100


async def test_many_bodies_come_in_order(world):
    bodies = [b"Subject: %d\r\n\r\n%b\r\n" % (n, bytes([65 + n]) * 300_000) for n in range(8)]
    client = await world.inbox(*bodies)
    await client.raw(b"x FETCH 1:* (UID BODY.PEEK[])\r\n")
    said = await client.until(rb"^x OK")
    places = [said.index(body) for body in bodies]
    assert places == sorted(places)


async def test_a_message_gone_meanwhile_is_said(world):
    client, other = await world.inbox(HEADED, HEADED), await world.client()
    await other("SELECT INBOX")
    await other(r"STORE 1 +FLAGS.SILENT (\Deleted)")
    client.session.dirty = False
    await other("EXPUNGE")
    client.session.dirty = False
    assert (await client("FETCH 1:2 RFC822.SIZE"))[-1].startswith("tag NO [EXPUNGEISSUED]")
    assert "* 1 EXPUNGE" in await client("NOOP")


async def test_a_bug_answers_no_and_the_session_goes_on(world, monkeypatch, caplog):
    client = await world.inbox(HEADED)

    def broken(*_):
        raise ValueError("secret content")

    monkeypatch.setattr("mail_server.imap.fetching.cut_sections", broken)
    assert (await client("FETCH 1 BODY[]"))[-1].startswith("tag NO [SERVERBUG]")
    assert "ValueError" in caplog.text
    assert "secret content" not in caplog.text
    assert (await client("NOOP"))[-1].startswith("tag OK")


async def test_one_message_is_not_told_a_hundred_times_over_in_one_command(world):
    whole = b"Subject: s\r\n\r\n" + b"x" * 200_000
    client = await world.inbox(whole)
    items = " ".join(f"BODY.PEEK[]<{start}.200000>" for start in range(100))
    assert (await client(f"FETCH 1 ({items})"))[-1].startswith("tag NO [LIMIT]")
    usual = "BODY.PEEK[] BODY.PEEK[TEXT] BODY.PEEK[1] BODY.PEEK[HEADER]"
    assert (await client(f"FETCH 1 ({usual})"))[-1] == "tag OK FETCH completed"


async def test_a_header_asked_for_many_times_over_is_told_in_small_slices(world):
    client = await world.inbox(*[HEADED] * 20)
    items = " ".join(f"BODY.PEEK[HEADER]<{start}.9>" for start in range(100))
    answer = await client(f"FETCH 1:* ({items})")
    assert answer[-1] == "tag OK FETCH completed"
    assert sum(line.startswith("* ") for line in answer) == 20
