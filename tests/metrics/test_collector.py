"""From values to samples: which exist, which are absent, and which are cut."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest
from prometheus_client.samples import Sample
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import Commit
from trunkwatch.engine.shown import SUSPECTS_SHOWN
from trunkwatch.engine.snapshot import Snapshot, Totals, TrunkSource, TrunkState
from trunkwatch.engine.triage import Reading
from trunkwatch.metrics.catalogue import JOB_LABELS
from trunkwatch.metrics.collector import (
    branch_families,
    job_families,
    own_families,
    triage_samples,
)
from trunkwatch.metrics.facts import TITLE_SHOWN

from tests.domain.builders import NOW, evaluate_histories, job_state
from tests.metrics.reading import samples_of, value_of
from tests.metrics.sample import COMMITS, main_trunk, snapshot, sources, totals, triage
from tests.vectors.notation import sha_of

STATE = main_trunk()
JOBS = samples_of(job_families([STATE]))
CORE, PERF, UNKNOWN = "inductor / test (core)", "inductor / test (perf)", "nobody knows"


def job_value(family: str, job_name: str) -> float:
    return value_of(JOBS[f"ci_job_{family}"], job_name=job_name)


def jobs_with(family: str, jobs: dict[str, list[Sample]] = JOBS) -> set[str]:
    return {sample.labels["job_name"] for sample in jobs[f"ci_job_{family}"]}


@pytest.mark.parametrize(
    ("family", "value"),
    [
        ("consecutive_failures", 3),
        ("failures_to_open", 3),
        ("broken", 1),
        ("failures_in_outage", 3),
        ("known_broken", 0),
        ("streak_truncated", 0),
        ("suspect_commits", 2),
        ("pending_commits", 0),
        ("flaky_commits", 0),
        ("silent_after_seconds", 8 * 86400),
        ("duration_seconds", 300),
        ("alerting", 3),
        ("outage_info", NOW),
    ],
)
def test_the_numbers_of_a_broken_job(family: str, value: float) -> None:
    """The series of a broken job have the values of its state."""
    assert job_value(family, CORE) == value


def test_zero_is_exported() -> None:
    """A job that is well has all of its zeros: only then does an alert resolve at once."""
    for family in ("consecutive_failures", "broken", "failures_in_outage", "streak_truncated"):
        assert job_value(family, "lint") == 0


def test_every_job_can_fire() -> None:
    """What decides about an alert is there for every job, whatever is unknown of it."""
    names = {job.key.job_name for job in STATE.jobs}
    for family in ("consecutive_failures", "failures_to_open", "broken", "known_broken"):
        assert jobs_with(family) == names


def test_an_unknown_number_is_no_series() -> None:
    """A job without any verdict has no times and no duration, rather than zeros."""
    for family in (
        "last_success_timestamp_seconds",
        "last_verdict_timestamp_seconds",
        "duration_seconds",
        "outage_info",
        "suspect_commits",
        "suspect_info",
    ):
        assert UNKNOWN not in jobs_with(family)


def test_an_unknown_last_good_is_empty() -> None:
    """Where last good is unknown, the outage has no last good and no number of suspects."""
    (info,) = [s for s in JOBS["ci_job_outage_info"] if s.labels["job_name"] == PERF]
    assert (info.labels["first_bad"], info.labels["last_good"]) == (sha_of(0), "")
    assert PERF not in jobs_with("suspect_commits")
    assert PERF not in jobs_with("suspect_info")


def test_the_outage_names_its_ends() -> None:
    """The outage's info holds full hashes and the earliest failing run's link."""
    (info,) = [s for s in JOBS["ci_job_outage_info"] if s.labels["job_name"] == CORE]
    assert info.labels["first_bad"] == sha_of(4)
    assert info.labels["last_good"] == sha_of(2)
    assert info.labels["url"] == "https://ci.example/501/1/1"


def test_suspects_are_numbered_from_the_oldest() -> None:
    """Each suspect is a series whose value is its place after last good."""
    suspects = [s for s in JOBS["ci_job_suspect_info"] if s.labels["job_name"] == CORE]
    assert [(s.value, s.labels["sha"]) for s in suspects] == [(1, sha_of(3)), (2, sha_of(4))]
    assert suspects[0].labels["author"] == "author-3"
    assert suspects[0].labels["title"] == "change 3"


def test_a_suspect_says_what_the_job_did_there() -> None:
    """First bad failed; the others are not tested, and `result` is why."""
    state = evaluate_histories({"job": "P - s q . F F F q"})
    found = samples_of(job_families([state]))["ci_job_suspect_info"]
    assert [sample.labels["result"] for sample in found] == [
        "cancelled, or no result",
        "skipped",
        "running or queued",
        "did not run",
        "failed",
    ]


def test_at_most_ten_suspects_are_series() -> None:
    """Ten suspects are all shown; of eleven the ten oldest, while their number stays true."""
    for untested in (9, 10):
        state = evaluate_histories({"job": f"P {'. ' * untested}F F F"})
        found = samples_of(job_families([state]))
        assert value_of(found["ci_job_suspect_commits"]) == untested + 1
        assert [s.value for s in found["ci_job_suspect_info"]] == [*range(1, SUSPECTS_SHOWN + 1)]
        assert found["ci_job_suspect_info"][0].labels["sha"] == sha_of(1)


def test_suspects_are_of_an_open_outage() -> None:
    """While a streak is below the threshold its suspects are counted, and not yet named."""
    found = samples_of(job_families([evaluate_histories({"job": "P F F"})]))
    assert value_of(found["ci_job_suspect_commits"]) == 1
    assert found["ci_job_outage_info"] == []
    assert found["ci_job_suspect_info"] == []


def with_commit(title: str | None, author: str | None) -> Sample:
    """Return the suspect's series where the commit has this title and author."""
    job = job_state("P F F F")
    assert job.blame is not None
    suspect = Commit(sha_of(1), None, author, title)
    state = evaluate_histories({"job": "P F F F"})
    changed = replace(job, blame=replace(job.blame, suspects=(suspect,)))
    (sample,) = samples_of(job_families([replace(state, jobs=(changed,))]))["ci_job_suspect_info"]
    return sample


