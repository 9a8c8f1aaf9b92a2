"""What SpamAssassin and rspamd say of a mail: shown beside our own score, never mixed into it.

Both are the operator's own servers, named by the configuration; nothing is asked where none is named. That one could
not be asked is a value with its cause: a second opinion never keeps anybody from sending.
"""

import asyncio
import json
import math
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import httpx

Source = Literal["spamassassin", "rspamd"]
_MAX_REPLY = 1024 * 1024
_MAX_MESSAGE = 32 * 1024 * 1024
_MOST_RULES = 200
_STATUS = re.compile(rb"SPAMD/[0-9.]{1,8} ([0-9]{1,3}) ([^\r\n]{0,100})\r?\n")
_VERDICT = re.compile(
    rb"^Spam:[ \t]*(True|False|Yes|No)[ \t]*;[ \t]*(-?[0-9.]{1,12})[ \t]*/[ \t]*(-?[0-9.]{1,12})[ \t]*\r?$",
    re.IGNORECASE | re.MULTILINE,
)
_RULE = re.compile(r"[A-Za-z0-9_]{1,120}")


@dataclass(frozen=True, slots=True)
class OpinionRule:
    """A rule that fired; ``score`` where the server tells it."""

    name: str
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Opinion:
    """A filter's own score and the one from which it calls a mail spam, on its own scale."""

    source: Source
    score: float
    spam_from: float
    is_spam: bool
    rules: tuple[OpinionRule, ...]


@dataclass(frozen=True, slots=True)
class CouldNotAsk:
    """No opinion, and why, as half a sentence."""

    source: Source
    cause: str


@dataclass(frozen=True, slots=True)
class SecondOpinionPolicy:
    """Whom to ask. ``spamd`` is host and port, ``rspamd`` the address of its normal worker; ``None`` asks nobody.

    ``within`` bounds each question as a whole.
    """

    spamd: tuple[str, int] | None = None
    rspamd: str | None = None
    rspamd_password: str | None = None
    within: timedelta = timedelta(seconds=10)

    def __repr__(self) -> str:
        return f"SecondOpinionPolicy(spamd={self.spamd!r}, rspamd={self.rspamd!r}, within={self.within!r})"


async def second_opinions(message: bytes, policy: SecondOpinionPolicy) -> tuple[Opinion | CouldNotAsk, ...]:
    """What each configured filter says of a message as on the wire, asked at once, SpamAssassin first."""
    questions = []
    if policy.spamd is not None:
        questions.append(ask_spamd(message, policy.spamd, policy.within))
    if policy.rspamd is not None:
        questions.append(ask_rspamd(message, policy))
    return tuple(await asyncio.gather(*questions))


async def ask_spamd(message: bytes, place: tuple[str, int], within: timedelta) -> Opinion | CouldNotAsk:
    """Ask SpamAssassin's daemon by its own protocol (``SYMBOLS``, protocol 1.5): score, limit and names of rules."""
    if len(message) > _MAX_MESSAGE:
        return CouldNotAsk("spamassassin", "the message is too large")
    try:
        async with asyncio.timeout(within.total_seconds()):
            return _read_spamd(await _spoken_to(message, place))
    except TimeoutError:
        return CouldNotAsk("spamassassin", "it did not answer in time")
    except (OSError, UnicodeError) as error:  # UnicodeError: a host name that none can be
        return CouldNotAsk("spamassassin", f"it cannot be reached ({type(error).__name__})")


async def _spoken_to(message: bytes, place: tuple[str, int]) -> bytes:
    reader, writer = await asyncio.open_connection(*place)
    try:
        writer.write(b"SYMBOLS SPAMC/1.5\r\nContent-length: %d\r\n\r\n" % len(message) + message)
        await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
        reply = bytearray()
        while len(reply) <= _MAX_REPLY and (octets := await reader.read(65_536)):
            reply += octets
        return bytes(reply)
    finally:
        writer.close()


def _read_spamd(reply: bytes) -> Opinion | CouldNotAsk:
    status = _STATUS.match(reply)
    if status is None:
        return CouldNotAsk("spamassassin", "its answer is not SpamAssassin's")
    if int(status[1]):
        return CouldNotAsk("spamassassin", f"it refused: {status[2].decode('ascii', 'replace').strip()}")
    header, _, body = reply.partition(b"\r\n\r\n")
    verdict = _VERDICT.search(header)
    numbers = (None, None) if verdict is None else (_number(verdict[2].decode()), _number(verdict[3].decode()))
    if verdict is None or numbers[0] is None or numbers[1] is None:
        return CouldNotAsk("spamassassin", "its answer has no score")
    names = _RULE.findall(body.decode("ascii", "replace"))[:_MOST_RULES]
    is_spam = verdict[1].lower() in (b"true", b"yes")
    return Opinion("spamassassin", numbers[0], numbers[1], is_spam, tuple(OpinionRule(name) for name in names))


async def ask_rspamd(message: bytes, policy: SecondOpinionPolicy) -> Opinion | CouldNotAsk:
    """Ask rspamd's normal worker (``POST /checkv2``)."""
    if len(message) > _MAX_MESSAGE:
        return CouldNotAsk("rspamd", "the message is too large")
    headers = {} if policy.rspamd_password is None else {"Password": policy.rspamd_password}
    seconds = policy.within.total_seconds()
    url = (policy.rspamd or "").rstrip("/") + "/checkv2"
    try:
        # The operator names this server, which is mostly on this host; so neither the guard against private addresses
        # nor the environment's proxy applies.
        async with (
            asyncio.timeout(seconds),
            httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=seconds) as client,
            client.stream("POST", url, content=message, headers=headers) as response,
        ):
            if response.status_code != httpx.codes.OK:
                return CouldNotAsk("rspamd", f"it answered {response.status_code}")
            reply = bytearray()
            async for octets in response.aiter_bytes():
                reply += octets
                if len(reply) > _MAX_REPLY:
                    return CouldNotAsk("rspamd", "its answer is too long")
    except (TimeoutError, httpx.TimeoutException):
        return CouldNotAsk("rspamd", "it did not answer in time")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return CouldNotAsk("rspamd", f"it cannot be reached ({type(error).__name__})")
    return _read_rspamd(bytes(reply))


def _read_rspamd(reply: bytes) -> Opinion | CouldNotAsk:
    try:
        document = json.loads(reply)
    except (ValueError, RecursionError):
        return CouldNotAsk("rspamd", "its answer is not JSON")
    score, limit = (_number(document.get(key)) if isinstance(document, dict) else None for key in _SCORES)
    if score is None or limit is None:
        return CouldNotAsk("rspamd", "its answer has no score")
    symbols = document.get("symbols")
    rules = [_symbol(name, told) for name, told in symbols.items()] if isinstance(symbols, dict) else []
    rules.sort(key=lambda rule: (-abs(rule.score or 0.0), rule.name))
    return Opinion("rspamd", score, limit, score >= limit, tuple(rules[:_MOST_RULES]))


_SCORES = ("score", "required_score")


def _symbol(name: str, told: Any) -> OpinionRule:
    return OpinionRule(name[:120], _number(told.get("score")) if isinstance(told, dict) else None)


def _number(value: object) -> float | None:
    """A finite number, or ``None``."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
