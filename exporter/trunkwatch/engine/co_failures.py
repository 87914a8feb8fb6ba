"""The jobs of different groups that one commit broke; each team's alert shows only its own."""

from collections import defaultdict
from collections.abc import Iterable

from trunkwatch.domain.job import JobState

NAMED_JOBS_LIMIT = 20
"""Most jobs listed beside one job; where one commit broke thousands, more names do not help."""


class CoFailures:
    """The broken jobs of one trunk, by first bad commit and group."""

    def __init__(self, jobs: Iterable[JobState]) -> None:
        """Args:
        jobs: of one trunk, in the order of the names.
        """
        self._broken: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for job in jobs:
            if job.broken and job.blame is not None:
                names = self._broken[job.blame.first_bad.sha][job.group.name]
                names.append(job.key.display_name)

    def with_job(self, job: JobState) -> tuple[str, ...]:
        """Return the names of the broken jobs of other groups with the same first bad commit.

        Known-broken jobs are included: the commit broke them too.
        """
        if job.blame is None or job.blame.first_bad.sha not in self._broken:
            return ()
        groups = self._broken[job.blame.first_bad.sha]
        others = [
            name
            for group in groups
            if group != job.group.name
            for name in groups[group][:NAMED_JOBS_LIMIT]
        ]
        return tuple(sorted(others)[:NAMED_JOBS_LIMIT])
