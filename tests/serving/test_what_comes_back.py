"""Bounces, unsubscribes, clicks and opens, end to end: from what was received, through the listeners, into the log."""

import gzip
import re
import smtplib
import ssl
import time
from email import message_from_bytes, policy
from email.message import EmailMessage
from urllib.parse import urlsplit

import httpx
import pytest

from postwright.api.examples import EXAMPLES
from postwright.settings import read_settings

_LINKS_HOST = "links.news.acme.test"
_DSN = """\
From: MAILER-DAEMON@mx1.mailhub.test
To: {return_path}
Subject: Undelivered mail
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=b1

--b1
Content-Type: text/plain

It did not work.
--b1
Content-Type: message/delivery-status

Reporting-MTA: dns; mx1.mailhub.test

Final-Recipient: rfc822; {recipient}
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 No such user here

--b1--
"""


class Received:
    """The newest message of one recipient."""

    def __init__(self, here, rcpt: str) -> None:
        self.rcpt = rcpt
        found = here.mailboxes.get(here.mailboxes.list_messages(rcpt=rcpt)[0].id)
        assert found is not None
        self.return_path = found[0].mail_from
        self.message: EmailMessage = message_from_bytes(found[1], policy=policy.default)

    @property
    def unsubscribe_url(self) -> str:
        assert self.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        return re.fullmatch(r"<(https://[^>]+)>", self.message["List-Unsubscribe"])[1]

    @property
    def html(self) -> str:
        return self.message.get_body(("html",)).get_content()

    @property
    def text(self) -> str:
        return self.message.get_body(("plain",)).get_content()


@pytest.fixture
def web(sent):
    """``web("POST", url, ...)`` as a mail provider does it: TLS checked for the name in the URL."""
    context = ssl.create_default_context(cafile=str(sent.stage.layout.root_certificate_path))
    with httpx.Client(verify=context, timeout=20) as client:

        def request(method: str, url: str, **more) -> httpx.Response:
            parts = urlsplit(url)
            assert parts.hostname == _LINKS_HOST
            # The sandbox's DNS is not this machine's, so the address is given and the name checked as TLS does it.
            target = parts._replace(netloc=f"127.0.0.1:{parts.port}").geturl()
            headers = {"Host": parts.netloc, **more.pop("headers", {})}
            return client.request(method, target, headers=headers, extensions={"sni_hostname": _LINKS_HOST}, **more)

        yield request


def suppressions(here, address: str) -> list[tuple[str, str]]:
    rows = here.job._pages("/v1/suppressions")
    return [(row["scope"], row["reason"]) for row in rows if row["address"] == address]


def events(here, address: str) -> list[dict]:
    """What is known of the message to ``address``; the log of all events shows it two seconds later."""
    (message,) = here.job._pages(f"/v1/messages?address={address}")
    found: list[dict] = here.job._call("GET", f"/v1/messages/{message['id']}")["events"]
    return found


def kinds(here, address: str) -> list[str]:
    return sorted(event["kind"] for event in events(here, address))


def await_kinds(here, address: str, expected: list[str]) -> None:
    """What is in the journal of the tracking role reaches the log a moment later."""
    deadline = time.monotonic() + 60
    while kinds(here, address) != expected:
        assert time.monotonic() < deadline, (kinds(here, address), expected)
        time.sleep(0.1)


@pytest.fixture
def return_paths(sent):
    smtp = read_settings(sent.config).smtp
    with smtplib.SMTP(str(smtp.host), smtp.port, local_hostname="mx1.mailhub.test", timeout=20) as client:
        yield client


def test_a_bounce_becomes_an_event_and_a_suppression(sent, return_paths) -> None:
    received = Received(sent, "reader0@mailhub.test")
    # The report names somebody else: what counts is whose return path it came to.
    report = _DSN.format(return_path=received.return_path, recipient="reader3@mailhub.test")
    return_paths.sendmail("", [received.return_path], report.replace("\n", "\r\n"))
    bounced = events(sent, received.rcpt)[-1]
    assert bounced["kind"] == "bounced"
    assert bounced["data"]["status"] == "5.1.1"
    assert suppressions(sent, received.rcpt) == [("all", "hard_bounce")]
    assert suppressions(sent, "reader3@mailhub.test") == []


def test_a_forged_return_path_is_refused(sent, return_paths) -> None:
    local_part, _, host = Received(sent, "reader3@mailhub.test").return_path.partition("@")
    forged = local_part[:-1] + ("a" if local_part[-1] != "a" else "b")
    return_paths.ehlo()
    for address, code in (
        (f"{forged}@{host}", 550),
        (f"postmaster@{host}", 550),
        (f"{local_part}@mailhub.test", 550),
        (f"{local_part.upper()}@{host.upper()}", 250),  # some hosts change the case of what they return
    ):
        assert return_paths.mail("")[0] == 250
        assert return_paths.rcpt(address)[0] == code, address
        return_paths.rset()


