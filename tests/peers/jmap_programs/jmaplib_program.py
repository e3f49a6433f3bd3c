"""A program built on jmaplib, as its documentation shows; run in the environment of tests/peers/jmap_programs."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable
from typing import Any

from jmap import CreationRef
from jmap.auth import BasicAuth, BearerAuth
from jmap.client import JMAPClient
from jmap.core.errors import MethodError
from jmap.push import EventSourceClient, Ping
from jmap.sync import ChangeStream, QuerySpec, QueryView
from spoken import answer

_PROPERTIES = ["id", "blobId", "threadId", "mailboxIds", "keywords", "subject", "from", "size", "receivedAt"]
_NEWEST = [{"property": "receivedAt", "isAscending": False}]


class Program:
    def __init__(self) -> None:
        self._client: JMAPClient
        self._asked: dict[str, Any]
        self._view: QueryView
        self._told: queue.Queue[Any] = queue.Queue()

    def connect(self, host: str, user: str, password: str, token: str) -> dict[str, Any]:
        auth = BearerAuth(token) if token else BasicAuth(user, password)
        self._client = JMAPClient.connect(f"https://{host}/.well-known/jmap", auth=auth)
        session = self._client.session
        return {
            "user": session.username,
            "account": self._client.default_account,
            "capabilities": sorted(session.capabilities),
        }

    def mailboxes(self) -> list[dict[str, Any]]:
        with self._client.batch() as batch:
            found = batch.mail.mailbox.get(ids=None)
        return [
            {"id": one.id, "name": one.name, "role": one.role, "total": one.total_emails}
            for one in found.result.items
        ]

    def find(self, role: str) -> list[str]:
        with self._client.batch() as batch:
            found = batch.mail.mailbox.query(filter={"role": role}, sort=[{"property": "name"}])
            got = batch.mail.mailbox.get(ids=found.ref_ids())
        return [one.id for one in got.result.items]

    def letters(self, mailbox: str) -> dict[str, Any]:
        """Newest first: query and get in one request, the second by reference to the first."""
        with self._client.batch() as batch:
            queried = batch.mail.email.query(
                filter={"inMailbox": mailbox}, sort=_NEWEST, limit=50, calculate_total=True
            )
            found = batch.mail.email.get(ids=queried.ref_ids(), properties=_PROPERTIES)
        told = [_told(one) for one in found.result.items]
        return {"state": found.result.state, "letters": told}

    def letter(self, email: str) -> dict[str, Any] | None:
        with self._client.batch() as batch:
            found = batch.mail.email.get(ids=[email], properties=_PROPERTIES)
        return _told(found.result.items[0]) if found.result.items else None

    def words(self, email: str) -> str:
        with self._client.batch() as batch:
            found = batch.mail.email.get(
                ids=[email], properties=["textBody", "bodyValues"], fetchTextBodyValues=True
            )
        (one,) = found.result.items
        return "".join(one.body_values[part.part_id].value for part in one.text_body)

    def changes(self, since: str) -> dict[str, Any]:
        stream = ChangeStream(self._client, "Email")
        stream.seed(since)
        found = stream.catch_up(max_changes=2)
        return {
            "created": found.created,
            "updated": found.updated,
            "destroyed": found.destroyed,
            "state": found.new_state,
        }

    def update(self, email: str, patch: dict[str, Any]) -> Any:
        with self._client.batch() as batch:
            done = batch.mail.email.set(update={email: patch})
        return _errors(done.result.update_errors)

    def destroy(self, email: str) -> Any:
        with self._client.batch() as batch:
            done = batch.mail.email.set(destroy=[email])
        return _errors(done.result.destroy_errors)

    def upload(self, content: str, kind: str) -> str:
        types = {".eml": "message/rfc822", ".bin": "application/octet-stream"}
        return self._client.upload(content.encode(), content_type=types[kind]).blob_id

    def keep(self, blob: str, mailbox: str) -> dict[str, Any]:
        with self._client.batch() as batch:
            done = batch.mail.email.import_(
                emails={"k": {"blobId": blob, "mailboxIds": {mailbox: True}, "keywords": {"$seen": True}}}
            )
        made = {key: {"id": one.id} for key, one in done.result.created.items()}
        return {"created": made, "refused": done.result.not_created}

    def identities(self) -> list[dict[str, Any]]:
        with self._client.batch() as batch:
            found = batch.submission.identity.get(ids=None)
        return [{"id": one.id, "email": one.email} for one in found.result.items]

    def write(self, drafts: str, sent: str, to: str, subject: str, text: str) -> dict[str, Any]:
        """A draft and its sending in one request; once sent, the draft goes to Sent."""
        (identity,) = self.identities()
        after = {"#send": {f"mailboxIds/{drafts}": None, f"mailboxIds/{sent}": True, "keywords/$draft": None}}
        with self._client.batch() as batch:
            made = batch.mail.email.set(
                create={
                    "draft": {
                        "mailboxIds": {drafts: True},
                        "keywords": {"$draft": True},
                        "from": [{"email": identity["email"], "name": None}],
                        "to": [{"email": to}],
                        "subject": subject,
                        "textBody": [{"partId": "body", "type": "text/plain"}],
                        "bodyValues": {"body": {"value": text}},
                    }
                }
            )
            handed = batch.submission.email_submission.set(
                create={"send": {"identityId": identity["id"], "emailId": CreationRef("draft")}},
                onSuccessUpdateEmail=after,
            )
        email = made.result.created_id("draft")
        found = self.letter(str(email))
        return {
            "email": email,
            "submission": handed.result.created_id("send"),
            "moved": [email] if found is not None and found["mailboxes"] == [sent] else [],
        }

    def submit(self, email: str, to: str, hold: int) -> dict[str, Any]:
        (identity,) = self.identities()
        sender: dict[str, Any] = {"email": identity["email"]}
        if hold:
            sender["parameters"] = {"HOLDFOR": str(hold)}
        with self._client.batch() as batch:
            done = batch.submission.email_submission.set(
                create={
                    "s": {
                        "identityId": identity["id"],
                        "emailId": email,
                        "envelope": {"mailFrom": sender, "rcptTo": [{"email": to}]},
                    }
                }
            )
        if done.result.has_errors:
            return {"refused": _errors(done.result.creation_errors)}
        made = done.result.created["s"]
        return {"id": made.id, "status": made.undo_status, "at": made.send_at}

    def cancel(self, submission: str) -> Any:
        with self._client.batch() as batch:
            done = batch.submission.email_submission.set(update={submission: {"undoStatus": "canceled"}})
        return _errors(done.result.update_errors)

    def submission(self, submission: str) -> dict[str, Any]:
        with self._client.batch() as batch:
            found = batch.submission.email_submission.get(ids=[submission])
        (one,) = found.result.items
        delivered = {to: status.delivered for to, status in (one.delivery_status or {}).items()}
        return {"status": one.undo_status, "delivered": delivered}

    def download(self, email: str) -> str:
        told = self.letter(email)
        assert told is not None
        content = self._client.download(told["blob"], name="lettre reçue.eml", content_type="message/rfc822")
        return content.decode("latin-1")

    def unknown(self) -> str:
        """A call that stands between two others fails alone."""
        with self._client.batch() as batch:
            before = batch.mail.mailbox.get(ids=None)
            between = batch.mail.email.changes(since_state="nonsense")
            after = batch.quota.quota.get(ids=None)
        assert before.result.items
        assert after.result.items is not None
        try:
            return str(between.result)
        except MethodError as error:
            return error.type

    def look(self, mailbox: str) -> list[str]:
        """A list that `look_again` keeps current."""
        self._asked = {"filter": {"inMailbox": mailbox}, "sort": _NEWEST}
        spec = QuerySpec.build("Email", str(self._client.default_account), **self._asked)
        with self._client.batch() as batch:
            found = batch.mail.email.query(**self._asked, calculate_total=True)
        self._view = QueryView.from_query(spec, found.result)
        return self._view.known_ids

    def look_again(self) -> list[str]:
        """By what came and went since, not by asking for the list anew."""
        with self._client.batch() as batch:
            delta = batch.mail.email.query_changes(
                **self._asked,
                since_query_state=self._view.query_state,
                up_to_id=self._view.up_to_id,
                calculate_total=True,
            )
        self._view.apply(delta.result)
        assert len(self._view) == len(self._view.known_ids)
        return self._view.known_ids

    def listen(self) -> None:
        def hear() -> None:
            source = EventSourceClient(self._client, types=("Email", "Mailbox", "Thread"), ping=30)
            for event in source.listen():
                if not isinstance(event, Ping):
                    self._told.put(event.changed)

        threading.Thread(target=hear, daemon=True).start()

    def told(self, seconds: float) -> dict[str, Any]:
        """The next change of state: which types, of which account."""
        changed = self._told.get(timeout=seconds)
        return {account: sorted(name.lower() for name in what) for account, what in changed.items()}


def _told(one: Any) -> dict[str, Any]:
    return {
        "id": one.id,
        "blob": one.blob_id,
        "thread": one.thread_id,
        "mailboxes": sorted(one.mailbox_ids),
        "keywords": sorted(one.keywords),
        "subject": one.subject,
        "from": one.from_[0].email if one.from_ else None,
        "size": one.size,
    }


def _errors(found: Any) -> dict[str, str]:
    return {key: error.type for key, error in found.items()}


if __name__ == "__main__":
    program = Program()
    names: list[str] = [name for name in dir(program) if not name.startswith("_")]
    commands: dict[str, Callable[..., Any]] = {name: getattr(program, name) for name in names}
    answer(commands)
    sys.exit(0)
