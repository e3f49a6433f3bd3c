"""The packet reader: framing of both formats, and no error but its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.openpgp import packets
from directory.openpgp.packets import PacketError, Tag, frame, span, spans
from directory.openpgp.signatures import check_numbers, good, over_key, signature


@given(st.binary(max_size=20_000), st.integers(1, 63))
def test_what_is_framed_is_read_back(body: bytes, tag: int) -> None:
    data = frame(tag, body)
    found = span(data)
    assert (found.tag, found.body(data), found.end) == (tag, body, len(data))


@pytest.mark.parametrize(
    ("header", "size"),
    [(b"\x98\x05", 5), (b"\x99\x01\x00", 256), (b"\x9a\x00\x00\x00\x07", 7)],
)
def test_old_format_lengths_of_one_two_and_four_octets(header: bytes, size: int) -> None:
    data = header + bytes(size) + b"rest"
    found = span(data)
    assert (found.tag, found.body(data)) == (Tag.PUBLIC_KEY, bytes(size))


def test_partial_lengths_are_joined_for_data_packets() -> None:
    # 512 octets, then 2, then a last chunk of 3.
    data = b"\xd2\xe9" + b"a" * 512 + b"\xe1" + b"bb" + b"\x03ccc"
    found = span(data)
    assert found.body(data) == b"a" * 512 + b"bb" + b"ccc"
    assert found.end == len(data)


def test_partial_lengths_are_refused_for_keys() -> None:
    with pytest.raises(PacketError):
        span(b"\xc6\xe9" + b"a" * 512 + b"\x00")


def test_a_first_partial_chunk_below_512_octets_is_refused() -> None:
    with pytest.raises(PacketError):
        span(b"\xd2\xe1aa\x00")


def test_an_indeterminate_length_is_only_for_data_packets() -> None:
    assert span(b"\xaf" + b"x" * 9).end == 10  # literal, old format
    with pytest.raises(PacketError):
        span(b"\x9b" + b"x" * 9)


@pytest.mark.parametrize(
    "data", [b"", b"\x06", b"\xc0\x00", b"\xc6", b"\xc6\x05abc", b"\xc6\xff\xff\xff\xff\xff"]
)
def test_what_is_cut_short_or_no_packet_is_refused(data: bytes) -> None:
    with pytest.raises(PacketError):
        span(data)


def test_too_many_packets_are_refused() -> None:
    with pytest.raises(PacketError):
        list(spans(frame(Tag.MARKER, b"PGP") * 3, limit=2))


@given(st.binary(max_size=4_000))
def test_nothing_but_a_packet_error_ever_comes_out(data: bytes) -> None:
    readers = [
        lambda: list(spans(data)),
        lambda: packets.public_key(data),
        lambda: packets.key_packet(data),
        lambda: packets.recipient_key_ids(data),
        lambda: signature(data),
        lambda: packets.mpi(data, 0),
    ]
    for reader in readers:
        try:
            reader()
        except PacketError:
            continue


@given(st.binary(max_size=300), st.sampled_from([1, 16, 17, 18, 19, 22, 25, 99]))
def test_random_key_material_is_read_or_refused(rest: bytes, algorithm: int) -> None:
    try:
        key = packets.public_key(b"\x04\x00\x00\x00\x01" + bytes([algorithm]) + rest)
    except PacketError:
        return
    assert len(key.fingerprint) == 40
    assert len(key.identity) == 32


@given(st.binary(min_size=1, max_size=400))
def test_random_signatures_are_never_good(values: bytes) -> None:
    key = packets.public_key(
        b"\x04\x00\x00\x00\x01\x16\x09"
        + packets.Curve.ED25519.value
        + packets.write_mpi(b"\x40" + b"\x01" * 32)
    )
    made = signature(b"\x04\x1f\x16\x08\x00\x06\x05\x02\x00\x00\x00\x01\x00\x00" + b"\x00\x00" + values)
    assert not good(made, key, over_key(key))


@given(st.binary(max_size=100))
def test_an_mpi_is_written_as_it_is_read(value: bytes) -> None:
    read, end = packets.mpi(packets.write_mpi(value), 0)
    assert read == value.lstrip(b"\0")
    assert end == len(packets.write_mpi(value))


def test_recipients_of_a_message_are_named_in_order_and_hidden_ones_with_zeros() -> None:
    named = frame(Tag.PKESK, b"\x03" + bytes.fromhex("0123456789ABCDEF") + b"\x12...")
    hidden = frame(Tag.PKESK, b"\x03" + bytes(8) + b"\x12...")
    sixth = frame(Tag.PKESK, b"\x06\x15\x04" + bytes.fromhex("00" * 12 + "FEDCBA9876543210") + b"\x19...")
    message = named + hidden + sixth + frame(Tag.SEIPD, b"\x01...")
    assert packets.recipient_key_ids(message) == ("0123456789ABCDEF", "0" * 16, "FEDCBA9876543210")


@pytest.mark.parametrize(
    "message",
    [
        frame(Tag.LITERAL, b"b\0\0\0\0\0clear"),
        frame(Tag.PKESK, b"\x03" + bytes(8) + b"\x12"),
        frame(Tag.ENCRYPTED_WITHOUT_MDC, b"old"),
        frame(Tag.SEIPD, b"\x01...") + frame(Tag.LITERAL, b"more"),
        frame(Tag.SEIPD, b"\x07..."),
    ],
)
def test_what_is_not_one_whole_protected_message_names_nobody(message: bytes) -> None:
    with pytest.raises(PacketError):
        packets.recipient_key_ids(message)


@pytest.mark.parametrize(
    ("bits", "exponent", "sane"),
    [(3072, 65_537, True), (8192, 65_537, True), (16_384, 65_537, False), (4096, (1 << 63) + 1, False)],
)
def test_numbers_beyond_what_programs_make_are_no_key(bits: int, exponent: int, sane: bool) -> None:
    """Each of their signatures is looked at for milliseconds that nobody else has; a certificate has thousands."""
    modulus = (1 << (bits - 1) | 1).to_bytes(bits // 8, "big")
    numbers = packets.write_mpi(modulus) + packets.write_mpi(exponent.to_bytes(8, "big"))
    key = packets.public_key(b"\x04\0\0\0\0\x01" + numbers)
    assert check_numbers(key) is sane
