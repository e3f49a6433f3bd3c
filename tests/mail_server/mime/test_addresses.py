"""Address lists as RFC 5322 shows them, and as they come."""

import pytest

from mail_server.mime import Address, Group, mailboxes, parse_addresses
from mail_server.mime.addresses import MAX_ADDRESSES


def plain(value: bytes):
    return [
        (entry.name, [member.spec for member in entry.members])
        if isinstance(entry, Group)
        else (entry.name, entry.local, entry.domain)
        for entry in parse_addresses(value)
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # RFC 5322 appendix A.1.2, A.1.3, A.5, A.6.1, A.6.3
        (b'"Joe Q. Public" <john.q.public@example.com>', [("Joe Q. Public", "john.q.public", "example.com")]),
        (
            b"Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
            [("Mary Smith", "mary", "x.test"), ("", "jdoe", "example.org"), ("Who?", "one", "y.test")],
        ),
        (b'<boss@nil.test>, "Giant; \\"Big\\" Box" <sysservices@example.net>',
         [("", "boss", "nil.test"), ('Giant; "Big" Box', "sysservices", "example.net")]),
        (
            b"A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
            [("A Group", ["c@a.test", "joe@where.test", "jdoe@one.test"])],
        ),
        (b"Undisclosed recipients:;", [("Undisclosed recipients", [])]),
        (
            b"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
            [("Pete", "pete", "silly.test")],
        ),
        (
            (b"A Group(Some people)\r\n     :Chris Jones <c@(Chris's host.)public.example>,\r\n"
            b"         joe@example.org,\r\n  John <jdoe@one.test> (my dear friend); (the end of the group)"),
            [("A Group", ["c@public.example", "joe@example.org", "jdoe@one.test"])],
        ),
        (b"Joe Q. Public <john.q.public@example.com>", [("Joe Q. Public", "john.q.public", "example.com")]),
        (b"Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
         [("Mary Smith", "mary", "example.net"), ("", "jdoe", "test.example")]),
        # and others
        (b"user@domain (Real Name)", [("Real Name", "user", "domain")]),
        (b"g1: a@b, c@d;, g2: e@f;", [("g1", ["a@b", "c@d"]), ("g2", ["e@f"])]),
        (b"unclosed: a@b", [("unclosed", ["a@b"])]),
        (b'"john doe"@x.org', [("", "john doe", "x.org")]),
        (b"foo@[127.0.0.1]", [("", "foo", "[127.0.0.1]")]),
        (b"a@b <x@y>", [("a@b", "x", "y")]),
        (b"=?utf-8?q?Fr=C3=A9d=C3=A9ric?= <f@x>", [("Frédéric", "f", "x")]),
        ("Jérôme <jé@é.fr>".encode(), [("Jérôme", "jé", "é.fr")]),
        (b"no address at all", [("", "no address at all", "")]),
        (b"Name <>", [("Name", "", "")]),
        (b"<>", []),
        (b"", []),
        (b",,;;,", []),
        (b"<a@b, c@d", [("", "a", "b"), ("", "c", "d")]),
        (b"x <y@z> junk, k@l", [("x", "y", "z"), ("", "k", "l")]),
        (b'"unterminated <a@b>', [('"unterminated', "a", "b")]),
        (b"(never closed a@b", []),
    ],
)  # fmt: skip
def test_address_list(value, expected):
    assert plain(value) == expected


def test_a_source_route_is_kept_apart():
    (address,) = mailboxes(b"<@a,@b:user@domain>")
    assert (address.route, address.raw_local, address.raw_domain) == (b"@a,@b", b"user", b"domain")


def test_two_different_addresses_never_have_the_same_spec():
    quoted, second = mailboxes(b'"a@b"@c, a@"b@c"')
    assert quoted.spec == '"a@b"@c'
    assert quoted.spec != second.spec


def test_raw_name_is_what_imap_shows_unquoted_and_not_decoded():
    (address,) = mailboxes(b'"=?utf-8?q?=C3=A9?= \\"x\\"" <a@b>')
    assert address.raw_name == b'=?utf-8?q?=C3=A9?= "x"'


def test_groups_are_flattened_by_mailboxes():
    assert [address.spec for address in mailboxes(b"g: a@b, c@d;, e@f")] == ["a@b", "c@d", "e@f"]


def test_five_thousand_addresses():
    value = b", ".join(b"Person %d <p%d@example.org>" % (n, n) for n in range(5000))
    assert len(parse_addresses(value)) == 5000


def test_more_addresses_than_the_cap():
    assert len(parse_addresses(b"a@b," * 20_000)) == MAX_ADDRESSES


@pytest.mark.parametrize(
    "value",
    [b"(" * 2000 + b"a@b", b"<" * 2000, b'"' * 1999, b"a:" * 2000, b"@" * 2000, b"\\" * 1999, b"[" * 2000,
     b"<@" * 2000, b";" * 200_000, b"a:;" * 100_000, b"x y " * 200_000, b"<>," * 100_000, b"()" * 100_000],
)  # fmt: skip
def test_hostile_lists_end(value):
    parse_addresses(value)


def test_the_repr_of_an_address_hides_it():
    assert "a@b" not in repr(parse_addresses(b"a@b, g:a@b;"))
    assert isinstance(parse_addresses(b"a@b")[0], Address)
