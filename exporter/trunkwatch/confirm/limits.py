"""How much may be asked of a CI."""

from collections import defaultdict
from collections.abc import Iterable

from trunkwatch.config.acting import ConfirmSection
from trunkwatch.confirm.model import DAY_SECONDS, Asked
from trunkwatch.confirm.records import Records

_Request = tuple[tuple[str, int, str], int]


class Limits:
    """The limits of the section `confirm`, over the questions about all trunks."""

    def __init__(self, config: ConfirmSection, records: Records) -> None:
        """Args:
        config: the section.
        records: of the questions asked until now.
        """
        self._config = config
        self._records = records

    def exceeded(self, asked: Asked, proposed: Iterable[Asked], now: float) -> str | None:
        """Return the limit that a question would exceed; None if it exceeds none.

        Args:
            asked: the question, with the minutes of everything that the request repeats.
            proposed: questions that would have been asked if the mode were `act`. One that shares
                the run of this question does not count: both would be one request.
            now: seconds since the epoch.
        """
        config, question = self._config, asked.question
        outage = self._records.of_outage(question.job, question.first_bad)
        if len(_requests(outage)) >= config.max_runs_per_outage:
            return f"max_runs_per_outage: {config.max_runs_per_outage}"
        others = [each for each in proposed if not _is_shared(each, asked)]
        recent = [
            each
            for each in (*self._records.all(), *others)
            if each.question.job.repo == question.job.repo and _is_recent(each, now)
        ]
        of_group = [each for each in recent if each.group == asked.group]
        if len(_requests(of_group)) >= config.max_runs_per_group:
            return f"max_runs_per_group: {config.max_runs_per_group} in 24 hours"
        requests = _requests(recent)
        if len(requests) >= config.max_runs_per_repo:
            return f"max_runs_per_repo: {config.max_runs_per_repo} in 24 hours"
        used = sum(requests.values())
        if used + asked.minutes > config.max_minutes_per_repo:
            return (
                f"max_minutes_per_repo: {config.max_minutes_per_repo} in 24 hours, {used:.0f} are"
                f" used, and it takes about {asked.minutes:.0f}"
            )
        return None


def _is_recent(asked: Asked, now: float) -> bool:
    """Return whether a request counts; one of the future does, since a clock was set back."""
    at = asked.at if asked.sent_at is None else asked.sent_at
    return abs(now - at) < DAY_SECONDS


def _is_shared(proposed: Asked, asked: Asked) -> bool:
    """Return whether two questions are the same, or would be answered by one request."""
    return proposed.question == asked.question or _request(proposed) == _request(asked)


def _request(asked: Asked) -> _Request | None:
    """Return the request of a question: the attempt of a run that it repeats."""
    target = asked.target
    return None if target is None else (target.run, target.attempt)


def _requests(asked: Iterable[Asked]) -> dict[_Request, float]:
    """Return the minutes of each request; one request may answer several questions."""
    found: dict[_Request, float] = defaultdict(float)
    for each in asked:
        request = _request(each)
        if request is not None and not each.is_refused:
            found[request] = max(found[request], each.minutes)
    return found
