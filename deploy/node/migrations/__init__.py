"""Schema of the node's two databases, by Alembic, run from code and never by hand (see `run`).

Two environments with a history each: `mail` (store, accounts, audit) and `directory`. Revisions only go forward.
Invariant: tables that are not in our metadata (full-text shadow tables, an administrator's own) are left alone.
"""
