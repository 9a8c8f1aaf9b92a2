"""The judges: pyspf, dkimpy and authheaders on a message, as somebody else's mail host would.

They share no code with Postwright's own checks, so that one mistake cannot pass on both sides. They run in
processes of their own (``JudgePool``): authheaders takes no resolver for SPF, so dnspython's default resolver
has to be set for the whole process.
"""

import asyncio
import functools
import importlib.resources
import os
import re
import signal
import warnings
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any

import authheaders
import authheaders.dmarc_lookup
import dkim
import dns.exception
import dns.resolver
from authres import (
    AuthenticationResultsHeader,
    DKIMAuthenticationResult,
    SPFAuthenticationResult,
)

from mailtypes.clock import SECOND, SystemClock
from mailtypes.errors import SurroundingsError
from postwright.sandbox.judgement import AuthResult, DmarcPolicy, Judgement, MailCase

_MAX_SIGNATURES = 4
_SECONDS_PER_MESSAGE = 30.0
_SECONDS_PER_LOOKUP = 5.0
_LONGEST_CACHED_SECONDS = 1.0
_CACHED_NAMES = 2000
_RESERVED_TOP_LEVEL_DOMAINS = ("test", "example", "invalid", "localhost")  # RFC 6761
_SIGNATURE = re.compile(rb"(?im)^dkim-signature[ \t]*:")
_END_OF_HEADER = re.compile(rb"\r?\n\r?\n")


class JudgesUnavailableError(SurroundingsError):
    """The judges died or took too long; the message has to come again."""


class _BriefCache(dns.resolver.LRUCache):
    """Holds answers for their TTL, one second at most, so that a record just published or mended counts."""

    def put(self, key: dns.resolver.CacheKey, value: dns.resolver.Answer) -> None:
        latest = SystemClock().now() / SECOND + _LONGEST_CACHED_SECONDS
        value.expiration = min(value.expiration, latest)
        super().put(key, value)


def prepare_judges(dns_address: str, dns_port: int) -> None:
    """Make this process one that judges: its default resolver is the sandbox's name server."""
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [dns_address]
    resolver.port = dns_port
    resolver.lifetime = _SECONDS_PER_LOOKUP
    resolver.cache = _BriefCache(_CACHED_NAMES)
    dns.resolver.default_resolver = resolver
    # pyspf still calls the resolver by its old name.
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    organizational_domain = functools.lru_cache(maxsize=4096)(_public_suffixes().get_public_suffix)
    authheaders.dmarc_lookup.get_org_domain = organizational_domain
    authheaders.get_org_domain = organizational_domain
    # authheaders reads a domain up to the first hyphen only ("my-shop.test", every A-label with "xn--").
    authheaders.get_domain_part = _domain_part


def judge(case: MailCase) -> Judgement:
    """Judge one message in this process, which ``prepare_judges`` has prepared."""
    header = _header_of(case.raw)
    mail_from = case.mail_from or f"postmaster@{case.helo}"  # RFC 7208 section 2.4
    spf = _judge_spf(case.client_ip, mail_from, case.helo)
    signatures = _judge_signatures(header, case.raw)
    dmarc_of = functools.partial(_judge_dmarc, header)
    spf_alone = dmarc_of(spf=_copy_of(spf, mail_from, case.helo))
    by_signature = [dmarc_of(dkim_result=signature) for signature in signatures]
    aligned_signature = next((s for s, d in zip(signatures, by_signature, strict=True) if d.result == "pass"), None)
    aligned = tuple(
        method for method, found in (("spf", spf_alone.result == "pass"), ("dkim", aligned_signature)) if found
    )
    dmarc = next((d for d in (spf_alone, *by_signature) if d.result == "pass"), spf_alone)
    best = aligned_signature or min(signatures, key=lambda signature: signature.result != "pass", default=None)
    dkim_result = _token(best.result if best else "none")
    if dmarc.result == "fail" and "temperror" in (spf.result, dkim_result):
        dmarc.result = "temperror"  # RFC 9989 section 5.3.6: what could not be checked might have passed
    shown = [spf, *(signatures or [DKIMAuthenticationResult(result="none")]), dmarc]
    return Judgement(
        spf=_token(spf.result),
        dkim=dkim_result,
        dmarc=_token(dmarc.result),
        spf_domain=mail_from.rpartition("@")[2].lower(),
        dkim_domain=(best.header_d or "").lower() if best else "",
        author_domain=dmarc.header_from or "",
        policy=_policy(dmarc),
        aligned=aligned,
        header=str(AuthenticationResultsHeader(authserv_id=case.authserv_id, results=shown)),
    )


