"""One question: whether it may be asked now, and the request, which is stored before and after."""

import logging
from collections.abc import Callable, Collection
from dataclasses import replace

from trunkwatch.confirm.limits import Limits
from trunkwatch.confirm.metrics import ConfirmMetrics
from trunkwatch.confirm.model import Asked, Kind, Question, State, Target
from trunkwatch.confirm.records import Records
from trunkwatch.confirm.runner import NotRepeatable, Runner
from trunkwatch.confirm.store import ConfirmStore
from trunkwatch.errors import RateLimitedError, RequestError
from trunkwatch.rest.client import FATAL_ERRORS

log = logging.getLogger(__name__)

RECHECK_SECONDS = 300.0
"""How long a proposed question stands before CI is asked about its run again."""


def is_within(since: float, now: float, seconds: float) -> bool:
    """Return whether fewer seconds have passed.

    False if the clock was set back: nothing waits until it catches up.
    """
    return 0 <= now - since < seconds


class Asker:
    """Asks CI, and keeps the proposed questions; not safe for threads.

    Attributes:
        error: why CI cannot be asked in this round; empty if it can.
    """

    def __init__(
        self,
        store: ConfirmStore,
        runner: Runner,
        metrics: ConfirmMetrics,
        clock: Callable[[], float],
        *,
        acts: bool,
    ) -> None:
        """Args:
        store: the storage file.
        runner: the CI.
        metrics: of the process.
        clock: returns the time (seconds since the epoch).
        acts: whether requests are sent; else they are only proposed.
        """
        self._store = store
        self._runner = runner
        self._metrics = metrics
        self._clock = clock
        self._acts = acts
        self._proposed: dict[Question, Asked] = {}
        self._limit: RateLimitedError | None = None
        self._is_down = False
        self.error = ""

    # ------------------------------------------------------------------ a round

    def begin(self) -> None:
        """Begin a round: find out whether CI can be asked.

        An invalid token shows before the first outage.
        """
        self.error, self._is_down = "", False
        if self._limit is not None and self._clock() < self._limit.until:
            self._record_error(self._limit)
            return
        try:
            self._runner.check()
        except RequestError as error:
            self._record_error(error)

    def end(self, shown: Collection[Question]) -> None:
        """End a round: forget the questions that are not proposed any more, or are to be examined
        again.
        """
        now = self._clock()
        self._proposed = {
            question: asked
            for question, asked in self._proposed.items()
            if question in shown and is_within(asked.at, now, RECHECK_SECONDS)
        }

    def _record_error(self, error: RequestError) -> None:
        """Record an error of CI; ask it nothing more in this round if that would fail too."""
        self.error = str(error)
        self._is_down = self._is_down or isinstance(error, FATAL_ERRORS)
        if isinstance(error, RateLimitedError):
            self._limit = error
        log.warning("CI cannot be asked", extra=error.fields())

    # ------------------------------------------------------------------ a question

    def fresh(self, question: Question) -> Asked | None:
        """Return a proposed question that was examined a short time ago; None if it was not."""
        before = self._proposed.get(question)
        is_fresh = before is not None and is_within(before.at, self._clock(), RECHECK_SECONDS)
        return before if is_fresh else None

    def ask(
        self,
        question: Question,
        group: str,
        target: Target | None,
        records: Records,
        limits: Limits,
        is_current: Callable[[Question], bool],
    ) -> Asked:
        """Ask a question, or return why it waits or must not be asked.

        Args:
            question: the question.
            group: of its job.
            target: the run that answers it; None if there is none.
            records: of the questions asked until now.
            limits: of the requests.
            is_current: returns whether the question is still to be asked. It is called just before
                the request: since the question was chosen, CI was asked about its run and others.
        """
        before = self.fresh(question)
        if before is not None:
            return before
        asked = Asked(question, group, target, State.PROPOSED, self._clock())
        if target is None:
            return self._refused(asked, "no run of the job can be repeated there")
        twin = records.repeating(target)
        if twin is not None:
            return self._joined(asked, twin)
        if self._is_down:
            return replace(asked, reason=self.error)
        try:
            asked = self._examined(asked, limits)
        except NotRepeatable as obstacle:
            if obstacle.is_final:
                return self._refused(asked, str(obstacle))
            return self._propose(replace(asked, reason=str(obstacle)))
        except RequestError as error:
            self._record_error(error)
            asked = replace(asked, reason=str(error))
            return asked if self._is_down else self._propose(asked)
        if not self._acts:
            return self._propose(asked)
        if not is_current(question):
            # Not kept: the next round decides anew.
            asked = replace(asked, reason="its job or its trunk has changed just now")
            self._log("question waits", asked)
            return asked
        return self._send(asked)

    def _examined(self, asked: Asked, limits: Limits) -> Asked:
        """Return a question with the minutes that it costs.

        Raises:
            NotRepeatable: it must not be asked, or not now.
        """
        target = asked.target
        assert target is not None
        # Spare CI the requests of a question that even one job brings beyond a limit.
        asked = replace(asked, minutes=target.minutes)
        self._check_limits(asked, limits)
        target, jobs = self._runner.examine(target)
        asked = replace(asked, target=target, minutes=jobs * target.minutes)
        self._check_limits(asked, limits)
        return asked

    def _check_limits(self, asked: Asked, limits: Limits) -> None:
        # Of every trunk: also those that this round has not come to yet.
        proposed = [each for each in self._proposed.values() if not each.reason]
        exceeded = limits.exceeded(asked, proposed, self._clock())
        if exceeded is not None:
            raise NotRepeatable(f"the limit is reached: confirm.{exceeded}")

    def _joined(self, asked: Asked, twin: Asked) -> Asked:
        """Share the request of another question about the run, or wait for its end.

        Args:
            asked: the question.
            twin: the open question whose request repeats the same run.
        """
        assert asked.target is not None
        assert twin.target is not None
        is_included = twin.target.job_id in (None, asked.target.job_id)
        is_received = twin.state is State.ASKED
        # Last good passed: a request for all that did not pass leaves it out.
        if not (is_included and is_received) or asked.question.kind is Kind.OUTSIDE:
            return self._propose(replace(asked, reason="its run is repeated for another job"))
        shared = replace(
            asked.become(State.ASKED, twin.at),
            target=asked.target._replace(attempt=twin.target.attempt),
            minutes=twin.minutes,
            sent_at=twin.sent_at,
        )
        return self.save(shared, "question shares a run")

    def _refused(self, asked: Asked, reason: str) -> Asked:
        self._metrics.add("refusals", asked.question.kind)
        return self.save(
            asked.become(State.REFUSED, self._clock(), reason=reason), "question refused"
        )

    def _propose(self, asked: Asked) -> Asked:
        """Keep a question that is not sent; log it if its reason is new."""
        before = self._proposed.get(asked.question)
        if before is None or before.reason != asked.reason:
            self._log("question waits" if asked.reason else "question proposed", asked)
        self._proposed[asked.question] = asked
        return asked

    def _send(self, asked: Asked) -> Asked:
        """Send a request. It is stored before, so that a killed process does not send it twice."""
        assert asked.target is not None
        now = self._clock()
        sending = replace(asked.become(State.SENDING, now), sent_at=now)
        self.save(sending, "asking CI")
        try:
            self._runner.run(asked.target)
        except NotRepeatable as obstacle:
            if obstacle.is_final:
                return self._refused(asked, str(obstacle))
            # CI has not done it: the question is as before, and waits.
            self._store.forget(asked.question)
            return self._propose(replace(asked, reason=str(obstacle)))
        except RequestError as error:
            self._record_error(error)
            if isinstance(error, RateLimitedError):
                self._store.forget(asked.question)
                return replace(asked, reason=str(error))
            return sending  # CI may have received it: a new attempt shows it.
        return self.save_received(sending)

    # ------------------------------------------------------------------ afterwards

    def check_received(self, asked: Asked, records: Records) -> None:
        """Ask CI whether it has received a request whose answer was lost, and store that."""
        assert asked.target is not None
        if self._is_down:
            return
        try:
            was_received = self._runner.was_repeated(asked.target)
        except NotRepeatable as obstacle:
            records.put(self.expire(asked, str(obstacle)))
        except RequestError as error:
            self._record_error(error)
        else:
            if was_received:
                records.put(self.save_received(asked))
            else:
                self._store.forget(asked.question)
                records.remove(asked.question)

    def is_left_out(self, target: Target) -> bool:
        """Return whether the request has ended without a result of the job."""
        if self._is_down:
            return False
        try:
            return self._runner.was_left_out(target)
        except NotRepeatable as obstacle:
            return obstacle.is_final
        except RequestError as error:
            self._record_error(error)
            return False

    def save_received(self, asked: Asked) -> Asked:
        """Store that CI has received a request."""
        self._metrics.add("questions", asked.question.kind)
        return self.save(asked.become(State.ASKED, asked.at), "CI asked")

    def expire(self, asked: Asked, reason: str) -> Asked:
        """Store that no result came."""
        expired = asked.become(State.EXPIRED, self._clock(), reason=reason)
        return self.save(expired, "question expired")

    def save(self, asked: Asked, event: str) -> Asked:
        """Store a question, and log the event."""
        self._store.save(asked)
        self._proposed.pop(asked.question, None)
        self._log(event, asked)
        return asked

    def _log(self, event: str, asked: Asked) -> None:
        fields = {
            "kind": asked.question.kind,
            **asked.question.job._asdict(),
            "sha": asked.question.sha,
            "run_id": asked.target.run_id if asked.target else None,
            "minutes": round(asked.minutes),
            "answer": asked.answer,
            "reason": asked.reason or None,
        }
        log.info(event, extra={name: value for name, value in fields.items() if value is not None})
