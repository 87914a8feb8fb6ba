"""The facts of an outage: lines that people and templates read."""

import re
import shlex
from dataclasses import replace
from operator import mul

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from trunkwatch.addresses import job_path
from trunkwatch.domain.groups import Group
from trunkwatch.domain.model import Commit, JobKey, Trunk
from trunkwatch.domain.policy import Policy
from trunkwatch.engine.shown import Alert, AlertKey, End, Ended
from trunkwatch.metrics.facts import (
    FACTS_BYTES,
    TITLE_BYTES,
    WHOLE_BYTES,
    duration,
    end_of,
    ended_facts,
    group_reason,
    group_title,
    outage_facts,
)

from tests.domain.builders import NOW, evaluate_histories
from tests.domain.scripts import bounded
from tests.metrics.sample import ended_alert

RUN = "https://github.com/o/r/actions/runs/7/job/8"
EXPORTER = "https://trunkwatch.example.com"
FULL = ended_alert()._replace(url=RUN, end=None)
BARE = FULL._replace(
    first_bad=Commit("b" * 40, None, None, None), last_good=None, suspects=None, listed=(),
    broken_since=None, url=None, failed_step=None,
)  # fmt: skip


def test_the_facts_are_in_order() -> None:
    """Each fact has a line, and text from outside has no line break."""
    assert FULL.broken_since is not None
    good, bad = FULL.last_good, FULL.first_bad.sha
    assert outage_facts(FULL).splitlines() == [
        "Occurred at: 2026-03-01 09:55 UTC",
        f"First bad: {bad}",
        "First bad by: author-2: change 2",
        f"Last good: {good}",
        "Failed step: Test",
        f"First failing run: {RUN}",
        "Commits: https://github.com/o/r/commit/",
        f"Compare: https://github.com/o/r/compare/{good}...{bad}",
        f"Explain: trunkwatch explain --config.file FILE -- '{FULL.key.job.full_name}'",
        "Suspects: 2",
        f'- {FULL.listed[0].sha[:10]} Use "quotes", a \\ backslash and a second line: ünïcode ✓',
        f"- {bad[:10]} a: b",
    ]


def test_a_job_that_is_there_has_a_page() -> None:
    """The page of the job is a fact where pages are served, and the job still exists."""
    address = "https://trunkwatch.example.com"
    (line,) = [line for line in outage_facts(FULL, address).splitlines() if "Page" in line]
    assert line == f"Page: {address}{job_path(FULL.key.job)}"
    for reason in Ended:
        is_there = reason not in (Ended.REMOVED, Ended.UNWATCHED)
        alert = ended_alert()
        gone = alert._replace(end=end_of(alert)._replace(reason=reason))
        assert ("Page: " in ended_facts(gone, address)) == is_there


@pytest.mark.parametrize("name", ['it\'s "quoted"', "$(x) `x` !x {x}", "C:\\new\\", "--help"])
def test_a_shell_reads_the_command_as_it_is_meant(name: str) -> None:
    """The full name is one word after `--`, whatever a shell would expand in it."""
    job = FULL.key.job._replace(job_name=name)
    facts = outage_facts(FULL._replace(key=FULL.key._replace(job=job)))
    (command,) = re.findall(r"^Explain: (.+)$", facts, re.MULTILINE)
    assert shlex.split(command)[-2:] == ["--", job.full_name]


def test_a_name_with_a_line_break_has_no_command() -> None:
    """It would be two lines."""
    job = FULL.key.job._replace(job_name="a\nEnded: b")
    assert "Ended" not in outage_facts(FULL._replace(key=FULL.key._replace(job=job)))


def test_an_unknown_fact_has_no_line() -> None:
    """Without anything but first bad there are two lines."""
    first, command = outage_facts(BARE).splitlines()
    assert first == f"First bad: {'b' * 40}"
    assert command.startswith("Explain: ")


