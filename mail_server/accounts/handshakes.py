"""Why a TLS handshake failed, as a slug for the trace: the same words at every door.

Invariant: never library text; a peer that just hung up is told apart from one that was refused.
"""

from __future__ import annotations

import ssl

# OpenSSL's verification results (X509_V_ERR_*).
_CAUSES = {
    9: "certificate-not-yet-valid",
    10: "certificate-expired",
    18: "certificate-self-signed",
    19: "chain-foreign",
    20: "chain-foreign",
    21: "chain-incomplete",
    23: "certificate-revoked",
    26: "certificate-wrong-purpose",
    79: "chain-foreign",
}


def cause_of(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CAUSES.get(error.verify_code, f"certificate-refused-{error.verify_code}")
    if isinstance(error, ssl.SSLError):
        return "tls-protocol"
    return "connection-lost"
