"""Some seconds of what `python -m tests.bench.ldap_fuzz` does for as long as is asked."""

from __future__ import annotations

from tests.bench.ldap_fuzz import fuzz


def test_wrong_ldap_is_survived() -> None:
    tried = fuzz(3.0)
    assert tried.failures == 0
    assert tried.messages > 100
    assert tried.answers > 2
    assert min(tried.refused, tried.ended, tried.understood) > 3
