"""Between two operators less may have been agreed than this node takes (reference/mssante.md §9, row 13)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mail_server.accounts.interface import Peer
from mail_server.delivery.interface import Abroad, Envelope, Road, Sender
from mail_server.delivery.links import LinkLimits
from policies.refusal import Refusal

PEER = Peer("127.0.0.1", 0, "smtp", "s", True)
FROM_THEM = Sender(Road.OPERATOR, "dr@voisin.test", PEER, operator_dn="CN=voisin")
FROM_OTHERS = Sender(Road.OPERATOR, "dr@ailleurs.test", PEER, operator_dn="CN=ailleurs")
OURS = Sender(Road.CLIENT, "gp@ici.test", PEER)
LINKS = LinkLimits({"VOISIN.test": 1000})


def refusal(call: Callable[[], None]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        call()
    return caught.value


def test_what_comes_over_the_limit_of_its_link_is_refused_when_declared_and_when_there() -> None:
    found = refusal(lambda: LINKS.require_sender(FROM_THEM, 1001))
    assert (found.code, found.enhanced, found.reason) == (552, "5.3.4", "too-large-for-link")
    assert "1000" in found.sentence
    assert refusal(lambda: LINKS.require_letter(Envelope(FROM_THEM), 1001)).code == 552


def test_what_leaves_is_refused_before_it_is_laid_into_the_queue() -> None:
    envelope = Envelope(OURS)
    envelope.add(Abroad("dr@voisin.test", "voisin.test"))
    assert refusal(lambda: LINKS.require_recipient("voisin.test", 1001)).code == 552
    assert refusal(lambda: LINKS.require_letter(envelope, 1001)).code == 552


def test_within_the_limit_undeclared_and_on_other_links_letters_pass() -> None:
    LINKS.require_sender(FROM_THEM, 1000)
    LINKS.require_sender(FROM_THEM, None)
    LINKS.require_sender(FROM_OTHERS, 9999)
    LINKS.require_sender(OURS, 9999)
    LINKS.require_recipient("ailleurs.test", 9999)
    LINKS.require_letter(Envelope(FROM_OTHERS), 9999)
