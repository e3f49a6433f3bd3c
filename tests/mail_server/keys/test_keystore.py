"""The keystore is replaced whole, and what is destroyed is in no file of the node any more."""

from __future__ import annotations

import os
import threading

import pytest

from mail_server.keys import keystore as keystore_module
from mail_server.keys.interface import KeyUnavailable
from mail_server.keys.keystore import Entry, Keystore, copy_keystore


def entry(mark=b"w"):
    return Entry("F" * 40, b"certificate", mark * 40)


def test_entries_survive_a_restart(tmp_path):
    Keystore(tmp_path / "k").put("a", entry())
    assert Keystore(tmp_path / "k").get("a") == entry()
    assert (tmp_path / "k").stat().st_mode & 0o777 == 0o600


def test_what_is_destroyed_is_in_no_file(tmp_path):
    store = Keystore(tmp_path / "k")
    store.put("a", entry(b"SECRET"))
    store.put("b", entry())
    encoded = keystore_module.base64.b64encode(b"SECRET" * 40)[:60]
    assert encoded in (tmp_path / "k").read_bytes()
    store.destroy("a")
    assert store.get("a") is None
    assert [path.name for path in tmp_path.iterdir()] == ["k"]
    assert encoded not in (tmp_path / "k").read_bytes()
    assert Keystore(tmp_path / "k").names() == ["b"]


def test_destroying_what_is_not_there_is_no_error(tmp_path):
    Keystore(tmp_path / "k").destroy("a")


def test_file_and_folder_are_synced_around_the_rename(tmp_path, monkeypatch):
    order = []
    fsync, rename = os.fsync, type(tmp_path).replace
    monkeypatch.setattr(os, "fsync", lambda d: (order.append("fsync"), fsync(d))[1])
    monkeypatch.setattr(type(tmp_path), "replace", lambda a, b: (order.append("rename"), rename(a, b))[1])
    Keystore(tmp_path / "k").put("a", entry())
    assert order == ["fsync", "rename", "fsync"]


def test_a_failed_rewrite_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    store = Keystore(tmp_path / "k")
    store.put("a", entry())
    before = (tmp_path / "k").read_bytes()

    def fails(_descriptor):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fails)
        with pytest.raises(OSError, match="Input/output"):
            store.destroy("a")
    assert (tmp_path / "k").read_bytes() == before
    assert store.get("a") == entry()
    store.put("b", entry())
    assert sorted(Keystore(tmp_path / "k").names()) == ["a", "b"]


def test_threads_share_rewrites_and_lose_nothing(tmp_path, monkeypatch):
    store = Keystore(tmp_path / "k")
    rewrites = []
    real = keystore_module._replace
    monkeypatch.setattr(keystore_module, "_replace", lambda *a: (rewrites.append(1), real(*a))[1])
    threads = [threading.Thread(target=store.put, args=(f"n{number}", entry())) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Keystore(tmp_path / "k").names()) == 50
    assert len(rewrites) <= 50


def test_each_copy_replaces_the_one_before(tmp_path):
    store = Keystore(tmp_path / "k")
    store.put("a", entry(b"SECRET"))
    copy_keystore(tmp_path / "k", tmp_path / "apart" / "k")
    store.destroy("a")
    copy_keystore(tmp_path / "k", tmp_path / "apart" / "k")
    assert [path.name for path in (tmp_path / "apart").iterdir()] == ["k"]
    assert Keystore(tmp_path / "apart" / "k").names() == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 2, "wraps": {}}', b'{"format": 1}'])
def test_a_file_that_is_no_keystore_is_refused_not_overwritten(tmp_path, content):
    (tmp_path / "k").write_bytes(content)
    with pytest.raises(KeyUnavailable):
        Keystore(tmp_path / "k")
    assert (tmp_path / "k").read_bytes() == content


def test_reprs_do_not_show_the_wrap():
    assert "SECRET" not in repr(entry(b"SECRET"))
