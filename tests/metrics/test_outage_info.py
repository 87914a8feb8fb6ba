"""The labels of `ci_job_outage_info`: first bad, and the run that failed there."""

from dataclasses import replace
from typing import Any

from prometheus_client.samples import Sample
from trunkwatch.domain.model import Commit
from trunkwatch.engine.snapshot import TrunkState
from trunkwatch.metrics.collector import job_families
from trunkwatch.metrics.facts import STEP_SHOWN, TITLE_SHOWN

from tests.domain.builders import evaluate_histories, job_state
from tests.metrics.reading import samples_of
from tests.vectors.notation import sha_of


def info_of(state: TrunkState) -> Sample:
    """Return the outage's series of the one job that there is."""
    (sample,) = samples_of(job_families([state]))["ci_job_outage_info"]
    return sample


def test_the_outage_says_who_made_first_bad() -> None:
    """Author and title are those of first bad, also without last good and suspects."""
    for history, first_bad in (("P . F F F", 2), ("F F F", 0)):
        labels = info_of(evaluate_histories({"job": history})).labels
        expected = (f"author-{first_bad}", f"change {first_bad}")
        assert (labels["author"], labels["title"]) == expected


def test_the_facts_of_an_outage_without_an_alert_are_older() -> None:
    """The value is the time of the evaluation; without an alert, that at which the job broke."""
    state = evaluate_histories({"job": "P F F F"})
    (job,) = state.jobs
    assert job.blame is not None
    assert info_of(state).value == job.evaluated_at
    for since in (job.blame.broken_since, None):
        blame = replace(job.blame, broken_since=since)
        muted = replace(job, known_broken=("no disk", None), blame=blame)
        assert info_of(replace(state, jobs=(muted,))).value == (since or 0.0)


def of_outage(**blame: Any) -> Sample:
    """Return the series of an outage with these facts."""
    job = job_state("P F F F")
    assert job.blame is not None
    changed = replace(job, blame=replace(job.blame, **blame))
    return info_of(replace(evaluate_histories({"job": "P F F F"}), jobs=(changed,)))


def test_the_outage_names_the_failed_step() -> None:
    """A step of 80 characters is whole, a longer one is cut; an unknown one is an empty label."""
    assert of_outage(failed_step="s" * STEP_SHOWN).labels["failed_step"] == "s" * STEP_SHOWN
    assert of_outage(failed_step="s" * 81).labels["failed_step"] == "s" * STEP_SHOWN == "s" * 80
    assert of_outage(failed_step=None).labels["failed_step"] == ""


def test_a_first_bad_without_words_has_empty_labels() -> None:
    """An unknown author or title of first bad is an empty label, and a long title is cut."""
    labels = of_outage(first_bad=Commit(sha_of(1), None, None, None)).labels
    assert (labels["author"], labels["title"]) == ("", "")
    long = of_outage(first_bad=Commit(sha_of(1), None, "a", "t" * 81)).labels
    assert long["title"] == "t" * TITLE_SHOWN
