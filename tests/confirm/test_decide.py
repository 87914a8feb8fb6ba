"""The next question about a job."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trunkwatch.config import ConfirmSection
from trunkwatch.confirm.decide import next_question, questions
from trunkwatch.confirm.model import Asked, Kind, Question, State
from trunkwatch.confirm.records import Records
from trunkwatch.report.document import job_object
from trunkwatch.status.trunk_status import JobStatus, TrunkStatus, parse_trunk_status

from tests.domain.builders import job_state, length, place_of, trunk
from tests.domain.scripts import bounded

ALL = ConfirmSection()


def status(text: str, **facts: Any) -> tuple[Any, JobStatus]:
    """Return a job of the exporter's JSON with the results of a text, and other facts."""
    state = job_state(text)
    row = {**job_object(state, None, [], trunk(length(text))), **facts}
    document = {"sources": [{"up": True}], "groups": [], "jobs": [row]}
    (job,) = parse_trunk_status(document).jobs.values()
    return state.key, job


def chosen(
    text: str, asked: tuple[Asked, ...] = (), config: ConfirmSection = ALL, **facts: Any
) -> tuple[str, int] | None:
    """Return the kind of the next question, and the index of its commit."""
    key, job = status(text, **facts)
    found = next_question(key, job, config, Records(asked))
    if found is None:
        return None
    place = next(n for n, each in enumerate(trunk(length(text)).commits) if each.sha == found.sha)
    return str(found.kind), place


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ("P P P", None),
        ("P F P", None),
        ("P F", ("real", 1)),
        ("P - F", ("real", 2)),
        ("P - F F", None),  # it is real, and no outage is open yet
        ("P F F F", None),
        ("P - F F F", ("which", 1)),
        ("P - - F F F", ("which", 2)),
        ("P - - - F F F", ("which", 2)),
        ("P s F F F", ("which", 1)),
        ("P . F F F", None),
        ("P . - F F F", ("which", 2)),
        ("P ? - F F F", None),
        ("P K - F F F", None),  # last good is unknown
        ("- - F F F", None),
    ],
)
def test_the_next_question(history: str, expected: tuple[str, int] | None) -> None:
    """Whether it is real, and then which suspect: the middle one of those that have a run."""
    assert chosen(history) == expected


def test_a_suspect_without_a_run_is_tested_where_one_can_be_started() -> None:
    """A force scheduler of Buildbot builds any commit."""
    forced = ConfirmSection(
        type="buildbot",
        api_url="http://ci.example.com/api/v2",
        builders=("test",),
        force_scheduler="commit",
    )
    assert chosen("P . F F F", config=forced) == ("which", 1)
    assert chosen("P . - . F F F", config=forced) == ("which", 2)


def test_a_confirmed_failure_is_real() -> None:
    """First bad that failed twice is asked no more, and which one is asked before an outage."""
    assert chosen("P - F", confirmed=True) == ("which", 1)


def test_the_cause_is_outside_only_where_it_looks_so() -> None:
    """Last good is run when nothing else is left, in an outage with the signs of a fault of CI."""
    assert chosen("P F F F", infra=True) == ("outside", 0)
    assert chosen("P - F F F", infra=True) == ("which", 1)
    assert chosen("P ? F F F", infra=True) is None
    assert chosen("P F F", infra=True) is None


def asked(text: str, kind: Kind, place: int, state: State) -> Asked:
    """Return a question about a job that was asked."""
    key, job = status(text)
    assert job.first_bad is not None
    sha = trunk(length(text)).commits[place].sha
    return Asked(Question(kind, key, job.first_bad.sha, sha), "g", None, state, 0.0)


@pytest.mark.parametrize("state", [State.ANSWERED, State.EXPIRED, State.REFUSED])
def test_a_question_is_asked_once(state: State) -> None:
    """The next suspect follows one whose question has ended, and at last none."""
    text = "P - - F F F"
    first, second = (asked(text, Kind.WHICH, place, state) for place in (2, 1))
    assert chosen(text, (first,)) == ("which", 1)
    assert chosen(text, (first, second)) is None
    assert chosen("P F", (asked("P F", Kind.REAL, 1, state),)) is None


@pytest.mark.parametrize("state", [State.SENDING, State.ASKED])
def test_an_open_question_is_waited_for(state: State) -> None:
    """No other suspect is asked about while one is, whatever its letter is until then."""
    text = "P - - F F F"
    assert chosen(text, (asked(text, Kind.WHICH, 1, state),)) is None


def test_questions_can_be_left_out() -> None:
    """Only the configured kinds are asked."""
    assert chosen("P F", config=ConfirmSection(questions=("which",))) is None
    assert chosen("P - F F F", config=ConfirmSection(questions=("real",))) is None


@pytest.mark.parametrize(
    ("config", "facts"),
    [
        ({"groups": ("other",)}, {}),
        ({"never": (".*",)}, {}),
        ({}, {"known_broken": {"reason": "GPUs"}}),
    ],
)
def test_jobs_that_are_left_out(config: dict[str, Any], facts: dict[str, Any]) -> None:
    """Jobs of other groups, jobs that match `confirm.never`, and exempt jobs have no question."""
    for section, more, number in ((ConfirmSection(), {}, 1), (ConfirmSection(**config), facts, 0)):
        key, job = status("P - F F F", **more)
        trunk_status = TrunkStatus(True, {}, {job.name: job})
        assert len(list(questions(key.trunk, trunk_status, section, Records()))) == number


def test_first_bad_that_moves_is_the_same_outage() -> None:
    """A suspect whose question expired is not asked about again once another one has failed."""
    text = "P - - - F F F"
    expired = asked(text, Kind.WHICH, 1, State.EXPIRED)
    found = asked(text, Kind.WHICH, 2, State.ANSWERED)
    assert chosen("P - F - F F F", (expired, found)) == ("real", 2)
    assert chosen("P - F - F F F", (expired, found), confirmed=True) == ("outside", 0)
    of_outage = Records((expired, found)).of_outage(found.question.job, found.question.sha)
    assert of_outage == [found, expired]


@bounded
@given(untested=st.lists(st.sampled_from("--.s"), max_size=20))
def test_a_binary_search(untested: list[str]) -> None:
    """The suspects that have a run are narrowed down to one with the fewest runs."""
    for culprit in range(1, len(untested) + 2):
        letters = ["P", *untested, "F", "F", "F"]
        runs = 0
        while True:
            key, job = status(" ".join(letters))
            found = next_question(key, job, ALL, Records())
            if found is None:
                break
            place = next(
                n for n, each in enumerate(trunk(len(letters)).commits) if each.sha == found.sha
            )
            assert letters[place] in "-s"
            letters[place] = "F" if place >= culprit else "P"
            runs += 1
        runnable = sum(letter in "-s" for letter in untested)
        assert runs <= runnable.bit_length()
        state = job_state(" ".join(letters))
        assert state.blame is not None
        suspects = [place_of(each) for each in state.blame.suspects or ()]
        assert culprit in suspects
        assert not any(letters[place] in "-s" for place in suspects if place is not None)
