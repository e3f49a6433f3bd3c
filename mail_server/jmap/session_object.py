"""The session object (RFC 8620 §2): where things are, what is offered, which accounts one reaches.

Invariants: its state changes whenever anything in it would; URLs are absolute; limits are those that are kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from mail_server.accounts.access import CHANGING
from mail_server.accounts.interface import Account, Identity
from mail_server.jmap.interface import Capability
from mail_server.jmap.settings import JmapSettings
from mail_server.store.model import AccountId

CORE = "urn:ietf:params:jmap:core"
MAIL = "urn:ietf:params:jmap:mail"
SUBMISSION = "urn:ietf:params:jmap:submission"
QUOTA = "urn:ietf:params:jmap:quota"


_NO_RIGHTS: Mapping[AccountId, str] = {}


def core_told(settings: JmapSettings) -> dict[str, Any]:
    return {
        "maxSizeUpload": settings.max_upload,
        "maxConcurrentUpload": settings.max_concurrent_uploads,
        "maxSizeRequest": settings.max_request,
        "maxConcurrentRequests": settings.max_concurrent_requests,
        "maxCallsInRequest": settings.max_calls,
        "maxObjectsInGet": settings.max_objects_get,
        "maxObjectsInSet": settings.max_objects_set,
        "collationAlgorithms": [],
    }


def mail_told(settings: JmapSettings) -> dict[str, Any]:
    """RFC 8621 §1.3.1, for each account."""
    return {
        "maxMailboxesPerEmail": None,
        "maxMailboxDepth": None,
        "maxSizeMailboxName": 255,
        "maxSizeAttachmentsPerEmail": settings.max_upload,
        "emailQuerySortOptions": ["receivedAt"],
        "mayCreateTopLevelMailbox": False,
    }


def submission_told(settings: JmapSettings) -> dict[str, Any]:
    """RFC 8621 §1.3.2."""
    return {
        "maxDelayedSend": settings.max_delayed_send,
        "submissionExtensions": {"FUTURERELEASE": [str(settings.max_delayed_send)], "DSN": []},
    }


def session_object(
    identity: Identity,
    accounts: Mapping[AccountId, Account],
    capabilities: Iterable[Capability],
    origin: str,
    rights: Mapping[AccountId, str] = _NO_RIGHTS,
) -> dict[str, Any]:
    offered = list(capabilities)
    told: dict[str, Any] = {
        "capabilities": {each.uri: dict(each.session) for each in offered},
        "accounts": {
            each.id: _account(each, identity, offered, rights.get(each.id, "")) for each in accounts.values()
        },
        "primaryAccounts": {
            each.uri: identity.account
            for each in offered
            if (own := accounts.get(identity.account)) is not None and each.account(own) is not None
        },
        "username": identity.address,
        "apiUrl": f"{origin}/jmap/api",
        "downloadUrl": f"{origin}/jmap/download/{{accountId}}/{{blobId}}/{{name}}?type={{type}}",
        "uploadUrl": f"{origin}/jmap/upload/{{accountId}}/",
        "eventSourceUrl": (f"{origin}/jmap/events?types={{types}}&closeafter={{closeafter}}&ping={{ping}}"),
    }
    return told | {"state": _state(told)}


def session_state(
    identity: Identity,
    accounts: Mapping[AccountId, Account],
    capabilities: Iterable[Capability],
    origin: str,
    rights: Mapping[AccountId, str] = _NO_RIGHTS,
) -> str:
    return session_object(identity, accounts, capabilities, origin, rights)["state"]


def _account(
    account: Account, identity: Identity, offered: Iterable[Capability], rights: str
) -> dict[str, Any]:
    told = {each.uri: each.account(account) for each in offered}
    return {
        "name": account.shown,
        "isPersonal": account.id == identity.account,
        # RFC 8620 §2: the whole account, as far as this person goes.
        "isReadOnly": account.id != identity.account and not CHANGING & set(rights),
        "accountCapabilities": {uri: dict(what) for uri, what in told.items() if what is not None},
    }


def _state(told: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]
