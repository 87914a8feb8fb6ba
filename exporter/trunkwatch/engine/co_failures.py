"""Jobs of different groups that one commit broke: to each team alone they look like chance."""

from collections import defaultdict
from collections.abc import Iterable

from trunkwatch.domain.job import JobState

NAMED = 20
"""Jobs that are named at most: when one commit broke thousands, naming each for each says less."""


class CoFailures:
    """The broken jobs of one trunk, by their first bad commit and their group."""

    def __init__(self, jobs: Iterable[JobState]) -> None:
        """Args:
        jobs: of one trunk, in the order in which they are to be named.
        """
        self._broken: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for job in jobs:
            if job.broken and job.blame is not None:
                named = self._broken[job.blame.first_bad.sha][job.group.name]
                named.append(f"{job.key.workflow} / {job.key.job_name}")

    def with_job(self, job: JobState) -> tuple[str, ...]:
        """Name broken jobs of other groups that have the same first bad as a job.

        Known-broken ones are among them: they are as broken as the others.
        """
        if job.blame is None or job.blame.first_bad.sha not in self._broken:
            return ()
        groups = self._broken[job.blame.first_bad.sha]
        others = [
            name for group in groups if group != job.group.name for name in groups[group][:NAMED]
        ]
        return tuple(sorted(others)[:NAMED])
