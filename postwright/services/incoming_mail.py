"""What comes in at our return-path hosts: bounces to return paths, and reports to the report address of each host."""

from mta.inbound import IncomingMessage, RecipientDecision
from postwright.services.bounces import Bounces
from postwright.services.reports import Reports


class IncomingMail:
    """Decides on recipients and stores their mail. ``report_local_part`` is empty where no reports are taken."""

    def __init__(self, bounces: Bounces, reports: Reports, report_local_part: str) -> None:
        self._bounces = bounces
        self._reports = reports
        self._report_local_part = report_local_part.lower()

    async def decide(self, address: str) -> RecipientDecision:
        """What to answer to RCPT; answered from memory wherever that can be."""
        local_part, _, host = address.rpartition("@")
        is_report = self._is_for_reports(local_part)
        if not (is_report or self._bounces.is_return_path(local_part)):
            return RecipientDecision.UNKNOWN if self._bounces.is_ours(host) else RecipientDecision.NOT_OURS
        if not self._bounces.is_ours(host):
            # A domain may be newer than what we remember. For return paths only those that we made lead here; for
            # reports anybody may ask, once for each RCPT of a bounded session.
            await self._bounces.refresh_hosts()
        return RecipientDecision.KNOWN if self._bounces.is_ours(host) else RecipientDecision.NOT_OURS

    async def take(self, message: IncomingMessage) -> None:
        """Store a message for each of its recipients; returns once that is durable, raises ``StorageError``."""
        report_hosts = set()
        for address in message.rcpt_to:
            local_part, _, host = address.rpartition("@")
            if self._is_for_reports(local_part):
                report_hosts.add(host.lower())
            else:
                await self._bounces.take(local_part, message.content)
        for host in sorted(report_hosts):
            await self._reports.take_mail(host, message.content)

    def _is_for_reports(self, local_part: str) -> bool:
        return bool(self._report_local_part) and local_part.lower() == self._report_local_part
