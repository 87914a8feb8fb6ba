"""Which suspect to test next: a binary search, which leaves one suspect after the fewest results.

A result between last good and first bad moves one of them, by the policy as it is: a pass there is
the new last good, and a failure the new first bad.
"""

from typing import NamedTuple

from trunkwatch.domain.columns import Count
from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import Commit
from trunkwatch.engine.cells import NO_ROW, PENDING, suspect_letters


class NextTest(NamedTuple):
    """The suspect whose result narrows the suspects down most.

    Attributes:
        commit: the suspect.
        letter: its result until now, of `cells.MEANINGS`: `PENDING` if it will have one by itself.
        results: after so many at most, this one included, one suspect is left.
    """

    commit: Commit
    letter: str
    results: int


def next_test(job: JobState) -> NextTest | None:
    """Return the suspect to test next.

    A suspect that is running comes first: its result costs nothing. Of two that halve the suspects
    alike, the one that has a run comes first: that run can be repeated.

    Returns:
        None if the suspects are unknown, if there is only one, or if a job's runs are counted and
        not its commits: another run of an older commit is no result of that commit then.
    """
    if job.group.count is not Count.COMMITS:
        return None
    # First bad is the last suspect, and has failed.
    untested = list(suspect_letters(job))[:-1]
    if not untested:
        return None
    letters = "".join(letter for _, letter in untested)
    commit, letter = untested[_best(letters)]
    return NextTest(commit, letter, _results(letters))


def _best(letters: str) -> int:
    """Return the index of the suspect to test next, of some that have no result yet."""

    def cost(index: int) -> tuple[int, bool]:
        # The worse result leaves the larger part.
        return max(index, len(letters) - index - 1), letters[index] == NO_ROW

    running = [index for index, letter in enumerate(letters) if letter == PENDING]
    return min(running or range(len(letters)), key=cost)


def _results(letters: str) -> int:
    """Return after how many results at most no suspect is left in doubt.

    More than a binary search needs, where those that run are not in the middle.
    """
    if PENDING not in letters:
        return len(letters).bit_length()
    tested = _best(letters)
    return 1 + max(_results(letters[:tested]), _results(letters[tested + 1 :]))
