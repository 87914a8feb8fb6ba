"""The questions asked until now, as a round looks them up and changes them."""

from collections.abc import Iterable

from trunkwatch.confirm.model import Asked, Kind, Question, Target
from trunkwatch.domain.model import JobKey

_Identity = tuple[Kind, JobKey, str]


class Records:
    """Questions by kind, job and commit.

    First bad is no part of it: each answer may move it, and a job is asked once about a commit.
    """

    def __init__(self, asked: Iterable[Asked] = ()) -> None:
        """Args:
        asked: every stored question.
        """
        self._all: dict[_Identity, Asked] = {_identity(each.question): each for each in asked}

    def all(self) -> list[Asked]:
        """Return every question."""
        return list(self._all.values())

    def get(self, question: Question) -> Asked | None:
        """Return what became of a question; None if it was never asked."""
        return self._all.get(_identity(question))

    def put(self, asked: Asked) -> None:
        """Add a question, or replace it."""
        self._all[_identity(asked.question)] = asked

    def remove(self, question: Question) -> None:
        """Remove a question that CI has not received."""
        self._all.pop(_identity(question), None)

    def has_open(self, job: JobKey) -> bool:
        """Return whether a result of a job is still to come."""
        return any(each.is_open for each in self._all.values() if each.question.job == job)

    def of_outage(self, job: JobKey, first_bad: str) -> list[Asked]:
        """Return the questions about an outage, whose first bad may have been newer before."""
        of_job = [each for each in self._all.values() if each.question.job == job]
        seen, found = {first_bad}, list[Asked]()
        while more := [
            each
            for each in of_job
            if not seen.isdisjoint((each.question.first_bad, each.question.sha))
        ]:
            of_job = [each for each in of_job if each not in more]
            found += more
            # An answer at `sha` made that first bad, in place of the one of its question.
            seen |= {each.question.first_bad for each in more}
        return found

    def repeating(self, target: Target) -> Asked | None:
        """Return an open question that repeats the same run."""
        for asked in self._all.values():
            twin = asked.target
            if asked.is_open and twin and twin.run == target.run:
                return asked
        return None


def _identity(question: Question) -> _Identity:
    return question.kind, question.job, question.sha
