"""When a campaign will be out, in the words of its page."""

from postwright.services.campaign_end import ExpectedEnd, HangsOn
from postwright.web import formats
from postwright.web.language import N_, Texts, gettext

_WHY = Texts(
    {
        HangsOn.PACE: N_("At the pace of the last hours."),
        HangsOn.WARM_UP: N_("The warm-up spreads it over days; if nothing objects."),
        HangsOn.HOURS: N_("It goes out within its hours for sending alone."),
        HangsOn.LOCAL_TIME: N_("Some get it by their own clocks."),
        HangsOn.TEST: N_("The rest waits for the end of the test."),
        HangsOn.RETRY: N_("Some are tried again then, and may have to wait once more."),
        HangsOn.SLOWED: N_("Replies of a receiving host have lowered the pace."),
        HangsOn.SUSPENDED: N_("A destination is suspended; the queue says why."),
        HangsOn.PAUSED: N_("The campaign is paused."),
        HangsOn.NOT_KNOWN: N_("Nothing was tried so far."),
    }
)


def when(end: ExpectedEnd | None) -> str:
    """The moment, as somebody reads it; its zone is ``offset``."""
    if end is None:
        return ""
    if end.at is not None:
        return formats.moment(end.at)
    return gettext("not known yet") if end.hangs_on is HangsOn.NOT_KNOWN else gettext("no end in sight")


def offset(end: ExpectedEnd | None) -> str:
    """How far the reader's clock is from UTC then."""
    return "" if end is None or end.at is None else formats.offset(end.at)


def why(end: ExpectedEnd | None) -> str:
    """What it hangs on."""
    if end is None:
        return ""
    sentence, late = _WHY[end.hangs_on], gettext("Some will expire before.")
    return f"{sentence} {late}" if end.is_too_late else sentence
