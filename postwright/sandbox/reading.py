"""Reading in the sandbox: the people's requests are made, each at its moment, through the links that were mailed."""

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import httpx

from mailtypes.clock import Microseconds
from mailtypes.errors import SurroundingsError
from postwright.sandbox.mailboxes import Mailboxes, ReceivedMessage
from postwright.sandbox.people import Mail, People, Request, read_mail

_PAGE = 200


class UnansweredLinkError(SurroundingsError):
    """A link in a mail leads to an error; whoever tracks is at fault, or not running."""


@dataclass(slots=True)
class Truth:
    """What really happened to the mails of one subject, as no sender can know it: each mailbox counted once.

    ``clicked``: a person followed a link; ``clicked_by_machines``: a machine did.
    """

    received: int = 0
    clicked: set[str] = field(default_factory=set)
    clicked_by_machines: set[str] = field(default_factory=set)


class Readers:
    """Looks into the mailboxes and lets the people there read. ``client`` reaches the tracking hosts.

    In the mailboxes' time: call ``collect`` when mail may have come, and ``act`` when it is ``next_at``.
    """

    def __init__(self, people: People, mailboxes: Mailboxes, client: httpx.AsyncClient) -> None:
        self._people = people
        self._mailboxes = mailboxes
        self._client = client
        self._seen = 0
        self._waiting: list[tuple[Request, str]] = []
        self._truth: dict[str, Truth] = {}

    @property
    def truth(self) -> Mapping[str, Truth]:
        """What happened so far, by the text that the people know a subject by."""
        return self._truth

    @property
    def next_at(self) -> Microseconds | None:
        """When somebody will next do something."""
        return self._waiting[0][0].at if self._waiting else None

    def collect(self) -> int:
        """Deliver what has come since to its readers; returns how many mails."""
        number = 0
        for message in self._new():
            found = self._people.appeal_of(message.subject)
            number += 1
            if found is None:
                continue
            self._truth.setdefault(found[0], Truth()).received += 1
            for request in self._people.requests(self._open(message)):
                heapq.heappush(self._waiting, (request, found[0]))
        return number

    def _new(self) -> Iterator[ReceivedMessage]:
        """What has come since the last look, the newest first."""
        latest = self._mailboxes.list_messages(limit=1)
        newest = latest[0].id if latest else 0
        before = newest + 1
        while before > self._seen + 1:
            page = self._mailboxes.list_messages(limit=_PAGE, before=before)
            yield from (message for message in page if message.id > self._seen)
            before = page[-1].id if page else 0
        self._seen = newest

    def _open(self, message: ReceivedMessage) -> Mail:
        stored = self._mailboxes.get(message.id)
        assert stored is not None  # mail is never deleted in the sandbox
        return read_mail(message.rcpt_key, message.subject, message.received_at, stored[1])

    async def act(self, now: Microseconds) -> int:
        """Do what is due by ``now``, one after the other; returns how many requests were made."""
        number = 0
        while self._waiting and self._waiting[0][0].at <= now:
            request, text = heapq.heappop(self._waiting)
            is_click = await self._fetch(request)
            self._note(request, self._truth[text], is_click=is_click)
            number += 1
        return number

    async def _fetch(self, request: Request) -> bool:
        """Make one request; returns whether it was a link's (a redirect) rather than an image or a page."""
        headers = {"User-Agent": request.agent, "X-Forwarded-For": request.address}
        try:
            answer = await self._client.request(request.method, request.url, headers=headers)
        except httpx.TransportError as error:
            raise UnansweredLinkError(f"{request.url} does not answer: {error}") from error
        if answer.status_code >= 400:
            raise UnansweredLinkError(f"{request.method} {request.url}: HTTP {answer.status_code}")
        return answer.is_redirect

    @staticmethod
    def _note(request: Request, truth: Truth, *, is_click: bool) -> None:
        if is_click and request.method == "GET":
            (truth.clicked if request.by_person else truth.clicked_by_machines).add(request.mailbox)
