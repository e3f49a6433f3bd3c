"""How the configuration file is read: what is empty, and in which words a fault is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.node.config import ConfigError, load


def written(folder: Path, text: str) -> Path:
    file = folder / "vaguemestre.toml"
    file.write_text(f'[accounts]\ndomains = ["chu.test"]\n[smtp]\nhostname = "mx.chu.test"\n{text}')
    return file


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("policies", "trust_list"),
        ("outbound", "certificate"),
        ("outbound", "certificates_ca"),
        ("tls", "client_ca"),
    ],
)
def test_an_empty_file_name_is_none_and_not_the_folder_one_stands_in(
    tmp_path: Path, section: str, key: str
) -> None:
    config = load(written(tmp_path, f'[{section}]\n{key} = ""\n'))
    assert getattr(getattr(config, section), key) is None


def test_what_may_be_empty_stays_as_it_is(tmp_path: Path) -> None:
    config = load(written(tmp_path, '[policies]\ntrust_list_url = ""\n[outbound]\nresolver = ""\n'))
    assert (config.policies.trust_list_url, config.outbound.resolver) == ("", "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[outbound]\nnonsense = 1\n", "outbound.nonsense: unknown key"),
        (
            '[outbound]\nroutes = { "mss.b.test" = "b:smtp" }\n',
            "outbound.routes: mss.b.test leads to 'b:smtp'",
        ),
        (
            '[directory]\ndatabase = "mysql://x/y"\n',
            "directory.database: an address begins with postgresql://",
        ),
        ("[publication]\nretry_minutes = []\n", "publication.retry_minutes: "),
        ('[policies]\ntrust_list_url = "http://liste.test/"\n', "trust_list_url: not written as it must be"),
        (
            '[policies]\ntrust_list_url = "https://liste.test/"\n',
            "policies: trust_list_url needs trust_list_dn",
        ),
    ],
)
def test_a_fault_is_told_in_words(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(written(tmp_path, text))
    assert words in str(refused.value)
    assert "Value error" not in str(refused.value)
