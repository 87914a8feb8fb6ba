"""What `check` prints for a person."""

from dataclasses import replace
from typing import Any

import pytest
from trunkwatch.domain.model import Observation
from trunkwatch.domain.names import Naming
from trunkwatch.domain.policy import Policy
from trunkwatch.engine.snapshot import Snapshot, TrunkSource, unread_trunk
from trunkwatch.patterns import Pattern

from tests.domain.builders import NOW, TRUNK, evaluate, evaluate_histories, row, trunk
from tests.report.sample import POLICY, SOURCE, hostile, printed, snapshot
from tests.vectors.notation import sha_of

WELL = replace(evaluate_histories({"job": "P"}), data_at=NOW - 60)
TEXT = printed(snapshot())
LINES = [" ".join(line.split()) for line in TEXT.splitlines()]


def place(beginning: str) -> int:
    (found,) = [number for number, line in enumerate(LINES) if line.startswith(beginning)]
    return found


def test_the_headline_counts() -> None:
    """The first line has the numbers of broken, failing and all jobs."""
    assert LINES[0] == "o/r main: 2 broken, 1 failing; 4 jobs over 6 commits"


def test_a_broken_job_is_one_row() -> None:
    """A row names the job, its group, its failures, both ends and the suspects."""
    short = " ".join((sha_of(3)[:10], sha_of(1)[:10]))
    assert LINES[place("BROKEN g")] == f"BROKEN g ci / a / broken 3 in a row {short} 2 3 h ago"


def test_a_failing_job_is_one_row() -> None:
    """A job below its threshold is shown as failing, behind the broken ones."""
    assert "ci / b / failing 2 of 3 in a row" in LINES[place("failing")]
    assert place("failing") > place("BROKEN g")


def test_a_known_broken_job_says_so() -> None:
    """A known-broken job is marked with a word, and unknown ends are called unknown."""
    assert "unknown unknown" in LINES[place("known default")]


def test_a_job_that_is_well_is_not_listed() -> None:
    """Only jobs that fail or are broken have a row."""
    assert "c / well" not in TEXT


def test_the_suspects_are_named() -> None:
    """Below the table each broken job names its suspects, the log and what to compare."""
    start = place("a / broken")
    assert LINES[start + 1 : start + 7] == [
        f"suspect {sha_of(2)[:10]} author-2: change 2",
        f"first bad {sha_of(3)[:10]} author-3: change 3",
        "occurred 2026-03-01 09:16 UTC",
        "log https://ci.example/401/1/1",
        f"compare https://git.example/compare/{sha_of(1)}...{sha_of(3)}",
        "hint 1 of 2 suspects tested",
    ]


def test_an_exemption_is_told() -> None:
    """The details of a known-broken job include the end and the reason of its exemption."""
    assert "Known broken until 2026-03-02T12:00:00Z: no runner" in LINES[place("d / exempt") :]


def test_an_exemption_of_a_failing_job_is_told() -> None:
    """A known-broken job that is not broken again yet is listed with its exemption too."""
    failing = evaluate_histories({"d / exempt": "P P F"}, POLICY)
    lines = printed(replace(snapshot(), trunks=(failing,))).splitlines()
    start = lines.index("d / exempt")
    assert lines[start + 1] == "  Known broken until 2026-03-02T12:00:00Z: no runner"


def test_jobs_of_other_groups_are_named() -> None:
    """Below its suspects a broken job names those of other groups with the same first bad."""
    policy = replace(POLICY, known_broken=())
    both = evaluate_histories({"a / x": "P F F F", "c": "P F F F"}, policy)
    lines = printed(replace(snapshot(), trunks=(both,))).splitlines()
    assert "  with      ci / c, of another group" in lines
    assert "  with      ci / a / x, of another group" in lines


def test_groups_say_when_they_fire() -> None:
    """The last table has the broken jobs and the state of each group."""
    assert LINES[place("g team-g")] == "g team-g P2 3 1 (fires at 1) FIRING"
    assert LINES[place("default trunk")] == "default trunk P3 6 0 (fires at 1) quiet"


def test_a_truncated_streak_is_at_least_so_long() -> None:
    """Where older commits were not read, the streak is shown as a minimum."""
    found = evaluate_histories({"job": "F F F"})
    (job,) = found.jobs
    cut = replace(found, jobs=(replace(job, truncated=True),))
    assert "≥ 3 in a row" in printed(replace(snapshot(), trunks=(cut,)))
    assert "≥" not in TEXT


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("P F F F K", "3 failures since 2026-03-01 08:16 UTC"),
        ("P F F F K F F F", "6 failures since 2026-03-01 05:16 UTC, 3 in a row"),
    ],
)
def test_an_outage_that_flaked_shows_its_failures(text: str, phrase: str) -> None:
    """After a flake the outage's failures are shown since their time, the streak beside them."""
    flaked = evaluate_histories({"job": text})
    assert phrase in printed(replace(snapshot(), trunks=(flaked,)))


def test_nothing_fails() -> None:
    """Where all is well there is no table of failing jobs."""
    text = printed(replace(snapshot(), trunks=(evaluate_histories({"a": "P", "b": "P"}),)))
    assert text.splitlines()[0] == "o/r main: 0 broken, 0 failing; 2 jobs over 1 commit"
    assert "Suspects" not in text


def test_nothing_was_read() -> None:
    """Without any trunk a line states that, and why a source was not read."""
    bad = replace(SOURCE, up=False, problem="source ci: refused")
    text = printed(Snapshot(NOW, sources=(bad,)))
    assert "No results: no source has reported a trunk yet." in text
    assert "not read: source ci: refused" in text


