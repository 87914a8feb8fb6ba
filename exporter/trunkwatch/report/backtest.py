"""The output of `trunkwatch backtest`: outages, notifications and teams of a replayed history."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from trunkwatch.domain.model import Commit
from trunkwatch.engine.backtest import BackTest, Notification, TeamTotal, all_teams
from trunkwatch.engine.outage_history import Ending, Moment, PastOutage
from trunkwatch.report.listing import Heading, Listing
from trunkwatch.report.words import NO_RESULTS, commits, counted, plain, short
from trunkwatch.times import format_minute, format_time, format_time_or_none


@dataclass(frozen=True, slots=True)
class Replay:
    """The back-tests of all trunks under one policy.

    Attributes:
        failures_to_open: N that was tried for every job; None for the configuration's.
        trunks: the replay of each.
    """

    failures_to_open: int | None
    trunks: Sequence[BackTest]


# ---------------------------------------------------------------------- for programs


def back_test_document(replays: Sequence[Replay], as_of: float) -> dict[str, Any]:
    """Return the JSON object of replays; times are RFC 3339 in UTC, an unknown value is null."""
    return {"as_of": format_time(as_of), "replays": [_replay(replay) for replay in replays]}


def _replay(replay: Replay) -> dict[str, Any]:
    return {
        "failures_to_open": replay.failures_to_open,
        "trunks": [_trunk(test) for test in replay.trunks],
        "teams": [_team(total) for total in all_teams(replay.trunks)],
    }


def _trunk(test: BackTest) -> dict[str, Any]:
    return {
        **test.order.trunk._asdict(),
        "commits": len(test.order.commits),
        "outages": [_outage(outage) for outage in test.outages],
        "notifications": [_notification(each) for each in test.notifications],
    }


def _outage(outage: PastOutage) -> dict[str, Any]:
    return {
        "workflow": outage.key.workflow,
        "job_name": outage.key.job_name,
        "group": outage.group.name,
        "team": outage.group.team,
        "priority": outage.group.priority,
        "failures_to_open": outage.failures_to_open,
        "first_bad": outage.first_bad.sha,
        "last_good": _sha(outage.last_good),
        "suspects": outage.suspects,
        "failures_in_outage": outage.failures_in_outage,
        "broken_since": format_time_or_none(outage.broken_since),
        **_moment("opened", outage.opened),
        **_moment("closed", outage.closed),
        "ending": str(outage.ending),
        "known_broken": outage.known_broken,
        "notifications": outage.notifications,
    }


def _moment(name: str, moment: Moment | None) -> dict[str, Any]:
    return {
        f"{name}_commit": moment.commit.sha if moment else None,
        f"{name}_at": format_time_or_none(moment.at) if moment else None,
    }


def _notification(told: Notification) -> dict[str, Any]:
    return {
        "group": told.group.name,
        "team": told.group.team,
        "priority": told.group.priority,
        "commit": told.moment.commit.sha,
        "at": format_time_or_none(told.moment.at),
        "broken": [key.display_name for key in told.broken],
        "ended": [key.display_name for key in told.ended],
    }


def _team(total: TeamTotal) -> dict[str, Any]:
    return {
        "team": total.team,
        "jobs": total.jobs,
        "outages": total.outages,
        "notifications": total.notifications,
        "one_off_failures": total.one_off,
        "flaky_commits": total.flaky,
    }


def _sha(commit: Commit | None) -> str | None:
    return commit.sha if commit else None


# ---------------------------------------------------------------------- for people


def print_back_test(replays: Sequence[Replay], console: Console) -> None:
    """Print the outages of each trunk under each policy, then the notifications of each team."""
    for replay in replays:
        for test in replay.trunks:
            console.print(Text(_headline(replay, test), style="bold"))
            if test.outages:
                OUTAGES.print([list(_outage_row(outage)) for outage in test.outages], console)
            console.print()
    if any(replay.trunks for replay in replays):
        _print_teams(replays, console)
    else:
        console.print(NO_RESULTS)


def _headline(replay: Replay, test: BackTest) -> str:
    told = counted(len(test.notifications), "notification")
    return (
        f"{test.order.trunk}, {commits(len(test.order.commits))}, {_policy(replay)}:"
        f" {counted(len(test.outages), 'outage')}, {told}"
    )


def _policy(replay: Replay) -> str:
    return (
        "as configured"
        if replay.failures_to_open is None
        else f"{replay.failures_to_open} in a row"
    )


OUTAGES = Listing(
    [
        Heading("Job"),
        Heading("Group"),
        Heading("Team"),
        Heading("Priority"),
        Heading("Failures", "right"),
        Heading("First bad"),
        Heading("Last good"),
        Heading("Opened"),
        Heading("Closed"),
        Heading("How"),
        Heading("Told", "right"),
    ]
)
"""The outages of a trunk."""


def _outage_row(outage: PastOutage) -> Iterator[Text]:
    group, good = outage.group, outage.last_good
    yield _text(outage.key.display_name)
    yield _text(group.name)
    yield _text(group.team)
    yield _text(group.priority)
    yield _text(str(outage.failures_in_outage))
    yield _text(short(outage.first_bad.sha))
    yield _text(short(good.sha) if good else "unknown")
    yield _text(_when(outage.opened))
    yield _text(_when(outage.closed) if outage.closed else "")
    yield _text(_how(outage))
    yield _text(str(outage.notifications))


def _when(moment: Moment) -> str:
    at = None if moment.at is None else format_minute(moment.at)
    return " ".join(filter(None, (short(moment.commit.sha), at)))


def _how(outage: PastOutage) -> str:
    how = "still open" if outage.ending is Ending.OPEN else str(outage.ending)
    return f"{how} (known broken: {outage.known_broken})" if outage.known_broken else how


def _print_teams(replays: Sequence[Replay], console: Console) -> None:
    """Print a row per team; columns that depend on N repeat per policy."""
    titles = ["Jobs"]
    for replay in replays:
        note = "" if len(replays) == 1 else f" ({_policy(replay)})"
        titles += [title + note for title in ("Outages", "Notifications", "One-off failures")]
    headings = [Heading("Team"), *(Heading(title, "right") for title in titles)]
    totals = zip(*(all_teams(replay.trunks) for replay in replays), strict=True)
    rows = [list(_team_row(total)) for total in totals]
    Listing([*headings, Heading("Flaky commits", "right")]).print(rows, console)


def _team_row(totals: Sequence[TeamTotal]) -> Iterator[Text]:
    """Return the teams; jobs and teams are the same under each policy."""
    yield _text(totals[0].team)
    yield _text(f"{totals[0].jobs:,}")
    for total in totals:
        for number in (total.outages, total.notifications, total.one_off):
            yield _text(f"{number:,}")
    yield _text(f"{totals[0].flaky:,}")


def _text(text: str) -> Text:
    return Text(plain(text))
