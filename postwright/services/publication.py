"""What a sender domain's owner wants published beside what sending needs: reports, DMARC step, logo, MTA-STS policy.

Pure: checked before it is stored, and read back as what ``dns_checks.publish`` makes records of.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypedDict

from dns_checks.dmarc import Policy
from dns_checks.mta_sts.policy import Mode
from dns_checks.publish import (
    DmarcStep,
    LogoPublication,
    PublishError,
    RecordToPublish,
    TlsPolicyPublication,
    dmarc_plan,
)
from mailtypes.address import AddressSyntaxError, EmailAddress
from mailtypes.domain import DomainName, DomainSyntaxError
from mailtypes.saying import say
from postwright.services.errors import Problem, RefusedError
from postwright.store.domains import SenderDomain


class DomainChanges(TypedDict, total=False):
    """What to change of a domain: what is left out stays, ``None`` (or an empty text) takes back what was set."""

    report_address: str | None
    dmarc_policy: str | None
    logo_url: str | None
    certificate_url: str | None
    mta_sts_mode: str | None
    mta_sts_hosts: Sequence[str] | None
    under_platform: bool


Columns = dict[str, str | bool | None]


def changed_columns(domain: SenderDomain, changes: DomainChanges) -> Columns:
    """The columns to set; raises ``RefusedError`` that names every field that is wrong, or does not go with another."""
    columns: Columns = {}
    problems: list[Problem] = []
    for name, read in _READERS.items():
        if name in changes:
            given = str(changes[name] or "").strip()  # type: ignore[literal-required]
            columns[name] = _tried(lambda read=read, given=given: read(given) or None, name, problems)  # type: ignore[misc]
    if "mta_sts_hosts" in changes:
        hosts = changes["mta_sts_hosts"] or ()
        columns["mta_sts_hosts"] = _tried(lambda: " ".join(map(_pattern, hosts)) or None, "mta_sts_hosts", problems)
    if "under_platform" in changes:
        columns["under_platform"] = changes["under_platform"]
    if not problems:
        after = replace(domain, **columns)  # type: ignore[arg-type]
        problems += [*_logo_problems(after), *_policy_problems(after)]
    if problems:
        raise RefusedError.of(problems)
    return columns


def logo_of(domain: SenderDomain) -> LogoPublication | None:
    """The BIMI record that is wanted."""
    return LogoPublication(domain.logo_url, domain.certificate_url or "") if domain.logo_url else None


def tls_policy_of(domain: SenderDomain) -> TlsPolicyPublication | None:
    """The MTA-STS policy that is wanted: its file and the record that announces it."""
    if not domain.mta_sts_mode:
        return None
    return TlsPolicyPublication(tuple((domain.mta_sts_hosts or "").split()), Mode(domain.mta_sts_mode))


def dmarc_step_of(domain: SenderDomain, published: str | None, report_address: str | None) -> DmarcStep | None:
    """The step of the DMARC plan that is wanted; ``None`` where what is published stays."""
    steps = dmarc_plan(published, report_address)
    return next((step for step in steps if step.policy == domain.dmarc_policy), None)


def with_purpose(
    records: Sequence[RecordToPublish], step: DmarcStep | None, published_tls_reports: str | None
) -> tuple[RecordToPublish, ...]:
    """The records with the chosen DMARC step named, and with a published TLS-RPT record (if given) left as it is."""
    told = []
    for record in records:
        if step is not None and record.name.ascii.startswith("_dmarc."):
            told.append(
                replace(
                    record, purpose=say("DMARC, step '%(policy)s': %(effect)s", policy=step.policy, effect=step.effect)
                )
            )
        elif published_tls_reports is not None and record.topic == "tls_rpt":
            told.append(replace(record, value=published_tls_reports, purpose=say("TLS reports: stays as it is")))
        else:
            told.append(record)
    return tuple(told)


def _tried(read: Callable[[], str | None], field: str, problems: list[Problem]) -> str | None:
    try:
        return read()
    except (AddressSyntaxError, DomainSyntaxError) as error:
        problems.append(Problem.of(error, "bad_address" if isinstance(error, AddressSyntaxError) else field, field))
    except RefusedError as error:
        problems.extend(error.problems)
    return None


def _address(text: str) -> str:
    if not text:
        return ""
    address = EmailAddress.parse(text)
    if address.needs_smtputf8:
        sentence = say(
            "The part before the @ of %(address)s needs SMTPUTF8 (RFC 6531), which many reporters do not offer.",
            address=address,
        )
        raise RefusedError("bad_address", sentence, field="report_address", next_step=say("Use an address in ASCII."))
    return address.smtp


def _one_of(field: str, allowed: Sequence[str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text and text.lower() not in allowed:
            sentence = say("'%(text)s' is none of %(known)s.", text=text, known=", ".join(allowed))
            raise RefusedError(
                field, sentence, field=field, next_step=say("Take one of %(known)s.", known=", ".join(allowed))
            )
        return text.lower()

    return read


_READERS: dict[str, Callable[[str], str]] = {
    "report_address": _address,
    "dmarc_policy": _one_of("dmarc_policy", [str(policy) for policy in Policy]),
    "logo_url": str,
    "certificate_url": str,
    "mta_sts_mode": _one_of("mta_sts_mode", [str(mode) for mode in Mode]),
}


def _pattern(text: str) -> str:
    """A host, or ``*.`` and one (RFC 8461 section 4.1)."""
    wildcard = "*." if text.strip().startswith("*.") else ""
    return wildcard + DomainName.parse(text.strip().removeprefix("*.")).ascii


def _logo_problems(domain: SenderDomain) -> list[Problem]:
    if domain.certificate_url and not domain.logo_url:
        step = say("Give the address of the logo too; receivers show no certificate without it.")
        return [Problem("logo_url", say("There is a certificate, but no logo."), "logo_url", "", step)]
    # The logo alone first, so that a fault is told of the address that has it; its place is one in a record that
    # nobody has typed.
    for field, alone in (("logo_url", replace(domain, certificate_url=None)), ("certificate_url", domain)):
        try:
            logo_of(alone)
        except PublishError as error:
            return [Problem(field, error.message, field, "", error.next_step)]
    return []


def _policy_problems(domain: SenderDomain) -> list[Problem]:
    field = "mta_sts_hosts"
    if domain.mta_sts_mode and domain.mta_sts_mode != Mode.NONE and not domain.mta_sts_hosts:
        sentence = say(
            "The mode '%(mta_sts_mode)s' needs the names of the domain's mail hosts.", mta_sts_mode=domain.mta_sts_mode
        )
        return [Problem(field, sentence, field, "", say("Give the names in its MX records, such as mx.example.com."))]
    try:
        tls_policy_of(domain)
    except PublishError as error:
        return [Problem(field, error.message, field, "", error.next_step)]
    return []
