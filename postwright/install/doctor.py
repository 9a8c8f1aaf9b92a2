"""``postwright doctor``: is this install fit to send? Every answer is yes, no, or could not find out."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from socket import AF_INET, AF_INET6, SOCK_STREAM, socket

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from dns_checks.dkim.multi_buffer import Unavailable, find_multi_buffer
from dns_checks.mx import HostResult, resolve_host
from mailtypes.clock import SECOND, Clock
from mailtypes.errors import PostwrightError
from mailtypes.questions import DnsQuestion, RecordType, Unanswered
from postwright.settings import Settings
from postwright.store import schema
from postwright.store.database import TIME_SQL
from postwright.wiring.application import Application

_MIN_FREE = 1 << 30
_MAX_CLOCK_DIFFERENCE = 2 * SECOND


class CheckState(StrEnum):
    """What a check found."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Check:
    """One answer, with what to do where it is not good."""

    name: str
    state: CheckState
    sentence: str
    next_step: str = ""


async def examine(settings: Settings, clock: Clock) -> list[Check]:
    """Run every check; one that fails never hides the others."""
    application = Application(settings, clock)
    checks: list[Callable[[Application], Awaitable[Check]]] = [
        _keys, _schema, _clock, _disk, _egress, _dns, _ehlo, _signing,
    ]  # fmt: skip
    try:
        return [await _guarded(check, application) for check in checks]
    finally:
        await application.close()


async def _guarded(check: Callable[[Application], Awaitable[Check]], application: Application) -> Check:
    name = check.__name__.strip("_")
    try:
        return await check(application)
    except (PostwrightError, SQLAlchemyError, OSError) as error:
        return Check(name, CheckState.BAD, str(error).split("\n")[0])


async def _keys(application: Application) -> Check:
    count = len(application.master_keys.keys) + len(application.feedback_keys) + len(application.token_keys.key_ids)
    count += len(application.erasure_keys.keys)
    loose = [
        path.name
        for path in (
            application.settings.keys.master_file,
            application.settings.keys.token_file,
            application.settings.keys.return_path_file,
            application.settings.keys.erasure_file,
        )
        if path.stat().st_mode & 0o077
    ]
    if loose:
        return Check("keys", CheckState.BAD, f"Others can read {', '.join(loose)}.", "Run: chmod 600 on these files.")
    return Check("keys", CheckState.GOOD, f"{count} keys, readable by their owner alone.")


async def _schema(application: Application) -> Check:
    if await asyncio.to_thread(schema.is_current, application.settings.database.url):
        return Check("database", CheckState.GOOD, f"{application.database.dialect}, schema current.")
    return Check("database", CheckState.BAD, "The schema is not this release's.", "Run: postwright init")


async def _clock(application: Application) -> Check:
    database = application.database
    statement = text(f"SELECT {TIME_SQL[database.dialect]}")
    theirs = await database.read(lambda connection: int(connection.execute(statement).scalar_one()))
    difference = abs(theirs - application.clock.now())
    if difference > _MAX_CLOCK_DIFFERENCE:
        return Check(
            "clock",
            CheckState.BAD,
            f"This machine and the database differ by {difference / SECOND:.1f} s.",
            "Run an NTP client on both.",
        )
    return Check("clock", CheckState.GOOD, f"Within {difference / SECOND:.3f} s of the database.")


async def _disk(application: Application) -> Check:
    url = application.settings.database.url
    folder = Path(url.removeprefix("sqlite:///")).parent if url.startswith("sqlite") else Path.cwd()
    free = shutil.disk_usage(folder).free
    if free < _MIN_FREE:
        return Check("disk", CheckState.BAD, f"{free / (1 << 20):,.0f} MiB free.", "Make room: a full disk stops mail.")
    return Check("disk", CheckState.GOOD, f"{free / (1 << 30):,.1f} GiB free.")


async def _egress(application: Application) -> Check:
    sources = application.settings.deliver.egress
    if not sources:
        return Check("egress", CheckState.BAD, "No address to send from.", "Set [[deliver.egress]].")
    for source in sources:
        address = ip_address(str(source.ip))
        with socket(AF_INET if address.version == 4 else AF_INET6, SOCK_STREAM) as probe:
            try:
                probe.bind((str(address), 0))
            except OSError:
                return Check(
                    "egress",
                    CheckState.BAD,
                    f"{address} is not an address of this machine.",
                    "Add it to an interface, or mend deliver.egress.",
                )
    return Check("egress", CheckState.GOOD, f"{len(sources)} addresses, all of this machine.")


async def _dns(application: Application) -> Check:
    # Not the root, which is no name that a question can hold: it would be answered without asking anybody.
    answer = await application.resolver.ask(DnsQuestion("com", RecordType.NS))
    if isinstance(answer, Unanswered):
        return Check("dns", CheckState.UNKNOWN, f"The resolver does not answer: {answer.cause}.", "See [dns].")
    return Check("dns", CheckState.GOOD, "The resolver answers.")


async def _ehlo(application: Application) -> Check:
    """The EHLO name should lead back to the address, or providers call the sender a stranger."""
    for source in application.settings.deliver.egress:
        found = await application.resolver.evaluate(resolve_host(source.ehlo))
        if found.result is HostResult.UNKNOWN:
            return Check("ehlo", CheckState.UNKNOWN, f"{source.ehlo} could not be looked up: {found.cause}.")
        if source.ip not in found.addresses:
            return Check(
                "ehlo",
                CheckState.BAD,
                f"{source.ehlo} does not resolve to {source.ip}.",
                "Publish an address record for it, and a PTR record back.",
            )
    return Check("ehlo", CheckState.GOOD, "Every EHLO name resolves to its address.")


async def _signing(_: Application) -> Check:
    """How fast RSA signatures are made; slower is no fault."""
    found = find_multi_buffer()
    if isinstance(found, Unavailable):
        return Check("signing", CheckState.GOOD, f"RSA signatures are made one by one: {found.cause}.")
    return Check("signing", CheckState.GOOD, "RSA signatures are made eight at a time.")
