"""Questions that a repeated job answers, and what became of those that were asked."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from trunkwatch.domain.model import JobKey

DAY_SECONDS = 86_400.0


class Kind(StrEnum):
    """What a repeated job finds out.

    `real`: whether the failure is one, or a flake. `which`: which suspect broke the job.
    `outside`: whether the job fails at last good too, so that the cause is outside the repository.
    """

    REAL = "real"
    WHICH = "which"
    OUTSIDE = "outside"


class Question(NamedTuple):
    """A question about an outage or a streak, which is asked once.

    Attributes:
        kind: of the question.
        job: the job that fails.
        first_bad: the hash of the commit at which it began to fail.
        sha: the hash of the commit at which it is to run again.
    """

    kind: Kind
    job: JobKey
    first_bad: str
    sha: str


class Target(NamedTuple):
    """A run that can be repeated.

    Attributes:
        repo: of the run.
        branch: of the run.
        sha: the commit that it builds.
        run_id: identifies it; 0 for a commit without a run until it was examined. For Buildbot the
            newest build request of the builder when it was examined.
        attempt: its newest one when the question was made.
        job_id: the job that is repeated alone; None for all that did not pass. For Buildbot the
            build that is rebuilt; None for a forced one.
        job_name: of that job, as the CI names it.
        workflow: of the job, as the exporter names it.
        workflow_path: of the file of its workflow; None where it is unknown or the CI has none.
        is_skipped: the job was skipped there: it runs only if its whole run was cut short.
        minutes: estimate for one job of it.
    """

    repo: str
    branch: str
    sha: str
    run_id: int
    attempt: int
    job_id: int | None
    job_name: str
    workflow: str
    workflow_path: str | None
    is_skipped: bool
    minutes: float

    @property
    def run(self) -> tuple[str, int, str]:
        """The identity of the run: Buildbot's newest request stands for builds of any commit."""
        return self.repo, self.run_id, self.sha


class State(StrEnum):
    """The state of a question.

    `proposed`: nothing was sent, since it waits or the mode is `ask`. `sending`: whether CI has
    received the request is unknown. `asked`: CI has received it. `answered`: the job has ended.
    `expired`: no result came. `refused`: it must not be asked, until a restart at least.
    """

    PROPOSED = "proposed"
    SENDING = "sending"
    ASKED = "asked"
    ANSWERED = "answered"
    EXPIRED = "expired"
    REFUSED = "refused"


OPEN_STATES = frozenset({State.SENDING, State.ASKED})
"""States in which a result is still to come."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and what became of it.

    Attributes:
        question: the question.
        group: of its job.
        target: the run; None if none was found.
        state: of the question.
        at: when it reached that state first (seconds since the epoch).
        minutes: estimate for everything that the request repeats.
        reason: why it waits, is refused or expired; empty otherwise.
        answer: the letter of the job at the commit after the repeated run (`engine.cells`); None
            until then.
        sent_at: when the request was sent (seconds since the epoch); None without one.
    """

    question: Question
    group: str
    target: Target | None
    state: State
    at: float
    minutes: float = 0.0
    reason: str = ""
    answer: str | None = None
    sent_at: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether a result is still to come."""
        return self.state in OPEN_STATES

    @property
    def is_refused(self) -> bool:
        """Whether it must not be asked."""
        return self.state is State.REFUSED

    def become(
        self, state: State, at: float, *, reason: str = "", answer: str | None = None
    ) -> "Asked":
        """Return it in another state."""
        return replace(self, state=state, at=at, reason=reason, answer=answer)