class JudgePool:
    """Judges in processes of their own; a pool whose process died is made anew at the next message."""

    def __init__(self, dns_address: str, dns_port: int, processes: int) -> None:
        self._resolver = (dns_address, dns_port)
        self._processes = processes
        self._executor: ProcessPoolExecutor | None = None

    async def start(self) -> None:
        """Bring the processes up, so that the first message need not wait for them."""
        executor = self._executor = self._new_executor()
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(executor, _warm_up) for _ in range(self._processes)))

    async def judge(self, case: MailCase) -> Judgement:
        """Judge one message; raise ``JudgesUnavailableError`` where that could not be done in time."""
        executor = self._executor = self._executor or self._new_executor()
        try:
            async with asyncio.timeout(_SECONDS_PER_MESSAGE):
                return await asyncio.get_running_loop().run_in_executor(executor, judge, case)
        except BrokenProcessPool as error:
            if self._executor is executor:
                self._executor = None
            raise JudgesUnavailableError("a judging process ended") from error
        except TimeoutError as error:
            raise JudgesUnavailableError(f"judging took more than {_SECONDS_PER_MESSAGE:.0f} s") from error

    def close(self) -> None:
        """End the processes; what waits is dropped."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = None

    def _new_executor(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self._processes, mp_context=get_context("spawn"), initializer=_enter_process, initargs=self._resolver
        )


def _public_suffixes() -> Any:
    """authheaders' own list, read once (it reads the file for every domain), with the reserved names added.

    publicsuffix2 takes an unlisted top-level domain for one organization, contrary to the list's algorithm ("if no
    rules match, the prevailing rule is *"): all of ``.test`` would be aligned with all of ``.test``.
    """
    text = (importlib.resources.files("authheaders") / "public_suffix_list.txt").read_text("utf-8")
    return authheaders.dmarc_lookup.PublicSuffixList([*text.splitlines(), *_RESERVED_TOP_LEVEL_DOMAINS])


def _enter_process(dns_address: str, dns_port: int) -> None:
    # Ctrl-C and SIGTERM to the group are for the process that started this one; it ends us in its own time.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    Thread(target=_end_with_parent, daemon=True).start()
    prepare_judges(dns_address, dns_port)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # the parent was killed: its queue, which we also hold open, will never say so


def _warm_up() -> None:
    authheaders.dmarc_lookup.get_org_domain("warm.test")


def _judge_spf(client_ip: str, mail_from: str, helo: str) -> SPFAuthenticationResult:
    try:
        return authheaders.check_spf(client_ip, mail_from, helo)
    except Exception as error:  # pyspf lets odd domains surface as UnicodeError, ValueError, dns.exception ...
        return SPFAuthenticationResult(
            result="permerror", reason=type(error).__name__, smtp_mailfrom=mail_from, smtp_helo=helo
        )


def _judge_signatures(header: bytes, raw: bytes) -> list[DKIMAuthenticationResult]:
    """Each DKIM-Signature with its result, at most four (RFC 6376 section 6.1 lets a verifier limit itself)."""
    count = min(len(_SIGNATURE.findall(header)), _MAX_SIGNATURES)
    return [_judge_signature(raw, index) for index in range(count)]


def _judge_signature(raw: bytes, index: int) -> DKIMAuthenticationResult:
    unanswered: list[str] = []

    def key_record(name: bytes, timeout: float = _SECONDS_PER_LOOKUP) -> bytes | None:
        try:
            answer = dns.resolver.resolve(name.decode("ascii"), "TXT", lifetime=timeout)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return None
        except (dns.exception.DNSException, UnicodeError) as error:
            unanswered.append(type(error).__name__)
            return None
        return b"".join(answer[0].strings)

    reason = ""
    message: Any = None
    try:
        message = dkim.DKIM(raw, timeout=_SECONDS_PER_LOOKUP)
        result = "pass" if message.verify(idx=index, dnsfunc=key_record) else "fail"
    except dkim.NaClNotFoundError:
        result, reason = "neutral", "algorithm not supported here"  # RFC 6376 section 6.1: as if not signed
    except dkim.DKIMException as error:
        result, reason = "fail", str(error)
    except Exception as error:  # dkimpy lets odd input surface as ValueError, KeyError, binascii.Error ...
        result, reason = "permerror", type(error).__name__
    if unanswered:
        result, reason = "temperror", unanswered[0]
    fields = getattr(message, "signature_fields", None) or {}
    return DKIMAuthenticationResult(
        result=result,
        reason=reason or None,
        header_d=fields.get(b"d", b"").decode("ascii", "replace"),
        header_i=fields.get(b"i", b"").decode("ascii", "replace"),
    )


def _judge_dmarc(header: bytes, spf: Any = None, dkim_result: Any = None) -> Any:
    try:
        return authheaders.check_dmarc(header, spf, dkim_result)
    except dns.exception.DNSException:
        result = "temperror"
    except Exception:  # no From field, or one that authheaders cannot take apart
        result = "permerror"
    return authheaders.DMARCAuthenticationResult(result=result)


def _copy_of(spf: SPFAuthenticationResult, mail_from: str, helo: str) -> SPFAuthenticationResult:
    """A copy for authheaders, which cuts the local part off the one that it is given."""
    return SPFAuthenticationResult(result=spf.result, smtp_mailfrom=mail_from, smtp_helo=helo)


def _domain_part(address: str | bytes) -> str:
    text = address.decode("utf-8", "replace") if isinstance(address, bytes) else address
    found = re.search(r"@([A-Za-z0-9._-]+)", text)
    if found is None:
        raise IndexError("no domain")  # what authheaders' own function raises and its callers catch
    return found[1].lower()


def _header_of(raw: bytes) -> bytes:
    end = _END_OF_HEADER.search(raw)
    return raw[: end.end()] if end else raw


def _token(result: str | None) -> AuthResult:
    try:
        return AuthResult(result or "none")
    except ValueError:
        return AuthResult.PERMERROR


def _policy(dmarc: Any) -> DmarcPolicy:
    try:
        return DmarcPolicy(dmarc.policy or "")
    except (AttributeError, ValueError):
        return DmarcPolicy.ABSENT
