"""Every rule fires on what it is for, at the right place, and keeps quiet on what looks a little like it."""

import pytest

from rendering.spam_risk import ScoredMessage
from rendering.spam_risk.rules import the_rules, the_weights
from rendering.spam_risk.subject_matter import SubjectMatter

RULES = {rule.code: rule for rule in the_rules()}


def text(body: str, subject: str = "News of the month") -> ScoredMessage:
    return ScoredMessage(subject, None, body)


def html(body: str, plain: str | None = "the same") -> ScoredMessage:
    return ScoredMessage("News of the month", f"<html><body>{body}</body></html>", plain)


def subject(line: str) -> ScoredMessage:
    return ScoredMessage(line, None, "Hello Dana, here is the news.")


LONG = "Plain words about our garden. " * 20
FIRES_AND_NOT = {
    "wording-free": (text("Get your FREE gift"), text("You are free to answer; sugar-free")),
    "wording-urgency": (text("Act now!"), text("We act in your interest, urgencyless")),
    "wording-guarantee": (text("100% money-back, no obligation"), text("The guarantor signs here")),
    "wording-earnings": (text("Earn extra income"), text("We earn your trust")),
    "wording-credit": (text("Refinance your mortgage"), text("Credit where credit is due")),
    "wording-pharmacy": (text("Cheap viagra here"), text("The specialist will see you")),
    "wording-weight-loss": (text("Lose weight fast"), text("Do not lose your keys")),
    "wording-adult": (text("Hot girls on webcam"), text("Essex and Sussex are counties")),
    "wording-prize": (text("You have won the jackpot"), text("Our team has won")),
    "wording-advance-fee": (text("I am the next of kin"), text("Next week we are kind")),
    "wording-click": (text("Click here"), text("The clickable button")),
    "wording-denies-spam": (text("This is not spam"), text("A filter against unwanted mail")),
    "wording-stranger": (text("Dear friend,"), text("Dear Dana,")),
    "wording-phone": (text("Call now, toll free"), text("They call it a day")),
    "wording-superlative": (text("An amazing miracle"), text("A good book")),
    "wording-price": (text("Up to 70% off"), text("70% of all readers")),
    "wording-bulk-mailing": (text("Bulk email for you"), text("Bulky mail")),
    "wording-stock": (text("Hot stock alert"), text("Back in stock")),
    "wording-diploma": (text("University diplomas"), text("A diplomat writes")),
    "wording-subject-personal": (subject("Do you want this"), subject("Minutes of the meeting")),
    "wording-phishing": (text("Verify your account"), text("Your account statement")),
    "wording-crypto": (text("Buy bitcoin"), text("A cryptic crossword")),
    "hebrew-free": (text("משלוח חינם היום"), text("אפשר לבוא בחינמיות")),
    "hebrew-urgency": (text("הצעה מוגבלת"), text("הצעה טובה")),
    "hebrew-price": (text("עד 40% הנחה"), text("40% מהקוראים")),
    "hebrew-earnings": (text("כסף קל מהבית"), text("החזר כסף")),
    "hebrew-credit": (text("הלוואה מיידית"), text("מלווה את הדרך")),
    "hebrew-prize": (text("זכית בפרס הגדול"), text("זכויות האדם")),
    "hebrew-guarantee": (text("ללא התחייבות"), text("התחייבות אישית")),
    "hebrew-click": (text("לחצו כאן"), text("אנחנו כאן")),
    "hebrew-phishing": (text("החשבון שלך נחסם"), text("החשבון שלך מוכן")),
    "hebrew-health": (text("ירידה במשקל תוך שבוע"), text("משקל החבילה")),
    "many-exclamation-marks": (text("Wow!!! Now!"), text("Welcome! Enjoy.")),
    "much-in-capitals": (text("BUY THIS GREAT THING TODAY PLEASE"), text("NASA and IBM met")),
    "money-amounts": (text("Only $99.95"), text("Only 99 left")),
    "spaced-letters": (text("V i a g r a"), text("a b or c, i.e. 1 2 3 4 5 6")),
    "digits-in-words": (text("fr33ly v1agra m0ney"), text("h1, mp3 and b2b")),
    "invisible-characters": (text("fr\u200bee"), text("free\u00a0text שלום\u200f")),
    "mixed-scripts": (text("p\u0430ypal"), text("shop שלום Привет")),
    "charset-faults": (text("caf\x92 \ufffd"), text("café – naïve")),
    "subject-in-capitals": (subject("GREAT news"), subject("News of NATO? No, of us".replace("NATO", "Nato"))),
    "subject-exclamation-marks": (subject("Now!"), subject("Now")),
    "subject-money": (subject("Only $5"), subject("Only five")),
    "subject-empty": (subject(" "), ScoredMessage(None, None, "x")),
    "image-only": (html('<img src="a.png" width="600">'), html('<img src="a.png" width="600">' + LONG)),
    "hidden-text": (
        html(f'<div style="display:none">{LONG}</div>Hi'),
        html(f'<div style="display:none">{LONG[:200]}</div>{LONG}'),
    ),
    "tiny-text": (html('<p style="font-size:1px">buy buy buy</p>'), html('<td style="font-size:0.0px">&nbsp;</td>x')),
    "large-text": (html("<font size=7>Big</font>"), html("<h1>Big</h1>")),
    "red-text": (html('<p style="color:#ff0000">Red</p>'), html('<p style="color:#b3261e">Brick</p>')),
    "camouflaged-text": (
        html('<p style="color:#fff">secret</p>'),
        html('<td style="background-color:#123"><p style="color:#fff">seen</p></td>'),
    ),
    "comment-in-word": (html("vi<!-- x -->agra"), html("via <!-- x --> agra")),
    "form": (html("<form action=x><input></form>"), html("<p>form</p>")),
    "script": (html("<script>alert(1)</script>"), html("<p>script</p>")),
    "embedded-object": (html("<iframe src=x></iframe>"), html("<p>iframe</p>")),
    "data-image": (html('<img src="data:image/png;base64,AA==">'), html('<img src="https://x.test/data.png">')),
    "html-without-plain-text": (html("Hello", None), html("Hello", "Hello")),
    "plain-text-differs": (
        html("Hello Dana", "one two three four five six seven eight nine ten eleven twelve"),
        html("Hello Dana, this is what the plain part says too, word by word, in order", "Hello Dana, this is what"),
    ),
    "empty-body": (html(""), html("x")),
    "link-names-another-domain": (
        html('<a href="https://evil.test/x">www.bank.com</a>'),
        html('<a href="https://click.bank.com/x">www.bank.com</a> <a href="https://a.test">Read on</a>'),
    ),
    "link-to-ip-address": (html('<a href="http://192.0.2.7/x">x</a>'), html('<a href="http://a192.test/">x</a>')),
    "link-shortener": (text("See https://bit.ly/abc"), text("See https://rabbit.ly.test/abc")),
    "odd-link-address": (html('<a href="http://bank.com@evil.test/">x</a>'), html('<a href="http://a.test/@me">x</a>')),
    "many-domains": (
        text(" ".join(f"https://host{n}.test/" for n in range(9))),
        text(" ".join(f"https://host{n}.one.test/" for n in range(9))),
    ),
}


