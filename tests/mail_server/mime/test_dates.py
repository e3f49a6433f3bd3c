"""Dates as written in mail."""

import datetime

import pytest

from mail_server.mime import received_date, sent_date


def utc(*parts):
    return int(datetime.datetime(*parts, tzinfo=datetime.UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("value", "ms", "day"),
    [
        (b"Fri, 21 Nov 1997 09:55:06 -0600", utc(1997, 11, 21, 15, 55, 6), (1997, 11, 21)),
        (b"21 Nov 97 09:55:06 GMT", utc(1997, 11, 21, 9, 55, 6), (1997, 11, 21)),
        (b"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", utc(1997, 11, 21, 15, 55, 6), (1997, 11, 21)),
        (b"Mon, 1 Jan 2007 00:30:00 CET", utc(2006, 12, 31, 23, 30), (2007, 1, 1)),
        (b"Tue, 2 Jan 107 1:02:03 EST", utc(2007, 1, 2, 6, 2, 3), (2007, 1, 2)),
        (b"Sat, 24 Mar 2007 23:59 +0200", utc(2007, 3, 24, 21, 59), (2007, 3, 24)),
        (b"Thu Jul 17 02:44:25 1996", utc(1996, 7, 17, 2, 44, 25), (1996, 7, 17)),
        (b"17-Jul-1996 02:44:25 -0700", utc(1996, 7, 17, 9, 44, 25), (1996, 7, 17)),
        (b"2026-11-21T10:00:00+01:00", utc(2026, 11, 21, 9), (2026, 11, 21)),
        (b"Sat, 21 Nov 2026", utc(2026, 11, 21), (2026, 11, 21)),
        (b"Fri, 31 Dec 2016 23:59:60 +0000", utc(2017, 1, 1), (2016, 12, 31)),
        (b"Sat, 21 Nov 2026 99:99:99 +0000", utc(2026, 11, 21), (2026, 11, 21)),
    ],
)
def test_instant_and_day_as_written(value, ms, day):
    found = sent_date(value)
    assert found is not None
    assert (found.ms, found.day) == (ms, datetime.date(*day))


@pytest.mark.parametrize(
    "value", [b"", b"tomorrow", b"31 Feb 2007 00:00:00", b"1 Xyz 2007", b"0 Jan 0000", b"(" * 99]
)
def test_no_date(value):
    assert sent_date(value) is None


def test_a_received_field_has_its_date_after_the_last_semicolon():
    found = received_date(b"from a (b; c) by d id 5; Sat, 21 Nov 2026 10:00:00 +0000")
    assert found is not None
    assert found.ms == utc(2026, 11, 21, 10)
    assert received_date(b"from a by b") is None
