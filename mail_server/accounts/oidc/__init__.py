"""OpenID Connect: what identity providers vouch for. See ../README.md."""
