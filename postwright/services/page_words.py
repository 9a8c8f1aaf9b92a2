"""What recipients read on our pages and in the mail that asks them to confirm, in English and Hebrew.

What somebody agrees to or takes back is kept in the words that they read, so the words stand here and not in the pages.
"""

from dataclasses import dataclass
from typing import Final

_MAX_ACCEPTED: Final = 500
_MOST_ACCEPTED: Final = 20


@dataclass(frozen=True, slots=True)
class Words:
    """One language. ``{sender}``, ``{list}``, ``{title}`` and ``{url}`` are filled in."""

    language: str
    direction: str
    unsubscribe: str
    unsubscribe_question: str
    from_list: str
    from_stream: str
    from_kind: str
    from_all: str
    unsubscribe_button: str
    unsubscribed: str
    unsubscribed_list: str
    unsubscribed_stream: str
    unsubscribed_kind: str
    unsubscribed_all: str
    undo_question: str
    undo_button: str
    undone: str
    undone_text: str
    undo_late: str
    undo_late_text: str
    one_click: str
    to_preferences: str
    preferences: str
    preferences_text: str
    lists: str
    none_at_all: str
    frequency: str
    frequency_any: str
    frequency_less: str
    tracking: str
    tracking_yes: str
    tracking_no: str
    tracking_note: str
    choose_language: str
    save: str
    saved: str
    saved_nothing: str
    address: str
    leave_empty: str
    sign_up: str
    sign_up_done: str
    sign_up_done_text: str
    sign_up_bad: str
    sign_up_bad_text: str
    too_many: str
    too_many_text: str
    closed: str
    closed_text: str
    confirm: str
    confirm_text: str
    confirm_button: str
    confirmed: str
    confirmed_text: str
    go_on: str
    confirm_late: str
    confirm_late_text: str
    mail_subject: str
    mail_greeting: str
    mail_text: str
    mail_button: str
    mail_ignore: str
    invalid: str
    invalid_text: str


