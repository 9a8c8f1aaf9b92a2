"""Subject and preheader: what a reader sees before opening."""

import re
from collections.abc import Iterator

from mailtypes.errors import Span
from mailtypes.saying import joined, say
from rendering.lint.case import Case, Hit, Rule, direction_letters, words_of
from rendering.lint.finding import Severity

WORDS = (6, 10)
CHARACTERS = (25, 50)
CHARACTERS_HEBREW = (25, 60)
"""Hebrew words run longer with their prefixes; the upper figure is an assumption."""
MAX_EMOJI = 1
PREHEADER_MIN = 30
_EMOJI = re.compile(
    "[\U0001f1e6-\U0001f1ff]{2}|[\U0001f300-\U0001faff\u2600-\u27bf\u2b50\u2b55\u231a\u231b\u23e9-\u23f3]"
)
_CAPITALS = re.compile(r"\b[A-Z][A-Z'’]{3,}\b")
_PUNCTUATION = re.compile(r"[!?]{2,}|\.{4,}|[$€₪£]{2,}|(?:![^!]{0,200}){3}|\*{2,}|={3,}|_{3,}|~{2,}")
_REPLY = re.compile(r"\s*(?:re|fw|fwd|aw|wg|sv|tr|השב|הועבר)\s*:", re.IGNORECASE)
_ADVERTISEMENT = re.compile(r"\s*[\[(<\"'*-]?\s*פרסומת(?![\u05d0-\u05ea])")
_WORDS_IN_ENGLISH = (
    r"(?<!feel )(?<!feel-)(?<![\w]-)\bfree\b(?! of\b)(?!-?lance)(?! to\b)(?! time\b)|"
    r"\burgent(?:ly)?\b|\blimited[ -](?:time )?offer\b|"
    r"\bact now\b|\bbuy now\b|\border now\b|\bclick (?:here|now|below)\b|\b100 ?% (?:free|guaranteed)|\brisk[ -]free\b|"
    r"\bno (?:obligation|strings attached|credit check)\b|\bcash (?:bonus|prize)\b|\bearn (?:extra )?(?:cash|money)\b|"
    r"\bmake money\b|\bmiracle\b|\bwinner\b|\byou(?:'ve| have) (?:won|been selected)\b|\bcongratulations!|"
    r"\bonce in a lifetime\b|\blast chance\b|\bguaranteed?\b|\bcheap(?:est)?\b|\blowest price\b|\bweight loss\b|"
    r"\bviagra\b|\bcasino\b|\bdouble your\b|\bwhile (?:supplies|stocks) last\b"
)
_WORDS_IN_HEBREW = (
    r"חינם|דחוף|הצעה מוגבלת|לזמן מוגבל|מבצע מטורף|זכית|זכייה|הזדמנות אחרונה|רק היום|הרגע האחרון|ללא עלות|בלי התחייבות|"
    r"ללא התחייבות|כסף קל|להרוויח|רווח מובטח|מובטח|הלוואה|לחצו עכשיו|לחץ עכשיו|אל תפספסו|"
    r"אל תחמיצו|בלעדי רק לך|מחיר מצחיק|קזינו"
)
_TRIGGER = re.compile(
    rf"(?:{_WORDS_IN_ENGLISH})|(?<![\u05d0-\u05ea])[הבלו]?(?:{_WORDS_IN_HEBREW})(?![\u05d0-\u05ea])", re.IGNORECASE
)
_READ = 2_000


def _subject(case: Case) -> str:
    return " ".join(case.subject.subject[:_READ].split())


def _is_hebrew(text: str) -> bool:
    rtl, ltr = direction_letters(text)
    return rtl > ltr


def _empty(case: Case) -> Iterator[Hit]:
    if not _subject(case):
        yield Hit(say("the mail has no subject"), None, "subject")


