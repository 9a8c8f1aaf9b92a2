"""The main job as an API client does it: domain, contacts, template, pre-flight, send, watch.

Every step looks first whether it has been done, so that a demo that was cut off goes on.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from mailtypes.errors import SurroundingsError
from postwright.demo.stage import SENDER_DOMAIN, Stage
from postwright.sandbox.zones import publish_zone

CAMPAIGN = "Spring harvest guide"
_LIST = "Newsletter"
_SUBJECT = "{{ contact.first_name }}, your spring harvest guide"
_POLL = 0.25
_LONGEST = 900
_LONGEST_SILENCE = 60  # the supervisor waits half a minute at most before it begins a role again


class JobError(SurroundingsError):
    """A step of the job was refused; the message is the server's."""


class UnansweredError(JobError):
    """The server did not answer; it may be on its way up again."""


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What became of the file: counts, and each refused row as (line, value, reason)."""

    created: int
    updated: int
    refused: int
    refusals: tuple[tuple[int, str, str], ...]


@dataclass(frozen=True, slots=True)
class CampaignResult:
    """Where the recipients stand at one moment."""

    state: str
    total: int
    settled: int
    by_state: dict[str, int]
    deferred_ever: int
    ambiguous_ever: int


class MainJob:
    """The steps, over HTTP ``/v1``."""

    def __init__(self, stage: Stage, examples: Path) -> None:
        self._stage = stage
        self._examples = examples
        self._client = httpx.Client(
            base_url=stage.url, timeout=60, headers={"Authorization": f"Bearer {stage.notes.api_key}"}
        )

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def verify_domain(self) -> str:
        """Add the sender domain, publish what it asks for in the sandbox's DNS, verify it; returns its state."""
        self._call("POST", "/v1/domains", json={"name": SENDER_DOMAIN})
        zone = self._request("GET", f"/v1/domains/{SENDER_DOMAIN}/records", headers={"Accept": "text/dns"})
        publish_zone(self._stage.layout.zones_directory, SENDER_DOMAIN, zone.text)
        return str(self._call("POST", f"/v1/domains/{SENDER_DOMAIN}/verify")["state"])

    def import_contacts(self) -> ImportResult:
        """Import the example contacts as a job, and wait for it."""
        job = self._call(
            "POST",
            "/v1/imports",
            params={"list": _LIST, "file_name": "contacts.csv"},
            content=(self._examples / "contacts.csv").read_bytes(),
            headers={"Content-Type": "text/csv"},
        )
        path = f"/v1/imports/{job['id']}"
        for _ in _bounded():
            job = self._call("GET", path)
            if job["state"] in {"finished", "failed"}:
                break
        rows = tuple((row["row"], row["value"], row["reason"]) for row in self._pages(f"{path}/refusals"))
        return ImportResult(job["created"], job["updated"], job["refused"], rows)

    def suppress(self) -> int:
        """Suppress the example addresses; returns how many were new."""
        answer = self._call(
            "POST",
            "/v1/suppressions/import",
            content=(self._examples / "suppressions.csv").read_bytes(),
            headers={"Content-Type": "text/csv"},
        )
        return int(answer["added"])

    def create_campaign(self) -> str:
        """Store the template and the campaign, unless they are there; returns the campaign's id."""
        for campaign in self._pages("/v1/campaigns"):
            if campaign["name"] == CAMPAIGN:
                return str(campaign["id"])
        body = (self._examples / "newsletter.mjml").read_text("utf-8")
        template = self._call(
            "POST",
            "/v1/templates",
            json={"name": "Newsletter", "body": body, "body_format": "mjml", "subject": _SUBJECT},
        )
        target = next(one for one in self._pages("/v1/lists") if one["name"] == _LIST)
        campaign = self._call(
            "POST",
            "/v1/campaigns",
            json={
                "name": CAMPAIGN,
                "list": target["id"],
                "template": template["id"],
                "from_address": f"hello@{SENDER_DOMAIN}",
                "from_name": "Acme Garden",
            },
        )
        return str(campaign["id"])

    def preflight(self, campaign: str) -> dict[str, Any]:
        """What pre-flight says."""
        return self._call("POST", f"/v1/campaigns/{campaign}/preflight")

    def send(self, campaign: str) -> None:
        """Send it, unless that has been done."""
        if self._call("GET", f"/v1/campaigns/{campaign}")["state"] == "draft":
            self._call("POST", f"/v1/campaigns/{campaign}/send")

    def status(self, campaign: str) -> CampaignResult:
        """Where it stands."""
        answer = self._call("GET", f"/v1/campaigns/{campaign}")
        counts = answer["counts"] or {"total": 0, "settled": 0, "by_state": {}, "deferred_ever": 0, "ambiguous_ever": 0}
        return CampaignResult(state=answer["state"], **counts)

    def watch(self, campaign: str, show: Callable[[CampaignResult], None]) -> CampaignResult:
        """Call ``show`` with every new status until the campaign has come to its end."""
        silent = 0.0
        for _ in _bounded():
            try:
                result = self.status(campaign)
            except UnansweredError:
                silent += _POLL
                if silent > _LONGEST_SILENCE:
                    raise
                continue
            silent = 0.0
            show(result)
            if result.state in {"finished", "cancelled"}:
                return result
        raise JobError(f"The campaign did not finish within {_LONGEST} s; see {self._stage.log_file}.")

    def _pages(self, path: str) -> Iterator[dict[str, Any]]:
        cursor: str | None = None
        while True:
            answer = self._call("GET", path, params={"cursor": cursor} if cursor else None)
            yield from answer["data"]
            if not answer["has_more"]:
                return
            cursor = answer["next_cursor"]

    def _call(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        document: dict[str, Any] = self._request(method, path, **more).json()
        return document

    def _request(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            answer = self._client.request(method, path, **more)
        except httpx.TransportError as error:
            raise UnansweredError(f"Postwright does not answer ({error}); see {self._stage.log_file}.") from error
        _check(answer)
        return answer


def _bounded() -> Iterator[None]:
    """Turns with a pause between them, at most for ``_LONGEST`` seconds."""
    for _ in range(int(_LONGEST / _POLL)):
        yield
        time.sleep(_POLL)


def _check(answer: httpx.Response) -> None:
    if answer.is_success:
        return
    try:
        problem = answer.json()
        reasons = "\n".join(f"{one['detail']} {one.get('next_step') or ''}".strip() for one in problem["errors"])
        raise JobError(reasons or problem["detail"])
    except (ValueError, KeyError, TypeError) as error:
        raise JobError(f"{answer.request.method} {answer.request.url.path}: HTTP {answer.status_code}") from error
