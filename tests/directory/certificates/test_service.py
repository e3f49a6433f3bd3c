"""The directory: publishing, revoking, answering from memory; on SQLite and, where there is one, PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import Engine, text

from directory.certificates import tables
from directory.certificates.interface import Directory, Standing
from directory.certificates.memory import wkd_hash
from directory.certificates.service import DirectoryService, open_database
from directory.openpgp.certificate import CertificateRefused
from directory.openpgp.gate import gate
from directory.openpgp.packets import span
from directory.openpgp.signatures import Kind, Sub
from tests.directory.moment import NOW

A, B = "a@mss.example", "b@mss.example"

Open = Callable[[], DirectoryService]


@pytest.fixture(scope="session")
def postgres(make_postgresql_database: Callable[..., str]) -> str:
    return make_postgresql_database()


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "sqlite":
        made = open_database(f"sqlite:///{tmp_path / 'directory.db'}")
    else:
        made = open_database(request.getfixturevalue("postgres"))
        tables.metadata.drop_all(made)
    tables.create(made)
    yield made
    made.dispose()


@pytest.fixture
def directory(engine: Engine) -> DirectoryService:
    return DirectoryService(engine)


@pytest.fixture
def reopened(engine: Engine) -> Open:
    """What a restarted node would read."""
    return lambda: DirectoryService(engine)


def refused(directory: Directory, address: str, data: bytes) -> str:
    with pytest.raises(CertificateRefused) as caught:
        directory.publish(address, data, NOW)
    return caught.value.reason


def test_an_address_without_certificate_has_none(directory: DirectoryService) -> None:
    assert directory.certificate(A, NOW).standing is Standing.NONE
    assert directory.published(A) is None


def test_what_is_published_is_answered_at_once_and_after_a_restart(
    directory: DirectoryService, forge: ModuleType, reopened: Open
) -> None:
    published = directory.publish(A, forge.Forge().certificate(A), NOW)
    for one in (directory, reopened()):
        assert one.certificate(A.upper(), NOW).standing is Standing.VALID
        assert one.certificate(A, NOW).certificate == published


def test_a_refused_certificate_changes_nothing(directory: DirectoryService, forge: ModuleType) -> None:
    published = directory.publish(A, forge.Forge().certificate(A), NOW)
    assert refused(directory, A, forge.Forge().certificate(B)) == "user-id-of-another"
    assert directory.certificate(A, NOW).certificate == published


def test_a_certificate_expires_without_anybody_touching_it(
    directory: DirectoryService, forge: ModuleType
) -> None:
    made = forge.Forge()
    week = (7 * 86_400).to_bytes(4, "big")
    data = made.head + made.user_id(A, says=[(Sub.KEY_EXPIRES_AFTER, week)]) + made.bind()
    published = directory.publish(A, data, NOW)
    assert published.not_after is not None
    assert directory.certificate(A, published.not_after - 1).standing is Standing.VALID
    after = directory.certificate(A, published.not_after)
    assert after.standing is Standing.EXPIRED
    assert after.certificate is None


def test_a_successor_takes_the_place(directory: DirectoryService, forge: ModuleType, reopened: Open) -> None:
    first = directory.publish(A, forge.Forge().certificate(A), NOW)
    second = directory.publish(A, forge.Forge().certificate(A), NOW + 1)
    for one in (directory, reopened()):
        assert one.certificate(A, NOW).certificate == second
    told = {one.fingerprint: one.superseded_at for one in directory.history(A)}
    assert told == {first.fingerprint: NOW + 1, second.fingerprint: None}


def test_a_certificate_may_be_published_again_extended(
    directory: DirectoryService, forge: ModuleType
) -> None:
    made = forge.Forge()
    month, year = ((days * 86_400).to_bytes(4, "big") for days in (30, 365))
    short = made.head + made.user_id(A, says=[(Sub.KEY_EXPIRES_AFTER, month)]) + made.bind()
    longer = made.user_id(A, says=[(Sub.KEY_EXPIRES_AFTER, year)], made=made.created + 60)
    before = directory.publish(A, short, NOW)
    after = directory.publish(A, made.head + longer + made.bind(), NOW)
    assert before.fingerprint == after.fingerprint
    assert before.not_after is not None
    assert after.not_after is not None
    assert after.not_after > before.not_after
    assert directory.publish(A, short, NOW) == after  # an old copy does not shorten it again


def test_a_revocation_once_known_is_not_lost_with_an_older_copy(
    directory: DirectoryService, forge: ModuleType
) -> None:
    made, spare = forge.Forge(), forge.Forge()
    covered = b"".join(
        b"\x99" + len(key.body).to_bytes(2, "big") + key.body for key in (made.primary, spare.subkey)
    )
    both = made.head + made.user_id(A) + made.bind() + made.bind(spare.subkey)
    revoked = both + made.sign(Kind.SUBKEY_REVOCATION, covered, [])
    directory.publish(A, revoked, NOW)
    again = directory.publish(A, both, NOW)
    assert again.encryption_key_id == made.subkey.key_id


def test_the_key_of_another_is_refused(
    directory: DirectoryService, forge: ModuleType, reopened: Open
) -> None:
    made = forge.Forge()
    both = made.head + made.user_id(A) + made.user_id(B) + made.bind()
    directory.publish(A, both, NOW)
    for one in (directory, reopened()):
        assert refused(one, B, both) == "key-of-another"


def test_the_subkey_of_another_is_refused_whatever_date_it_wears(
    directory: DirectoryService, forge: ModuleType
) -> None:
    made, thief = forge.Forge(), forge.Forge()
    directory.publish(A, made.certificate(A), NOW)
    redated = forge.Forge(created=made.created - 9, decrypting=made.decrypting).subkey
    assert refused(directory, B, thief.head + thief.user_id(B) + thief.bind(redated)) == "key-of-another"


def test_a_key_stays_its_owner_s_even_after_it_was_replaced(
    directory: DirectoryService, forge: ModuleType
) -> None:
    made = forge.Forge()
    both = made.head + made.user_id(A) + made.user_id(B) + made.bind()
    directory.publish(A, both, NOW)
    directory.publish(A, forge.Forge().certificate(A), NOW)
    assert refused(directory, B, both) == "key-of-another"


def test_who_binds_a_colleague_s_encryption_subkey_keeps_nobody_out_and_shows_nothing_of_it(
    directory: DirectoryService, forge: ModuleType, reopened: Open
) -> None:
    colleague = forge.Forge(created=forge.NOW - 60)
    binder = forge.Forge()
    taken = directory.publish(B, binder.certificate(B) + binder.bind(colleague.subkey), NOW)
    assert taken.encryption_key_id == binder.subkey.key_id
    assert colleague.subkey.body not in (directory.published(B) or b"")
    for one in (directory, reopened()):
        assert one.by_key(colleague.subkey.key_id) is None
    directory.publish(A, colleague.certificate(A), NOW)
    for one in (directory, reopened()):
        found = one.by_key(colleague.subkey.key_id)
        assert found is not None
        assert found[0] == A


def test_a_bound_encryption_subkey_that_is_somebody_s_already_is_refused(
    directory: DirectoryService, forge: ModuleType
) -> None:
    colleague, binder = forge.Forge(created=forge.NOW - 60), forge.Forge()
    directory.publish(A, colleague.certificate(A), NOW)
    assert refused(directory, B, binder.certificate(B) + binder.bind(colleague.subkey)) == "key-of-another"


def test_a_signing_subkey_counts_where_it_says_itself_whose_it_is(
    directory: DirectoryService, forge: ModuleType, reopened: Open
) -> None:
    made, signing, other = forge.Forge(), forge.Forge(), forge.Forge()
    directory.publish(A, made.certificate(A) + made.bind_signing(signing, backed=made), NOW)
    assert signing.primary.body in (directory.published(A) or b"")
    for one in (directory, reopened()):
        assert one.by_key(signing.primary.fingerprint) is not None
    assert refused(directory, B, other.certificate(B) + other.bind_signing(signing)) == "key-of-another"


@pytest.mark.parametrize("replayed", [False, True], ids=["without-its-word", "with-its-word-for-another"])
def test_who_binds_a_colleague_s_primary_key_keeps_nobody_out(
    directory: DirectoryService, forge: ModuleType, replayed: bool
) -> None:
    colleague, binder = forge.Forge(), forge.Forge()
    backed = forge.Forge() if replayed else None
    directory.publish(B, binder.certificate(B) + binder.bind_signing(colleague, backed=backed), NOW)
    assert colleague.primary.body not in (directory.published(B) or b"")
    assert directory.by_key(colleague.primary.key_id) is None
    directory.publish(A, colleague.certificate(A), NOW)
    assert directory.by_key(colleague.primary.key_id) is not None


def test_an_encryption_subkey_that_was_proven_once_stays_with_its_certificate(
    directory: DirectoryService, forge: ModuleType
) -> None:
    made, new = forge.Forge(created=forge.NOW - 60), forge.Forge()
    directory.publish(A, made.certificate(A), NOW)
    for _ in range(2):
        after = directory.publish(A, made.certificate(A) + made.bind(new.subkey), NOW)
        assert after.encryption_key_id == new.subkey.key_id
        assert made.subkey.body in (directory.published(A) or b"")
    assert refused(directory, B, new.certificate(B) + new.bind(made.subkey)) == "key-of-another"


def test_a_revoked_certificate_is_answered_revoked_and_never_comes_back(
    directory: DirectoryService, forge: ModuleType, reopened: Open
) -> None:
    data = forge.Forge().certificate(A)
    published = directory.publish(A, data, NOW)
    directory.revoke(A, published.fingerprint.lower(), NOW)
    for one in (directory, reopened()):
        assert one.certificate(A, NOW).standing is Standing.REVOKED
        assert one.published(A) is None
        assert refused(one, A, data) == "revoked"


def test_a_successor_ends_the_revoked_state(directory: DirectoryService, forge: ModuleType) -> None:
    first = directory.publish(A, forge.Forge().certificate(A), NOW)
    directory.revoke(A, first.fingerprint, NOW)
    directory.publish(A, forge.Forge().certificate(A), NOW)
    assert directory.certificate(A, NOW).standing is Standing.VALID


def test_revoking_a_superseded_certificate_leaves_the_current_one(
    directory: DirectoryService, forge: ModuleType
) -> None:
    first = directory.publish(A, forge.Forge().certificate(A), NOW)
    directory.publish(A, forge.Forge().certificate(A), NOW)
    directory.revoke(A, first.fingerprint, NOW)
    assert directory.certificate(A, NOW).standing is Standing.VALID


def test_the_holder_s_own_revocation_is_published_with_the_key(
    directory: DirectoryService, gnupg: Any, reopened: Open
) -> None:
    fingerprint = gnupg.make("holder@mss.example")
    published = directory.publish("holder@mss.example", gnupg.public(fingerprint), NOW)
    directory.revoke("holder@mss.example", published.fingerprint, NOW, gnupg.revocation(fingerprint))
    for one in (directory, reopened()):
        served = one.published("holder@mss.example")
        assert served is not None
        with pytest.raises(CertificateRefused) as caught:
            gate(served, "holder@mss.example", NOW)
        assert caught.value.reason == "revoked"


def test_a_revocation_by_another_key_is_refused_and_changes_nothing(
    directory: DirectoryService, forge: ModuleType
) -> None:
    published = directory.publish(A, forge.Forge().certificate(A), NOW)
    strange = forge.Forge().direct(Kind.KEY_REVOCATION, [])
    for false in (strange, b"", b"rubbish", strange[: span(strange).end - 1]):
        with pytest.raises(CertificateRefused) as caught:
            directory.revoke(A, published.fingerprint, NOW, false)
        assert caught.value.reason == "not-a-revocation"
    assert directory.certificate(A, NOW).standing is Standing.VALID


def test_revoking_what_is_not_there_is_a_key_error(directory: DirectoryService, forge: ModuleType) -> None:
    published = directory.publish(A, forge.Forge().certificate(A), NOW)
    with pytest.raises(KeyError):
        directory.revoke(B, published.fingerprint, NOW)
    with pytest.raises(KeyError):
        directory.revoke(A, "0" * 40, NOW)


def test_another_node_s_publication_is_seen_after_a_reload(
    directory: DirectoryService, forge: ModuleType, reopened: Open
) -> None:
    reopened().publish(A, forge.Forge().certificate(A), NOW)
    assert directory.certificate(A, NOW).standing is Standing.NONE
    directory.reload()
    assert directory.certificate(A, NOW).standing is Standing.VALID


def test_listing_is_separate_from_publishing(
    directory: DirectoryService, forge: ModuleType, reopened: Open
) -> None:
    directory.publish(A, forge.Forge().certificate(A), NOW)
    assert not directory.is_listed(A)
    directory.show(A, NOW)
    directory.show(A, NOW)
    assert directory.is_listed(A.upper())
    assert reopened().is_listed(A)
    directory.hide(A)
    assert not directory.is_listed(A)
    assert not reopened().is_listed(A)


def test_an_address_is_found_by_its_wkd_name(directory: DirectoryService, forge: ModuleType) -> None:
    directory.publish(A, forge.Forge().certificate(A), NOW)
    assert directory.address_by_wkd_hash("MSS.example", wkd_hash("A")) == A
    assert directory.address_by_wkd_hash("mss.example", wkd_hash("b")) is None
    assert directory.address_by_wkd_hash("other.example", wkd_hash("a")) is None


def test_the_wkd_name_of_the_draft_s_example() -> None:
    # draft-koch-openpgp-webkey-service §3.1: Joe.Doe@example.org
    assert wkd_hash("Joe.Doe") == "iy9q119eutrkn8s1mk4r39qejnbu3n5q"


def test_commits_of_sqlite_are_synchronous(tmp_path: Path) -> None:
    made = open_database(f"sqlite:///{tmp_path / 'directory.db'}")
    with made.connect() as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
    made.dispose()


def test_the_service_is_a_directory(directory: DirectoryService) -> None:
    asked: Directory = directory
    assert asked.certificate(A, NOW).standing is Standing.NONE
