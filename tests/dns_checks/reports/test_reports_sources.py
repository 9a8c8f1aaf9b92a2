"""Why a source passes or not: one case for each reason."""

from dataclasses import replace

import pytest

from dns_checks.reports import DkimResult, Fare, OurHosts, Reason, SpfResult, judge, sum_by_source

OURS = OurHosts(frozenset({"192.0.2.7"}), frozenset({"bounce.acme.test"}))
BASE = Fare("198.51.100.9", 2, "none", "fail", "fail", "acme.test")
SIGNED = DkimResult("acme.test", "pw1", "pass")
BROKEN = DkimResult("acme.test", "pw1", "fail")
ELSEWHERE = SpfResult("list.test", "mfrom", "pass")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"dkim": "pass", "spf": "pass"}, (False, True, Reason.ALIGNED_PASS)),
        ({"spf": "pass"}, (False, True, Reason.ALIGNED_PASS)),
        ({"dkim": "pass"}, (False, True, Reason.FORWARDED)),
        ({"dkim": "pass", "source_ip": "192.0.2.7"}, (True, True, Reason.ALIGNED_PASS)),
        ({"dkim": "pass", "spf_results": (SpfResult("bounce.acme.test", "", "pass"),)}, (True, True, "aligned_pass")),
        ({"dkim": "pass", "spf_results": (SpfResult("bounce.acme.test", "", "fail"),)}, (False, True, "forwarded")),
        ({"source_ip": "192.0.2.7"}, (True, False, Reason.OURS_UNAUTHENTICATED)),
        ({"source_ip": "192.0.2.7", "spf_results": (ELSEWHERE,)}, (True, False, Reason.OURS_UNALIGNED)),
        ({"spf_results": (ELSEWHERE,)}, (False, False, Reason.OTHER_DOMAIN)),
        ({"spf_results": (ELSEWHERE,), "dkim_results": (BROKEN,)}, (False, False, Reason.FORWARDED_BROKEN)),
        ({"overrides": ("mailing_list",)}, (False, False, Reason.FORWARDED_BROKEN)),
        ({"overrides": ("local_policy",)}, (False, False, Reason.UNKNOWN_SOURCE)),
        ({"dkim_results": (replace(BROKEN, domain="notacme.test"),)}, (False, False, Reason.UNKNOWN_SOURCE)),
        ({}, (False, False, Reason.UNKNOWN_SOURCE)),
        ({"dkim": "", "spf": ""}, (False, None, Reason.NOT_EVALUATED)),
        ({"dkim": "", "spf": "fail"}, (False, False, Reason.UNKNOWN_SOURCE)),
    ],
)
def test_reasons(changes: dict[str, object], expected: tuple[bool, bool | None, Reason]) -> None:
    assert judge(replace(BASE, **changes), OURS) == expected  # type: ignore[arg-type]


def test_every_reason_has_a_sentence() -> None:
    assert len({reason.sentence for reason in Reason}) == len(Reason)


def test_sums_go_by_source_and_reason_the_largest_first() -> None:
    fares = [
        BASE,
        replace(BASE, count=3, disposition="reject", header_from="news.acme.test"),
        replace(BASE, count=4, disposition="quarantine"),
        replace(BASE, count=5, disposition="odd"),
        replace(BASE, count=1, dkim="pass", dkim_results=(SIGNED,), disposition="pass"),
        replace(BASE, source_ip="192.0.2.7", count=100, spf="pass"),
    ]
    sums = sum_by_source(fares, OURS)
    assert [(one.source_ip, one.reason, one.messages) for one in sums] == [
        ("192.0.2.7", Reason.ALIGNED_PASS, 100),
        ("198.51.100.9", Reason.UNKNOWN_SOURCE, 14),
        ("198.51.100.9", Reason.FORWARDED, 1),
    ]
    assert (sums[1].delivered, sums[1].quarantined, sums[1].rejected) == (2, 4, 3)
    assert sums[1].header_froms == ("acme.test", "news.acme.test")
