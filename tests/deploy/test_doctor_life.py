"""What `doctor` says of limits and of mailboxes that lie unused."""

from __future__ import annotations

import pytest

from deploy.node.config import Config
from deploy.node.doctor_life import life_findings


def found(**sections: object) -> dict[str, tuple[str, str]]:
    least = {"accounts": {"domains": ["chu.test"]}, "smtp": {"hostname": "localhost"}}
    config = Config.model_validate(least | sections)
    return {one.subject: (one.verdict, one.sentence) for one in life_findings(config)}


@pytest.mark.parametrize(
    ("command", "verdict", "word"),
    [
        ((), "warning", "Nobody is told"),
        (("/nowhere/at/all", "{address}"), "failed", "not there"),
        (("/bin/sh", "-c", "mail {address}"), "warning", "shell"),
        (("/bin/true", "{address}"), "good", "30 days later"),
    ],
)
def test_the_notice_is_looked_at(command: tuple[str, ...], verdict: str, word: str) -> None:
    told = found(life={"notice_command": command})["unused mailboxes"]
    assert told[0] == verdict
    assert word in told[1]


def test_a_limit_that_is_off_is_named() -> None:
    assert found()["limits"][0] == "good"
    verdict, words = found(limits={"letters_per_hour": 0})["limits"]
    assert verdict == "warning"
    assert "letters_per_hour" in words
