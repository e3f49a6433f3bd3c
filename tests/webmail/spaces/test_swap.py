"""Key packets that a browser sends: one, whole, for the right key, or none."""

from __future__ import annotations

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.demo.browser.keys import make_bare_key
from directory.openpgp.certificate import Certificate
from directory.openpgp.gate import gate
from directory.openpgp.packets import Tag, frame, spans
from mail_server.delivery.swap import SwapRefused, checked_packet, restated
from mail_server.store.model import State
from tests.webmail.office import Clock
from webmail.spaces.challenges import sealed_to


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return gate(make_bare_key("a@essai.test").certificate, "a@essai.test", Clock()())


@pytest.fixture(scope="module")
def packet(certificate: Certificate) -> bytes:
    message = sealed_to(certificate, b"clear")
    first = next(iter(spans(message)))
    assert first.tag == Tag.PKESK
    return message[first.start : first.end]


def test_a_packet_for_the_key_passes(certificate: Certificate, packet: bytes) -> None:
    assert checked_packet(packet, certificate) == packet


def test_a_packet_in_the_old_format_is_written_in_the_new(certificate: Certificate, packet: bytes) -> None:
    body = next(iter(spans(packet))).body(packet)
    old = bytes([0x84, len(body)]) + body
    assert checked_packet(old, certificate) == frame(Tag.PKESK, body)


def test_a_hidden_recipient_is_refused(certificate: Certificate, packet: bytes) -> None:
    body = next(iter(spans(packet))).body(packet)
    with pytest.raises(SwapRefused):
        checked_packet(frame(Tag.PKESK, body[:1] + bytes(8) + body[9:]), certificate)


def test_another_algorithm_is_refused(certificate: Certificate, packet: bytes) -> None:
    body = next(iter(spans(packet))).body(packet)
    with pytest.raises(SwapRefused):
        checked_packet(frame(Tag.PKESK, body[:9] + b"\x01" + body[10:]), certificate)


def test_another_version_is_refused(certificate: Certificate, packet: bytes) -> None:
    body = next(iter(spans(packet))).body(packet)
    with pytest.raises(SwapRefused):
        checked_packet(frame(Tag.PKESK, b"\x06" + body[1:]), certificate)


@pytest.mark.parametrize("cut", [1, 2, 20, 40])
def test_a_packet_cut_short_inside_its_frame_is_refused(
    certificate: Certificate, packet: bytes, cut: int
) -> None:
    body = next(iter(spans(packet))).body(packet)
    with pytest.raises(SwapRefused):
        checked_packet(frame(Tag.PKESK, body[:-cut]), certificate)


def test_more_than_one_packet_is_refused(certificate: Certificate, packet: bytes) -> None:
    for data in (packet + packet, packet + frame(Tag.MARKER, b"PGP"), b""):
        with pytest.raises(SwapRefused):
            checked_packet(data, certificate)


@given(st.binary(max_size=300))
def test_any_bytes_pass_or_are_refused(data: bytes) -> None:
    certificate = Certificate("F" * 40, secrets.token_hex(8).upper(), "a@essai.test", b"", None)
    with pytest.raises(SwapRefused):
        checked_packet(data, certificate)


def test_only_our_own_field_is_said_anew() -> None:
    letter = (
        b"Return-Path: <a@b>\r\nVaguemestre-State: waiting\r\nSubject: x\r\n Vaguemestre-State: waiting\r\n"
        b"\r\nVaguemestre-State: waiting\r\n"
    )
    told = restated(letter, State.SEALED)
    assert told == letter.replace(b"State: waiting", b"State: sealed", 1)


def test_a_letter_without_the_field_stays() -> None:
    assert restated(b"Subject: x\r\n\r\nbody", State.SEALED) == b"Subject: x\r\n\r\nbody"
