"""Annotations of a check run: the reasons for which a job failed.

https://docs.github.com/en/rest/checks/runs#list-check-run-annotations
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from trunkwatch.annotations import annotation_lines
from trunkwatch.domain.model import Observation, newest_first
from trunkwatch.errors import BadAnswerError, NotFoundError
from trunkwatch.github import PER_PAGE
from trunkwatch.sources.github.context import TrunkContext
from trunkwatch.sources.github.runs.run import Run
from trunkwatch.sources.github.state import Kind

MAX_ANNOTATED_JOBS = 20
"""Jobs of one commit, and of one refresh, whose annotations are read: each costs a request, a
ticket shows no more jobs, and a commit that breaks hundreds breaks them for few reasons."""

FAILED = ("failure", "timed_out")
"""Conclusions of jobs whose annotations are read."""

_EXIT_CODE_ONLY = re.compile(r"Process completed with exit code -?\d+\.?")
"""The runner's annotation of every failed step, which adds nothing to the failed step itself."""


class Annotation(NamedTuple):
    """One annotation.

    Attributes:
        level: `notice`, `warning` or `failure`.
        message: None where GitHub leaves it out.
    """

    level: str | None
    message: str | None


def read_annotations(context: TrunkContext, job_id: str) -> list[Annotation]:
    """Return the annotations of a job; none where they were deleted.

    Raises:
        BadAnswerError: it is no list of annotations.
        RequestError: as for `RestClient.get`.
    """
    path = f"{context.repo_path}/check-runs/{job_id}/annotations"
    try:
        rows = context.client.get(path, [("per_page", PER_PAGE)])
    except NotFoundError:
        return []
    try:
        return [Annotation(row.get("annotation_level"), row.get("message")) for row in rows]
    except (TypeError, AttributeError) as error:
        raise BadAnswerError(
            f"GET {path}: no annotations as GitHub documents them ({error})"
        ) from None


def failure_lines(annotations: Iterable[Annotation]) -> tuple[str, ...]:
    """Return the lines that explain a failure, cut to a readable length."""
    messages = [str(each.message or "") for each in annotations if each.level == "failure"]
    return annotation_lines(
        message for message in messages if not _EXIT_CODE_ONLY.fullmatch(message.strip())
    )


@dataclass(frozen=True, slots=True)
class Explanations:
    """Reads the annotations of the first failure of each streak once."""

    context: TrunkContext

    def due(self, rows: Iterable[Observation], runs: Mapping[int, Run]) -> list[Observation]:
        """Return the failed jobs whose annotations are to be read now, the newest first."""
        entries = self.context.state.all(Kind.ANNOTATED).values()
        read = [runs.get(entry["run"]) for entry in entries]
        taken = Counter(run.sha for run in read if run is not None)
        found = []
        for row in newest_first(row for row in rows if self._is_wanted(row, runs)):
            if taken[row.sha] < MAX_ANNOTATED_JOBS:
                taken[row.sha] += 1
                found.append(row)
        return found[:MAX_ANNOTATED_JOBS]

    def read(self, row: Observation) -> Iterator[Observation]:
        """Read the annotations of a job; yield its row with them if there are any."""
        annotations = read_annotations(self.context, str(row.job_id))
        self.context.state.put(Kind.ANNOTATED, {"run": row.run_id}, row.job_id)
        lines = failure_lines(annotations)
        if lines:
            yield replace(row, annotations=lines)

    def _is_wanted(self, row: Observation, runs: Mapping[int, Run]) -> bool:
        """Return whether it is a failed job of GitHub Actions whose annotations are not read yet.

        One that is too old for its state to be kept would be read again for ever.
        """
        if not isinstance(row.run_id, int) or not isinstance(row.job_id, int):
            return False
        run = runs.get(row.run_id)
        if run is None or run.read_version is None or row.conclusion not in FAILED:
            return False
        return self.context.state.get(Kind.ANNOTATED, row.job_id) is None