def test_every_rule_is_shown_both_ways() -> None:
    assert set(FIRES_AND_NOT) == set(RULES)


@pytest.mark.parametrize("code", FIRES_AND_NOT)
def test_a_rule_fires_on_its_own(code: str) -> None:
    fires, quiet = (SubjectMatter.of(message) for message in FIRES_AND_NOT[code])
    strength = RULES[code].feature(fires)
    assert 0 < strength.value <= 1
    if strength.found is not None:
        place = fires.place_of(strength.found)
        assert place.line >= 1
        assert place.column >= 1
    assert RULES[code].feature(quiet).value == 0


def test_a_rule_has_a_weight_from_one_side_only() -> None:
    weights = the_weights()
    for rule in the_rules():
        assert rule.is_calibrated or rule.code not in weights.rules
    assert set(weights.rules) <= set(RULES)
    assert all(weight > 0 for weight in weights.rules.values())
    assert not any(RULES[code].is_calibrated for code in RULES if code.startswith("hebrew-"))


def test_a_wording_is_found_where_it_stands() -> None:
    message = html("\n<p>Hello &amp; welcome</p>\n<p>Please\nverify your account</p>")
    matter = SubjectMatter.of(message)
    found = RULES["wording-phishing"].feature(matter).found
    assert found is not None
    place = matter.place_of(found)
    assert (place.part, place.line, place.excerpt) == ("html", 4, "verify your account")


def test_an_address_is_no_wording() -> None:
    matter = SubjectMatter.of(text("https://shop.test/act-now/viagra and viagra@shop.test"))
    assert RULES["wording-pharmacy"].feature(matter).value == 0