_ENGLISH: Final = Words(
    language="en",
    direction="ltr",
    unsubscribe="Unsubscribe",
    unsubscribe_question="What should {sender} no longer send you?",
    from_list="Mail on the list “{list}”",
    from_stream="All newsletters and offers",
    from_kind="All mail of this kind",
    from_all="Everything, even receipts and messages about your account",
    unsubscribe_button="Unsubscribe",
    unsubscribed="You are unsubscribed",
    unsubscribed_list="{sender} will send you no more mail on the list “{list}”.",
    unsubscribed_stream="{sender} will send you no more newsletters and offers.",
    unsubscribed_kind="{sender} will send you no more mail of this kind.",
    unsubscribed_all="{sender} will send you nothing any more, not even receipts.",
    undo_question="Was that a mistake? For ten minutes you can take it back.",
    undo_button="That was a mistake",
    undone="You are back",
    undone_text="Nothing has changed: {sender} goes on writing to you.",
    undo_late="It is too late for that",
    undo_late_text="You stay unsubscribed. To get mail again, sign up once more.",
    one_click="Unsubscribed by the button of the mail program (RFC 8058).",
    to_preferences="Choose what you get",
    preferences="What you get",
    preferences_text="Choose what {sender} may send you. It counts as soon as you have saved it.",
    lists="Lists",
    none_at_all="No newsletters and offers at all",
    frequency="How often",
    frequency_any="As it comes",
    frequency_less="Less: at most one a week",
    tracking="What we measure",
    tracking_yes="You may measure whether I open your mail and follow its links",
    tracking_no="Do not measure that",
    tracking_note="If you say no, what was measured of you before is deleted.",
    choose_language="Language",
    save="Save",
    saved="It is saved.",
    saved_nothing="Nothing was changed.",
    address="E-mail address",
    leave_empty="Leave this empty",
    sign_up="Sign up",
    sign_up_done="Please look into your mail",
    sign_up_done_text="If the address is right, a mail will come in a moment. Press the button in it, and you are on"
    " the list. The button works for seven days.",
    sign_up_bad="Something is missing",
    sign_up_bad_text="Please write a complete e-mail address, and fill in what is asked for.",
    too_many="Too many requests",
    too_many_text="Please try again in an hour.",
    closed="This form is closed",
    closed_text="Nobody can sign up here any more.",
    confirm="Confirm that it is you",
    confirm_text="{sender} wants to be sure that you asked for “{title}”. What you agree to:",
    confirm_button="Yes, I want this",
    confirmed="You are on the list",
    confirmed_text="Thank you. {sender} will write to you. Every mail has a link to unsubscribe.",
    go_on="Go on",
    confirm_late="This link no longer works",
    confirm_late_text="It was good for seven days. Please sign up once more.",
    mail_subject="Please confirm: {title}",
    mail_greeting="Hello,",
    mail_text="somebody, probably you, gave this address for “{title}” of {sender}. Please confirm that you want it:",
    mail_button="Confirm",
    mail_ignore="If it was not you, do nothing: without your confirmation no further mail comes.",
    invalid="This link does not work",
    invalid_text="It may have been cut off when it was copied.",
)
_HEBREW: Final = Words(
    language="he",
    direction="rtl",
    unsubscribe="הסרה מרשימת התפוצה",
    unsubscribe_question="מה לא לשלוח לך עוד מאת {sender}?",
    from_list="דיוור ברשימה “{list}”",
    from_stream="כל העדכונים והמבצעים",
    from_kind="כל הדיוור מסוג זה",
    from_all="הכול, גם קבלות והודעות על החשבון שלך",
    unsubscribe_button="להסרה",
    unsubscribed="ההסרה בוצעה",
    unsubscribed_list="לא יישלח עוד דיוור מאת {sender} ברשימה “{list}”.",
    unsubscribed_stream="לא יישלחו עוד עדכונים ומבצעים מאת {sender}.",
    unsubscribed_kind="לא יישלח עוד דיוור מסוג זה מאת {sender}.",
    unsubscribed_all="לא יישלח עוד דבר מאת {sender}, גם לא קבלות.",
    undo_question="זו הייתה טעות? אפשר לבטל את ההסרה במשך עשר דקות.",
    undo_button="זו הייתה טעות",
    undone="ההסרה בוטלה",
    undone_text="דבר לא השתנה: הדיוור מאת {sender} נמשך.",
    undo_late="מאוחר מדי לביטול",
    undo_late_text="ההסרה נשארת בתוקף. כדי לקבל דיוור שוב יש להירשם מחדש.",
    one_click="הסרה בלחיצת הכפתור של תוכנת הדואר (RFC 8058).",
    to_preferences="לבחור מה לקבל",
    preferences="מה לקבל",
    preferences_text="כאן בוחרים מה יישלח אליך מאת {sender}. הבחירה בתוקף מיד עם השמירה.",
    lists="רשימות",
    none_at_all="בלי עדכונים ומבצעים כלל",
    frequency="באיזו תדירות",
    frequency_any="כל דיוור",
    frequency_less="פחות: לכל היותר אחד בשבוע",
    tracking="מה נמדד",
    tracking_yes="מותר למדוד אם אני פותח או פותחת את הדואר ולוחצים בו על קישורים",
    tracking_no="לא למדוד",
    tracking_note="אם הבחירה היא לא למדוד, גם מה שנמדד עד כה נמחק.",
    choose_language="שפה",
    save="שמירה",
    saved="הבחירה נשמרה.",
    saved_nothing="דבר לא השתנה.",
    address="כתובת דואר אלקטרוני",
    leave_empty="להשאיר ריק",
    sign_up="הרשמה",
    sign_up_done="נא לבדוק את תיבת הדואר",
    sign_up_done_text="אם הכתובת נכונה, יגיע בעוד רגע דואר. לחיצה על הכפתור שבו משלימה את ההרשמה."
    " הכפתור פועל שבעה ימים.",
    sign_up_bad="משהו חסר",
    sign_up_bad_text="נא לכתוב כתובת דואר אלקטרוני מלאה ולמלא את מה שמבוקש.",
    too_many="יותר מדי בקשות",
    too_many_text="נא לנסות שוב בעוד שעה.",
    closed="הטופס סגור",
    closed_text="אי אפשר עוד להירשם כאן.",
    confirm="אישור ההרשמה",
    confirm_text="חשוב לנו ({sender}) לוודא שביקשת את “{title}”. לכך ניתנת ההסכמה:",
    confirm_button="כן, אני רוצה",
    confirmed="ההרשמה הושלמה",
    confirmed_text="תודה. מעתה יגיע אליך דיוור מאת {sender}. בכל הודעה יש קישור להסרה.",
    go_on="להמשך",
    confirm_late="הקישור כבר אינו בתוקף",
    confirm_late_text="הוא היה בתוקף שבעה ימים. נא להירשם שוב.",
    mail_subject="נא לאשר: {title}",
    mail_greeting="שלום,",
    mail_text="מישהו, כנראה את או אתה, מסר את הכתובת הזאת עבור “{title}” של {sender}. נא לאשר את ההרשמה:",
    mail_button="לאישור",
    mail_ignore="אם לא ביקשת זאת, אין צורך לעשות דבר: בלי אישור לא יישלח עוד דואר.",
    invalid="הקישור אינו פועל",
    invalid_text="ייתכן שנקטע בזמן ההעתקה.",
)
LANGUAGES: Final = {"en": _ENGLISH, "he": _HEBREW}
"""By the language's subtag (RFC 5646)."""
OWN_NAMES: Final = {"en": "English", "he": "עברית"}
"""What each language calls itself."""


def words_in(language: str) -> Words:
    """The words in that language, in English where there are none."""
    return LANGUAGES.get(known_language(language) or "en", _ENGLISH)


def known_language(tag: str | None) -> str | None:
    """``en`` or ``he`` for a language tag or locale (``he-IL``, ``iw``, ``en_GB``), ``None`` for any other."""
    primary = (tag or "").strip().lower().replace("_", "-").partition("-")[0]
    primary = "he" if primary == "iw" else primary  # what Hebrew was called before 1989
    return primary if primary in LANGUAGES else None


def accepted_language(header: str) -> str | None:
    """The language of ours that an Accept-Language header likes best (RFC 9110 section 12.5.4), if any."""
    best: tuple[float, str] | None = None
    for entry in header[:_MAX_ACCEPTED].split(",")[:_MOST_ACCEPTED]:
        tag, _, weight = entry.partition(";")
        language = known_language(tag)
        if language is not None and (best is None or _weight(weight) > best[0]):
            best = (_weight(weight), language)
    return best[1] if best is not None and best[0] > 0 else None


def _weight(text: str) -> float:
    name, _, value = text.strip().partition("=")
    if not text.strip():
        return 1.0
    try:
        weight = float(value) if name.strip().lower() == "q" and len(value) <= 5 else 0.0
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0
