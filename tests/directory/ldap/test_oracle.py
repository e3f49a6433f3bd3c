"""sansldap reads what we write, and we read what it writes, with the same meaning."""

from __future__ import annotations

import pytest
import sansldap
from hypothesis import given, settings
from hypothesis import strategies as st

from directory.ldap.protocol import (
    Connection,
    ProtocolError,
    Requested,
    ResultCode,
    State,
    filters,
    responses,
)
from directory.ldap.protocol.controls import Page, paged
from directory.ldap.protocol.filters import (
    And,
    Approx,
    Equal,
    Extensible,
    Filter,
    GreaterOrEqual,
    LessOrEqual,
    Not,
    Or,
    Present,
    Substrings,
)
from directory.ldap.protocol.messages import Bind, Extended, Sasl, Scope, Search, Simple

names = st.from_regex(r"[a-z][a-z0-9-]{0,10}", fullmatch=True)
values = st.binary(min_size=1, max_size=12)
pairs = st.one_of(
    st.builds(lambda a, v: (Equal(a, v), sansldap.FilterEquality(a, v)), names, values),
    st.builds(lambda a, v: (Approx(a, v), sansldap.FilterApproxMatch(a, v)), names, values),
    st.builds(lambda a, v: (GreaterOrEqual(a, v), sansldap.FilterGreaterOrEqual(a, v)), names, values),
    st.builds(lambda a, v: (LessOrEqual(a, v), sansldap.FilterLessOrEqual(a, v)), names, values),
    st.builds(lambda a: (Present(a), sansldap.FilterPresent(a)), names),
    st.builds(
        lambda a, i, m, f: (Substrings(a, i, tuple(m), f), sansldap.FilterSubstrings(a, i, m, f)),
        names,
        st.none() | values,
        st.lists(values, max_size=3),
        values,
    ),
    st.builds(
        lambda r, a, v, d: (Extensible(r, a, v, d), sansldap.FilterExtensibleMatch(r, a, v, d)),
        names,
        names,
        values,
        st.booleans(),
    ),
)
both = st.recursive(
    pairs,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map(
            lambda each: (And(tuple(one for one, _ in each)), sansldap.FilterAnd([two for _, two in each]))
        ),
        st.lists(inner, min_size=1, max_size=4).map(
            lambda each: (Or(tuple(one for one, _ in each)), sansldap.FilterOr([two for _, two in each]))
        ),
        inner.map(lambda each: (Not(each[0]), sansldap.FilterNot(each[1]))),
    ),
    max_leaves=10,
)


def read(data: bytes) -> Requested:
    core = Connection()
    core.receive(data)
    event = core.next_event()
    assert isinstance(event, Requested)
    return event


@given(
    both,
    st.text(max_size=20),
    st.sampled_from(sansldap.SearchScope),
    st.integers(0, 2**31 - 1),
    st.integers(0, 2**31 - 1),
    st.booleans(),
    st.lists(names, max_size=4),
    st.none() | st.tuples(st.integers(0, 1000), st.binary(max_size=16)),
)
@settings(max_examples=150, deadline=None)
def test_searches_that_sansldap_writes_are_read(
    pair: tuple[Filter, sansldap.LDAPFilter],
    base: str,
    scope: sansldap.SearchScope,
    size: int,
    seconds: int,
    types_only: bool,
    attributes: list[str],
    page: tuple[int, bytes] | None,
) -> None:
    ours, theirs = pair
    client = sansldap.LDAPClient()
    controls = [sansldap.PagedResultControl(False, *page)] if page else []
    number = client.search_request(
        base,
        scope,
        sansldap.DereferencingPolicy.NEVER,
        size,
        seconds,
        types_only,
        theirs,
        attributes,
        controls,
    )
    event = read(client.data_to_send())
    assert event.message_id == number
    assert event.request == Search(
        base, Scope(scope.value), size, seconds, types_only, ours, tuple(attributes)
    )
    assert event.page == (Page(*page) if page else None)


