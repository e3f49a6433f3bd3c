"""Where a node's files lie under `--home`. The KEK is the one secret that never does.

Invariants: one process at a time writes here (`lock`); names are fixed, so that backup, check and the thief
test know every file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Home:
    """The folder given by `--home`, and the file given by `--config`, if any."""

    path: Path
    chosen_config: Path | None = None

    @property
    def config(self) -> Path:
        """The configuration in use."""
        return self.chosen_config or self.path / "vaguemestre.toml"

    @property
    def directory_database(self) -> Path:
        return self.path / "directory.db"

    @property
    def listings_database(self) -> Path:
        """What the directory tells: imports, accounts and publication give it again. In no backup."""
        return self.path / "listings.db"

    @property
    def authority(self) -> Path:
        return self.path / "authority"

    @property
    def authority_certificate(self) -> Path:
        """The public certificate that the gateway's signatures are checked with."""
        return self.authority / "authority.asc"

    @property
    def control_socket(self) -> Path:
        return self.path / "control.sock"

    @property
    def keystore(self) -> Path:
        return self.path / "keystore.json"

    @property
    def signatures(self) -> Path:
        """The keys of DKIM and ARC, wrapped under the KEK."""
        return self.path / "signatures.keystore"

    @property
    def egress_keystore(self) -> Path:
        """Of the egress gate, whose process alone reads and writes it."""
        return self.path / "egress.keystore"

    def make(self) -> None:
        """Create the folder, closed to others."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.chmod(0o700)