def test_titles_are_cut() -> None:
    """A title of 80 characters is whole, a longer one is cut to 80."""
    assert with_commit("ü" * TITLE_SHOWN, "a").labels["title"] == "ü" * TITLE_SHOWN
    assert with_commit("ü" * (TITLE_SHOWN + 1), "a").labels["title"] == "ü" * TITLE_SHOWN
    assert TITLE_SHOWN == 80


def test_a_commit_without_words_has_empty_labels() -> None:
    """An unknown author or title is an empty label, never the word None."""
    sample = with_commit(None, None)
    assert (sample.labels["author"], sample.labels["title"]) == ("", "")


def test_a_truncated_streak_says_so() -> None:
    """A streak that may continue in unread commits is marked, whatever its length."""
    assert {s.labels["job_name"] for s in JOBS["ci_job_streak_truncated"] if s.value} == {"docs"}


def test_a_known_broken_job_stays_visible() -> None:
    """A known-broken job is broken and marked."""
    assert job_value("broken", "windows") == job_value("known_broken", "windows") == 1


def test_what_is_newer_than_a_pass_is_counted() -> None:
    """Pending and flaky commits are those of the job's state."""
    assert (job_value("pending_commits", PERF), job_value("flaky_commits", PERF)) == (2, 2)


def test_a_vanished_job_has_no_series() -> None:
    """The families hold only the given snapshot, and nothing of an earlier one."""
    gone = replace(STATE, jobs=tuple(job for job in STATE.jobs if job.key.job_name != CORE))
    found = samples_of(job_families([gone]))
    assert all(CORE not in jobs_with(name.removeprefix("ci_job_"), found) for name in found)


def test_labels_stand_in_order() -> None:
    """A job's labels come in the catalogue's order with the group's team and priority."""
    sample = next(s for s in JOBS["ci_job_broken"] if s.labels["job_name"] == CORE)
    assert tuple(sample.labels) == JOB_LABELS
    assert tuple(sample.labels.values()) == (
        "o/r", "main", "ci", CORE, "inductor", "broken-inductor", "P2",
    )  # fmt: skip


# ---------------------------------------------------------------------- trunks


def branches(*states: TrunkState) -> dict[str, list[Sample]]:
    return samples_of(branch_families(states))


def test_the_numbers_of_a_trunk() -> None:
    """A trunk has samples for its head, data age, mass breakage and distance to green."""
    found = branches(STATE)
    assert value_of(found["ci_branch_head_timestamp_seconds"]) == NOW - 3600
    assert value_of(found["ci_branch_data_timestamp_seconds"]) == NOW - 5
    assert value_of(found["ci_branch_mass_breakage"]) == 1
    assert value_of(found["ci_branch_mass_breakage_info"]) == 2
    assert value_of(found["ci_branch_commits_since_green"]) == 0
    assert value_of(found["ci_branch_last_green_timestamp_seconds"]) == NOW - 3600


def test_every_group_tells_its_threshold() -> None:
    """Each group with a job has a sample for its failure threshold."""
    groups = branches(STATE)["ci_group_failure_threshold"]
    assert {s.labels["group"]: s.value for s in groups} == {"inductor": 1, "default": 1}


def test_mass_breakage_is_one() -> None:
    """A commit that broke everything is a 1."""
    found = branches(evaluate_histories(dict.fromkeys("abcd", "P F")))
    assert value_of(found["ci_branch_mass_breakage"]) == 1


