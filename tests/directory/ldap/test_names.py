"""Distinguished names as text (RFC 4514)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.ldap.protocol.names import BadName, Name, parsed, same


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ()),
        ("  ", ()),
        ("dc=mssante,dc=fr", ((("dc", "mssante"),), (("dc", "fr"),))),
        ("UID=jsmith , DC = net", ((("uid", "jsmith"),), (("dc", "net"),))),
        ("OU=Sales+CN=J.  Smith,DC=net", ((("cn", "J.  Smith"), ("ou", "Sales")), (("dc", "net"),))),
        (r"CN=James \"Jim\" Smith\, III", ((("cn", 'James "Jim" Smith, III'),),)),
        (r"CN=Before\0dAfter", ((("cn", "Before\rAfter"),),)),
        ("1.3.6.1.4.1.1466.0=#04024869", ((("1.3.6.1.4.1.1466.0", "Hi"),),)),
        (r"CN=Lu\C4\8Di\C4\87", ((("cn", "Lučić"),),)),
        ('cn="a, b";dc=x', ((("cn", "a, b"),), (("dc", "x"),))),
        (r"cn=\ a\ ", ((("cn", " a "),),)),
        (r"cn=\#a", ((("cn", "#a"),),)),
        ("2.5.4.3=x", ((("cn", "x"),),)),
        ("cn=", ((("cn", ""),),)),
        ("cn=a=b", ((("cn", "a=b"),),)),
    ],
)
def test_names_are_read(text: str, parts: tuple[object, ...]) -> None:
    assert parsed(text).parts == parts


@pytest.mark.parametrize(
    "text",
    [
        *(
            "people",
            "=x",
            "a b=x",
            "é=x",
            "cn=a,",
            "cn=a,,dc=x",
            'cn=a"b',
            "cn=a\\",
            "cn=a\\zz",
            'cn="a',
            'cn="a"b',
        ),
        *("cn=#0", "cn=#04", "cn=#0409", r"cn=\ff", "cn=a<b", ",".join(["dc=x"] * 65)),
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(BadName):
        parsed(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("DC=MSSante,dc=FR", "dc=mssante, dc=fr"),
        (r"cn=\41", "cn=a"),
        ("cn=a  b", "cn=A b"),
        ("ou=x+cn=y", "cn=Y+ou=X"),
    ],
)
def test_names_are_the_same_however_they_are_written(one: str, other: str) -> None:
    assert same(parsed(one), parsed(other))


def test_names_lie_under_others() -> None:
    base = parsed("dc=mssante,dc=fr")
    assert parsed("uid=a@b,OU=People,dc=MSSANTE,dc=fr").lies_under(base)
    assert base.lies_under(base)
    assert base.lies_under(Name())
    assert not parsed("dc=fr").lies_under(base)
    assert not parsed("uid=x,dc=amssante,dc=fr").lies_under(base)


@given(st.lists(st.tuples(st.sampled_from(["cn", "uid", "ou", "dc"]), st.text(max_size=12)), max_size=4))
def test_names_go_there_and_back(pairs: list[tuple[str, str]]) -> None:
    name = Name(tuple(((kind, value),) for kind, value in pairs))
    try:
        str(name).encode()
    except UnicodeEncodeError:
        return
    assert parsed(str(name)) == name


@given(st.text(max_size=40))
def test_any_text_is_a_name_or_none(text: str) -> None:
    try:
        name = parsed(text)
    except BadName:
        return
    assert parsed(str(name)) == name
