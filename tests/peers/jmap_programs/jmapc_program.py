"""A program built on jmapc, as its documentation shows; run in the environment of tests/peers/jmap_programs."""

from __future__ import annotations

import queue
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jmapc
import jmapc.models
from jmapc import methods
from spoken import answer

_PROPERTIES = ["id", "blobId", "threadId", "mailboxIds", "keywords", "subject", "from", "size", "receivedAt"]


class Program:
    def __init__(self) -> None:
        self._client: jmapc.Client
        self._told: queue.Queue[Any] = queue.Queue()

    def connect(self, host: str, user: str, password: str, token: str) -> dict[str, Any]:
        if token:
            self._client = jmapc.Client.create_with_api_token(host, token)
        else:
            self._client = jmapc.Client.create_with_password(host, user, password)
        session = self._client.jmap_session
        urns = sorted(session.capabilities.urns)
        return {"user": session.username, "account": self._client.account_id, "capabilities": urns}

    def _ask(self, method: Any) -> Any:
        return self._client.request(method, raise_errors=True, single_response=True)

    def mailboxes(self) -> list[dict[str, Any]]:
        found = self._ask(methods.MailboxGet(ids=None))
        return [
            {"id": one.id, "name": one.name, "role": one.role, "total": one.total_emails}
            for one in found.data
        ]

    def find(self, role: str) -> list[str]:
        """As jmapc's own examples begin: query, then get by reference."""
        asked = [
            methods.MailboxQuery(filter=jmapc.MailboxQueryFilterCondition(role=role)),
            methods.MailboxGet(ids=jmapc.Ref("/ids")),
        ]
        return [one.id for one in self._client.request(asked, raise_errors=True)[1].response.data]

    def letters(self, mailbox: str) -> dict[str, Any]:
        """Newest first: query and get in one request, the second by reference to the first."""
        asked = [
            methods.EmailQuery(
                filter=jmapc.EmailQueryFilterCondition(in_mailbox=mailbox),
                sort=[jmapc.Comparator(property="receivedAt", is_ascending=False)],
                limit=50,
            ),
            methods.EmailGet(ids=jmapc.Ref("/ids"), properties=_PROPERTIES),
        ]
        found = self._client.request(asked, raise_errors=True)[1].response
        return {"state": found.state, "letters": [_told(one) for one in found.data]}

    def letter(self, email: str) -> dict[str, Any] | None:
        found = self._ask(methods.EmailGet(ids=[email], properties=_PROPERTIES))
        return _told(found.data[0]) if found.data else None

    def words(self, email: str) -> str:
        asked = methods.EmailGet(
            ids=[email], properties=["textBody", "bodyValues"], fetch_text_body_values=True
        )
        (one,) = self._ask(asked).data
        return "".join(one.body_values[part.part_id].value for part in one.text_body)

    def changes(self, since: str) -> dict[str, Any]:
        found = self._ask(methods.EmailChanges(since_state=since))
        return {
            "created": found.created,
            "updated": found.updated,
            "destroyed": found.destroyed,
            "state": found.new_state,
        }

    def update(self, email: str, patch: dict[str, Any]) -> Any:
        answer = self._ask(methods.EmailSet(update={email: patch}))
        return _errors(answer.not_updated)

    def destroy(self, email: str) -> Any:
        answer = self._ask(methods.EmailSet(destroy=[email]))
        return _errors(answer.not_destroyed)

    def upload(self, content: str, kind: str) -> str:
        """As a file, whose type is guessed from its name."""
        with tempfile.NamedTemporaryFile("w", suffix=kind, newline="") as file:
            file.write(content)
            file.flush()
            return self._client.upload_blob(Path(file.name)).id

    def keep(self, blob: str, mailbox: str) -> dict[str, Any]:
        """Email/import, which jmapc does not know by name."""
        asked = methods.CustomMethod(
            data={
                "accountId": self._client.account_id,
                "emails": {"k": {"blobId": blob, "mailboxIds": {mailbox: True}, "keywords": {"$seen": True}}},
            }
        )
        asked.jmap_method = "Email/import"
        asked.using = {"urn:ietf:params:jmap:mail"}
        answer = self._ask(asked).data
        return {"created": answer["created"], "refused": answer["notCreated"]}

    def identities(self) -> list[dict[str, Any]]:
        return [{"id": one.id, "email": one.email} for one in self._ask(methods.IdentityGet(ids=None)).data]

    def write(self, drafts: str, sent: str, to: str, subject: str, text: str) -> dict[str, Any]:
        """A draft and its sending in one request; once sent, the draft goes to Sent."""
        (identity,) = self._ask(methods.IdentityGet(ids=None)).data
        draft = jmapc.Email(
            mail_from=[jmapc.EmailAddress(email=identity.email)],
            to=[jmapc.EmailAddress(email=to)],
            subject=subject,
            keywords={"$draft": True},
            mailbox_ids={drafts: True},
            body_values={"body": jmapc.EmailBodyValue(value=text)},
            text_body=[jmapc.EmailBodyPart(part_id="body", type="text/plain")],
        )
        submission = jmapc.EmailSubmission(
            email_id="#draft",
            identity_id=identity.id,
            envelope=jmapc.Envelope(
                mail_from=jmapc.Address(email=identity.email), rcpt_to=[jmapc.Address(email=to)]
            ),
        )
        after = {"#send": {f"mailboxIds/{drafts}": None, f"mailboxIds/{sent}": True, "keywords/$draft": None}}
        asked = [
            methods.EmailSet(create={"draft": draft}),
            methods.EmailSubmissionSet(create={"send": submission}, on_success_update_email=after),
        ]
        answers = [each.response for each in self._client.request(asked, raise_errors=True)]
        return {
            "email": answers[0].created["draft"].id,
            "submission": answers[1].created["send"].id,
            "moved": list(answers[2].updated),
        }

    def submit(self, email: str, to: str, hold: int) -> dict[str, Any]:
        (identity,) = self._ask(methods.IdentityGet(ids=None)).data
        parameters = {"HOLDFOR": str(hold)} if hold else None
        submission = jmapc.EmailSubmission(
            email_id=email,
            identity_id=identity.id,
            envelope=jmapc.Envelope(
                mail_from=jmapc.Address(email=identity.email, parameters=parameters),
                rcpt_to=[jmapc.Address(email=to)],
            ),
        )
        answer = self._ask(methods.EmailSubmissionSet(create={"s": submission}))
        if answer.not_created:
            return {"refused": _errors(answer.not_created)}
        made = answer.created["s"]
        return {"id": made.id, "status": made.undo_status.value, "at": made.send_at.isoformat()}

    def cancel(self, submission: str) -> Any:
        answer = self._ask(methods.EmailSubmissionSet(update={submission: {"undoStatus": "canceled"}}))
        return _errors(answer.not_updated)

    def submission(self, submission: str) -> dict[str, Any]:
        (one,) = self._ask(methods.EmailSubmissionGet(ids=[submission])).data
        delivered = {to: status.delivered.value for to, status in (one.delivery_status or {}).items()}
        return {"status": one.undo_status.value, "delivered": delivered}

    def download(self, email: str) -> str:
        (one,) = self._ask(methods.EmailGet(ids=[email], properties=["blobId"])).data
        part = jmapc.EmailBodyPart(blob_id=one.blob_id, name="lettre reçue.eml", type="message/rfc822")
        with tempfile.NamedTemporaryFile("rb") as file:
            self._client.download_attachment(part, file.name)
            return file.read().decode("latin-1")

    def unknown(self) -> str:
        asked = methods.CustomMethod(data={"accountId": self._client.account_id})
        asked.jmap_method = "CalendarEvent/get"
        answer = self._client.request(asked, single_response=True)
        return answer.type if isinstance(answer, jmapc.errors.Error) else ""

    def listen(self) -> None:
        def hear() -> None:
            for event in self._client.events:
                self._told.put({account: vars(what) for account, what in event.data.changed.items()})

        threading.Thread(target=hear, daemon=True).start()

    def told(self, seconds: float) -> dict[str, Any]:
        """The next change of state: which types, of which account."""
        changed = self._told.get(timeout=seconds)
        return {
            account: sorted(name for name, state in what.items() if state)
            for account, what in changed.items()
        }


def _told(one: jmapc.Email) -> dict[str, Any]:
    return {
        "id": one.id,
        "blob": one.blob_id,
        "thread": one.thread_id,
        "mailboxes": sorted(one.mailbox_ids),
        "keywords": sorted(one.keywords),
        "subject": one.subject,
        "from": one.mail_from[0].email if one.mail_from else None,
        "size": one.size,
    }


def _errors(found: dict[str, Any] | None) -> dict[str, str]:
    return {key: error.type for key, error in (found or {}).items()}


if __name__ == "__main__":
    program = Program()
    names: list[str] = [name for name in dir(program) if not name.startswith("_")]
    commands: dict[str, Callable[..., Any]] = {name: getattr(program, name) for name in names}
    answer(commands)
    sys.exit(0)
