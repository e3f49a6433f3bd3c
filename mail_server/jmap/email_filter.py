"""Filters of Email/query (RFC 8621 §4.4.1), read and answered without opening a letter.

Most filters are one question to the store. Those that are not (OR, NOT, keywords of a whole thread) are answered by
sets of ids. Invariants: what would need the text of sealed letters is `unsupportedFilter`; what is malformed is
`invalidArguments`; depth and number of conditions are bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from mail_server.jmap import keywords
from mail_server.jmap.interface import MethodError
from mail_server.jmap.protocol.arguments import is_id, utc_ms, whole
from mail_server.jmap.protocol.errors import invalid_arguments
from mail_server.store.interface import Reader
from mail_server.store.model import AccountId, CoarseClass, EmailQuery, Flag, MailboxId

MOST_CONDITIONS = 50
MOST_FOLDERS = 500
_ALL = 1 << 31
_NOWHERE = MailboxId(-1)  # no mailbox has this number: nothing is in it
# What only clear text can answer.
_TEXT = frozenset(["text", "from", "to", "cc", "bcc", "subject", "body", "header", "hasAttachment"])
CLASSES = {one.name.lower(): one for one in CoarseClass}  # as an Email says which of them it is
Found = tuple[str, str]  # email id, thread id
Folders = Mapping[str, MailboxId]


@dataclass(frozen=True, slots=True)
class Condition:
    """One FilterCondition: a question to the store, and what it says of threads."""

    query: EmailQuery = field(default_factory=EmailQuery)
    threads: tuple[tuple[str, str], ...] = ()  # ("all" | "some" | "none", keyword)


@dataclass(frozen=True, slots=True)
class Operator:
    operator: str  # AND, OR, NOT
    parts: tuple[Condition | Operator, ...]


Filter = Condition | Operator


def read_filter(value: Any, folders: Folders, *, vendor: bool = False) -> Filter:
    """`vendor`: conditions of ours may be asked too. Raises MethodError invalidArguments, unsupportedFilter."""
    return _Reader(folders, vendor).filter(value, 0) if value is not None else Condition()


class _Reader:
    def __init__(self, folders: Folders, vendor: bool) -> None:
        self._folders = folders
        self._vendor = vendor
        self._left = MOST_CONDITIONS

    def filter(self, value: Any, depth: int) -> Filter:
        if not isinstance(value, dict) or depth > 10:
            raise invalid_arguments("A filter is an object, not nested too deep")
        self._left -= 1
        if self._left < 0:
            raise MethodError("unsupportedFilter", "Too many conditions")
        members = cast("dict[str, Any]", value)
        if "operator" not in members:
            return self._condition(members)
        parts = members.get("conditions")
        if (
            members["operator"] not in ("AND", "OR", "NOT")
            or not isinstance(parts, list)
            or members.keys() - {"operator", "conditions"}
        ):
            raise invalid_arguments("A filter operator is AND, OR or NOT over an array of conditions")
        return Operator(
            members["operator"], tuple(self.filter(each, depth + 1) for each in cast("list[Any]", parts))
        )

    def _condition(self, members: Mapping[str, Any]) -> Condition:
        query: EmailQuery | None = EmailQuery()
        threads: list[tuple[str, str]] = []
        for name, value in members.items():
            if value is None:
                continue
            if name in _TEXT:
                raise MethodError("unsupportedFilter", "The server cannot look into sealed letters")
            if name in _THREAD_WORDS:
                threads.append((_THREAD_WORDS[name], _keyword(value)))
            else:
                query = merged(query, self._simple(name, value)) if query is not None else None
        assert query is not None  # each property stands once in an object: nothing can contradict
        return Condition(query, tuple(threads))

    def _simple(self, name: str, value: Any) -> EmailQuery:
        match name:
            case "inMailbox":
                if not is_id(value):
                    raise invalid_arguments("inMailbox is an id")
                return EmailQuery(mailbox=self._folders.get(value, _NOWHERE))
            case "inMailboxOtherThan":
                ids: list[Any] = cast("list[Any]", value) if isinstance(value, list) else [None]
                if len(ids) > MOST_FOLDERS or not all(map(is_id, ids)):
                    raise invalid_arguments("inMailboxOtherThan is an array of ids")
                known = frozenset(self._folders[each] for each in ids if each in self._folders)
                return EmailQuery(other_than=known)
            case "before" | "after":
                at = utc_ms(value)
                if at is None:
                    raise invalid_arguments(f"{name} is a UTCDate")
                return EmailQuery(before=at) if name == "before" else EmailQuery(after=at)
            case "minSize" | "maxSize":
                size = whole(value)
                if size is None:
                    raise invalid_arguments(f"{name} is a whole number")
                return EmailQuery(min_size=size) if name == "minSize" else EmailQuery(max_size=size)
            case "hasKeyword" | "notKeyword":
                return _worded(_keyword(value), name == "hasKeyword")
            case "class" if self._vendor:
                if not isinstance(value, str) or value not in CLASSES:
                    raise invalid_arguments(f"class is one of {', '.join(CLASSES)}")
                return EmailQuery(coarse_class=CLASSES[value])
            case _:
                raise invalid_arguments("A filter condition is unknown")


_THREAD_WORDS = {
    "allInThreadHaveKeyword": "all",
    "someInThreadHaveKeyword": "some",
    "noneInThreadHaveKeyword": "none",
}


def _keyword(value: Any) -> str:
    if not keywords.is_keyword(value):
        raise invalid_arguments("A keyword is malformed")
    return value.lower()


def _worded(word: str, wanted: bool) -> EmailQuery:
    flag = keywords.SYSTEM.get(word)
    if flag is None:
        return EmailQuery(keyword_set=word) if wanted else EmailQuery(keyword_unset=word)
    return EmailQuery(flags_set=flag) if wanted else EmailQuery(flags_unset=flag)


# ── one question to the store ──


def merged(a: EmailQuery, b: EmailQuery) -> EmailQuery | None:
    """Both at once; None when one question cannot ask both."""
    for name in ("mailbox", "keyword_set", "keyword_unset", "coarse_class"):
        mine, other = getattr(a, name), getattr(b, name)
        if mine is not None and other is not None and mine != other:
            return None
    if a.other_than and b.other_than and a.other_than != b.other_than:
        return None
    return replace(
        a,
        mailbox=b.mailbox if a.mailbox is None else a.mailbox,
        other_than=a.other_than or b.other_than,
        before=_least(a.before, b.before, min),
        after=_least(a.after, b.after, max),
        min_size=_least(a.min_size, b.min_size, max),
        max_size=_least(a.max_size, b.max_size, min),
        flags_set=a.flags_set | b.flags_set,
        flags_unset=a.flags_unset | b.flags_unset,
        keyword_set=a.keyword_set or b.keyword_set,
        keyword_unset=a.keyword_unset or b.keyword_unset,
        coarse_class=b.coarse_class if a.coarse_class is None else a.coarse_class,
    )


def _least(a: int | None, b: int | None, choose: Callable[[int, int], int]) -> int | None:
    return b if a is None else a if b is None else choose(a, b)


@dataclass(frozen=True, slots=True)
class Question:
    """A filter as the store can answer it: one query, and what is left to sift by sets of ids."""

    query: EmailQuery
    rest: tuple[Filter, ...] = ()


def question_of(filter_: Filter, order: EmailQuery) -> Question:
    """`order` carries the direction and what is never shown."""
    query, rest = order, list[Filter]()
    waiting = [filter_]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Operator):
            if one.operator == "AND":
                waiting.extend(one.parts)
            else:
                rest.append(one)
            continue
        both = merged(query, one.query)
        if both is None:
            rest.append(Condition(one.query))
        else:
            query = both
        if one.threads:
            rest.append(Condition(threads=one.threads))
    return Question(query, tuple(rest))


# ── sets of ids ──


class Sieve:
    """Answers what is left of a filter, in one read of the store."""

    def __init__(self, reader: Reader, account: AccountId) -> None:
        self._reader = reader
        self._account = account
        self._known: dict[tuple[str, bool], set[str]] = {}

    def ordered(self, question: Question) -> list[Found]:
        result = list(self._asked(question.query))
        for filter_ in question.rest:
            kept = self._matching(filter_, result)
            result = [each for each in result if each in kept]
        return result

    def _asked(self, query: EmailQuery) -> Sequence[Found]:
        return self._reader.query_emails(self._account, query, 0, _ALL).found

    def _matching(self, filter_: Filter, among: Sequence[Found]) -> set[Found]:
        if isinstance(filter_, Operator):
            sets = [self._matching(each, among) for each in filter_.parts]
            if filter_.operator == "AND":
                return set(among).intersection(*sets)
            either = set[Found]().union(*sets)
            return either if filter_.operator == "OR" else set(among) - either
        found = set(among)
        if filter_.query != EmailQuery():
            query = merged(filter_.query, EmailQuery(flags_unset=Flag.DELETED))
            found &= set(self._asked(query or filter_.query))
        for which, word in filter_.threads:
            found = {each for each in found if self._thread_says(which, word, each[1])}
        return found

    def _thread_says(self, which: str, word: str, thread: str) -> bool:
        having = self._threads(word, True)
        if which == "all":
            return thread in having and thread not in self._threads(word, False)
        return (thread in having) is (which == "some")

    def _threads(self, word: str, having: bool) -> set[str]:
        """Threads with a letter that has the keyword, or with one that has not; each asked once."""
        known = self._known.get((word, having))
        if known is None:
            query = merged(_worded(word, having), EmailQuery(flags_unset=Flag.DELETED))
            assert query is not None
            known = self._known[word, having] = {thread for _, thread in self._asked(query)}
        return known
