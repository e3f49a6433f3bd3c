"""Addresses and parameters of MAIL, RCPT and EHLO."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail_server.outbound.interface import Notify
from mail_server.smtp.protocol import parameters
from mail_server.smtp.protocol.parameters import MailCommand, RcptCommand
from mail_server.smtp.protocol.replies import CommandRefused


def mail(argument: str, *, extended: bool = True, auth_offered: bool = True) -> MailCommand:
    return parameters.mail(argument, extended=extended, auth_offered=auth_offered)


def asked_of(argument: str, *, smtputf8: bool = False, extended: bool = True) -> RcptCommand:
    return parameters.recipient(
        argument, extended=extended, smtputf8=smtputf8, postmaster_domain="mx.example.org"
    )


def rcpt(argument: str, *, smtputf8: bool = False, extended: bool = True) -> str:
    return asked_of(argument, smtputf8=smtputf8, extended=extended).address


def refusal_of_mail(argument: str, **how: bool) -> str:
    with pytest.raises(CommandRefused) as refused:
        mail(argument, **how)
    return f"{refused.value.reply.code} {refused.value.reply.enhanced}"


def refusal_of_rcpt(argument: str, **how: bool) -> str:
    with pytest.raises(CommandRefused) as refused:
        rcpt(argument, **how)
    return f"{refused.value.reply.code} {refused.value.reply.enhanced}"


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("<alice@example.org>", "alice@example.org"),
        ("<Alice.B+x@EXAMPLE.Org>", "Alice.B+x@example.org"),
        ("<@a.example,@b.example:alice@example.org>", "alice@example.org"),
        ('<"alice"@example.org>', "alice@example.org"),
        ('<"al\\ice"@example.org>', "alice@example.org"),
        ('<"a b"@example.org>', '"a b"@example.org'),
        ('<"a\\"b"@example.org>', '"a\\"b"@example.org'),
        ('<"a>b@c"@example.org>', '"a>b@c"@example.org'),
        ("<x@a-b.c1>", "x@a-b.c1"),
        (" <alice@example.org>", "alice@example.org"),
    ],
)
def test_an_address_is_put_in_one_form(path: str, address: str):
    assert mail(f"FROM:{path}").address == address
    assert rcpt(f"to:{path}") == address


@pytest.mark.parametrize(
    "path",
    [
        "<alice>",
        "<alice@>",
        "<@example.org>",
        "<a..b@example.org>",
        "<.a@example.org>",
        "<a.@example.org>",
        "<a@b@example.org>",
        "<a@-b.org>",
        "<a@b-.org>",
        "<a@b..org>",
        "<a@b_c.org>",
        "<a b@example.org>",
        "<alice@example.org",
        "alice@example.org",
        "<alice@example.org>>",
        '<"alice@example.org>',
        "<a@" + "b" * 64 + ".org>",
        "<" + "a" * 65 + "@example.org>",
        "<a@" + "b." * 128 + "org>",
        "<a\x01@example.org>",
        "<>x",
    ],
)
def test_what_is_not_an_address_is_refused(path: str):
    assert refusal_of_mail(f"FROM:{path}") in ("553 5.1.7", "501 5.5.2")
    assert refusal_of_rcpt(f"TO:{path}") in ("553 5.1.3", "501 5.5.2")


def test_the_null_sender_is_an_empty_address_and_no_recipient():
    assert mail("FROM:<>").address == ""
    assert refusal_of_rcpt("TO:<>") == "553 5.1.3"


def test_address_literals_are_refused():
    assert refusal_of_mail("FROM:<a@[127.0.0.1]>") == "553 5.1.7"
    assert refusal_of_rcpt("TO:<a@[IPv6:::1]>") == "553 5.1.3"


def test_postmaster_needs_no_domain():
    assert rcpt("TO:<PostMaster>") == "postmaster@mx.example.org"


def test_non_ascii_needs_smtputf8():
    assert refusal_of_mail("FROM:<hélène@example.org>") == "553 5.6.7"
    assert refusal_of_rcpt("TO:<hélène@example.org>") == "553 5.6.7"
    assert mail("FROM:<hélène@Hôpital.example> SMTPUTF8").address == "hélène@hôpital.example"
    assert rcpt("TO:<hélène@example.org>", smtputf8=True) == "hélène@example.org"


def test_parameters_are_read_with_the_case_of_their_values():
    given = "FROM:<a@example.org> size=1000 Body=8bitmime SMTPUTF8 AUTH=a+2Bb@example.org"
    assert mail(given) == MailCommand("a@example.org", 1000, "8BITMIME", True)


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("SIZE", "501 5.5.4"),
        ("SIZE=ten", "501 5.5.4"),
        ("SIZE=" + "1" * 21, "501 5.5.4"),
        ("SIZE=1 SIZE=1", "501 5.5.4"),
        ("BODY", "501 5.5.4"),
        ("BODY=BINARYMIME", "555 5.5.4"),
        ("SMTPUTF8=yes", "501 5.5.4"),
        ("AUTH", "501 5.5.4"),
        ("AUTH=+zz", "501 5.5.4"),
        ("RET", "501 5.5.4"),
        ("RET=HEADERS", "501 5.5.4"),
        ("RET=FULL RET=HDRS", "501 5.5.4"),
        ("ENVID", "501 5.5.4"),
        ("ENVID=a+b", "501 5.5.4"),
        ("ENVID=a+0Ab", "501 5.5.4"),
        ("ENVID=" + "x" * 101, "501 5.5.4"),
        ("SMTPUTF8 ENVID=é", "501 5.5.4"),
        ("NOTIFY=NEVER", "555 5.5.4"),
        ("REQUIRETLS", "555 5.5.4"),
        ("MT-PRIORITY=3", "555 5.5.4"),
        ("=x", "501 5.5.2"),
        ("SIZE=", "501 5.5.2"),
    ],
)
def test_parameters_that_cannot_be_obeyed_are_refused(text: str, reply: str):
    assert refusal_of_mail(f"FROM:<a@example.org> {text}") == reply


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("NOTIFY", "501 5.5.4"),
        ("NOTIFY=", "501 5.5.2"),
        ("NOTIFY=ALWAYS", "501 5.5.4"),
        ("NOTIFY=NEVER,FAILURE", "501 5.5.4"),
        ("NOTIFY=FAILURE,NEVER", "501 5.5.4"),
        ("NOTIFY=FAILURE,", "501 5.5.4"),
        ("NOTIFY=NEVER NOTIFY=NEVER", "501 5.5.4"),
        ("ORCPT", "501 5.5.4"),
        ("ORCPT=a@example.org", "501 5.5.4"),
        ("ORCPT=;a@example.org", "501 5.5.4"),
        ("ORCPT=rfc822;", "501 5.5.4"),
        ("ORCPT=rfc_822;a@example.org", "501 5.5.4"),
        ("ORCPT=rfc822;a+b@example.org", "501 5.5.4"),
        ("ORCPT=rfc822;a+0D+0Ab@example.org", "501 5.5.4"),
        ("ORCPT=rfc822;" + "a" * 494, "501 5.5.4"),
        ("ORCPT=utf-8;\\x{D800}@example.org", "501 5.5.4"),
        ("SIZE=1", "555 5.5.4"),
        ("RET=HDRS", "555 5.5.4"),
    ],
)
def test_what_a_recipient_cannot_be_asked_is_refused(text: str, reply: str):
    assert refusal_of_rcpt(f"TO:<a@example.org> {text}") == reply


def test_reports_are_asked_with_the_case_of_their_values():
    given = mail("FROM:<a@example.org> ret=hdrs envid=QQ314159+2Bx")
    assert (given.ret, given.envid) == ("HDRS", "QQ314159+2Bx")
    asked = asked_of("TO:<a@example.org> notify=success,Failure orcpt=RFC822;Al+2Bx@Example.Org")
    assert asked.notify == Notify.SUCCESS | Notify.FAILURE
    assert asked.orcpt == "RFC822;Al+2Bx@Example.Org"
    assert asked_of("TO:<a@example.org> NOTIFY=NEVER").notify is Notify.NEVER
    assert asked_of("TO:<a@example.org> NOTIFY=DELAY").notify is Notify.DELAY
    assert asked_of("TO:<a@example.org>").notify is Notify.NONE


def test_the_longest_that_is_allowed_is_allowed():
    assert len(mail("FROM:<a@example.org> ENVID=" + "x" * 100).envid) == 100
    assert len(asked_of("TO:<a@example.org> ORCPT=rfc822;" + "a" * 493).orcpt) == 500


def test_an_original_recipient_may_be_utf8_under_smtputf8_alone():
    # RFC 6533 §3: as it is under SMTPUTF8, as \x{…} in any session.
    assert asked_of("TO:<a@example.org> ORCPT=utf-8;hélène@example.org", smtputf8=True).orcpt
    assert refusal_of_rcpt("TO:<a@example.org> ORCPT=utf-8;hélène@example.org") == "501 5.5.4"
    assert asked_of("TO:<a@example.org> ORCPT=utf-8;h\\x{E9}l@example.org").orcpt


def test_reports_are_asked_after_ehlo_alone():
    assert refusal_of_mail("FROM:<a@example.org> RET=HDRS", extended=False) == "555 5.5.4"
    assert refusal_of_rcpt("TO:<a@example.org> NOTIFY=NEVER", extended=False) == "555 5.5.4"
    assert rcpt("TO:<a@example.org>", extended=False) == "a@example.org"


def test_parameters_need_ehlo_and_auth_needs_the_client_road():
    assert refusal_of_mail("FROM:<a@example.org> SIZE=1", extended=False) == "555 5.5.4"
    assert refusal_of_mail("FROM:<a@example.org> AUTH=<>", auth_offered=False) == "555 5.5.4"


def test_auth_may_be_empty():
    assert mail("FROM:<a@example.org> AUTH=<>").address == "a@example.org"


@pytest.mark.parametrize("argument", ["", "a@example.org", "FROM <a@example.org>", "TO:<a@example.org>"])
def test_the_keyword_is_needed(argument: str):
    assert refusal_of_mail(argument) == "501 5.5.2"


@pytest.mark.parametrize("name", ["", "a b", "a\tb", "é", "x" * 256])
def test_a_hello_name_is_printable_and_short(name: str):
    with pytest.raises(CommandRefused):
        parameters.hello_name(name)


@given(st.text(max_size=80))
def test_any_text_is_parsed_or_refused(text: str):
    for attempt in (
        lambda: mail("FROM:<" + text),
        lambda: rcpt("TO:" + text, smtputf8=True),
        lambda: mail(text),
    ):
        with contextlib.suppress(CommandRefused):
            attempt()


@given(st.text(alphabet='ab."\\ @<>é', max_size=20))
def test_the_canonical_form_is_its_own(local: str):
    try:
        first = rcpt(f"TO:<{local}@example.org>", smtputf8=True)
    except CommandRefused:
        return
    assert rcpt(f"TO:<{first}>", smtputf8=True) == first