def test_texts_of_ci_are_no_markup() -> None:
    """What looks like markup or like terminal controls is printed as text, on its own line."""
    text = printed(hostile("[red]x[/] \x1b[31m\x07\r\n- forged"))
    (suspect,) = [line for line in text.splitlines() if line.startswith("  first bad")]
    assert suspect.count("[red]x[/]") == 2
    assert not {"\x1b", "\x07", "\r"} & set(text)
    assert not any(line.startswith("- forged") for line in text.splitlines())


# ---------------------------------------------------------------------- data that is incomplete


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"data_at": NOW - 600}, "Stale: the results were read up to 10 min ago."),
        (
            {"missing": 25},
            "Doubtful: 25 newer commits have no run that counts although earlier ones had."
            " Either the CI shows an old list, or it does not run.",
        ),
        (
            {"sources": (TrunkSource("ci", False, NOW, 5.0, "source ci: gone"),)},
            "not read: source ci: gone",
        ),
    ],
)
def test_a_trunk_that_cannot_be_relied_on_is_never_well(changes: dict[str, Any], line: str) -> None:
    """Its reason is a line below the headline, and no group of it is quiet."""
    lines = printed(replace(snapshot(), trunks=(replace(WELL, **changes),))).splitlines()
    assert lines[0] == "o/r main: 0 broken, 0 failing; 1 job over 1 commit"
    assert line in lines
    assert lines[-1].endswith("unknown")
    assert printed(replace(snapshot(), trunks=(WELL,))).splitlines()[-1].endswith("quiet")


def test_a_trunk_that_was_never_read_is_named() -> None:
    """It has a headline and its problem; the problem of its source is not repeated."""
    problem = "source ci: empty"
    unread = replace(unread_trunk(TRUNK), sources=(TrunkSource("ci", False, None, 5.0, problem),))
    source = replace(SOURCE, up=False, problem=problem)
    assert printed(Snapshot(NOW, (unread,), (source,))).splitlines() == [
        "o/r main: no commit was read",
        "not read: source ci: empty",
    ]


def test_limitations_and_dropped_rows_of_a_source_are_lines() -> None:
    """The text of each limitation is shown, and the numbers of rows by reason."""
    limits = {"checks": "no annotations", "statuses": "no statuses"}
    source = replace(SOURCE, limitations=limits, dropped={"patch": 1, "bad_time": 1200})
    assert printed(Snapshot(NOW, (), (source,))).splitlines()[1:] == [
        "source ci: limited (checks): no annotations",
        "source ci: limited (statuses): no statuses",
        "source ci: 1,201 rows cannot be used: 1,200 bad time, 1 patch",
    ]


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        (
            [row(0, "a", "success", event="merge_group"), row(1, "a", "success", event="fork")],
            [
                "Nothing to watch: 0 of 2 commits have results of runs that count",
                "  2 runs started by another event (fork, merge_group): if its runs should count,"
                " add it to jobs.events",
            ],
        ),
        (
            [
                row(1, "a", "success", head_branch=f"b{number}", run_id=number)
                for number in range(7)
            ],
            [
                "Nothing to watch: 0 of 2 commits have results of runs that count",
                "  7 runs of another branch (b0, b1, b2, b3, b4 and 2 more): if that is the trunk,"
                " correct branch or branches of the source",
            ],
        ),
        (
            [row(0, "a", "success", head_repo="o/new"), row(9, "a", "success")],
            [
                "Nothing to watch: 0 of 2 commits have results of runs that count",
                "  1 run of commits that are not on the trunk: if they should be, correct branch or"
                " branches of the source",
                "  1 run of another repository (o/new): if that is its new name, correct repo or"
                " repos of the source",
            ],
        ),
        (
            [],
            [
                "Nothing to watch: 0 of 2 commits have results of runs that count",
                "  no run was reported: do the source's repository and branch have runs?",
            ],
        ),
        (
            [row(0, "ignored", "success")],
            [
                "Nothing to watch: every job of 2 commits is ignored (jobs.ignore) or removed"
                " (jobs.retire_after)"
            ],
        ),
    ],
)
def test_nothing_to_watch_has_a_reason(rows: list[Observation], lines: list[str]) -> None:
    """Runs that do not count are counted by reason, with what to change."""
    policy = Policy(naming=Naming(ignore=(Pattern("ignored"),)))
    found = replace(evaluate(rows, trunk(2), policy), data_at=NOW)
    assert printed(Snapshot(NOW, (found,), (SOURCE,))).splitlines()[1:] == lines


NIGHTS = [row(place, "job", "failure", event="schedule", run_id=90 + place) for place in range(3)]


def test_failures_that_pushes_hide_are_a_hint() -> None:
    """Red scheduled runs of a job that green pushes hide are one line with job and event."""
    hidden = evaluate_histories({"job": "P P P"}, extra=NIGHTS)
    (line,) = [line for line in printed(Snapshot(NOW, (hidden,))).splitlines() if "hint" in line]
    assert "ci / job: its last 3 schedule runs failed in a row" in line
    assert "groups[].match.event: schedule" in line
    two = evaluate_histories({"job": "P P P"}, extra=NIGHTS[:2])
    assert "hint" not in printed(Snapshot(NOW, (two,)))


def test_a_job_that_is_mostly_flaky_is_a_hint() -> None:
    """A job that may never alert since it flakes on most commits is named."""
    flaky = evaluate_histories({"job": " ".join("K" * 11 + "P" * 9), "well": " ".join("P" * 20)})
    (line,) = [line for line in printed(Snapshot(NOW, (flaky,))).splitlines() if "hint" in line]
    assert line.startswith("hint: ci / job: flaky on most of its last 20 commits")
