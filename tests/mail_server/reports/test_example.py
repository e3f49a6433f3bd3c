"""The example of the README is run as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import mail_server.reports
from deploy.demo import letters
from mail_server.keys.kek import make_kek
from mail_server.reports import settings
from mail_server.reports.spool import Spool

README = Path(mail_server.reports.__file__).with_name("README.md")


def test_the_example_keeps_the_report_when_the_node_is_away(
    tmp_path: Path, certificates: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    make_kek(tmp_path / "key" / "spool.key", tmp_path / "spool")
    node = {
        "host": "localhost",
        "port": 1,
        "certificate": certificates / "client.pem",
        "key": certificates / "client.key",
        "authorities": certificates / "ca.pem",
    }
    written = settings.render(
        {
            "node": node,
            "account": {"address": "dpi@ch.essai.test"},
            "establishment": {"name": "CH Essai", "identifier": "1690000001", "author_family_name": "Aurore"},
            "spool": {"folder": tmp_path / "spool", "key": tmp_path / "key" / "spool.key"},
        }
    )
    Path("reports.toml").write_text(written, "utf-8")
    Path("cr.pdf").write_bytes(letters.pdf("Compte rendu", 3000))
    exec(compile(code, str(README), "exec"), {})
    assert capsys.readouterr().out == "DPI-2026-0001 waiting \n"
    spool = Spool.open(settings.load(Path("reports.toml")).spool)
    assert spool.find("DPI-2026-0001") is not None
    spool.close()