def test_a_report_that_comes_by_mail_is_stored_and_summed_up(sent, return_paths) -> None:
    address = sent.job._call("GET", "/v1/domains/news.acme.test")["publication"]["report_address"]
    assert address == "reports@bounce.news.acme.test"
    report = EmailMessage()
    report["From"], report["Subject"] = "dmarc@mailhub.test", "Report Domain: news.acme.test"
    report.set_content("See the attachment.")
    xml = str(EXAMPLES["create_report"].body).replace("<domain>acme.test", "<domain>news.acme.test")
    report.add_attachment(gzip.compress(xml.encode()), "application", "gzip", filename="r!news.acme.test!1!2.xml.gz")
    for _ in range(2):  # reporters send again what they are not sure of
        return_paths.sendmail("dmarc@mailhub.test", [address], report.as_bytes(policy=policy.SMTP))
    (stored,) = sent.job._pages("/v1/reports")
    assert (stored["kind"], stored["domain"], stored["organisation"]) == (
        "aggregate",
        "news.acme.test",
        "receiver.test",
    )
    query = "since=2026-02-01T00:00:00Z&until=2026-03-10T00:00:00Z"
    (source,) = sent.job._call("GET", f"/v1/domains/news.acme.test/sources?{query}")["data"]
    assert (source["messages"], source["passes"]) == (120, True)


def test_the_mail_hosts_of_the_sandbox_offer_starttls(sent) -> None:
    found = sent.job._call("POST", "/v1/checks/domain", json={"name": "mailhub.test", "starttls": True})
    assert found["starttls"]
    for host in found["starttls"]:
        assert (host["state"], host["tls_version"]) == ("present", "TLSv1.3")
        assert host["certificate"]["is_trusted"]
        assert host["certificate"]["is_named"]


def test_one_click_unsubscribes_from_the_list_and_nothing_else_does(sent, web) -> None:
    received = Received(sent, "reader1@doar.test")
    url = received.unsubscribe_url
    assert web("GET", url).status_code == 200  # scanners fetch every link
    assert web("HEAD", url).status_code == 200
    assert web("POST", url, content=b"").status_code == 400
    wrong_place = url.replace("/u/", "/c/")
    assert wrong_place == url or web("POST", wrong_place).status_code in {404, 405}
    assert suppressions(sent, received.rcpt) == []

    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for _ in range(2):  # providers try again
        assert web("POST", url, content=b"List-Unsubscribe=One-Click", headers=form).status_code == 200
    assert suppressions(sent, received.rcpt) == [("list", "unsubscribed")]
    left = [event["data"]["way"] for event in events(sent, received.rcpt) if event["kind"] == "unsubscribed"]
    assert left == ["one_click"]  # done and logged once


def test_one_click_as_multipart(sent, web) -> None:
    received = Received(sent, "reader4@doar.test")
    url = received.unsubscribe_url
    # RFC 8058 section 3.2 lets the sender choose between both forms of a form.
    assert web("POST", url, files={"List-Unsubscribe": (None, "One-Click")}).status_code == 200
    assert suppressions(sent, received.rcpt) == [("list", "unsubscribed")]


def test_a_forged_token_unsubscribes_nobody(sent, web) -> None:
    url = Received(sent, "reader7@doar.test").unsubscribe_url
    forged = url[:-1] + ("A" if url[-1] != "A" else "B")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert web("POST", forged, content=b"List-Unsubscribe=One-Click", headers=form).status_code == 404
    assert suppressions(sent, "reader7@doar.test") == []


def test_a_click_leads_to_the_link_of_the_template(sent, web) -> None:
    received = Received(sent, "reader6@mailhub.test")
    urls = dict.fromkeys(re.findall(rf'href="(https://{_LINKS_HOST}[^"]+)"', received.html))
    targets = set()
    for url in urls:
        if not urlsplit(url).path.startswith("/c/"):
            continue
        answer = web("GET", url)
        assert answer.status_code == 302
        targets.add(answer.headers["location"])
    pages = {path for path in (urlsplit(url).path for url in urls) if not path.startswith("/c/")}
    assert sorted(path[:3] for path in pages) == ["/p/", "/u/"]
    template = (sent.job._examples / "newsletter.mjml").read_text("utf-8")
    assert len(targets) > 5
    assert all(f'href="{target}"' in template for target in targets)
    await_kinds(sent, received.rcpt, [*["clicked"] * (len(urls) - 2), "delivered"])


def test_preferences_are_chosen_from_the_mail(sent, web) -> None:
    received = Received(sent, "reader10@doar.test")
    (url,) = re.findall(rf'href="(https://{_LINKS_HOST}[^/"]*/p/[^"]+)"', received.html)
    assert url in received.text  # the plain part leads there as well
    page = web("GET", url).text
    assert received.rcpt not in page
    fields = [("confirm", "yes"), ("frequency", "less"), ("tracking", "no"), ("language", "en")]
    fields += [("list", number) for number in re.findall(r'name="list" value="(\d+)" checked', page)]
    assert suppressions(sent, received.rcpt) == []
    answer = web("POST", url, data=dict(fields))
    assert answer.status_code == 200
    changed = [one["data"]["changed"] for one in events(sent, received.rcpt) if one["kind"] == "preferences_changed"]
    assert changed == [["frequency:given", "tracking:withdrawn"]]
    assert suppressions(sent, received.rcpt) == []


def test_the_pixel_is_an_image_and_an_open(sent, web) -> None:
    received = Received(sent, "reader9@mailhub.test")
    (pixel,) = re.findall(rf'<img[^>]+src="(https://{_LINKS_HOST}[^"]+)"', received.html)
    answer = web("GET", pixel)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/gif")
    assert answer.content.startswith(b"GIF89a")
    await_kinds(sent, received.rcpt, ["delivered", "opened"])
