"""How each rule of the verdicts does on a simulated population, as the table of docs/tracking.md.

    python scripts/simulate_tracking.py [--size 50000] [--seed 8] [--write]

``--write`` puts the table into docs/tracking.md between its marks.
"""

import argparse
import random
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tracking.scoring import KindScore, RuleScore, score  # noqa: E402
from tracking.testing import FOLLOWED, population, with_honeypots  # noqa: E402
from tracking.verdicts import shipped_judge  # noqa: E402

PAGE = ROOT / "docs" / "tracking.md"
BEGIN, END = "<!-- simulation -->", "<!-- /simulation -->"
SIZE, SEED = 50_000, 8


def share(value: float | None) -> str:
    """A share in percent."""
    return "" if value is None else f"{100 * value:.1f} %"


def rule_row(found: RuleScore) -> str:
    """One line of the table of rules."""
    numbers = f"{found.fired:,} | {share(found.precision)} | {share(found.recall if found.fired else None)}"
    return f"| {found.rule} | {found.verdict} | {numbers} |"


def kind_row(found: KindScore) -> str:
    """One line of the table of kinds."""
    told = found.bounds
    said = f"{found.said.human:,} | {found.said.probable:,} | {found.said.machine:,}"
    wrong = f"{found.people_called_machine:,} | {found.machines_called_human:,}"
    return f"| {found.kind} | {found.by_people:,} | {told.at_least:,} to {told.at_most:,} | {said} | {wrong} |"


def tables(size: int, seed: int) -> str:
    """The tables as Markdown, without honeypots and with them."""
    chance = random.Random(seed)  # noqa: S311  drawn again the same way
    drawn = population(size, chance)
    rules, kinds = score(drawn, shipped_judge())
    rules_with, kinds_with = score(with_honeypots(drawn, chance), shipped_judge())
    changed = [one for one, before in zip(rules_with, rules, strict=True) if one != before]
    return "\n".join(
        [
            f"{size:,} deliveries whose mail was fetched, seed {seed}:",
            "",
            *_table_of_kinds(kinds),
            "",
            *_table_of_rules(rules),
            "",
            "The same with honeypots (`track.honeypots`), supposing that"
            f" {100 * FOLLOWED:.0f} % of the machines that follow several links follow that one, too:",
            "",
            *_table_of_kinds(kinds_with),
            "",
            "Of the rules these decide otherwise then:",
            "",
            *_table_of_rules(changed),
        ]
    )


def _table_of_kinds(kinds: list[KindScore]) -> list[str]:
    return [
        "| | by people | told | human | probable | machine | people called machine | machines called human |",
        "|---|---|---|---|---|---|---|---|",
        *map(kind_row, kinds),
    ]


def _table_of_rules(rules: list[RuleScore]) -> list[str]:
    return ["| rule | verdict | decided | precision | recall |", "|---|---|---|---|---|", *map(rule_row, rules)]


def main() -> None:
    """Print the tables, or write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=SIZE)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--write", action="store_true")
    wanted = parser.parse_args()
    made = tables(wanted.size, wanted.seed)
    if not wanted.write:
        print(made)
        return
    page = PAGE.read_text("utf-8")
    before, _, rest = page.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise SystemExit(f"{PAGE.name} has not both marks {BEGIN} and {END}")
    PAGE.write_text(f"{before}{BEGIN}\n{made}\n{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
