"""One SMTP transaction without a socket: bytes to send, replies in, one outcome for each recipient out.

Invariants: every reply is taken, in the order of its command (RFC 2920 §3.1); a recipient's outcome is set once;
content is asked for only when at least one recipient was accepted and the peer said 354; whatever cuts the
transaction leaves nobody without an outcome, and says whether the letter may have arrived.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Sequence

from mail_server.outbound.client import commands, outcomes
from mail_server.outbound.client.offers import Offers
from mail_server.outbound.client.replies import Reply
from mail_server.outbound.interface import Leaving, Outcome, Phase, Verdict

_RSET, _DATA, _LONE_DOT = b"RSET\r\n", b"DATA\r\n", b".\r\n"


class Step(enum.Enum):
    """What is to be done next."""

    WAIT = "wait"  # a reply is owed
    SEND = "send"  # `to_send`
    CONTENT = "content"  # open the letter and send it, with its end
    DONE = "done"


def refused_before(letter: Leaving, offers: Offers, host: str) -> Outcome | None:
    """Why this letter cannot go to a server that offers this, before anything of it is said."""
    reason = ""
    if letter.mail_from and not commands.speakable(letter.mail_from):
        reason = "bad-sender"
    elif not offers.smtputf8 and commands.needs_smtputf8(letter):
        reason = "smtputf8-not-offered"  # RFC 6531 §3.2: never sent without
    elif letter.eight_bit and not offers.eight_bit:
        reason = "eight-bit-not-offered"  # RFC 6152 §3: what is signed cannot be converted
    elif offers.largest and letter.size > offers.largest:
        reason = "larger-than-offered"  # RFC 1870 §6.2
    return outcomes.ours(Verdict.FAILED, Phase.MAIL, reason, host) if reason else None


class Transaction:
    """`batch`: which of the letter's recipients, by their place. `reset`: say RSET first."""

    __slots__ = (
        "_accepted",
        "_answered",
        "_batch",
        "_data",
        "_host",
        "_letter",
        "_mailed",
        "_offers",
        "_owed",
        "_refusal",
        "_rest",
        "closed_by",
        "closing",
        "content_ended",
        "dirty",
        "left_over",
        "outcomes",
        "phase",
        "stale",
        "to_send",
    )

    def __init__(
        self, letter: Leaving, batch: Sequence[int], offers: Offers, host: str, *, reset: bool = False
    ) -> None:
        self._letter = letter
        self._offers = offers
        self._host = host
        self.outcomes: dict[int, Outcome] = {}
        self._batch = [place for place in batch if self._speakable(place)]
        self._accepted: list[int] = []
        self._mailed = False  # MAIL was accepted
        self._refusal: Outcome | None = None  # of the whole transaction
        self._data: Reply | None = None
        self._owed: deque[tuple[Phase, int]] = deque()
        self._rest: deque[tuple[Phase, int]] = deque()  # without PIPELINING: said one by one
        self.left_over: list[int] = []  # for another transaction on this connection
        self._answered = False
        self.stale = False  # closed before it answered anything: as if never said
        self.closing = False  # not to be used again: it said 421, or no reply to what was asked
        self.closed_by: Outcome | None = None  # ...and what that means for who is left over
        self.content_ended = False  # the end of the letter was sent
        self.dirty = False  # RSET is wanted before another transaction
        self.phase = Phase.MAIL
        self.to_send = b""
        if self._batch:
            self._begin(reset=reset)

    def _speakable(self, place: int) -> bool:
        if commands.speakable(self._letter.recipients[place].address):
            return True
        self.outcomes[place] = outcomes.ours(Verdict.FAILED, Phase.RCPT, "bad-address", self._host)
        return False

    def _begin(self, *, reset: bool) -> None:
        order = [(Phase.HELLO, -1)] if reset else []
        order.append((Phase.MAIL, -1))
        order.extend((Phase.RCPT, place) for place in self._batch)
        if self._offers.pipelining:
            order.append((Phase.DATA, -1))
            self._owed.extend(order)
            self.to_send = b"".join([self._line(phase, place) for phase, place in order])
        else:
            self._rest.extend(order)
            self._say_next()

    def _say_next(self) -> None:
        phase, place = self._rest.popleft()
        self._owed.append((phase, place))
        self.to_send = self._line(phase, place)

    def _line(self, phase: Phase, place: int) -> bytes:
        if phase is Phase.RCPT:
            return commands.rcpt(self._letter.recipients[place], self._offers)
        if phase is Phase.MAIL:
            utf8 = commands.needs_smtputf8(self._letter)
            return commands.mail(self._letter, self._offers, smtputf8=utf8)
        return _DATA if phase is Phase.DATA else _RSET

    # --- what happens

    @property
    def owed(self) -> int:
        return len(self._owed)

    @property
    def step(self) -> Step:
        if self.to_send:
            return Step.SEND
        if self._owed:
            return Step.WAIT
        if self._may_send_content and not self.content_ended:
            return Step.CONTENT
        return Step.DONE

    @property
    def _may_send_content(self) -> bool:
        return not self.closing and self._data is not None and bool(self._accepted) and self._refusal is None

    def sent(self) -> None:
        """`to_send` is on its way."""
        self.to_send = b""
        if self._owed:
            self.phase = self._owed[0][0]

    def content_sent(self) -> None:
        """So is the letter, with its end."""
        self.content_ended = True
        self.phase = Phase.CONTENT
        self._owed.append((Phase.CONTENT, -1))

    def take(self, reply: Reply) -> None:
        """The next reply."""
        phase, place = self._owed.popleft()
        self.phase = phase
        if reply.code == outcomes.SERVICE_CLOSING:
            self.stale = not self._answered
            self._closes(phase, reply)
            return
        self._answered = True
        if phase is Phase.RCPT:
            self._take_rcpt(place, reply)
        elif phase is Phase.MAIL:
            self._take_mail(reply)
        elif phase is Phase.DATA:
            self._take_data(reply)
        elif phase is Phase.CONTENT:
            self._take_content(reply)
        elif reply.code // 100 != 2:  # RSET: nothing can be said on this connection
            self._closes(phase, reply)
        if not self._owed and not self.closing:
            self._go_on()
        elif self._owed:
            self.phase = self._owed[0][0]

    def _closes(self, phase: Phase, reply: Reply) -> None:
        """Nothing more comes, or nothing that could be believed: this answer stands for all who have none."""
        self.closing = True
        self._owed.clear()
        self._rest.clear()
        self.closed_by = outcomes.of_reply(phase, reply, self._host)
        self._settle(self._batch, self.closed_by)

    def _take_mail(self, reply: Reply) -> None:
        kind = reply.code // 100
        if kind == 2:
            self._mailed = True
        elif kind == 3:
            self._closes(Phase.MAIL, reply)
        else:
            self._refusal = outcomes.of_reply(Phase.MAIL, reply, self._host)
            self._settle(self._batch, self._refusal)

    def _take_rcpt(self, place: int, reply: Reply) -> None:
        if self._refusal is not None:
            return  # RCPT after a refused MAIL says nothing about the recipient
        kind = reply.code // 100
        if kind == 2:
            self._accepted.append(place)
        elif kind == 3:
            self._closes(Phase.RCPT, reply)
        elif self._accepted and outcomes.too_many_recipients(reply):
            self.left_over.append(place)
        else:
            self.outcomes[place] = outcomes.of_reply(Phase.RCPT, reply, self._host)

    def _take_data(self, reply: Reply) -> None:
        if reply.code == outcomes.START_CONTENT:
            self._data = reply
        elif reply.code // 100 in (2, 3):
            self._closes(Phase.DATA, reply)
        else:
            self.dirty = True
            self._settle(self._accepted, outcomes.of_reply(Phase.DATA, reply, self._host))

    def _take_content(self, reply: Reply) -> None:
        kind = reply.code // 100
        if kind == 2:
            self._settle(self._accepted, outcomes.delivered(reply, self._host, dsn=self._offers.dsn))
        elif kind == 3:
            self._closes(Phase.CONTENT, reply)
        else:
            self._settle(self._accepted, outcomes.of_reply(Phase.CONTENT, reply, self._host))

    def _go_on(self) -> None:
        """All replies are in: what now?"""
        if self.content_ended:
            return
        if self._data is not None:
            if not self._accepted:
                # RFC 2920 §3.1: the peer waits for content though nobody is to have it; an empty letter for
                # nobody ends that, whatever is answered.
                self._data = None
                self.content_ended = True
                self.dirty = True
                self._owed.append((Phase.CONTENT, -1))
                self.to_send = _LONE_DOT
            return
        if self._refusal is not None:
            self._rest.clear()
            return
        if self._rest:
            self._say_next()
        elif self._accepted and not self.outcomes.keys() >= set(self._accepted):
            self._owed.append((Phase.DATA, -1))  # without PIPELINING
            self.to_send = _DATA
        elif self._mailed:
            self.dirty = True

    def lost(self, reason: str) -> None:
        """The connection is gone, silent or not to be believed; `reason` says which."""
        self.closing = True
        self.stale = not self._answered and reason != "timeout"
        if self.content_ended:
            self._settle(
                self._accepted, outcomes.ours(Verdict.LATER, Phase.CONTENT, reason, self._host, unsure=True)
            )
        self.closed_by = outcomes.ours(Verdict.LATER, self.phase, reason, self._host)
        self._settle(self._batch, self.closed_by)
        self._owed.clear()
        self._rest.clear()
        self.to_send = b""

    def not_opened(self, outcome: Outcome) -> None:
        """Our own letter could not be opened, or must not go: the peer waits for content that does not come."""
        self.closing = True
        self._settle(self._accepted, outcome)

    def refused_early(self, reply: Reply) -> None:
        """The peer answered before the letter ended: what it says counts if it is a refusal; it is cut off."""
        self.closing = True
        self.phase = Phase.CONTENT
        self._settle(self._accepted, outcomes.of_reply(Phase.CONTENT, reply, self._host))

    def _settle(self, places: Sequence[int], outcome: Outcome) -> None:
        left = set(self.left_over)
        for place in places:
            if place not in left:
                self.outcomes.setdefault(place, outcome)
