"""The `[policies]` section of the node's configuration."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class PoliciesSettings(BaseModel):
    """Rules, trust list and trace."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: Path | None = Field(
        default=None, description="Folder of *.cedar files and schema.cedarschema. Empty: the rules shipped."
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
