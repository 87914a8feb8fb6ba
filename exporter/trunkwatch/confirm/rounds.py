"""One round: read the exporter, store answers, and ask the next questions.

A question is stored before it is sent, so that a round may be interrupted at any point: the next
one looks at the run, of which a new attempt shows that CI has received the request.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol

from trunkwatch.config import ConfirmSection
from trunkwatch.confirm.asking import Asker, is_within
from trunkwatch.confirm.decide import questions, testable
from trunkwatch.confirm.limits import Limits
from trunkwatch.confirm.metrics import ConfirmMetrics, Health
from trunkwatch.confirm.model import DAY_SECONDS, Asked, Kind, Question, State, Target
from trunkwatch.confirm.records import Records
from trunkwatch.confirm.runner import Runner
from trunkwatch.confirm.store import ConfirmStore
from trunkwatch.confirm.target import target_of
from trunkwatch.domain.model import Evidence, JobKey, Trunk
from trunkwatch.engine.cells import PENDING
from trunkwatch.errors import ReadingError, UnknownTrunkError
from trunkwatch.status.attempts import JobAtCommit
from trunkwatch.status.trunk_status import JobStatus, TrunkStatus

log = logging.getLogger(__name__)

UNSURE_SECONDS = 180.0
"""How long a request whose answer was lost may still take effect."""

RESULT_SECONDS = DAY_SECONDS
"""How long the result of a repeated run is waited for."""


class _Changed(Exception):  # noqa: N818 — a state, not a failure
    """A job got a result after its question was chosen."""


class StatusReader(Protocol):
    """Reads the exporter; all methods raise ReadingError."""

    def trunk(self, repo: str, branch: str) -> TrunkStatus:
        """Return the state of a trunk."""

    def trunks(self) -> Mapping[Trunk, int]:
        """Return the number of failing jobs of every trunk."""

    def attempts(self, job: JobKey, shas: list[str]) -> Mapping[str, JobAtCommit]:
        """Return a job's attempts at some commits, by their hashes."""


