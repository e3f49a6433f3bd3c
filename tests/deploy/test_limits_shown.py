"""Limits as Prometheus reads them: what is allowed, taken and refused; nobody is named."""

from __future__ import annotations

import pytest

from deploy.node.limits_shown import families
from deploy.node.metrics import Metrics
from policies.limits.limits import Limit, Limits, Watched
from policies.limits.settings import LimitsSettings
from policies.refusal import Refusal


def test_each_limit_is_four_numbers_under_its_name() -> None:
    limits = Limits(LimitsSettings(letters_per_hour=2))
    limits.take(Limit.LETTERS, "an-account", 2)
    with pytest.raises(Refusal):
        limits.take(Limit.LETTERS, "an-account")
    limits.watch("imap_connections", 10, lambda: Watched(3, 7, 1))
    metrics = Metrics()
    metrics.families(lambda: families(limits))
    text = metrics.text().decode()
    for line in (
        'vaguemestre_limit{limit="letters_per_hour"} 2.0',
        'vaguemestre_limit_used{limit="letters_per_hour"} 2.0',
        'vaguemestre_limit_taken_total{limit="letters_per_hour"} 2.0',
        'vaguemestre_limit_refused_total{limit="letters_per_hour"} 1.0',
        'vaguemestre_limit_used{limit="imap_connections"} 3.0',
        'vaguemestre_limit_refused_total{limit="imap_connections"} 1.0',
    ):
        assert line in text.splitlines()
    assert "an-account" not in text
