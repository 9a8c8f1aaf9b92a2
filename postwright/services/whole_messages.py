"""The content of whole messages for the composer: the port ``services.composition.WholeMessages`` over the store."""

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from threading import Lock

from postwright.store import blobs, messages
from postwright.store.database import Database

_KEPT_OCTETS = 32 * 1024 * 1024
_LARGEST_KEPT = _KEPT_OCTETS // 4
_FETCHED_OCTETS = 256 * 1024
"""What is larger is read by itself: a chunk of such messages shall not lie in memory before it is its turn."""


class StoredMessages:
    """Reads in worker threads. What was read last is kept, up to 32 MiB: messages to several people, attachments."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._octets = 0
        self._lock = Lock()

    def fetch(self, message_ids: Sequence[int]) -> None:
        """Read contents together: a query for each message costs more than composing it."""
        unknown = {one for one in message_ids if self._find(("message", one)) is None}
        if len(unknown) > 1:
            work = partial(messages.read_contents, message_ids=sorted(unknown), largest=_FETCHED_OCTETS)
            for message_id, content in self._database.read_in_thread(work).items():
                self._keep(("message", message_id), content)

    def content(self, message_id: int) -> bytes | None:
        """The stored content of a message."""
        kept = self._find(("message", message_id))
        if kept is None:
            kept = self._database.read_in_thread(partial(messages.read_content, message_id=message_id))
            self._keep(("message", message_id), kept)
        return kept

    def blob(self, blob_id: int) -> bytes:
        """The octets of an attachment."""
        kept = self._find(("blob", blob_id))
        if kept is None:
            kept = self._database.read_in_thread(partial(blobs.get_blob, blob_id=blob_id))
            self._keep(("blob", blob_id), kept)
        return kept

    def _find(self, place: tuple[str, int]) -> bytes | None:
        with self._lock:
            if place in self._kept:
                self._kept.move_to_end(place)
            return self._kept.get(place)

    def _keep(self, place: tuple[str, int], octets: bytes | None) -> None:
        if octets is None or len(octets) > _LARGEST_KEPT:
            return
        with self._lock:
            self._octets += len(octets) - len(self._kept.pop(place, b""))
            self._kept[place] = octets
            while self._octets > _KEPT_OCTETS:
                _, gone = self._kept.popitem(last=False)
                self._octets -= len(gone)
