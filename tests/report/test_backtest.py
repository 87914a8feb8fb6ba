"""What `backtest` prints, for people and for programs."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from io import StringIO
from typing import Any

from rich.console import Console
from trunkwatch.domain.groups import Group, Match
from trunkwatch.domain.outage import Thresholds
from trunkwatch.domain.policy import KnownBroken, Policy
from trunkwatch.engine.backtest import BackTest
from trunkwatch.engine.comparison import Comparison
from trunkwatch.engine.outage_history import Moment
from trunkwatch.engine.trunk_evaluator import TrunkEvaluator
from trunkwatch.patterns import Pattern
from trunkwatch.report.backtest import Replay, back_test_document, print_back_test
from trunkwatch.report.comparison import comparison_document

from tests.docs import markdown
from tests.domain.builders import NOW, MemoryRows, history, length, trunk
from tests.vectors.notation import sha_of

POLICY = Policy(
    groups=(Group("g", "team-g", "P2", Thresholds(3), match=Match(job_name=Pattern("a.*"))),),
    known_broken=(KnownBroken(Match(job_name=Pattern("c")), "no runner"),),
)
HISTORIES = {"a": "P F F F P F F", "b": "P F P K P F P", "c": "F F F F F F F"}


def replayed(failures: int | None = None, histories: Mapping[str, str] = HISTORIES) -> BackTest:
    """Return the replay of jobs of one trunk."""
    rows = [each for name, text in histories.items() for each in history(text, name)]
    order = trunk(max(length(text) for text in histories.values()))
    evaluator = TrunkEvaluator(order, POLICY, MemoryRows(rows))
    evaluator.update(order, {}, NOW)
    return evaluator.back_test(NOW, failures)


def document(*tests: BackTest) -> dict[str, Any]:
    """Return the object of one replay, as a program reads it."""
    answer: dict[str, Any] = json.loads(json.dumps(back_test_document([Replay(None, tests)], NOW)))
    return answer


def printed(*replays: Replay) -> list[str]:
    """Return the printed lines, without padding."""
    out = StringIO()
    print_back_test(replays, Console(file=out, width=300, no_color=True))
    return [" ".join(line.split()) for line in out.getvalue().splitlines()]


# ---------------------------------------------------------------------- for programs


def test_the_whole_of_an_outage() -> None:
    """An outage has exactly these keys: its job, both ends with time, and notifications."""
    assert document(replayed())["replays"][0]["trunks"][0]["outages"][1] == {
        "workflow": "ci",
        "job_name": "a",
        "group": "g",
        "team": "team-g",
        "priority": "P2",
        "failures_to_open": 3,
        "first_bad": sha_of(1),
        "last_good": sha_of(0),
        "suspects": 1,
        "failures_in_outage": 3,
        "broken_since": "2026-03-01T06:16:00Z",
        "opened_commit": sha_of(3),
        "opened_at": "2026-03-01T08:16:00Z",
        "closed_commit": sha_of(4),
        "closed_at": "2026-03-01T09:16:00Z",
        "ending": "passed",
        "known_broken": None,
        "notifications": 2,
    }


def test_what_is_unknown_or_yet_to_come_is_null() -> None:
    """An open outage has not closed, and one from before all results has no last good."""
    outage = document(replayed())["replays"][0]["trunks"][0]["outages"][0]
    keys = "last_good", "suspects", "closed_commit", "closed_at"
    assert [outage[key] for key in keys] == [None] * 4
    assert (outage["ending"], outage["known_broken"]) == ("open", "no runner")


def test_the_whole_of_a_notification() -> None:
    """A notification names the group, its team, the commit, when, and both kinds of jobs."""
    first, second = document(replayed())["replays"][0]["trunks"][0]["notifications"]
    assert first == {
        "group": "g",
        "team": "team-g",
        "priority": "P2",
        "commit": sha_of(3),
        "at": "2026-03-01T08:16:00Z",
        "broken": ["ci / a"],
        "ended": [],
    }
    assert (second["broken"], second["ended"]) == ([], ["ci / a"])


def test_an_unknown_time_is_null() -> None:
    """Where neither a result nor its commit has a time, there is none."""
    test = replayed()
    (first, *_) = test.notifications
    timeless = replace(first, moment=Moment(3, 0, first.moment.commit, None))
    found = document(replace(test, notifications=(timeless,)))
    assert found["replays"][0]["trunks"][0]["notifications"][0]["at"] is None


def test_the_whole_of_the_teams() -> None:
    """Each team has its jobs, what it would have heard, and what not; over all trunks."""
    found = document(replayed(), replayed())["replays"][0]
    assert [trunk["commits"] for trunk in found["trunks"]] == [7, 7]
    assert found["teams"] == [
        {
            "team": "team-g",
            "jobs": 2,
            "outages": 2,
            "notifications": 4,
            "one_off_failures": 4,
            "flaky_commits": 0,
        },
        {
            "team": "trunk",
            "jobs": 4,
            "outages": 2,
            "notifications": 0,
            "one_off_failures": 4,
            "flaky_commits": 2,
        },
    ]


def test_two_policies_are_two_replays() -> None:
    """The configuration's replay has no number, the other one the number that was tried."""
    both = [Replay(None, [replayed()]), Replay(2, [replayed(2)])]
    answer = back_test_document(both, NOW)
    assert answer["as_of"] == "2026-03-01T12:00:00Z"
    assert [each["failures_to_open"] for each in answer["replays"]] == [None, 2]
    assert [len(each["trunks"][0]["outages"]) for each in answer["replays"]] == [2, 3]


