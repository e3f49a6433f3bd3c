"""The `[policies]` section of the node's configuration."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from policies.retention.periods import Periods


class PoliciesSettings(BaseModel):
    """Rules, trust list and trace."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: Path | None = Field(
        default=None, description="Folder of *.cedar files and schema.cedarschema. Empty: the rules shipped."
    )
    local_rules: Path | None = Field(
        default=None,
        description="Folder of the operator's own *.cedar files, read beside the rules above, and of accepted.toml,"
        " which lists the answers of the corpus that they may widen. Empty: none.",
    )
    kept_decisions: int = Field(
        default=4096, ge=0, le=1_000_000, description="How many answered questions are kept in memory."
    )
    trust_list: Path | None = Field(
        default=None,
        description="Trust list file in the ANS schema. Empty: no other operator is known.",
    )
    trust_list_shrink: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="A new list that holds less than this share of the rows in force is refused (0: never).",
    )
    audit_chain: str = Field(
        default="node",
        pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$",
        description="Name of this node's chain in the trace. One writer per chain: each node has its own.",
    )
    audit_heads: Path | None = Field(
        default=None,
        description="File outside the home to which the signed heads of the trace are added; best on another disk or"
        " machine. Without it nobody can show that the end of the trace was not cut.",
    )
    audit_heads_every: int = Field(
        default=600, ge=10, le=86_400, description="Seconds between two heads, when anything was written."
    )
    retention_technical: int = Field(
        default=12,
        ge=1,
        le=1200,
        description="Months that logins, refusals and connections stay in the trace.",
    )
    retention_functional: int = Field(
        default=20, ge=1, le=100, description="Years that all other acts stay in the trace."
    )

    @property
    def periods(self) -> Periods:
        return Periods(self.retention_technical, 12 * self.retention_functional)
