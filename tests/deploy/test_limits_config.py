"""`[limits]`: one place for every limit, and a clear word for who still writes one elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.node.config import MOVED, Config, ConfigError, load, render
from policies.limits.limits import Limit
from policies.limits.settings import LimitsSettings

_LEAST = {"accounts": {"domains": ["chu.test"]}, "smtp": {"hostname": "localhost"}}


def written(folder: Path, text: str) -> Path:
    file = folder / "vaguemestre.toml"
    file.write_text(f'[accounts]\ndomains = ["chu.test"]\n{text}')
    return file


def test_what_is_set_there_reaches_every_door(tmp_path: Path) -> None:
    config = load(
        written(
            tmp_path,
            '[smtp]\nhostname = "mx.chu.test"\n[limits]\nimap_connections = 7\nsmtp_connections_of_place = 3\n'
            "failed_login_delay = 2.5\nuploads_of_account = 2\naccount_quota = 9\nlookups_per_minute = 11\n",
        )
    )
    assert config.imap.max_connections == 7
    assert config.smtp.max_connections_per_peer == 3
    assert (config.accounts.failure_delay, config.page.failure_delay) == (2.5, 2.5)
    assert config.jmap.max_concurrent_uploads == 2
    assert config.delivery.account_quota == 9
    assert config.page.lookups_per_minute == 11


@pytest.mark.parametrize(("section", "key"), sorted(MOVED))
def test_a_limit_written_where_it_was_names_its_place_now(tmp_path: Path, section: str, key: str) -> None:
    text = f"{key} = 5\n" if section == "accounts" else f"[{section}]\n{key} = 5\n"
    with pytest.raises(
        ConfigError, match=rf"{section}\.{key} has moved: write limits\.{MOVED[section, key]}"
    ):
        load(written(tmp_path, text))


def test_doors_have_the_same_defaults_as_the_one_place() -> None:
    config = Config.model_validate(_LEAST)
    for (section, key), moved in MOVED.items():
        assert getattr(getattr(config, section), key) == getattr(config.limits, moved), (section, key)
        model = type(getattr(config, section))
        assert model.model_fields[key].default == LimitsSettings.model_fields[moved].default, (section, key)


def test_the_file_shows_each_limit_once_with_its_meaning() -> None:
    text = render({})
    for (_, key), moved in MOVED.items():
        assert f"# {moved} = " in text
        if key != moved:
            assert f"# {key} = " not in text
    shown = text.split("[limits]")[1].split("\n[")[0]
    for name in LimitsSettings.model_fields:
        assert f"# {name} = " in shown
        assert LimitsSettings.model_fields[name].description


def test_every_rate_is_a_key() -> None:
    assert {each.value for each in Limit} <= LimitsSettings.model_fields.keys()


def test_the_port_announces_the_largest_letter_that_delivery_takes(tmp_path: Path) -> None:
    text = '[smtp]\nhostname = "mx.chu.test"\n[delivery]\nmax_message_size = 10000000\n'
    assert load(written(tmp_path, text)).smtp.max_message_bytes == 10_000_000