def _length(case: Case) -> Iterator[Hit]:
    subject = _subject(case)
    if not subject or not case.is_marketing:
        return
    words, characters = len(words_of(subject)), len(subject)
    low, high = CHARACTERS_HEBREW if _is_hebrew(subject) else CHARACTERS
    if WORDS[0] <= words <= WORDS[1] or low <= characters <= high:  # either is enough
        return
    limit = high if characters > high else low
    message = say("the subject has %(words)s words and %(characters)s characters", words=words, characters=characters)
    yield Hit(message, None, "subject", measured=characters, limit=limit, unit="characters")


def _cut(case: Case) -> Iterator[Hit]:
    subject = _subject(case)
    characters = len(subject)
    if characters <= (CHARACTERS_HEBREW if _is_hebrew(subject) else CHARACTERS)[1]:
        return  # as long as it should be: it has to begin well, and that only its author can see to
    cutting = [limit for limit in case.subject.clients.inbox_limits if characters > limit.subject]
    share = sum(limit.share for limit in cutting)
    if cutting and share >= 50:
        named = joined(
            (say("%(client)s after %(limit)s", client=say(limit.name), limit=limit.subject) for limit in cutting), "; "
        )
        message = say(
            "the subject's %(characters)s characters are cut for about %(share)s %% of readers (%(named)s)",
            characters=characters,
            share=f"{share:.0f}",
            named=named,
        )
        yield Hit(message, None, "subject", characters, min(limit.subject for limit in cutting), "characters")


def _emoji(case: Case) -> Iterator[Hit]:
    found = list(_EMOJI.finditer(case.subject.subject[:_READ]))
    if len(found) > MAX_EMOJI:
        place = Span(found[MAX_EMOJI].start(), found[MAX_EMOJI].end())
        yield Hit(
            say("the subject has %(count)s emoji", count=len(found)), place, "subject", len(found), MAX_EMOJI, "emoji"
        )


def _capitals(case: Case) -> Iterator[Hit]:
    for part, text in _lines(case):
        shouted = list(_CAPITALS.finditer(text))
        letters = [letter for letter in text if letter.isalpha() and letter.isascii()]
        mostly = len(letters) > 8 and sum(letter.isupper() for letter in letters) > len(letters) / 2
        if len(shouted) >= 2 or (shouted and mostly):
            place = Span(shouted[0].start(), shouted[0].end())
            yield Hit(say("words in capitals: %(words)s", words=", ".join(m[0][:20] for m in shouted[:3])), place, part)


def _punctuation(case: Case) -> Iterator[Hit]:
    for part, text in _lines(case):
        if match := _PUNCTUATION.search(text):
            yield Hit(
                say("repeated punctuation: “%(match)s”", match=match[0][:20]), Span(match.start(), match.end()), part
            )


def _trigger(case: Case) -> Iterator[Hit]:
    if not case.is_marketing:
        return
    for part, text in _lines(case):
        for match in _TRIGGER.finditer(text):
            message = say("“%(match)s” is a word that filters and readers know from spam", match=match[0])
            yield Hit(message, Span(match.start(), match.end()), part)


def _false_reply(case: Case) -> Iterator[Hit]:
    match = _REPLY.match(case.subject.subject[:_READ])
    if match and case.is_marketing:
        yield Hit(say("the subject pretends to be an answer"), Span(match.start(), match.end()), "subject")


def _preheader_missing(case: Case) -> Iterator[Hit]:
    if case.is_marketing and not case.preheader and case.words:
        yield Hit(say("the mail has no preheader"), None, "preheader")


def _preheader_short(case: Case) -> Iterator[Hit]:
    preheader = case.preheader
    if preheader and len(preheader) < PREHEADER_MIN and case.is_marketing:
        message = say("the preheader has %(count)s characters", count=len(preheader))
        yield Hit(message, None, "preheader", len(preheader), PREHEADER_MIN, "characters")


def _preheader_cut(case: Case) -> Iterator[Hit]:
    limits = case.subject.clients.inbox_limits
    longest = max((limit.preheader for limit in limits), default=0)
    if limits and len(case.preheader) > longest + 40:  # the rest is read by screen readers and shown nowhere
        message = say(
            "the preheader has %(count)s characters, and no list shows more than %(longest)s",
            count=len(case.preheader),
            longest=longest,
        )
        yield Hit(message, None, "preheader", len(case.preheader), longest, "characters")


