"""The walk of `explain`: each commit, its observations, and the reason for the streak."""

from dataclasses import replace

import pytest
from trunkwatch.domain.columns import Count, build_columns
from trunkwatch.domain.groups import Group
from trunkwatch.report.walk import walk

from tests.domain.builders import NOW, RULES, evaluate_histories, job_state, row, trunk
from tests.report.sample import walked
from tests.vectors.notation import sha_of


def columns(text: str, group: Group | None = None) -> list[str]:
    """Return the lines about commits alone."""
    words = ("PASS ", "FAIL ", "FLAKY ", "PENDING ", "NONE ")
    return [line for line in walked(text, group) if line.startswith(words)]


def conclusion(text: str) -> list[str]:
    """Return the lines behind the last empty one."""
    lines = walked(text)
    return lines[len(lines) - lines[::-1].index("") :]


def test_the_walk_begins_with_the_job() -> None:
    """The first lines name the job, its trunk, its group and its threshold."""
    assert walked("P F")[:3] == [
        "ci / job",
        "on o/r main; group g, team team-g, P2; an outage opens at 3 in a row",
        "",
    ]


def test_each_commit_and_what_it_does() -> None:
    """Commits come newest first, each with what it does to the streak until the walk stops."""
    assert columns("F F P ? - F F") == [
        f"FAIL    {sha_of(6)[:10]}  counts  change 6",
        f"FAIL    {sha_of(5)[:10]}  counts  change 5",
        f"NONE    {sha_of(4)[:10]}  no result: skipped  change 4",
        f"PENDING {sha_of(3)[:10]}  no result yet: skipped  change 3",
        f"PASS    {sha_of(2)[:10]}  ends the streak  change 2",
        f"FAIL    {sha_of(1)[:10]}  change 1",
        f"FAIL    {sha_of(0)[:10]}  change 0",
    ]


def test_a_flake_ends_the_streak_only() -> None:
    """The line of a flake states that it ends the streak and leaves the outage open."""
    assert "ends the streak, does not close the outage" in columns("P F F F K")[0]


def test_observations_stand_under_their_commit() -> None:
    """Each attempt has a line with its evidence, run, time and link, newest first."""
    assert walked("P FP")[4:6] == [
        "          pass    success (run 201, attempt 2) at 2026-03-01T11:17:00Z"
        "  https://ci.example/201/2/1",
        "          fail    failure (run 201, attempt 1) at 2026-03-01T11:16:00Z"
        "  https://ci.example/201/1/1",
    ]


def test_shards_are_named() -> None:
    """Shards of a folded job are named with their own verdicts, and lie under their commit."""
    order, rows = trunk(1), [row(0, "job 1"), row(0, "job 2", "failure", failed_step="Test")]
    built = build_columns(rows, order, RULES, Count.COMMITS, NOW)
    lines = list(walk(job_state("F"), built, order))
    assert lines[4:8] == [
        "          PASS job 1",
        "            pass    success (run 1, attempt 1)",
        "          FAIL job 2",
        "            fail    failure (run 1, attempt 1, step 'Test')",
    ]


def test_a_copied_attempt_is_shown_once() -> None:
    """A row that CI copied into a later attempt has one line."""
    first = row(0, conclusion="failure", started_at=5.0, job_id=1)
    copy = first.changed(job_id=2, attempt=2)
    order = trunk(1)
    built = build_columns([first, copy], order, RULES, Count.COMMITS, NOW)
    lines = list(walk(job_state("F"), built, order))
    assert len([line for line in lines if "attempt" in line]) == 1


def test_runs_are_named_where_they_are_counted() -> None:
    """In a group that counts runs each run has a line of its own with its id."""
    nightly = Group("nightly", "t", "P3", count=Count.RUNS)
    assert [line.split("  ")[0] for line in columns("P/F", nightly)] == ["FAIL", "PASS"]
    assert [" run 102" in line or " run 101" in line for line in columns("P/F", nightly)] == [
        True,
        True,
    ]
    assert " run " not in columns("P/F")[0]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("P F F", "Streak 2: the commit before them passed."),
        ("K F", "Streak 1: the commit before them is flaky."),
        ("F", "Streak 1: no older result was read."),
    ],
)
def test_the_streak_is_explained(text: str, why: str) -> None:
    """The conclusion has the length of the streak and what stopped it."""
    assert conclusion(text)[0] == why


def test_a_truncated_streak_is_explained() -> None:
    """Where older commits were not read, the conclusion states that the streak may be longer."""
    job = job_state("F F", older_unread=True)
    lines = walked("F F", job=job)
    assert (
        "Streak 2: no older result was read, and may be longer: older commits were not read."
        in lines
    )


