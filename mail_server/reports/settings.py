"""`reports.toml`: everything the hospital's side can be told, each key with its meaning.

Invariants: an unknown key is refused by its name; what `report init` writes is read back as it stands.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticUndefined

FILE = Path("reports.toml")


class SettingsRefused(Exception):
    """The file cannot be used; the text says which key, and why."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NodeSection(_Section):
    """`[node]`: where letters are handed over."""

    host: str = Field(description="Name of the node, as it stands in its certificate.")
    port: int = Field(default=465, ge=1, le=65535, description="465: TLS at once. 587: STARTTLS.")
    start_tls: bool = Field(default=False, description="Begin in clear and ask for TLS (port 587).")
    authorities: Path | None = Field(
        default=None,
        description="PEM file: under which authorities the node's certificate stands; none: the system's.",
    )
    certificate: Path = Field(
        description="PEM file: this system's certificate (ORG AUTH_CLI) with its chain."
    )
    key: Path = Field(description="PEM file: its private key.")


class AccountSection(_Section):
    """`[account]`: who writes."""

    address: str = Field(description="Address of this system (APP): MAIL FROM and From.")
    name: str = Field(default="", description="Name shown before the address.")
    reply_to: str = Field(
        default="", description="Where answers go: a mailbox that people read. Empty: nowhere else."
    )
    patient_domain: str = Field(
        default="", description='Mail domain of patients; empty: "patient." and the domain of the address.'
    )
    followed_at: str = Field(
        default="",
        description='Where failures found here are told to; empty: "suivi@" and the domain of the address.',
    )
    product: str = Field(
        default="DEV000000", description="Reference of the product at convergence.esante.gouv.fr (X-MSS-NIL)."
    )
    receipts: bool = Field(default=True, description="Ask to be told when a patient opens a report.")

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2].lower()

    @property
    def patients(self) -> str:
        return self.patient_domain or f"patient.{self.domain}"

    @property
    def followed(self) -> str:
        return self.followed_at or f"suivi@{self.domain}"


class EstablishmentSection(_Section):
    """`[establishment]`: what documents say of where they were made."""

    name: str = Field(description="Name of the establishment.")
    identifier: str = Field(description='National identifier (IdNat_Struct): "1" and the FINESS number.')
    facility: str = Field(default="SA01", description="Healthcare facility type (JDV_J02).")
    setting: str = Field(default="ETABLISSEMENT", description="Practice setting (JDV_J04).")
    author_family_name: str = Field(default="", description="Author of a report whose index names none.")
    author_given_name: str = Field(default="", description="The author's given name.")
    author_identifier: str = Field(default="", description='The author\'s IdNat_PS: "8" and the RPPS number.')
    author_specialty: str = Field(default="", description="Code of the author's specialty (TRE_R38).")


class SpoolSection(_Section):
    """`[spool]`: where letters wait, sealed, until the node has them."""

    folder: Path = Field(description="Folder of the spool, readable by this program alone.")
    key: Path | None = Field(
        default=None,
        description="File of the spool's key (32 bytes, raw or hex), outside the spool. Empty: the credential below.",
    )
    key_credential: str = Field(
        default="vaguemestre-spool", description="Name of the systemd credential that holds the key."
    )
    keep_days: int = Field(
        default=400,
        ge=7,
        description="Days for which a report sent can be replaced or withdrawn by its reference.",
    )


class WatchSection(_Section):
    """`[watch]`: a folder where the hospital's software puts documents."""

    folder: Path | None = Field(
        default=None, description="Folder to watch: `x.pdf` (or `x.xml`) with `x.json`, or a CSV of many."
    )
    after: Literal["remove", "move"] = Field(
        default="move",
        description='The hospital\'s files once the node has the letter: "remove", or "move" them to done/.',
    )
    settle_seconds: float = Field(
        default=2.0, ge=0, description="A file that changed less long ago is still being written."
    )
    poll_seconds: float = Field(default=1.0, gt=0, description="How often the folder is looked at.")
    pair_minutes: float = Field(
        default=30, gt=0, description="How long a document waits for its index before it is refused."
    )


class SendingSection(_Section):
    """`[sending]`"""

    connections: int = Field(default=4, ge=1, le=32, description="Connections to the node at one time.")
    builders: int = Field(default=1, ge=1, le=16, description="Threads that make letters.")
    together: int = Field(default=32, ge=1, le=256, description="Reports taken in one commit.")
    first_retry_seconds: float = Field(
        default=30, gt=0, description="After a temporary refusal; doubled each time up to an hour."
    )
    give_up_hours: float = Field(
        default=72, gt=0, description="After so long, a report that the node could not take is refused."
    )
    timeout_seconds: float = Field(default=120, gt=0, description="Longest wait for an answer of the node.")


class ReportLimits(_Section):
    """`[limits]`"""

    pdf_octets: int = Field(
        default=8 * 1024 * 1024,
        gt=0,
        description="Largest PDF. In a letter it takes nearly three times its size.",
    )
    pdf_pages: int = Field(default=500, gt=0, description="Most pages of a PDF.")
    test_identities: bool = Field(
        default=False, description="Take INS numbers of the test ranges (never on a real node)."
    )


class HospitalSettings(_Section):
    """The whole file."""

    node: NodeSection
    account: AccountSection
    establishment: EstablishmentSection
    spool: SpoolSection
    watch: WatchSection = Field(default_factory=WatchSection)
    sending: SendingSection = Field(default_factory=SendingSection)
    limits: ReportLimits = Field(default_factory=ReportLimits)


def load(path: Path) -> HospitalSettings:
    """Read and check the file. Raises SettingsRefused, one line for each fault."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsRefused(f"No settings at {path}. Run `vaguemestre report init` first.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsRefused(f"{path} cannot be read: {error}") from None
    try:
        return HospitalSettings.model_validate(found)
    except ValidationError as error:
        lines = [
            f"{'.'.join(str(step) for step in fault['loc'])}: "
            f"{'unknown key' if fault['type'] == 'extra_forbidden' else fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False)
        ]
        raise SettingsRefused("\n  ".join([f"{path} has {len(lines)} fault(s):", *lines])) from None


def render(values: Mapping[str, Mapping[str, Any]]) -> str:
    """The file's text: every key with its meaning; those in `values` set, the others as comments with their default."""
    out = ["# Vaguemestre, hospital side. Keys left as comments have the value shown.", ""]
    for section, info in HospitalSettings.model_fields.items():
        model = info.annotation
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        out.append(f"[{section}]")
        for key, field in model.model_fields.items():
            out.append(f"# {field.description or ''}")
            given = values.get(section, {})
            if key in given:
                out.append(f"{key} = {_toml(given[key])}")
            else:
                default = field.get_default(call_default_factory=True, validated_data={})
                out.append(f"# {key} = {'' if default in (None, PydanticUndefined) else _toml(default)}")
        out.append("")
    return "\n".join(out).rstrip("\n") + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return json.dumps(str(value), ensure_ascii=False)  # a JSON string is a TOML basic string
