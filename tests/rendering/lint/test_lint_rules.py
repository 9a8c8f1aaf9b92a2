"""Each rule fires on its bad sample, at the right place, and is silent on a good mail in either direction."""

from dataclasses import dataclass, field, replace
from datetime import date

import pytest

from rendering.lint import (
    RULES,
    Finding,
    ImageFact,
    LinkFact,
    LintSubject,
    Liveness,
    SenderFacts,
    Severity,
    lint,
)

GOOD = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="color-scheme" content="light dark"><title>Autumn</title>
<style>@media (max-width: 480px) { .wide { width: 100% } }</style></head>
<body style="margin:0">
<table role="presentation" width="600" style="background-color:#fafafa"><tr><td style="padding:20px">
<h1 style="color:#222222">Our autumn walks</h1>
<p style="color:#333333;font-size:16px">The leaves turn, and our guides know where. Twelve walks lead through forests
and along rivers, each with a rest at a good inn. Bring warm shoes; we bring tea and stories of the place.</p>
<img src="https://acme.test/forest.jpg" alt="A path through a forest" width="560" height="70">
<p style="font-size:16px;color:#333333">Places are few, so choose your day soon.</p>
<a href="https://acme.test/walks" style="background-color:#1a5fb4;color:#ffffff;padding:12px 24px">Choose a walk</a>
<p style="font-size:12px;color:#555555">Acme Walks, 12 Mill Street, Springfield.
<a href="https://acme.test/u/1" style="color:#1a5fb4">Unsubscribe</a></p>
</td></tr></table>
</body>
</html>
"""
GOOD_HEBREW = """<!DOCTYPE html>
<html lang="he" dir="rtl">
<head><meta charset="utf-8"><meta name="color-scheme" content="light dark"><title>סתיו</title></head>
<body>
<table role="presentation" dir="rtl" width="600" style="background-color:#fafafa"><tr><td style="padding:20px">
<h1 style="color:#222222">טיולי הסתיו שלנו</h1>
<p style="color:#333333;font-size:16px;text-align:right">העלים מחליפים צבע, והמדריכים שלנו יודעים היכן. שנים עשר טיולים
ביערות ולאורך נחלים, בהנחה של <bdi>-20%</bdi> לנרשמים מוקדם. הביאו נעליים חמות, ואנחנו נביא תה וסיפורים.</p>
<img src="https://acme.test/forest.jpg" alt="שביל ביער" width="560" height="50">
<a href="https://acme.test/walks" style="background-color:#1a5fb4;color:#ffffff;padding:12px 24px">לבחירת טיול</a>
<p style="font-size:12px;color:#555555">אקמה טיולים, רחוב הטחנה 12, חיפה.
<a href="https://acme.test/u/1" style="color:#1a5fb4">להסרה מהרשימה</a></p>
</td></tr></table>
</body>
</html>
"""
SUBJECT = "Twelve autumn walks with our guides"
PREHEADER = "Forests, rivers and a good inn: choose your day."
PLAIN = "The leaves turn, and our guides know where. " * 8


def good(**changes: object) -> LintSubject:
    base = LintSubject(
        html=GOOD,
        subject=SUBJECT,
        preheader=PREHEADER,
        plain_text=PLAIN,
        html_octets=4_000,
        message_octets=7_000,
        images={"https://acme.test/forest.jpg": ImageFact(1120, 140, 90_000, "jpg")},
        locale="en",
        today=date(2026, 1, 1),
    )
    return replace(base, **changes)


def good_hebrew(**changes: object) -> LintSubject:
    return replace(
        good(
            html=GOOD_HEBREW,
            subject="פרסומת: שנים עשר טיולי סתיו עם המדריכים שלנו",
            preheader="יערות, נחלים ופונדק טוב בדרך: בחרו את היום שלכם.",
            locale="he-IL",
            images={},
            sender=SenderFacts(advertisement_to_israel=True),
        ),
        **changes,
    )


@dataclass(frozen=True)
class Bad:
    """``replaced`` in the good mail gives the bad one, or ``subject`` is it; ``at`` begins where the finding points."""

    code: str
    replaced: tuple[str, str] | None = None
    changes: dict[str, object] = field(default_factory=dict)
    at: str | None = None
    hebrew: bool = False

    def subject(self) -> LintSubject:
        mail = good_hebrew() if self.hebrew else good()
        if self.replaced is not None:
            assert self.replaced[0] in mail.html, self.code
            mail = replace(mail, html=mail.html.replace(*self.replaced))
        return replace(mail, **self.changes)


P = '<p style="font-size:16px;color:#333333">'
IMG = '<img src="https://acme.test/forest.jpg" alt="A path through a forest" width="560" height="70">'
LINK = '<a href="https://acme.test/walks"'
UNSUB = '<a href="https://acme.test/u/1" style="color:#1a5fb4">Unsubscribe</a>'


def image(tag: str, code: str) -> Bad:
    return Bad(code, (IMG, tag), at=tag)


def link(href: str, code: str, text: str = "More of this") -> Bad:
    tag = f'<a href="{href}" style="color:#1a5fb4">'
    return Bad(code, (P, f"{P}{tag}{text}</a> "), at=tag)


def fact(code: str, **known: object) -> Bad:
    return Bad(code, changes={"images": {"https://acme.test/forest.jpg": ImageFact(**known)}}, at=IMG)


def leads(code: str, liveness: Liveness, href: str = "https://acme.test/more", **known: str) -> Bad:
    bad = link(href, code)
    return replace(bad, changes={"links": {href.partition("#")[0]: LinkFact(liveness, **known)}})


def line(code: str, at: str | None = None, **changes: object) -> Bad:
    return Bad(code, changes=changes, at=at)


TABLE = '<table role="presentation" width="600"'
BAD = [
    Bad("required.unsubscribe_missing", (UNSUB, "")),
    Bad("required.unsubscribe_hidden", (UNSUB, UNSUB.replace("#1a5fb4", "#fbfbfb")), at="<a "),
    Bad("required.unsubscribe_hidden", (UNSUB, UNSUB.replace("color:#1a5fb4", "font-size:2px")), at="<a "),
    Bad("required.unsubscribe_hidden", (UNSUB, f'<div style="display:none">{UNSUB}</div>'), at="<a "),
    Bad("required.postal_address_missing", ("12 Mill Street, Springfield", "your friends")),
    line("required.postal_address_missing", sender=SenderFacts(postal_address="1 Other Road, Shelbyville")),
    line("size.clipped", html_octets=104_449),
    line("size.near_clip", html_octets=104_448),
    line("size.message_large", message_octets=12_000_000),
    line("size.not_read", html=GOOD + " " * 200_000),
    Bad("style.too_long", ("<style>", f"<style>p {{ color: red{' ' * 16_384} }}"), at="p { color"),
    Bad(
        "style.nested_at_rule",
        ("<style>", "<style>\n@media print { @media screen { p { margin: 0 } } }"),
        at="@media s",
    ),
    Bad("style.broken", ("<style>", "<style>\np { color: red } } p { margin: 0 }"), at="} p { margin"),
    line("plain.missing", plain_text=" \n"),
    line("plain.differs", plain_text="Autumn walks"),
    Bad("charset.c1_character", ("Places are", "Places\x92 are"), at="\x92"),
    line("charset.c1_character", at="\x93", subject="Twelve \x93autumn\x94 walks with our guides"),
    Bad("charset.control_character", ("Places are", "Places\x01 are"), at="\x01"),
    Bad("charset.replacement_character", ("Places are", "Pl\ufffdces are"), at="\ufffd"),
    Bad("charset.mojibake", ("Places are", "Plâ€™ces are"), at="â€™"),
    Bad("charset.mojibake", ("Places are", "שלום".encode().decode("latin-1") + " are"), at="×"),
    Bad("charset.not_utf8", ('<meta charset="utf-8">', '<meta charset="windows-1255">'), at="<meta charset"),
    Bad("html.doctype_missing", ("<!DOCTYPE html>\n", "")),
    Bad("html.id_repeated", ("<p style", '<p id="x" style'), at="<p id"),
    Bad("html.active_content", ("</body>", "<script>1</script></body>"), at="<script>"),
    Bad("html.active_content", (LINK, '<a onclick="go()" href="https://acme.test/walks"'), at="<a onclick"),
    line("subject.empty", subject=" "),
    line("subject.length", subject="Walks"),
    line("subject.length", subject="Walks and more walks and inns and rivers and tea and stories for you"),
    line("subject.cut", subject="Extraordinarily comprehensive countryside excursions throughout September"),
    line("subject.many_emoji", at="🍂", subject="🍁🍂 Twelve autumn walks with our guides"),
    line("subject.capitals", at="TWELVE", subject="TWELVE WALKS with our guides"),
    line("subject.repeated_punctuation", at="!!", subject="Twelve autumn walks with our guides!!"),
    line("subject.spam_word", at="Free", subject="Free autumn walks with our guides"),
    line("subject.spam_word", at="חינם", subject="טיולי סתיו חינם עם המדריכים שלנו"),
    line("subject.spam_word", at="ודחוף", subject="טיולי סתיו ודחוף עם המדריכים שלנו"),
    line("subject.false_reply", at="Re:", subject="Re: autumn walks with our guides"),
    line("subject.advertisement_word_missing", sender=SenderFacts(advertisement_to_israel=True)),
    line("preheader.missing", preheader=""),
    line("preheader.short", preheader="Choose your day"),
    line("preheader.cut", preheader="Forests, rivers and an inn. " * 8),
    line("preheader.repeats_subject", preheader=f"{SUBJECT}: choose your day"),
    image('<img src="https://acme.test/forest.jpg" width="560" height="70">', "image.alt_missing"),
    Bad(
        "image.alt_empty_in_link",
        (IMG, '<a href="https://acme.test/f"><img src="https://acme.test/f.jpg" alt="" width="560" height="70"></a>'),
        at="<img",
    ),
    image(IMG.replace("A path through a forest", "IMG_0231.jpg"), "image.alt_is_file_name"),
    image(IMG.replace("https://acme.test/forest.jpg", ""), "image.source_missing"),
    image(IMG.replace(' width="560" height="70"', ""), "image.size_undeclared"),
    image(IMG.replace("https:", "http:"), "image.not_https"),
    image(IMG.replace("https://acme.test/forest.jpg", "data:image/png;base64,iVBORw0KGgo="), "image.data_address"),
    image(IMG.replace("https://acme.test/forest.jpg", "images/forest.jpg"), "image.no_host"),
    image(IMG.replace("forest.jpg", "forest.svg"), "image.format_unsupported"),
    fact("image.format_unsupported", image_format="svg"),
    fact("image.heavy", octets=200_001),
    Bad(
        "image.heavy_together",
        (P, f"{IMG.replace('forest', 'b')}{P}"),
        {"images": {f"https://acme.test/{name}.jpg": ImageFact(octets=600_000) for name in ("forest", "b")}},
    ),
    fact("image.unreachable", fault="404"),
    fact("image.oversized", width=5_600, height=1_000),
    fact("image.stretched", width=560, height=400),
    line("ratio.image_only", html=f"<!doctype html><html lang=en><body>\n{IMG}{UNSUB}", at=IMG),
    Bad("ratio.images_dominate", ('height="70"', 'height="900"'), {"images": {}}, at="<img"),
    Bad("ratio.few_words_an_image", (IMG, IMG * 6), at=IMG),
    Bad("ratio.text_only", (IMG, "")),
    link("", "link.empty"),
    link("#", "link.placeholder"),
    link("javascript:void(0)", "link.placeholder"),
    link("https://example.com/", "link.placeholder"),
    link("https://acme..test/", "link.broken"),
    link("https:///walks", "link.broken"),
    link("https://[::1/", "link.broken"),
    link("https://acme.test/a b", "link.broken"),
    link("mailto:acme", "link.broken"),
    link("javascript:alert(1)", "link.dangerous"),
    link("/walks", "link.relative"),
    link("www.acme.test/walks", "link.relative"),
    link("ftp://acme.test/x", "link.unknown_scheme"),
    link("#nowhere", "link.no_such_place"),
    link("http://acme.test/", "link.not_https"),
    link("https://bit.ly/x", "link.shortener"),
    link("https://192.0.2.7/x", "link.ip_address"),
    link("https://[2001:db8::1]/x", "link.ip_address"),
    link("https://bank.test@acme.test/", "link.user_in_address"),
    link("https://acme.test/", "link.text_names_other_domain", "www.bank.com"),
    link("https://acme.test/", "link.text_names_other_domain", "Sign in at https://bank.com/login now"),
    Bad("link.many_domains", (P, P + "".join(f'<a href="https://site{n}.test/">site {n}</a>' for n in range(9)))),
    link("https://acme.test/", "link.no_words", ""),
    link("https://acme.test/", "link.vague_words", "Click here!"),
    link("https://acme.test/", "link.vague_words", "לחצו כאן"),
    leads("link.dead", Liveness.DEAD, cause="the host answers with 404"),
    leads("link.dead", Liveness.DEAD, "https://acme.test/more#top", cause="acme.test has no address"),
    leads("link.unreachable", Liveness.UNKNOWN, cause="the host answers with 503"),
    leads("link.redirected", Liveness.ALIVE, moved_to="https://acme-walks.test/more"),
    leads("link.redirected", Liveness.ALIVE, "http://acme.test/more", moved_to="https://acme.test/more"),
    Bad("reading.text_small", (P, P.replace("16px", "13px")), at=P.replace("16px", "13px")),
    Bad("reading.text_small", ("font-size:12px", "font-size:9px"), at='<p style="font-size:9px'),
    Bad("reading.low_contrast", (P, P.replace("333333", "999999")), at='<p style="font-size:16px;color:#999999'),
    Bad("reading.low_contrast", ("background-color:#1a5fb4", "background:#8ab4f8"), at=LINK),
    Bad("reading.no_heading", ("<h1", "<h0"), {"html": GOOD.replace("h1", "p").replace("Places", "places " * 150)}),
    Bad("reading.heading_skipped", (P, f'<h3 style="color:#222222">Places</h3>{P}'), at="<h3"),
    Bad("reading.long_paragraph", ("Places are few", "Places are few " * 50), at=P),
    Bad("reading.lang_missing", ('<html lang="en">', "<html>"), at="<html>"),
    Bad("reading.lang_missing", ('<html lang="en">', '<html lang="und">'), at="<html"),
    Bad("reading.lang_wrong", ('<html lang="en">', '<html lang="he">'), at="<html"),
    Bad("reading.lang_wrong", ('lang="he"', 'lang="en"'), at="<html", hebrew=True),
    Bad("reading.table_role", (TABLE, '<table width="600"'), at="<table"),
    Bad("reading.button_small", ("padding:12px 24px", "padding:12px 24px;font-size:11px"), at=LINK),
    Bad("action.missing", (LINK, '<a name="x"')),
    Bad(
        "action.many",
        (
            LINK,
            "".join(
                f'<a href="https://acme.test/{n}" style="background:#1a5fb4;padding:9px">Walk {n}</a>' for n in range(3)
            )
            + LINK,
        ),
        at=LINK,
    ),
    Bad("dark.color_scheme_missing", ('<meta name="color-scheme" content="light dark">', "")),
    Bad("dark.pure_colour", (P, '<p style="background:#ffffff;color:#000;font-size:16px">'), at='<p style="background'),
    fact("dark.image_vanishes", dark_on_transparent=True),
    image(IMG.replace("forest.jpg", "logo.png"), "dark.image_may_vanish"),
    Bad("client.feature_lacking", ("<body", "<body><video></video><body"), at="<video>"),
    Bad(
        "client.feature_lacking",
        (P, P.replace("16px", "16px;position:absolute")),
        at='<p style="font-size:16px;position:absolute',
    ),
    Bad("client.ornament_lacking", ("<style>", "<style>\n@import url(https://fonts.test/);"), at="@import"),
    Bad(
        "rtl.dir_missing",
        ('role="presentation" dir="rtl"', 'role="presentation"'),
        at="<table",
        hebrew=True,
    ),
    Bad("rtl.dir_wrong", ("<h1", '<h1 dir="ltr"'), at='<h1 dir="ltr"', hebrew=True),
    Bad("rtl.dir_needless", ("<table", '<table dir="rtl"'), at="<table"),
    Bad(
        "rtl.table_dir_missing",
        ('role="presentation" dir="rtl"', 'role="presentation"'),
        {"html": GOOD_HEBREW.replace(' dir="rtl" width', " width").replace("</td></tr>", "</td><td>עוד</td></tr>")},
        at="<table",
        hebrew=True,
    ),
    Bad("rtl.align_left", ("text-align:right", "text-align:left"), at='<p style="color:#333333', hebrew=True),
    Bad("rtl.padding_not_mirrored", ("text-align:right", "padding-left:40px"), at="<p style", hebrew=True),
    Bad("rtl.border_not_mirrored", ("text-align:right", "border-left:4px solid"), at="<p style", hebrew=True),
    Bad("rtl.not_isolated", ("<bdi>-20%</bdi>", "-20%"), at="<p style", hebrew=True),
    Bad("rtl.not_isolated", ("<bdi>-20%</bdi>", "C++"), at="<p style", hebrew=True),
]


def found(mail: LintSubject, code: str) -> list[Finding]:
    return [finding for finding in lint(mail) if finding.code == code]


@pytest.mark.parametrize("mail", [good(), good_hebrew()], ids=["english", "hebrew"])
def test_a_good_mail_is_clean(mail: LintSubject) -> None:
    assert [(finding.code, finding.message) for finding in lint(mail)] == []


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.code)
def test_a_bad_sample_is_found_where_it_is(bad: Bad) -> None:
    mail = bad.subject()
    findings = found(mail, bad.code)
    assert findings, [finding.code for finding in lint(mail)]
    first = findings[0]
    rule = next(rule for rule in RULES if rule.code == bad.code)
    assert (first.severity, first.why, first.next_step) == (rule.severity, rule.why, rule.mend)
    if bad.at is None:
        return
    text = {"body": mail.html, "subject": mail.subject, "preheader": mail.preheader}[first.part]
    assert first.span is not None
    assert first.line is not None
    assert first.column is not None
    assert text[first.span.start :].startswith(bad.at)
    assert text.split("\n")[first.line - 1][first.column - 1 :].startswith(bad.at.split("\n")[0])


def test_every_rule_has_a_bad_sample_and_is_worded() -> None:
    assert {bad.code for bad in BAD} == {rule.code for rule in RULES}
    assert len({rule.code for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.why.endswith(".")
        assert rule.mend.endswith(".")
        assert rule.source


def test_only_what_law_or_safety_asks_for_keeps_a_mail_back() -> None:
    assert {rule.code for rule in RULES if rule.severity is Severity.ERROR} == {
        "required.unsubscribe_missing",
        "subject.empty",
        "subject.advertisement_word_missing",
        "link.dangerous",
    }


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("required.unsubscribe_missing", {"html": GOOD.replace(UNSUB, "")}),
        ("required.postal_address_missing", {"html": GOOD.replace("12 Mill Street", "")}),
        ("action.missing", {"html": GOOD.replace(LINK, '<a name="x"')}),
        ("ratio.text_only", {"html": GOOD.replace(IMG, "")}),
        ("preheader.missing", {"preheader": ""}),
        ("subject.spam_word", {"subject": "Urgent: your invoice"}),
        ("subject.false_reply", {"subject": "Re: your question"}),
    ],
)
def test_a_receipt_needs_not_what_a_campaign_needs(code: str, changes: dict[str, object]) -> None:
    assert found(good(**changes), code)
    assert not found(good(**changes, sender=SenderFacts(stream="transactional")), code)


@pytest.mark.parametrize(
    "subject",
    [
        "Feel free to bring a friend along",
        "Sugar-free cakes for the autumn walks",
        "Freelance guides wanted for autumn",
        "Our winter jackets are made for NASA",
        "שנים עשר טיולי סתיו עם מדריכים",
        "Are you coming? We would love that!",
    ],
)
def test_ordinary_subjects_are_let_pass(subject: str) -> None:
    assert [f.code for f in lint(good(subject=subject)) if f.code.startswith("subject.")] == []


@pytest.mark.parametrize(
    ("text", "href"),
    [
        ("acme.test", "https://www.acme.test/walks"),
        ("shop.acme.co.uk", "https://acme.co.uk/"),
        ("hello@bank.com", "mailto:hello@bank.com"),
        ("Read notes.pdf", "https://acme.test/notes"),
        ("Node.js and more", "https://acme.test/"),
        ("End of line.Next line", "https://acme.test/"),
    ],
)
def test_text_that_names_the_links_own_domain_or_none(text: str, href: str) -> None:
    mail = good(html=GOOD.replace(P, f'{P}<a href="{href}" style="color:#1a5fb4">{text}</a> '))
    assert found(mail, "link.text_names_other_domain") == []


@pytest.mark.parametrize(
    ("text", "turns"),
    [
        ("הנחה של -20% היום", True),
        ("התקשרו אל +972 3 1234567", True),
        ("בשעות 10–12 בבוקר", True),
        ("בשעות 10 - 12 בבוקר", True),
        ("מדריך C++ חדש", True),
        ("اتصل على 03-1234567 اليوم", True),
        ("טלפון 03-1234567 להזמנות", False),
        ("בשעות 10-12 בבוקר", False),
        ("הנחה של 20% ב-Acme!", False),
        ("ב-20 באוקטובר 1/10/2025", False),
        ("הנחה של \u2066-20%\u2069 היום", False),
    ],
)
def test_what_turns_around_in_right_to_left_text(text: str, turns: bool) -> None:
    mail = good_hebrew(html=GOOD_HEBREW.replace("<h1", f'<p style="font-size:16px">{text}</p><h1'))
    assert bool(found(mail, "rtl.not_isolated")) == turns


@pytest.mark.parametrize(
    "style", ["display:none", "display:none !important", "opacity:0", "max-height:0;overflow:hidden", "font-size:1px"]
)
def test_hidden_text_is_not_read_as_text(style: str) -> None:
    hidden = f'<div style="color:#fefefe;{style}">A hidden line that stands beside the subject</div>'
    mail = good(html=GOOD.replace(TABLE, hidden + TABLE), preheader="")
    assert [finding.code for finding in lint(mail)] == []  # and it is the preheader


@pytest.mark.parametrize("filling", ["<p>more</p>" * 20_000, "<b></b>" * 13_000])
def test_a_way_out_beyond_what_is_read_is_not_called_missing(filling: str) -> None:
    mail = good(html=GOOD.replace(P, filling + P))
    codes = {finding.code for finding in lint(mail)}
    assert "size.not_read" in codes
    assert "required.unsubscribe_missing" not in codes
    assert "required.postal_address_missing" not in codes
    assert found(replace(mail, html=mail.html.replace(UNSUB, "")), "required.unsubscribe_missing")


def test_sizes_have_their_figures() -> None:
    (finding,) = found(good(html_octets=104_449), "size.clipped")
    assert (finding.measured, finding.limit, finding.unit) == (104_449, 104_448, "octets")


def test_like_findings_are_told_twenty_times_and_counted() -> None:
    bad = "".join(f'<img src="https://acme.test/{n}.jpg" width="50" height="50">' for n in range(50))
    findings = found(good(html=GOOD.replace(IMG, bad)), "image.alt_missing")
    assert len(findings) == 20
    assert sum(finding.times for finding in findings) == 50