@pytest.mark.parametrize(
    "url", ["ftp://ci.example/7", "https://ci.example/a b", "https://ci.example/" + "x" * 500]
)
def test_an_address_that_is_none_or_too_long_has_no_line(url: str) -> None:
    """Only an http address of a line that is not too long is a fact."""
    assert "run:" not in outage_facts(BARE._replace(url=url))


@pytest.mark.parametrize(
    ("reason", "detail", "line"),
    [
        (Ended.MOVED, "group h, team u, P1", "Moved to: group h, team u, P1"),
        (Ended.MUTED, "no\nrunner", "Muted because: no runner"),
        (Ended.UNWATCHED, "", None),
    ],
)
def test_an_end_comes_first(reason: Ended, detail: str, line: str | None) -> None:
    """The end, its time and the duration come before the facts of the outage."""
    alert = FULL._replace(end=End(reason, NOW, NOW, None, detail))
    assert ended_facts(alert).splitlines()[: 4 + bool(line)] == [
        f"Ended: {reason}",
        "Ended at: 2026-03-01 12:00 UTC",
        "Lasted: 2h 5m",
        *([line] if line else []),
        "Failures: 4",
    ]
    assert "Lasted" not in ended_facts(alert._replace(broken_since=None))


def test_a_fix_is_named() -> None:
    """The commit that closed the outage has its hash, author and title."""
    lines = ended_facts(ended_alert()).splitlines()
    assert lines[0] == "Ended: fixed"
    assert [line for line in lines if line.startswith("Fixed by")][1] == (
        "Fixed by whom: author-6: Guard the scheduler"
    )


def test_suspects_that_do_not_fit_are_counted() -> None:
    """The oldest suspects are listed, each cut after a whole character, and the others counted."""
    commit = Commit("c" * 40, None, "é" * 90, "試" * 90)
    alert = FULL._replace(listed=(commit,) * 10, suspects=14)
    *lines, last = outage_facts(alert).splitlines()
    listed = [line for line in lines if line.startswith("- ")]
    assert 0 < len(listed) < 10
    assert set(listed) == {f"- {'c' * 10} {'é' * 40}: {'試' * 38}…"}
    assert last == f"- and {14 - len(listed)} more"
    assert len(outage_facts(alert).encode()) <= FACTS_BYTES


texts = st.one_of(
    st.text(max_size=90),
    st.builds(mul, st.sampled_from("aü試🙂 \n\u2028\u0301"), st.integers(0, 600)),
)
addresses = st.one_of(
    texts.map("https://ci.example/".__add__),
    st.builds("https://g.example/{}/r/actions/runs/7".format, st.integers(1, 480).map("o".__mul__)),
)
hashes = st.sampled_from(("a" * 40, "b" * 64))
commits = st.builds(Commit, hashes, st.none(), st.none() | texts, st.none() | texts)
ends = st.one_of(
    st.builds(
        End, st.sampled_from((Ended.FIXED, Ended.FLAKY)), st.just(NOW), st.just(NOW), commits
    ),
    st.builds(
        End,
        st.sampled_from((Ended.MOVED, Ended.MUTED)),
        st.just(NOW),
        st.just(NOW),
        st.none(),
        texts,
    ),
)
alerts = st.builds(
    Alert,
    key=st.builds(AlertKey, st.builds(JobKey, *[texts] * 4), *[texts] * 3),
    first_bad=commits,
    last_good=hashes,
    suspects=st.integers(10, 10**6),
    listed=st.lists(commits, max_size=10).map(tuple),
    failures=st.integers(0, 10**9),
    broken_since=st.none() | st.floats(0, NOW),
    url=addresses,
    failed_step=st.none() | texts,
    end=ends,
)


