"""Annotations of a check run: what a job says beside its answer.

https://docs.github.com/en/rest/checks/runs#list-check-run-annotations
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from trunkwatch.annotations import annotation_lines
from trunkwatch.domain.model import Observation, Trunk, newest_first
from trunkwatch.errors import SourceAnswerError, SourceMissingError
from trunkwatch.sources.github.client import GithubClient
from trunkwatch.sources.github.dialect import PER_PAGE
from trunkwatch.sources.github.notes import Kind, Notebook
from trunkwatch.sources.github.runs import Run

EXPLAINED = 20
"""Jobs of one commit whose annotations are read, and as many in one refresh: each costs a request,
a ticket shows no more jobs, and a commit that breaks hundreds breaks them for few reasons."""

FAILED = ("failure", "timed_out")
"""Conclusions of jobs that have something to explain."""

_SAYS_NOTHING = re.compile(r"Process completed with exit code -?\d+\.?")
"""What the runner writes onto every step that failed; the failed step says the same."""


class Annotation(NamedTuple):
    """One annotation.

    Attributes:
        level: `notice`, `warning` or `failure`.
        message: None where GitHub leaves it out.
    """

    level: str | None
    message: str | None


def read_annotations(
    source: str, trunk: Trunk, client: GithubClient, job_id: str
) -> list[Annotation]:
    """Return the annotations of a job; none where they were deleted.

    Raises:
        SourceAnswerError: it is no list of annotations.
        SourceError: as for `GithubClient.get`.
    """
    path = f"/repos/{trunk.repo}/check-runs/{job_id}/annotations"
    try:
        rows = client.get(path, [("per_page", PER_PAGE)]).document
    except SourceMissingError:
        return []
    try:
        return [Annotation(row.get("annotation_level"), row.get("message")) for row in rows]
    except (TypeError, AttributeError) as error:
        raise SourceAnswerError(
            source, f"GET {path}: no annotations as GitHub documents them ({error})"
        ) from None


def why_it_failed(annotations: Iterable[Annotation]) -> tuple[str, ...]:
    """Return the lines that say why a job failed, as far as somebody reads them."""
    messages = [str(each.message or "") for each in annotations if each.level == "failure"]
    return annotation_lines(
        message for message in messages if not _SAYS_NOTHING.fullmatch(message.strip())
    )


class Explanations:
    """Asks the first failure of each streak once what it says about why."""

    def __init__(self, source: str, trunk: Trunk, client: GithubClient, book: Notebook) -> None:
        """Args:
        source: its name, for errors.
        trunk: whose jobs.
        client: asks GitHub.
        book: keeps what has been asked.
        """
        self._source = source
        self._trunk = trunk
        self._client = client
        self._book = book

    def waiting(self, rows: Iterable[Observation], runs: Mapping[int, Run]) -> list[Observation]:
        """Return those of some failed jobs that are to be asked now, the newest first."""
        asked = [runs.get(note["run"]) for note in self._book.all(Kind.EXPLAINED).values()]
        taken = Counter(run.sha for run in asked if run is not None)
        found = []
        for row in newest_first(row for row in rows if self._may_be_asked(row, runs)):
            if taken[row.sha] < EXPLAINED:
                taken[row.sha] += 1
                found.append(row)
        return found[:EXPLAINED]

    def ask(self, row: Observation) -> Iterator[Observation]:
        """Ask a job, and yield its row again where it says something."""
        said = read_annotations(self._source, self._trunk, self._client, str(row.job_id))
        self._book.put(Kind.EXPLAINED, {"run": row.run_id}, row.job_id)
        lines = why_it_failed(said)
        if lines:
            yield replace(row, annotations=lines)

    def _may_be_asked(self, row: Observation, runs: Mapping[int, Run]) -> bool:
        """Whether it is a job of GitHub Actions that failed and has not been asked.

        One that is too old for its notes to be kept would be asked for ever.
        """
        if not isinstance(row.run_id, int) or not isinstance(row.job_id, int):
            return False
        run = runs.get(row.run_id)
        if run is None or run.seen is None or row.conclusion not in FAILED:
            return False
        return self._book.get(Kind.EXPLAINED, row.job_id) is None
