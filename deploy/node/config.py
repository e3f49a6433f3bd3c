"""The node's one configuration file: gathers each package's section, and adds what only a node knows.

Invariants: an unknown key is refused with its name; every key has a default or a sentence that says what to
write; the file written by `init` shows every key with its meaning.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticUndefined

from deploy.node.administrators import AdministratorsSettings
from deploy.node.inactivity import LifeSettings
from directory.fhir.settings import FhirSettings
from directory.ldap.settings import LdapSettings
from directory.publication.settings import PublicationSettings
from directory.settings import DirectorySettings
from mail_server.accounts.oidc.settings import OidcSettings
from mail_server.accounts.settings import AccountsSettings
from mail_server.delivery.feedback_settings import MorningSettings
from mail_server.delivery.settings import DeliverySettings
from mail_server.imap.settings import ImapSettings
from mail_server.jmap.settings import JmapSettings
from mail_server.keys.settings import KeysSettings
from mail_server.outbound.settings import OutboundSettings
from mail_server.payloads.record.settings import RecordSettings
from mail_server.sealing.settings import SealingSettings
from mail_server.signatures.settings import SignaturesSettings
from mail_server.smtp.settings import SmtpSettings
from mail_server.store.settings import StoreSettings
from policies.limits.settings import LimitsSettings
from policies.settings import PoliciesSettings
from webmail.login.settings import PageSettings
from webmail.notices.settings import NoticesSettings

_HTTPS = 443
MOVED: Mapping[tuple[str, str], str] = {
    ("accounts", "failure_delay"): "failed_login_delay",
    ("accounts", "longest_delay"): "failed_login_longest_delay",
    ("accounts", "failure_memory"): "failed_login_memory",
    ("page", "failure_delay"): "failed_login_delay",
    ("page", "longest_delay"): "failed_login_longest_delay",
    ("page", "failure_memory"): "failed_login_memory",
    ("accounts", "failures_free_of_place"): "failed_logins_free_of_place",
    ("accounts", "failures_free_of_account"): "failed_logins_free_of_account",
    ("page", "failures_free_of_place"): "failed_logins_free_of_place",
    ("page", "failures_free_of_account"): "failed_logins_free_of_account",
    ("page", "lookups_per_minute"): "lookups_per_minute",
    ("delivery", "account_quota"): "account_quota",
    ("smtp", "max_connections"): "smtp_connections",
    ("smtp", "max_connections_per_peer"): "smtp_connections_of_place",
    ("imap", "max_connections"): "imap_connections",
    ("imap", "max_connections_per_ip"): "imap_connections_of_place",
    ("imap", "max_connections_per_account"): "imap_connections_of_account",
    ("jmap", "max_concurrent_requests"): "requests_of_account",
    ("jmap", "max_concurrent_uploads"): "uploads_of_account",
    ("jmap", "max_listeners"): "listeners",
    ("jmap", "max_listeners_per_account"): "listeners_of_account",
}
"""Keys of other sections that are set in `[limits]`."""


class ConfigError(Exception):
    """The configuration cannot be used; the text says which key, and why, in words for an administrator."""


class TlsSettings(BaseModel):
    """`[tls]`"""

    model_config = ConfigDict(extra="forbid", frozen=True)

    certificate: Path | None = Field(
        default=None, description="PEM file: the server's certificate followed by its intermediates."
    )
    key: Path | None = Field(
        default=None, description="PEM file: its private key, readable by the node alone."
    )
    client_ca: Path | None = Field(
        default=None,
        description="PEM file: the authorities under which operators' and systems' client certificates stand.",
    )


class WebSettings(BaseModel):
    """`[web]`"""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(default="0.0.0.0", description="Address of the HTTPS port.")  # noqa: S104
    port: int | None = Field(default=443, description="Help page and certificates (WKD), over HTTPS.")
    plain_port: int | None = Field(
        default=None,
        description="The same without TLS, on 127.0.0.1 only: behind a proxy, or for a demonstration.",
    )
    peers_port: int | None = Field(
        default=None,
        description="Where listed operators ask, over mutual TLS, for certificates that are not public: patients'."
        " Closed: their letters to patients here leave readable by this operator. Others ask at 443 or 8443, of a name"
        " that the trust list has for us, or below one.",
    )
    mail_host: str = Field(default="", description="Name of the mail server shown on the help page.")
    contact: str = Field(default="", description="Telephone number or address shown for help.")


class MetricsSettings(BaseModel):
    """`[metrics]`"""

    model_config = ConfigDict(extra="forbid", frozen=True)

    port: int | None = Field(default=9464, description="Prometheus metrics, on 127.0.0.1 only.")


class NodeSettings(BaseModel):
    """`[node]`"""

    model_config = ConfigDict(extra="forbid", frozen=True)

    operator: str = Field(default="Vaguemestre", description="Name of the operator, as people know it.")
    log_level: str = Field(default="INFO", description="WARNING, INFO or DEBUG; no level shows content.")
    log_file: Path | None = Field(
        default=None, description="Log to this file instead of the standard error stream."
    )


class Config(BaseModel):
    """The whole file, section by section."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    node: NodeSettings = Field(default_factory=NodeSettings)
    tls: TlsSettings = Field(default_factory=TlsSettings)
    accounts: AccountsSettings
    administrators: AdministratorsSettings = Field(default_factory=AdministratorsSettings)
    oidc: OidcSettings = Field(default_factory=OidcSettings)
    policies: PoliciesSettings = Field(default_factory=PoliciesSettings)
    life: LifeSettings = Field(default_factory=LifeSettings)
    limits: LimitsSettings = Field(default_factory=LimitsSettings)
    delivery: DeliverySettings = Field(default_factory=DeliverySettings)
    outbound: OutboundSettings = Field(default_factory=OutboundSettings)
    signatures: SignaturesSettings = Field(default_factory=SignaturesSettings)
    reports: MorningSettings = Field(default_factory=MorningSettings)
    sealing: SealingSettings = Field(default_factory=SealingSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    keys: KeysSettings = Field(default_factory=KeysSettings)
    record: RecordSettings = Field(default_factory=RecordSettings)
    smtp: SmtpSettings
    imap: ImapSettings = Field(default_factory=ImapSettings)
    jmap: JmapSettings = Field(default_factory=JmapSettings)
    directory: DirectorySettings = Field(default_factory=DirectorySettings)
    ldap: LdapSettings = Field(default_factory=LdapSettings)
    fhir: FhirSettings = Field(default_factory=FhirSettings)
    publication: PublicationSettings = Field(default_factory=PublicationSettings)
    web: WebSettings = Field(default_factory=WebSettings)
    page: PageSettings = Field(default_factory=PageSettings)
    notices: NoticesSettings = Field(default_factory=NoticesSettings)
    metrics: MetricsSettings = Field(default_factory=MetricsSettings)

    @model_validator(mode="before")
    @classmethod
    def _limits_reach_the_doors(cls, given: Any) -> Any:
        """What is set in `[limits]` is what the sections of the doors have, unless code sets it there."""
        if not isinstance(given, dict):
            return given
        sections = dict(cast("dict[str, Any]", given))
        limits = sections.get("limits")
        if not isinstance(limits, LimitsSettings):
            limits = LimitsSettings.model_validate(limits or {})
        for (section, key), moved in MOVED.items():
            found = sections.get(section, {})
            if isinstance(found, dict):
                keys = cast("dict[str, Any]", found)
                sections[section] = {key: getattr(limits, moved)} | keys
        _announce_what_is_taken(sections)
        return sections

    @property
    def page_address(self) -> str:
        """Where people find the page, as far as the node can know; "" when its doors are closed."""
        if self.page.public_url:
            return self.page.public_url
        if self.web.port:
            port = "" if self.web.port == _HTTPS else f":{self.web.port}"
            return f"https://{self.web.mail_host or self.smtp.hostname}{port}"
        return f"http://localhost:{self.web.plain_port}" if self.web.plain_port else ""


def _announce_what_is_taken(sections: dict[str, Any]) -> None:
    """The largest letter is one figure: the port announces (SIZE) what delivery takes, unless it is told otherwise."""
    taken = sections.get("delivery", {})
    announced = sections.get("smtp", {})
    if isinstance(taken, dict) and isinstance(announced, dict) and "max_message_size" in taken:
        size = cast("dict[str, Any]", taken)["max_message_size"]
        sections["smtp"] = {"max_message_bytes": size} | cast("dict[str, Any]", announced)


def load(path: Path) -> Config:
    """Read and check the file. Raises ConfigError with one line per fault."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"No configuration at {path}. Run `vaguemestre init` first.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    _close_ports(found)
    _leave_out_empty(found)
    _refuse_moved(path, found)
    try:
        return Config.model_validate(found)
    except ValidationError as error:
        lines = [
            f"{'.'.join(str(step) for step in fault['loc'])}: {_words(fault['type'], fault['msg'])}"
            for fault in error.errors(include_url=False, include_input=False)
        ]
        if len(lines) == 1:
            raise ConfigError(f"{path}: {lines[0]}") from None
        raise ConfigError("\n  ".join([f"{path} has {len(lines)} faults:", *lines])) from None


def _refuse_moved(path: Path, found: dict[str, Any]) -> None:
    """A limit that is written where it was before. Raises ConfigError that names its place now."""
    lines = [
        f"{section}.{key} has moved: write limits.{moved}"
        for (section, key), moved in MOVED.items()
        if isinstance(found.get(section), dict) and key in found[section]
    ]
    if lines:
        raise ConfigError("\n  ".join([f"{path}: limits are set in one place:", *lines]))


def _close_ports(found: dict[str, Any]) -> None:
    """`port = false` closes a door: TOML has no null, and `false` would pass for 0, which is any free port."""
    for name, section in found.items():
        if isinstance(section, dict):
            keys = cast(dict[str, Any], section)
            found[name] = {
                key: None if key.endswith("port") and value is False else value for key, value in keys.items()
            }


def _leave_out_empty(found: dict[str, Any]) -> None:
    """`trust_list = ""`: what is empty is not there, and not the folder one stands in, which "" is as a path."""
    for name, section in found.items():
        known = Config.model_fields.get(name)
        model = known.annotation if known is not None else None
        if isinstance(section, dict) and isinstance(model, type) and issubclass(model, BaseModel):
            fields, keys = model.model_fields, cast(dict[str, Any], section)
            found[name] = {
                key: value
                for key, value in keys.items()
                if not (value == "" and key in fields and fields[key].default is None)
            }


def render(values: Mapping[str, Mapping[str, Any]]) -> str:
    """The file's text: every key with its meaning; those in `values` set, the others shown as comments."""
    out = [
        "# Vaguemestre: configuration of this node. Keys left as comments have the value shown.",
        "# A port set to false is closed.",
        "",
    ]
    for section, info in Config.model_fields.items():
        model = info.annotation
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        out += [f"[{section}]"]
        for key, field in model.model_fields.items():
            if (section, key) in MOVED:
                continue
            out.append(f"# {field.description or ''}")
            given = values.get(section, {})
            if key in given:
                out.append(f"{key} = {_toml(given[key])}")
            else:
                default = field.get_default(call_default_factory=True, validated_data={})
                shown = "" if default in (None, PydanticUndefined) else _toml(default)
                out.append(f"# {key} = {shown}")
        out.append("")
    return "\n".join(out).rstrip("\n") + "\n"


def _toml(value: Any) -> str:
    if value is None:
        return "false"  # a closed port
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | tuple | set | frozenset):
        return "[" + ", ".join(_toml(one) for one in value) + "]"  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, dict):
        entries = cast(dict[str, Any], value).items()
        # Quoted: a bare key with a dot in it, as a domain has, would be a table in a table.
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(one)}" for key, one in entries) + " }"
    # A JSON string is a TOML basic string.
    return json.dumps(str(value), ensure_ascii=False)


def _words(kind: str, message: str) -> str:
    match kind:
        case "extra_forbidden":
            return "unknown key"
        case "string_pattern_mismatch":
            return "not written as it must be (its comment in the file says how)"
        case "value_error":
            return message.removeprefix("Value error, ")
        case _:
            return message