@bounded
@given(alerts)
@example(
    FULL._replace(
        key=FULL.key._replace(job=FULL.key.job._replace(job_name="試" * 40)),
        first_bad=Commit("b" * 64, None, "試" * 40, "試" * 80),
        last_good="a" * 64,
        failed_step="試" * 80,
        url=f"https://g.example/{'o' * 440}/r/actions/runs/7",
        end=End(Ended.FIXED, NOW, NOW, Commit("c" * 64, None, "試" * 40, "試" * 80)),
    )
)
def test_facts_of_any_texts_fit(alert: Alert) -> None:
    """They have at most 1,900 bytes; what identifies the outage is there, and addresses whole."""
    for facts in (outage_facts(alert, EXPORTER), ended_facts(alert, EXPORTER)):
        assert len(facts.encode()) <= FACTS_BYTES
        found = dict(line.partition(": ")[::2] for line in facts.split("\n"))
        assert (found["First bad"], found["Last good"]) == (alert.first_bad.sha, alert.last_good)
        assert found["Suspects"] == str(alert.suspects)
        url = alert.url or ""
        is_whole = len(url.encode()) <= WHOLE_BYTES and not re.search(r"\s", url)
        assert found.get("First failing run") == (url if is_whole else None)
        assert shlex.split(found.get("Explain", ""))[-1:] in ([], [alert.key.job.full_name])
        assert found.get("Page") in (None, f"{EXPORTER}{job_path(alert.key.job)}")
        ends = (alert.last_good, alert.first_bad.sha)
        assert found.get("Compare", "...".join(map(str, ends))).endswith("...".join(map(str, ends)))
    assert ended_facts(alert).startswith(f"Ended: {end_of(alert).reason}\nEnded at: ")


@pytest.mark.parametrize(
    ("history", "title"),
    [
        ("P F F F", "[P2] g jobs broken for 3 commits in a row on o/r main"),
        ("P F F F K", "[P2] g jobs broken: 3 failures since "),
    ],
)
def test_a_title_is_in_a_row_only_without_a_flake(history: str, title: str) -> None:
    """The most failures of a job count, and the number of failing jobs is in the reason."""
    policy = Policy(groups=(Group("g", "t", "P2"),))
    state = evaluate_histories({"a": history, "b": history.replace("P F", "P P")}, policy)
    (group,) = state.groups
    assert group.alerting is not None
    assert group_title(group, group.alerting).startswith(title)
    assert group_title(group, group.alerting).endswith(" on o/r main")
    assert group_reason(group) == "Failure_Threshold=1, Number_of_Jobs_Failing=1"
    one = replace(group.alerting, failures_in_outage=1, consecutive_failures=0, broken_since=None)
    assert group_title(group, one) == "[P2] g jobs broken: 1 failure on o/r main"


def test_a_title_is_one_line() -> None:
    """The rules join it with other lines, and a group's name in YAML may have a line break."""
    (state,) = evaluate_histories(
        {"a": "P F F F"}, Policy(groups=(Group("g\nEnded: h", "t", "P2"),))
    ).groups
    assert state.alerting is not None
    assert group_title(state, state.alerting).startswith("[P2] g Ended: h jobs broken for 3")


def test_a_title_is_bounded() -> None:
    """A title is cut after a whole character; a label cut by its digest reads badly."""
    group = Group("試" * 66, "t", "P2")
    (state,) = evaluate_histories({"a": "P F F F"}, Policy(groups=(group,))).groups
    assert state.alerting is not None
    long = replace(state, trunk=Trunk("o/r", "é" * 250))
    title = group_title(long, state.alerting)
    assert TITLE_BYTES - 4 < len(title.encode()) <= TITLE_BYTES
    assert title.startswith(f"[P2] {group.name} jobs broken for 3 commits in a row on o/r éé")
    assert title.endswith("é…")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0m"), (59, "0m"), (7500, "2h 5m"), (86400, "1d 0h"), (270000, "3d 3h")],
)
def test_a_duration_has_two_units(seconds: float, text: str) -> None:
    """Minutes, hours and minutes, or days and hours."""
    assert duration(seconds) == text


def test_alerts_without_an_end_are_no_ends() -> None:
    """Facts of an end need one."""
    alert: Alert = FULL
    with pytest.raises(AssertionError, match="not ended"):
        ended_facts(alert)
