"""A campaign among one's own last ones, and hours of sending compared, as lines or JSON."""

from dataclasses import asdict
from typing import Any

from postwright.cli.printing import console, print_json
from postwright.cli.session import print_table
from postwright.services.comparison import CampaignComparison, Compared
from postwright.services.sending_hours import SendingHours


def print_comparison(found: CampaignComparison, *, as_json: bool) -> None:
    """Every measure with what is usual and where it lies."""
    if as_json:
        print_json(
            {
                "campaign": found.campaign.name,
                "age_hours": found.hours,
                "segment": None if found.segment is None else found.segment.name,
                "earlier": [one.campaign for one in found.earlier],
                "measures": [_document(one) for one in found.measures],
                "by_provider": {
                    name: [_document(one) for one in several] for name, several in found.by_provider.items()
                },
            }
        )
        return
    age = "" if found.hours is None else f", all counted as they stood {found.hours} hours after their beginning"
    console.print(f"Against the last {len(found.earlier)} campaigns{age}.")
    rows = [_line("", one) for one in found.measures]
    rows += [_line(name or "(unknown)", one) for name, several in found.by_provider.items() for one in several]
    print_table(("provider", "measure", "rate", "usual", "higher than", "place"), rows, empty="")
    causes = dict.fromkeys(one.cause for one in found.measures if one.place == "unknown")
    for cause in causes:
        console.print(str(cause), markup=False)


def _line(provider: str, one: Compared) -> tuple[str, ...]:
    of = one.found
    usual = "" if of.low is None or of.high is None else f"{100 * of.low:.2f} to {100 * of.high:.2f} %"
    rate = f"{100 * of.rate:.2f}"
    if one.at_most is not None and one.at_most.rate != of.rate:
        rate += f" to {100 * one.at_most.rate:.2f}"
    return provider, one.measure, f"{rate} %", usual, f"{of.higher_than} of {of.among}", one.place


def _document(one: Compared) -> dict[str, Any]:
    return {**asdict(one), "place": one.place, "cause": one.cause}


def print_hours(told: SendingHours, *, as_json: bool) -> None:
    """The verdict, and every hour with its interval."""
    if as_json:
        print_json(
            {
                "verdict": told.verdict,
                "sentence": told.sentence,
                "metric": told.wanted.metric,
                "zone": told.wanted.zone,
                "campaigns": told.campaigns,
                "spread": told.spread,
                **asdict(told.found),
            }
        )
        return
    console.print(str(told.sentence), markup=False)
    rows = [
        (
            f"{one.hour}:00",
            f"{one.campaigns:,}",
            f"{100 * one.rate:.2f} %",
            f"{100 * one.low:.2f} to {100 * one.high:.2f} %",
        )
        for one in told.found.hours
    ]
    if rows:
        print_table((f"hour ({told.wanted.zone})", "campaigns", "rate", "lies within"), rows, empty="")
