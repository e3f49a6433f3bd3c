"""The page, and what only patients need. Knows `mail_server`, `directory` and `policies`."""