def test_every_key_is_documented() -> None:
    """Each key of the object stands in the table of section 4.4 of docs/policy.md."""
    section = markdown.section(markdown.read("docs/policy.md"), "4.4 The back-test")
    rows = markdown.table(section, "key of the replay", "what it is there")
    named = {path.split(".")[-1] for row in rows for path in re.findall(r"`([^`]+)`", row[0])}
    comparison = comparison_document(Comparison({2: [replayed(2)]}))
    compared = {**document(replayed()), "comparison": comparison}
    assert {name.removesuffix("[]") for name in named} == set(_keys(compared))


def _keys(value: object) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _keys(item)
    elif isinstance(value, dict):
        for key, inside in value.items():
            yield key
            yield from _keys(inside)


# ---------------------------------------------------------------------- for people


def test_each_outage_is_one_row() -> None:
    """A row names the job, who answers for it, both ends, where and when, how and how often."""
    lines = printed(Replay(None, [replayed()]))
    assert lines[0] == "o/r main, 7 commits, as configured: 2 outages, 2 notifications"
    assert lines[2:4] == [
        f"ci / c default trunk P3 7 {sha_of(0)[:10]} unknown {sha_of(2)[:10]} 2026-03-01 07:16 UTC"
        " still open (known broken: no runner) 0",
        f"ci / a g team-g P2 3 {sha_of(1)[:10]} {sha_of(0)[:10]} {sha_of(3)[:10]}"
        f" 2026-03-01 08:16 UTC {sha_of(4)[:10]} 2026-03-01 09:16 UTC passed 2",
    ]


def test_each_team_is_one_row() -> None:
    """The last table counts the notifications of each team, and the outages without one."""
    assert printed(Replay(None, [replayed()]))[-3:] == [
        "Team Jobs Outages Notifications One-off failures Flaky commits",
        "team-g 1 1 2 2 0",
        "trunk 2 1 0 2 1",
    ]


def test_two_policies_stand_side_by_side() -> None:
    """With a number to compare, each team has the numbers of both, and each has its outages."""
    lines = printed(Replay(None, [replayed()]), Replay(2, [replayed(2)]))
    assert "o/r main, 7 commits, 2 in a row: 3 outages, 3 notifications" in lines
    assert "Outages (as configured)" in lines[-3]
    assert "Outages (2 in a row)" in lines[-3]
    assert lines[-2] == "team-g 1 1 2 2 2 3 0 0"


def test_a_history_without_outages() -> None:
    """Where nothing broke there is no table of outages, and the teams are there."""
    lines = printed(Replay(None, [replayed(histories={"a": "P F P"})]))
    assert lines[0] == "o/r main, 3 commits, as configured: 0 outages, 0 notifications"
    assert not [line for line in lines if line.startswith("Job")]
    assert lines[-1] == "team-g 1 0 0 1 0"


def test_nothing_was_read() -> None:
    """Without any trunk a line states that."""
    (line,) = printed(Replay(None, []))
    assert line == "No results: no source has reported a trunk yet."


def test_texts_of_ci_are_no_markup() -> None:
    """What looks like markup or like terminal controls is printed as text, on its own line."""
    test = replayed()
    (outage, *_) = test.outages
    key = outage.key._replace(job_name="[red]x[/] \x1b[31m\r\n- forged")
    lines = printed(Replay(None, [replace(test, outages=(replace(outage, key=key),))]))
    (row,) = [line for line in lines if "[red]x[/]" in line]
    assert not {"\x1b", "\r"} & set("".join(lines))
    assert row.startswith("ci / ")
    assert not any(line.startswith("- forged") for line in lines)
