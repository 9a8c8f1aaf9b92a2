"""Runs the trials that docs/ab-testing.md shows, and writes them there (``--write``), prints them, or checks them.

Seeded and pure: the same numbers on every machine, as ``numpy.random.RandomState`` never changes its stream. The
exit status is 1 where the numbers break what the page promises, or differ from the page (``--check``).
"""

import argparse
import sys
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

from numpy.random import RandomState

from experiments.confidence_sequence import Counted
from experiments.guard_rails import worse_p_value
from experiments.observations import Rules
from experiments.power import Plan, Terms, plan_sample
from experiments.simulation import DEFAULT_LOOKS, Arrival, Scenario, Tally, simulate

PAGE = Path(__file__).resolve().parents[1] / "docs/ab-testing.md"
BEGIN, END = "<!-- simulation: begin -->", "<!-- simulation: end -->"
SEED = 20_260
SAME_TRIALS, BETTER_TRIALS, SEVERAL_TRIALS = 2_000, 1_000, 300
MOST_FALSE, LEAST_RIGHT, MOST_WRONG = 0.06, 0.93, 0.01
_CASES = ((0.02, 0.2), (0.2, 0.1))
_RAIL_CASES = ((0.001, 0.001), (0.005, 0.005), (0.002, 0.003), (0.002, 0.004), (0.001, 0.003))
_RAIL_PEOPLE = 20_000


def _percent(count: int, tally: Tally) -> str:
    return f"{100 * count / tally.trials:.1f} %"


def _plan(baseline: float, lift: float, variants: int = 2) -> Plan:
    return plan_sample(baseline, lift, Terms(power=0.95, variants=variants))


def _rates(baseline: float, lift: float, variants: int) -> tuple[float, ...]:
    return (*[baseline] * (variants - 1), baseline * (1 + lift))


def _trial_rows(faults: list[str]) -> Iterator[tuple[str, str]]:
    """Table and row, by table; what breaks a promise is added to ``faults``."""
    for number, (baseline, lift) in enumerate(_CASES):
        plan = _plan(baseline, lift)
        for arrival in Arrival:
            where = f"| {100 * baseline:g} % | {plan.any_look:,} | {arrival} "
            same = Scenario((baseline, baseline), plan.any_look, plan.rules(), plan.terms.looks, arrival)
            tally = simulate(same, SAME_TRIALS, RandomState(SEED + number))
            yield (
                "same",
                (
                    f"{where}| {_percent(tally.wrong, tally)} | {_percent(tally.no_difference, tally)} "
                    f"| {_percent(tally.not_yet_known, tally)} | {_percent(tally.peeking_wrong, tally)} |"
                ),
            )
            if tally.wrong > MOST_FALSE * tally.trials:
                faults.append(f"too many false winners: {tally}")
            yield "better", _better_row(plan, 2, (BETTER_TRIALS, arrival, SEED + 10 + number), faults)
    for variants in (3, 5):
        plan = _plan(0.05, 0.2, variants)
        yield "better", _better_row(plan, variants, (SEVERAL_TRIALS, Arrival.CLICKS, SEED + 20 + variants), faults)


def _better_row(plan: Plan, variants: int, of_trials: tuple[int, Arrival, int], faults: list[str]) -> str:
    trials, arrival, seed = of_trials
    rates = _rates(plan.baseline, plan.lift, variants)
    scenario = Scenario(rates, plan.any_look, plan.rules(), plan.terms.looks, arrival)
    tally = simulate(scenario, trials, RandomState(seed))
    if tally.right < LEAST_RIGHT * trials or tally.wrong > MOST_WRONG * trials:
        faults.append(f"the right winner too seldom, or a wrong one too often: {tally}")
    case = f"{variants} | {100 * plan.baseline:g} % → {100 * rates[-1]:g} % | {plan.any_look:,} | {arrival}"
    return (
        f"| {case} | {trials:,} "
        f"| {_percent(tally.right, tally)} | {_percent(tally.wrong, tally)} | {_percent(tally.no_difference, tally)} "
        f"| {_percent(tally.not_yet_known, tally)} | {100 * tally.median_share:.0f} % |"
    )


def _rail_rows(faults: list[str]) -> Iterator[str]:
    """How often a guard rail blames the second of two variants, looked at twenty times."""
    chance = RandomState(SEED + 40)
    for first, second in _RAIL_CASES:
        blamed = sum(_is_blamed(first, second, chance) for _ in range(BETTER_TRIALS))
        if first == second and blamed > MOST_FALSE * BETTER_TRIALS:
            faults.append(f"a guard rail blames too often: {blamed} at {first}")
        yield f"| {100 * first:g} % | {100 * second:g} % | {_RAIL_PEOPLE:,} | {100 * blamed / BETTER_TRIALS:.1f} % |"


def _is_blamed(first: float, second: float, chance: RandomState) -> bool:
    step = _RAIL_PEOPLE // DEFAULT_LOOKS
    counts = [
        list(accumulate(int(chance.binomial(step, rate)) for _ in range(DEFAULT_LOOKS))) for rate in (first, second)
    ]
    return any(
        worse_p_value(Counted(counts[1][look], step * (look + 1)), Counted(counts[0][look], step * (look + 1)))
        <= Rules().guard_alpha
        for look in range(DEFAULT_LOOKS)
    )


def tables() -> tuple[str, list[str]]:
    """The section of the page, and what is wrong with the numbers."""
    faults: list[str] = []
    rows = list(_trial_rows(faults))
    same = "\n".join(row for table, row in rows if table == "same")
    better = "\n".join(row for table, row in rows if table == "better")
    rails = "\n".join(_rail_rows(faults))
    text = (
        f"**Both variants the same**, {SAME_TRIALS:,} tests each, 20 looks:\n\n"
        "| rate | people a variant | what grows | false winners | no difference | not yet known "
        "| false winners by p < .05 at any look |\n|---|---|---|---|---|---|---|\n"
        f"{same}\n\n"
        "**One variant better**, by the lift that the sample is planned for with 95 % power, 20 looks:\n\n"
        "| variants | true rates | people a variant | what grows | tests | right winner | wrong winner | no difference "
        "| not yet known | half decided by |\n|---|---|---|---|---|---|---|---|---|---|\n"
        f"{better}\n\n"
        f"**Guard rails**, {BETTER_TRIALS:,} tests each, 20 looks:\n\n"
        "| rate of the first | of the second | people a variant | the second is blamed |\n|---|---|---|---|\n"
        f"{rails}\n"
    )
    return text, faults


def main() -> int:
    """Print, write or check the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/ab-testing.md")
    parser.add_argument("--check", action="store_true", help="compare the tables with docs/ab-testing.md")
    options = parser.parse_args()
    text, faults = tables()
    if options.write or options.check:
        page = PAGE.read_text("utf-8")
        before, _, rest = page.partition(BEGIN)
        _, _, after = rest.partition(END)
        fresh = f"{before}{BEGIN}\n\n{text}\n{END}{after}"
        if options.write:
            PAGE.write_text(fresh, "utf-8")
        elif fresh != page:
            faults.append("docs/ab-testing.md is stale; run: python scripts/simulate_experiments.py --write")
    else:
        sys.stdout.write(text)
    sys.stderr.writelines(f"{fault}\n" for fault in faults)
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
