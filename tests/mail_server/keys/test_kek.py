"""The key-encryption key is read from outside the home, closed to others, and never overwritten."""

from __future__ import annotations

import pytest

from mail_server.keys.interface import KeyUnavailable
from mail_server.keys.kek import load_kek, make_kek
from mail_server.keys.settings import KeysSettings
from mail_server.keys.wrapper import AesKeyWrapper


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def settings(path):
    return KeysSettings(kek=path)


def test_a_made_kek_is_loaded_again(tmp_path, home):
    path = tmp_path / "secrets" / "kek"
    make_kek(path, home)
    assert path.stat().st_mode & 0o777 == 0o600
    wrapped = load_kek(settings(path), home).wrap(b"secret", b"purpose")
    assert load_kek(settings(path), home).unwrap(wrapped, b"purpose") == b"secret"


def test_making_again_keeps_the_key(tmp_path, home):
    path = tmp_path / "kek"
    make_kek(path, home)
    before = path.read_bytes()
    make_kek(path, home)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"r" * 32, b"ab" * 32 + b"\n", b" " + b"AB" * 32])
def test_raw_and_hex_are_read(tmp_path, home, content):
    path = tmp_path / "kek"
    path.write_bytes(content)
    path.chmod(0o600)
    assert len(load_kek(settings(path), home).kek_id) == 8


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33, b"zz" * 32])
def test_what_is_no_key_is_refused(tmp_path, home, content):
    path = tmp_path / "kek"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyUnavailable, match="not a key-encryption key"):
        load_kek(settings(path), home)


def test_a_kek_under_the_home_is_refused_also_through_a_link(tmp_path, home):
    with pytest.raises(KeyUnavailable, match="under the home"):
        make_kek(home / "kek", home)
    (home / "kek").write_bytes(b"k" * 32)
    (home / "kek").chmod(0o600)
    (tmp_path / "link").symlink_to(home / "kek")
    for path in (home / "kek", tmp_path / "link"):
        with pytest.raises(KeyUnavailable, match="under the home"):
            load_kek(settings(path), home)


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_kek_that_others_may_read_is_refused(tmp_path, home, mode):
    path = tmp_path / "kek"
    path.write_bytes(b"k" * 32)
    path.chmod(mode)
    with pytest.raises(KeyUnavailable, match="chmod 600"):
        load_kek(settings(path), home)


def test_a_missing_kek_says_where_it_should_be(tmp_path, home, monkeypatch):
    with pytest.raises(KeyUnavailable, match="cannot be read"):
        load_kek(settings(tmp_path / "nowhere"), home)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(KeyUnavailable, match=r"keys\.kek"):
        load_kek(KeysSettings(), home)


def test_a_systemd_credential_is_the_default(tmp_path, home, monkeypatch):
    (tmp_path / "vaguemestre-kek").write_bytes(b"k" * 32)
    (tmp_path / "vaguemestre-kek").chmod(0o400)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert load_kek(KeysSettings(), home).kek_id == AesKeyWrapper(b"k" * 32).kek_id


def test_a_wrap_opens_only_for_its_purpose_and_its_kek():
    wrapper = AesKeyWrapper(b"k" * 32)
    wrapped = wrapper.wrap(b"secret", b"one")
    assert wrapper.unwrap(wrapped, b"one") == b"secret"
    assert wrapper.wrap(b"secret", b"one") != wrapped
    with pytest.raises(KeyUnavailable):
        wrapper.unwrap(wrapped, b"two")
    with pytest.raises(KeyUnavailable, match="wrapped under"):
        AesKeyWrapper(b"w" * 32).unwrap(wrapped, b"one")


@pytest.mark.parametrize("position", [0, 3, 8, 20, -1])
def test_an_altered_wrap_is_refused(position):
    wrapper = AesKeyWrapper(b"k" * 32)
    wrapped = bytearray(wrapper.wrap(b"secret", b"one"))
    wrapped[position] ^= 1
    with pytest.raises(KeyUnavailable):
        wrapper.unwrap(bytes(wrapped), b"one")


def test_nothing_of_the_kek_shows():
    wrapper = AesKeyWrapper(b"k" * 32)
    assert "kkkk" not in repr(wrapper)
    assert wrapper.kek_id not in (b"k" * 32).hex()


@pytest.mark.parametrize(("mode", "refused"), [(0o400, False), (0o440, False), (0o460, True), (0o444, True)])
def test_a_systemd_credential_may_show_group_bits_and_no_other(tmp_path, home, monkeypatch, mode, refused):
    folder = tmp_path / "credentials"
    folder.mkdir()
    kek = folder / "vaguemestre-kek"
    kek.write_bytes(b"k" * 32)
    kek.chmod(mode)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    if refused:
        with pytest.raises(KeyUnavailable, match="others may read"):
            load_kek(KeysSettings(), home)
    else:
        assert len(load_kek(KeysSettings(), home).kek_id) == 8


def test_group_bits_are_a_credentials_alone(tmp_path, home, monkeypatch):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    kek = tmp_path / "kek"
    kek.write_bytes(b"k" * 32)
    kek.chmod(0o440)
    with pytest.raises(KeyUnavailable, match="others may read"):
        load_kek(settings(kek), home)
