"""Letters handed over by JMAP have a rate: beyond it rateLimit, with when to come back (RFC 8620 §5.3)."""

from __future__ import annotations

from typing import Any

from policies.limits.limits import Limits
from policies.limits.settings import LimitsSettings
from policies.refusal import Refusal
from tests.mail_server.jmap.conftest import BOB
from tests.mail_server.jmap.test_submissions import envelope, hand_over, sent_copy


async def test_beyond_the_hour_a_submission_is_refused_with_when_to_come_back(world: Any, alice: Any):
    world.door._services.limits = Limits(LimitsSettings(submissions_per_hour=1))
    email = await sent_copy(world)
    assert "id" in await hand_over(alice, email, envelope=envelope("bob@example.org"))
    told = await hand_over(alice, email, envelope=envelope("bob@example.org"))
    assert told["type"] == "rateLimit"
    assert told["retryAfter"] > 3000
    assert "try again in" in told["description"]
    assert len(await world.inbox(BOB)) == 1


async def test_what_nobody_takes_is_not_counted(world: Any, alice: Any):
    world.door._services.limits = limits = Limits(LimitsSettings(submissions_per_hour=1))
    world.post.refuses = {
        "bob@example.org": Refusal(550, "5.1.1", "No such mailbox here", "recipient-unknown")
    }
    email = await sent_copy(world)
    assert (await hand_over(alice, email, envelope=envelope("bob@example.org")))[
        "type"
    ] == "invalidRecipients"
    assert {one.name: one.taken for one in limits.standings()}["submissions_per_hour"] == 0
