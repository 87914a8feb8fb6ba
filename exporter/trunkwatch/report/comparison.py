"""The output of `trunkwatch backtest --compare`."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.text import Text

from trunkwatch.engine.comparison import Comparison, Trial
from trunkwatch.engine.outage_history import PastOutage
from trunkwatch.report.listing import Heading, Listing
from trunkwatch.report.words import NO_RESULTS, commits, counted, duration, plain, short

NO_ALERT = "–"


def comparison_document(comparison: Comparison) -> list[dict[str, Any]]:
    """Return the JSON objects of the teams under each number."""
    return [
        {
            "team": trial.team,
            "failures_to_open": trial.failures_to_open,
            "outages": trial.outages,
            "alerts": trial.alerts,
            "fixed_themselves": trial.fixed_themselves,
            "median_delay_seconds": trial.median_delay,
            "longest_delay_seconds": trial.longest_delay,
        }
        for trial in comparison.trials()
    ]


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print each outage of the smallest number, with its delay by number; then the teams."""
    smallest, *_ = comparison.numbers
    if not comparison.smallest:
        console.print(NO_RESULTS)
        return
    outages = Listing(
        [
            Heading("Job"),
            Heading("Team"),
            Heading("First bad"),
            Heading("Failures", "right"),
            Heading("How"),
            *(Heading(f"N={number}", "right") for number in comparison.numbers),
        ]
    )
    for test in comparison.smallest:
        found = counted(len(test.outages), "outage")
        read = commits(len(test.order.commits))
        headline = f"{test.order.trunk}, {read}: {found} with N={smallest}"
        console.print(Text(headline, style="bold"), soft_wrap=True)
        if test.outages:
            rows = [list(_outage_row(outage, comparison)) for outage in test.outages]
            outages.print(rows, console)
            console.print()
    TEAMS.print([list(_team_row(trial)) for trial in comparison.trials()], console)
    for line in LEGEND:
        console.print(Text(line, style="dim"))


TEAMS = Listing(
    [
        Heading("Team"),
        Heading("N", "right"),
        Heading("Outages", "right"),
        Heading("Alerts", "right"),
        Heading("Median delay", "right"),
        Heading("Longest", "right"),
        Heading("Fixed themselves", "right"),
    ]
)
"""The teams under each number."""

LEGEND = (
    "Delay: from the end of the first failing run to the alert.",
    "Fixed themselves: ended before the next N of the list.",
)


def _outage_row(outage: PastOutage, comparison: Comparison) -> Iterator[Text]:
    yield Text(plain(outage.key.display_name))
    yield Text(plain(outage.group.team))
    yield Text(short(outage.first_bad.sha))
    yield Text(str(outage.failures_in_outage))
    yield Text(str(outage.ending))
    for delay in comparison.delays_of(outage):
        yield Text(NO_ALERT if delay is None else f"+{duration(delay)}")


def _team_row(trial: Trial) -> Iterator[Text]:
    yield Text(plain(trial.team))
    for number in (trial.failures_to_open, trial.outages, trial.alerts):
        yield Text(f"{number:,}")
    for delay in (trial.median_delay, trial.longest_delay):
        yield Text("" if delay is None else duration(delay))
    yield Text("" if trial.fixed_themselves is None else f"{trial.fixed_themselves:,}")