def test_what_a_trunk_does_not_know_is_absent() -> None:
    """Without commits, data or required jobs only gauges of 0 or 1 have a sample."""
    (_, bare) = snapshot().trunks
    assert {name for name, samples in branches(bare).items() if samples} == {
        "ci_branch_mass_breakage",
        "ci_branch_truncated_outages",
        "ci_branch_up",
        "ci_branch_data_doubtful",
    }


def test_a_trunk_that_was_not_read_is_a_zero() -> None:
    """A trunk is down where one of its sources has not read it."""
    sources = tuple(TrunkSource("ci", up, NOW, 60.0) for up in (True, False))
    assert value_of(branches(replace(STATE, sources=sources[:1]))["ci_branch_up"]) == 1
    assert value_of(branches(replace(STATE, sources=sources))["ci_branch_up"]) == 0


@pytest.mark.parametrize(("missing", "doubtful"), [(0, 0), (3, 1)])
def test_missing_results_are_doubtful(missing: int, doubtful: int) -> None:
    """Doubt is 1, whatever the number of commits without results, and 0 without doubt."""
    found = branches(replace(STATE, missing=missing))
    assert value_of(found["ci_branch_data_doubtful"]) == doubtful


def test_never_green_has_no_time() -> None:
    """Where no commit is green, all commits are counted, and no last green time exists."""
    red = replace(STATE.green, commits_since=COMMITS, commit=None) if STATE.green else None
    found = branches(replace(STATE, green=red))
    assert value_of(found["ci_branch_commits_since_green"]) == COMMITS
    assert found["ci_branch_last_green_timestamp_seconds"] == []


# ---------------------------------------------------------------------- the process


def own(complete: bool = True, counts: Totals | None = None) -> dict[str, list[Sample]]:
    seen = Snapshot(NOW, sources=sources(), complete=complete)
    return samples_of(own_families(seen, counts or totals(), "1.2.3"))


def test_a_failing_source_is_a_zero() -> None:
    """A source that failed is 0, not absent, and so is what never happened to it."""
    found = own()
    assert value_of(found["trunkwatch_source_up"], source="ci") == 1
    for name in ("up", "last_success_timestamp_seconds", "refresh_duration_seconds"):
        assert value_of(found[f"trunkwatch_source_{name}"], source="other") == 0
    assert value_of(found["trunkwatch_source_poll_interval_seconds"], source="other") == 300


def test_a_quota_is_told_where_there_is_one() -> None:
    """Only a source whose vendor counts requests has a quota."""
    (quota,) = own()["trunkwatch_source_quota_remaining"]
    assert (quota.labels["source"], quota.value) == ("ci", 4800)


def test_counts_are_told_with_their_labels() -> None:
    """Counts have the labels that they were counted with."""
    errors = own()["trunkwatch_source_errors_total"]
    assert value_of(errors, source="other", reason="unreachable") == 3


def test_a_reload_that_failed_is_a_zero() -> None:
    """Whether the last reload was taken is 1 or 0."""
    good, bad = own(), own(counts=Totals({}, config_reload_ok=False))
    assert value_of(good["trunkwatch_config_reload_success"]) == 1
    assert value_of(bad["trunkwatch_config_reload_success"]) == 0


def test_the_version_is_a_label() -> None:
    """The version that runs is a label of a constant 1."""
    assert value_of(own()["trunkwatch_build_info"], version="1.2.3") == 1


def test_nothing_is_said_of_ci_too_early() -> None:
    """Until there is enough to show, no family about CI has a sample, not even a counter."""
    early: Iterable[str] = (name for name, found in own(complete=False).items() if found)
    assert not any(name.startswith("ci_") for name in early)
    assert own()["ci_job_retired_total"]


def test_a_scrape_costs_what_alerts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 10,000 jobs only those that alert are looked at; the reports are read once for all."""
    walks, readings, known = [0], [0], Reading.known

    class Jobs(tuple[JobState, ...]):
        __slots__ = ()

        def __iter__(self) -> Iterator[JobState]:
            walks[0] += 1
            return super().__iter__()

    def counted(reading: Reading[object], now: float) -> object:
        readings[0] += 1
        return known(reading, now)

    monkeypatch.setattr(Reading, "known", counted)
    many = replace(STATE, jobs=Jobs(STATE.jobs * 2000), alerting=STATE.alerting * 10)
    shown = replace(snapshot(), trunks=(many,))
    walks[0] = 0
    found = list(triage_samples(shown, triage(), NOW))
    alerts = len(many.alerting)
    assert alerts >= 20
    assert len([name for name, *_ in found if name == "ci_job_ticket_info"]) == 20
    assert (walks[0], readings[0]) == (0, 4)