@given(both)
@settings(max_examples=100, deadline=None)
def test_filters_are_written_alike(pair: tuple[Filter, sansldap.LDAPFilter]) -> None:
    ours, theirs = pair
    writer = sansldap.asn1.ASN1Writer()
    theirs.pack(writer, sansldap.FilterOptions())
    assert filters.decoded(bytes(writer.get_data()), 0, len(writer.get_data()))[0] == ours
    assert filters.encoded(ours) == bytes(writer.get_data())


def test_the_rest_that_sansldap_writes_is_read() -> None:
    client = sansldap.LDAPClient()
    client.bind_simple("uid=zoé", "secret")
    assert read(client.data_to_send()).request == Bind("uid=zoé", Simple(b"secret"))
    client = sansldap.LDAPClient()
    client.bind_sasl("PLAIN", None, b"\0a\0b")
    assert read(client.data_to_send()).request == Bind("", Sasl("PLAIN", b"\0a\0b"))
    client = sansldap.LDAPClient()
    client.extended_request("1.3.6.1.1.8", b"x")
    assert read(client.data_to_send()).request == Extended("1.3.6.1.1.8", b"x")


def test_an_unbind_without_a_number_ends_the_session_as_another_does() -> None:
    """RFC 4511 §4.1.1.1: zero is the server's own; sansldap gives it to its unbind."""
    client, core = sansldap.LDAPClient(), Connection()
    client.unbind()
    core.receive(client.data_to_send())
    with pytest.raises(ProtocolError):
        core.next_event()
    assert core.state is State.CLOSED


def searching() -> tuple[sansldap.LDAPClient, int]:
    client = sansldap.LDAPClient()
    number = client.search_request("", sansldap.SearchScope.BASE)
    client.data_to_send()
    return client, number


@given(
    st.text(max_size=40),
    st.dictionaries(names, st.lists(st.binary(max_size=300), max_size=4), max_size=5),
    st.sampled_from([code for code in ResultCode if code < 80]),
    st.text(max_size=40),
    st.binary(max_size=16),
)
@settings(max_examples=150, deadline=None)
def test_sansldap_reads_what_a_search_is_answered(
    name: str, attributes: dict[str, list[bytes]], code: ResultCode, words: str, cookie: bytes
) -> None:
    client, number = searching()
    data = responses.entry(number, name, attributes.items())
    data += responses.done(number, code, words, matched=name, controls=(paged(3, cookie),))
    entry, done = client.receive(data)
    assert isinstance(entry, sansldap.SearchResultEntry)
    assert isinstance(done, sansldap.SearchResultDone)
    assert entry.object_name == name
    assert {each.name: list(each.values) for each in entry.attributes} == attributes
    assert (done.result.result_code.value, done.result.diagnostics_message) == (code, words)
    assert done.result.matched_dn == name
    assert not done.result.referrals
    (control,) = done.controls
    assert isinstance(control, sansldap.PagedResultControl)
    assert (control.size, control.cookie) == (3, cookie)


def test_sansldap_reads_the_other_answers() -> None:
    client = sansldap.LDAPClient()
    number = client.bind_sasl("PLAIN", None, b"x")
    client.data_to_send()
    (bound,) = client.receive(responses.bound(number, ResultCode.SASL_BIND_IN_PROGRESS, "go on", b"next"))
    assert isinstance(bound, sansldap.BindResponse)
    assert (bound.result.result_code.value, bound.server_sasl_creds) == (14, b"next")
    client = sansldap.LDAPClient()
    number = client.extended_request("1.3.6.1.4.1.4203.1.11.3")
    client.data_to_send()
    (who,) = client.receive(responses.extended(number, ResultCode.SUCCESS, value=b"u:zoe"))
    assert isinstance(who, sansldap.ExtendedResponse)
    assert who.value == b"u:zoe"
    assert not who.result.referrals