class Confirmer:
    """Asks questions; not safe for threads."""

    def __init__(
        self,
        store: ConfirmStore,
        status: StatusReader,
        runner: Runner,
        config: ConfirmSection,
        metrics: ConfirmMetrics,
        clock: Callable[[], float],
    ) -> None:
        """Args:
        store: the storage file.
        status: reads the exporter.
        runner: the CI.
        config: the section `confirm`.
        metrics: of the process.
        clock: returns the time (seconds since the epoch).
        """
        self._store = store
        self._status = status
        self._runner = runner
        self._config = config
        self._metrics = metrics
        self._clock = clock
        self._asker = Asker(store, runner, metrics, clock, acts=config.mode == "act")
        self._errors: dict[str, str] = {}
        self._held: dict[Trunk, str] = {}
        # With another configuration or another token they may be allowed.
        refused = (each.question for each in store.questions() if each.is_refused)
        store.forget(*refused)

    def round(self) -> None:
        """Store answers, and ask the next questions.

        Raises:
            StoreError: the storage file cannot be used. Nothing is asked that is not stored.
        """
        self._errors, self._held = {}, {}
        self._asker.begin()
        records = Records(self._store.questions())
        proposed: dict[Question, Asked] = {}
        try:
            for trunk in self._trunks(records):
                proposed |= self._trunk(trunk, records)
        except ReadingError as error:
            self._errors["exporter"] = str(error)
        self._asker.end(proposed)
        errors = {**self._errors, **({"ci": self._asker.error} if self._asker.error else {})}
        items = (*proposed.values(), *records.all())
        self._metrics.health = Health(self._clock(), errors, items, dict(self._held))

    def _trunks(self, records: Records) -> list[Trunk]:
        """Return the trunks with failing jobs, or with open questions."""
        failing = {trunk for trunk, number in self._status.trunks().items() if number}
        return sorted(failing | {each.question.job.trunk for each in records.all() if each.is_open})

    # ------------------------------------------------------------------ one trunk

    def _trunk(self, trunk: Trunk, records: Records) -> dict[Question, Asked]:
        """Return the proposed questions of a trunk; none if it cannot be read."""
        try:
            return self._process(trunk, records)
        except ReadingError as error:
            # Other trunks may be read: each has a document of its own.
            self._errors["exporter"] = str(error)
            log.warning("trunk not read", extra={**trunk._asdict(), "error": error})
            return {}

    def _process(self, trunk: Trunk, records: Records) -> dict[Question, Asked]:
        """Store the answers of a trunk, and ask the next questions; return the proposed ones."""
        try:
            status = self._status.trunk(*trunk)
        except UnknownTrunkError:
            status = None
        is_doubtful = status is None or status.doubt is not None
        for asked in records.all():
            if asked.is_open and asked.question.job.trunk == trunk:
                self._update(asked, records, is_doubtful=is_doubtful)
        if status is None:
            return {}
        if status.doubt is not None:
            self._held[trunk] = status.doubt
            return {}
        return self._ask_all(list(questions(trunk, status, self._config, records)), records)

    def _ask_all(
        self, found: Sequence[tuple[Question, JobStatus]], records: Records
    ) -> dict[Question, Asked]:
        """Ask questions about one trunk; return those that are only proposed."""
        proposed: dict[Question, Asked] = {}
        limits = Limits(self._config, records)
        is_current = partial(self._is_current, records)
        targets = _shared(self._targets(question for question, _ in found))
        for question, job in found:
            if question not in targets:
                continue
            asked = self._asker.ask(
                question, job.group, targets[question], records, limits, is_current
            )
            if asked.state is State.PROPOSED:
                proposed[question] = asked
            else:
                records.put(asked)
        return proposed

    def _is_current(self, records: Records, question: Question) -> bool:
        """Return whether a question is still the next one about its job, by the newest JSON.

        Its job may be exempt since, for instance, or its trunk doubtful.

        Raises:
            ReadingError: the exporter cannot be read.
        """
        trunk = question.job.trunk
        try:
            status = self._status.trunk(*trunk)
        except UnknownTrunkError:
            return False
        next_ones = questions(trunk, status, self._config, records)
        return status.doubt is None and any(found == question for found, _ in next_ones)

    def _targets(self, found: Iterable[Question]) -> dict[Question, Target | None]:
        """Return the run that answers each question; a question that has changed is left out."""
        targets: dict[Question, Target | None] = {}
        for question in found:
            examined = self._asker.fresh(question)
            if examined is not None:
                targets[question] = examined.target
                continue
            with suppress(UnknownTrunkError, _Changed):  # the next round decides anew
                targets[question] = self._target(question)
        return targets

    def _update(self, asked: Asked, records: Records, *, is_doubtful: bool) -> None:
        """Store the new state of an open question, if it has one."""
        question, target = asked.question, asked.target
        assert target is not None
        now = self._clock()
        there = None
        try:
            there = self._status.attempts(question.job, [question.sha]).get(question.sha)
        except UnknownTrunkError:
            # A trunk in doubt may lack a job that it has again in the next round.
            if not is_doubtful:
                reason = "its job or commit is not on the trunk any more"
                records.put(self._asker.expire(asked, reason))
                return
        repeated = [
            each.evidence
            for each in (there.attempts if there is not None else ())
            if self._runner.is_repetition(target, each)
        ]
        # The letter of a job that failed stays F while it runs again.
        has_ended = repeated and Evidence.PENDING not in repeated
        if there is not None and has_ended and there.state != PENDING:
            self._metrics.add("answers", question.kind)
            answered = asked.become(State.ANSWERED, now, answer=there.state)
            records.put(self._asker.save(answered, "question answered"))
        elif now - asked.at > RESULT_SECONDS:
            records.put(self._asker.expire(asked, "no result came"))
        elif asked.state is State.SENDING and repeated:
            records.put(self._asker.save_received(asked))
        elif asked.state is State.SENDING and not is_within(asked.at, now, UNSURE_SECONDS):
            self._asker.check_received(asked, records)
        elif asked.state is State.ASKED and self._asker.is_left_out(target):
            records.put(self._asker.expire(asked, "it ended without a result of the job"))

    def _target(self, question: Question) -> Target | None:
        """Return the run that answers a question; None if there is none.

        Raises:
            _Changed: the job has got another result there since the question was chosen.
        """
        shas = list(dict.fromkeys((question.sha, question.first_bad)))
        found = self._status.attempts(question.job, shas)
        there, at_first_bad = found.get(question.sha), found.get(question.first_bad)
        if there is None or at_first_bad is None:
            raise _Changed
        if question.kind is Kind.WHICH and there.state not in testable(self._config):
            raise _Changed
        return target_of(
            question,
            there.attempts,
            at_first_bad.attempts,
            starts_runs=self._config.starts_runs,
        )


def _shared(targets: Mapping[Question, Target | None]) -> dict[Question, Target | None]:
    """Return the targets, of which those of one run repeat it whole, by one request.

    Last good passed, and is not among the jobs that such a request repeats.
    """
    shareable = {
        question: target
        for question, target in targets.items()
        if target is not None and question.kind is not Kind.OUTSIDE
    }
    runs = Counter(target.run for target in shareable.values())
    whole = {
        question: target._replace(job_id=None)
        for question, target in shareable.items()
        if runs[target.run] > 1
    }
    return {**targets, **whole}
