"""The DMARC linter: faults and weaknesses of the record, its place in the tree, consent of report destinations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dns_checks.dmarc import Consent, DmarcLint, check_destinations, lint_dmarc, lint_record, parse_record
from dns_checks.dmarc.destinations import host_of
from dns_checks.findings import CheckFinding, Severity
from dns_checks.testing import Zone, run
from mailtypes.auth import Finding
from mailtypes.domain import DomainName
from mailtypes.questions import RecordType, TxtRecord

GOOD = "v=DMARC1; p=reject; rua=mailto:r@acme.test"


class Listed:
    """A suffix list of ``test`` and ``co.test``."""

    def is_suffix(self, domain: DomainName) -> bool:
        return domain.ascii in {"test", "co.test"}

    def registered(self, domain: DomainName) -> DomainName | None:
        for suffix in ("co.test", "test"):
            if domain.ascii.endswith("." + suffix):
                labels = suffix.count(".") + 2
                return DomainName(".".join(domain.labels[-labels:]))
        return None


def lint(zone: str, domain: str = "acme.test") -> DmarcLint:
    return run(lint_dmarc(DomainName(domain), Listed()), Zone.parse(zone))


def by_code(found: DmarcLint) -> dict[str, CheckFinding]:
    return {finding.code: finding for finding in found.findings}


def errors(found: DmarcLint) -> set[str]:
    return {finding.code for finding in found.findings if finding.severity is Severity.ERROR}


def txt(name: str, *texts: str) -> str:
    return "".join(f'{name}. TXT "{text}"\n' for text in texts)


@pytest.mark.parametrize(
    ("tags", "code", "marked"),
    [
        ("p=none; pct=50", "dmarc.obsolete_tag", "pct"),
        ("p=none; rf=afrf", "dmarc.obsolete_tag", "rf"),
        ("p=none; ri=86400", "dmarc.obsolete_tag", "ri"),
        ("p=none; rua=mailto:a@b.test!10m", "dmarc.obsolete_size", "mailto:a@b.test!10m"),
        ("p=none; rua=a@b.test", "dmarc.invalid_report_address", "a@b.test"),
        ("p=none; rua=https://b.test/r", "dmarc.report_scheme", "https://b.test/r"),
        ("p=none; rua=mailto:a!b@b.test", "dmarc.bare_exclamation", "mailto:a!b@b.test"),
        ("p=none; rua=mailto:a@b.test,mailto:c@b.test,mailto:d@b.test", "dmarc.many_report_addresses", None),
        ("p=none; aspf=strict", "dmarc.invalid_value", "strict"),
        ("p=none; fo=0:1; ruf=mailto:a@b.test", "dmarc.invalid_value", "0:1"),
        ("p=none; fo=d:d; ruf=mailto:a@b.test", "dmarc.invalid_value", "d:d"),
        ("p=none; fo=1", "dmarc.fo_without_ruf", "fo=1"),
        ("p=none; ruaa=mailto:a@b.test", "dmarc.unknown_tag", "ruaa"),
        ("p=none; x=1", "dmarc.unknown_tag", "x"),
        ("p=none; nonsense", "dmarc.syntax", "nonsense"),
        ("p=none", "dmarc.policy_none", "p=none"),
        ("p=none", "dmarc.no_reports", "v=DMARC1; p=none"),
        ("sp=none; p=none", "dmarc.policy_not_second", "p=none"),
        ("p=reject; sp=none", "dmarc.subdomains_weaker", "sp=none"),
        ("p=reject; sp=reject", "dmarc.subdomains_same", "sp=reject"),
        ("p=reject; np=none", "dmarc.nonexistent_weaker", "np=none"),
        ("p=reject; sp=quarantine; np=none", "dmarc.nonexistent_weaker", "np=none"),
        ("p=none; np=reject", "dmarc.np_without_sp", "np=reject"),
        ("p=reject; psd=u", "dmarc.psd_default", "psd=u"),
        ("p=reject; psd=y; ruf=mailto:a@b.test", "dmarc.suffix_with_ruf", "ruf=mailto:a@b.test"),
        ("p=reject; t=y", "dmarc.testing", "t=y"),
        ("p=none; t=y", "dmarc.testing_without_effect", "t=y"),
        ("p=discard", "dmarc.invalid_policy", "discard"),
        ("adkim=s", "dmarc.missing_policy", "v=DMARC1; adkim=s"),
    ],
)
def test_faults_of_the_text_are_marked(tags: str, code: str, marked: str | None) -> None:
    found = {finding.code: finding for finding in lint_record(parse_record(f"v=DMARC1; {tags}"), ())}
    assert code in found
    mark = found[code].mark
    assert mark is not None
    assert marked is None or mark.marked == marked
    assert found[code].next_step


def test_a_good_record_is_left_alone() -> None:
    for text in (
        GOOD,
        "v=DMARC1; p=quarantine; sp=reject; np=reject; rua=mailto:a%21@b.test; ruf=mailto:a@b.test; fo=1:d",
    ):
        assert lint_record(parse_record(text), ()) == ()
    found = lint(txt("_dmarc.acme.test", GOOD))
    assert [finding.code for finding in found.findings] == ["dmarc.record"]


def test_gone_tags_and_the_size_are_named_as_gone() -> None:
    record = parse_record("v=DMARC1; p=none; pct=10; ri=1; rua=mailto:a@b.test!1k")
    gone = [finding.sentence for finding in lint_record(record, ()) if "gone since RFC 9989" in finding.sentence]
    assert len(gone) == 3


def test_what_a_fault_of_the_policy_costs() -> None:
    for text, effect in (("rua=mailto:a@b.test", "counts as p=none"), ("adkim=s", "is ignored as a whole")):
        (finding,) = (
            one for one in lint_record(parse_record(f"v=DMARC1; {text}"), ()) if one.code == "dmarc.missing_policy"
        )
        assert finding.severity is Severity.ERROR
        assert effect in finding.sentence


def test_the_slip_is_guessed() -> None:
    (finding,) = (one for one in lint_record(parse_record(GOOD + "; adkin=s"), ()) if one.code == "dmarc.unknown_tag")
    assert finding.next_step == "Write adkim= if that is meant."


class TestThePlace:
    def test_no_record(self) -> None:
        assert errors(lint("acme.test. A 192.0.2.1")) == {"dmarc.missing"}

    def test_silence(self) -> None:
        (finding,) = lint(";; SERVFAIL _dmarc.acme.test").findings
        assert (finding.code, finding.state) == ("dmarc.unknown", Finding.UNKNOWN)

    def test_several_records(self) -> None:
        found = lint(txt("_dmarc.acme.test", GOOD, "v=DMARC1; p=none"))
        assert errors(found) == {"dmarc.several_records"}

    @pytest.mark.parametrize("text", ["v=dmarc1; p=none", "V=DMARC1; p=none", "v=DMARC 1; p=none", "DMARC1; p=none"])
    def test_almost_a_record(self, text: str) -> None:
        found = lint(txt("_dmarc.acme.test", text))
        assert errors(found) == {"dmarc.missing", "dmarc.not_a_record"}
        found = lint(txt("_dmarc.acme.test", text, GOOD))
        assert not errors(found)

    def test_a_record_that_does_not_begin_with_the_version(self) -> None:
        found = lint(txt("_dmarc.acme.test", "p=reject; v=DMARC1; rua=mailto:d@acme.test"))
        assert errors(found) == {"dmarc.missing", "dmarc.not_a_record"}

    def test_other_texts_are_left_alone(self) -> None:
        assert [f.code for f in lint(txt("_dmarc.acme.test", GOOD, "v=spf1 -all")).findings] == ["dmarc.record"]

    @pytest.mark.parametrize("name", ["acme.test", "_dmarc.acme.test.acme.test"])
    def test_a_record_at_the_wrong_name(self, name: str) -> None:
        assert errors(lint(txt(name, GOOD))) == {"dmarc.missing", "dmarc.misplaced"}

    def test_the_organizations_record(self) -> None:
        found = lint(txt("_dmarc.acme.test", GOOD), "news.acme.test")
        assert found.policy_domain == DomainName("acme.test")
        assert by_code(found)["dmarc.record"].evidence[0].question == "_dmarc.acme.test TXT"

    def test_sp_of_a_subdomain(self) -> None:
        zone = txt("_dmarc.acme.test", GOOD) + txt("_dmarc.news.acme.test", GOOD + "; sp=quarantine")
        finding = by_code(lint(zone, "news.acme.test"))["dmarc.subdomain_policy_ignored"]
        assert finding.mark is not None
        assert finding.mark.marked == "sp=quarantine"
        assert "dmarc.subdomain_policy_ignored" not in by_code(lint(txt("_dmarc.acme.test", GOOD + "; sp=none")))

    def test_psd(self) -> None:
        assert errors(lint(txt("_dmarc.acme.test", GOOD + "; psd=y"))) == {"dmarc.psd_misused"}
        assert "dmarc.psd_missing" in by_code(lint(txt("_dmarc.co.test", "v=DMARC1; p=none"), "co.test"))
        assert not errors(lint(txt("_dmarc.co.test", "v=DMARC1; p=none; psd=y"), "co.test"))
        cut = lint(txt("_dmarc.news.acme.test", "v=DMARC1; p=none; psd=n"), "news.acme.test")
        assert "dmarc.psd_cuts_off" in by_code(cut)
        assert "dmarc.psd_cuts_off" not in by_code(lint(txt("_dmarc.acme.test", GOOD + "; psd=n")))

    def test_an_organization_that_is_unknown(self) -> None:
        found = lint(txt("_dmarc.news.acme.test", GOOD) + ";; TIMEOUT _dmarc.acme.test\n", "news.acme.test")
        assert by_code(found)["dmarc.organizational_domain_unknown"].state is Finding.UNKNOWN


class TestDestinations:
    RECORD = parse_record("v=DMARC1; p=none; rua=mailto:a@reports.test,mailto:b@acme.test; ruf=mailto:c@reports.test")

    def check(self, zone: str) -> list[Consent]:
        base = txt("_dmarc.acme.test", self.RECORD.text)
        found = run(check_destinations(DomainName("acme.test"), self.RECORD), Zone.parse(base + zone))
        return [one.consent for one in found]

    def test_consent(self) -> None:
        name = "acme.test._report._dmarc.reports.test"
        for text in ("v=DMARC1", "v=DMARC1;", "v=DMARC1; rua=mailto:else@reports.test"):
            assert self.check(txt(name, text)) == [Consent.GIVEN, Consent.INTERNAL]

    def test_a_wildcard(self) -> None:
        assert self.check(txt("*._report._dmarc.reports.test", "v=DMARC1;"))[0] is Consent.GIVEN

    @pytest.mark.parametrize(
        "zone",
        [
            "",
            txt("acme.test._report._dmarc.reports.test", "yes"),
            txt("acme.test._report._dmarc.reports.test", "v=DMARC1; rua=mailto:x@victim.test"),
            txt("other.test._report._dmarc.reports.test", "v=DMARC1"),
        ],
    )
    def test_no_consent(self, zone: str) -> None:
        assert self.check(zone)[0] is Consent.MISSING

    def test_silence(self) -> None:
        assert self.check(";; SERVFAIL acme.test._report._dmarc.reports.test\n")[0] is Consent.UNKNOWN
        assert self.check(";; SERVFAIL _dmarc.reports.test\n")[0] is Consent.UNKNOWN

    def test_a_host_of_the_same_organization_needs_none(self) -> None:
        record = parse_record("v=DMARC1; p=none; rua=mailto:a@in.acme.test")
        zone = Zone.parse(txt("_dmarc.acme.test", record.text))
        (found,) = run(check_destinations(DomainName("acme.test"), record), zone)
        assert found.consent is Consent.INTERNAL

    def test_in_the_findings(self) -> None:
        text = "v=DMARC1; p=reject; rua=mailto:a@reports.test"
        finding = by_code(lint(txt("_dmarc.acme.test", text)))["dmarc.destination_refused"]
        assert "acme.test._report._dmarc.reports.test" in finding.next_step
        assert finding.mark is not None
        assert finding.mark.marked == "mailto:a@reports.test"
        agreed = lint(txt("_dmarc.acme.test", text) + txt("acme.test._report._dmarc.reports.test", "v=DMARC1"))
        assert by_code(agreed)["dmarc.destination_agreed"].state is Finding.PRESENT

    def test_many_hosts_are_bounded(self) -> None:
        uris = ",".join(f"mailto:a@h{number}.test" for number in range(40))
        record = parse_record(f"v=DMARC1; p=none; rua={uris}")
        assert len(run(check_destinations(DomainName("acme.test"), record), Zone.parse(""))) == 10


@given(st.text(max_size=60))
def test_any_uri_has_a_host_or_none(uri: str) -> None:
    for text in (uri, "mailto:" + uri, "https://" + uri):
        host_of(text)


@given(st.text(max_size=80) | st.text("vptsra=;:, nonejctmilo@!19fud\u05d0", max_size=80) | st.binary(max_size=80))
def test_any_record_can_be_linted_and_every_span_lies_in_it(text: str | bytes) -> None:
    octets = b"v=DMARC1;" + (text if isinstance(text, bytes) else text.encode("utf-8", "replace"))
    zone = Zone.from_records({("_dmarc.acme.test", RecordType.TXT): [TxtRecord((octets,))]})
    for finding in run(lint_dmarc(DomainName("acme.test"), Listed()), zone).findings:
        if finding.mark is not None:
            assert finding.mark.text == octets.decode("latin-1")
            assert finding.mark.span.end <= len(octets)