def _preheader_repeats(case: Case) -> Iterator[Hit]:
    subject, preheader = _subject(case).lower(), " ".join(case.preheader.lower().split())
    if len(subject) > 8 and preheader.startswith(subject):
        yield Hit(say("the preheader repeats the subject"), None, "preheader")


def _advertisement(case: Case) -> Iterator[Hit]:
    if case.subject.sender.advertisement_to_israel and not _ADVERTISEMENT.match(_subject(case)):
        yield Hit(say("the subject does not begin with “פרסומת”"), None, "subject")


def _lines(case: Case) -> Iterator[tuple[str, str]]:
    yield "subject", case.subject.subject[:_READ]
    yield "preheader", case.subject.preheader[:_READ]


RULES = (
    Rule(
        "subject.empty",
        Severity.ERROR,
        "Readers take it for a mistake and filters for spam.",
        "Write what the mail is about.",
        "RFC 5322 section 3.6.5; common filters' rules",
        _empty,
    ),
    Rule(
        "subject.length",
        Severity.ADVICE,
        "Shorter ones say too little, longer ones are cut.",
        "Aim at 6 to 10 words or 25 to 50 characters (Hebrew: up to 60); either is enough.",
        "content rules",
        _length,
    ),
    Rule(
        "subject.cut",
        Severity.ADVICE,
        "Most readers do not see its end.",
        "Say the most important thing first, and shorten the rest.",
        "limits by client in client_shares.toml (assumptions)",
        _cut,
    ),
    Rule(
        "subject.many_emoji",
        Severity.ADVICE,
        "One draws the eye, more look like spam, and screen readers read each one's name.",
        "Keep one at most.",
        "content rules: emoji with care",
        _emoji,
    ),
    Rule(
        "subject.capitals",
        Severity.ADVICE,
        "Readers feel shouted at, and filters count it.",
        "Write it as in a sentence.",
        "common filters' rules",
        _capitals,
    ),
    Rule(
        "subject.repeated_punctuation",
        Severity.ADVICE,
        "It looks like spam to readers and to filters.",
        "One mark is enough.",
        "common filters' rules",
        _punctuation,
    ),
    Rule(
        "subject.spam_word",
        Severity.ADVICE,
        "One such word does no harm; with others it adds up.",
        "Say plainly what is offered: a figure, a product, a date.",
        "content rules, English and Hebrew; a list of ours",
        _trigger,
    ),
    Rule(
        "subject.false_reply",
        Severity.WARNING,
        "Readers feel cheated and report it; in some countries it is forbidden.",
        "Remove “Re:” or “Fwd:”.",
        "15 U.S.C. 7704(a)(2): misleading subjects",
        _false_reply,
    ),
    Rule(
        "subject.advertisement_word_missing",
        Severity.ERROR,
        "Israeli law asks for this word at the beginning of an advertisement's subject.",
        "Begin the subject with “פרסומת:”.",
        "Communications Law (Israel), section 30A(e)",
        _advertisement,
    ),
    Rule(
        "preheader.missing",
        Severity.ADVICE,
        "Lists of messages then show whatever the mail begins with, often “View in browser”.",
        "Write a sentence that goes on from the subject.",
        "how lists of messages are shown",
        _preheader_missing,
    ),
    Rule(
        "preheader.short",
        Severity.ADVICE,
        "Lists of messages fill the line with whatever the mail begins with.",
        "Write at least 30 characters.",
        "assumption: 30 characters",
        _preheader_short,
    ),
    Rule(
        "preheader.cut",
        Severity.ADVICE,
        "Nobody sees its end.",
        "Shorten it.",
        "limits by client in client_shares.toml (assumptions)",
        _preheader_cut,
    ),
    Rule(
        "preheader.repeats_subject",
        Severity.ADVICE,
        "The reader sees the same words twice, and nothing new.",
        "Go on from the subject instead.",
        "how lists of messages are shown",
        _preheader_repeats,
    ),
)
