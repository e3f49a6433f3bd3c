"""`mailboxIds`: the mailboxes an Email is to be in, by their ids (RFC 8621 §4.1.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from mail_server.jmap.protocol.errors import invalid_properties
from mail_server.store.model import MailboxId


def mailboxes_of(
    value: Any, names: Mapping[str, MailboxId], created: Mapping[str, str]
) -> frozenset[MailboxId]:
    """A `mailboxIds` object, one mailbox at least. Raises SetError invalidProperties."""
    chosen = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    wanted = {created.get(each[1:], each) if each.startswith("#") else each for each in chosen}
    if not wanted or not all(each is True for each in chosen.values()) or not wanted <= names.keys():
        raise invalid_properties("mailboxIds")
    return frozenset(names[each] for each in wanted)