def test_an_outage_is_concluded() -> None:
    """The conclusion names the outage, both of its ends and every suspect, by full hashes."""
    assert conclusion("P . F F F")[1:] == [
        "An outage is open: 3 in a row.",
        "Occurred at 2026-03-01 09:16 UTC",
        f"First bad {sha_of(2)}",
        f"Last good {sha_of(0)}",
        f"Suspect   {sha_of(1)}  author-1: change 1",
        f"Suspect   {sha_of(2)}  author-2: change 2",
        "1 of 2 suspects tested.",
        f"Test {sha_of(1)[:10]} next (did not run): then one suspect is left.",
    ]


@pytest.mark.parametrize(
    ("history", "last"),
    [
        ("P . . . F", "next (did not run): one suspect is left after at most 2 results."),
        ("P ? . . F", "narrows the suspects down: running or queued."),
    ],
)
def test_the_suspect_to_test_next_is_named(history: str, last: str) -> None:
    """A running one needs no test of its own."""
    assert conclusion(history)[-1].endswith(last)


def test_hints_are_concluded() -> None:
    """The hints are: first bad failed twice, the common step, and infrastructure."""
    job = job_state("P F F F")
    assert job.blame is not None
    blame = replace(job.blame, confirmed=True, same_step="Test", infra=True)
    lines = walked("P F F F", job=replace(job, blame=blame))
    assert lines[-3:] == [
        "Confirmed: first bad failed in more than one attempt.",
        "Every failure is at the step 'Test'.",
        "It looks like a fault of the infrastructure.",
    ]
    assert not [line for line in conclusion("P F F F") if "onfirmed" in line or "step" in line]


def test_jobs_of_other_groups_are_concluded() -> None:
    """Each broken job of another group with the same first bad has a line."""
    order = trunk(4)
    lines = list(walk(job_state("P F F F"), (), order, ["ci / a", "ci / b"]))
    assert lines[-2:] == [
        "Also broken since then, in another group: ci / a",
        "Also broken since then, in another group: ci / b",
    ]


def test_nothing_to_suspect_is_concluded() -> None:
    """Where first bad and last good are one commit, a hint explains that."""
    nightly = Group("nightly", "t", "P3", count=Count.RUNS)
    assert walked("P/F", nightly)[-1] == (
        "First bad and last good are one commit: something outside the repository changed."
    )


def test_an_unknown_last_good_is_concluded() -> None:
    """Where no pass precedes first bad, last good is shown as unknown."""
    assert "Last good unknown: no pass found directly before it" in conclusion("F F F")


def test_nothing_bad_is_concluded() -> None:
    """Where nothing fails there are no ends to name."""
    assert conclusion("F P") == [
        "Streak 0: the commit before them passed.",
        "No outage is open.",
    ]


def test_an_exemption_is_concluded() -> None:
    """A known-broken job shows the reason of its exemption, and its end if there is one."""
    (job,) = evaluate_histories({"job": "F F F"}).jobs
    endless = replace(job, known_broken=("no runner", None))
    ends = replace(job, known_broken=("no runner", NOW))
    assert walked("F F F", job=endless)[-1] == "Known broken: no runner"
    assert walked("F F F", job=ends)[-1] == "Known broken until 2026-03-01T12:00:00Z: no runner"


def test_what_a_failure_says_stands_under_it() -> None:
    """The lines of an attempt's annotations follow the attempt."""
    rows = [row(0, conclusion="failure", annotations=("out of memory", "\x1bkilled"))]
    built = build_columns(rows, trunk(1), RULES, Count.COMMITS, NOW)
    lines = list(walk(job_state("F"), built, trunk(1)))
    place = next(n for n, line in enumerate(lines) if "failure (" in line)
    assert [line.split() for line in lines[place + 1 : place + 3]] == [
        ["message", "out", "of", "memory"],
        ["message", "\N{REPLACEMENT CHARACTER}killed"],
    ]


def test_a_text_of_ci_stays_on_its_line() -> None:
    """Line ends and terminal controls in what CI gave cannot forge a line of the walk."""
    order = trunk(1)
    rows = [row(0, conclusion="failure", failed_step="\x1b[2J\nFAIL", url="https://x/\r\nPASS")]
    built = build_columns(rows, order, RULES, Count.COMMITS, NOW)
    lines = list(walk(job_state("F"), built, order))
    assert all(line.isprintable() for line in lines)


def test_a_line_goes_on_in_its_column() -> None:
    """It is wrapped at words, and a word that is too wide for that begins at the left."""
    order, url = trunk(1), "https://ci.example/acme/framework/runs/1"
    failed = row(0, "job 1", "failure", failed_step="Test it", url=url)
    built = build_columns([failed], order, RULES, Count.COMMITS, NOW)
    assert list(walk(job_state("F"), built, order, width=40))[1:8] == [
        "on o/r main; group g, team team-g, P2;",
        "an outage opens at 3 in a row",
        "",
        f"FAIL    {sha_of(0)[:10]}  counts  change 0",
        "          fail    failure (run 1,",
        "                  attempt 1, step 'Test",
        "                  it')",
    ]
    assert url in walk(job_state("F"), built, order, width=40)
