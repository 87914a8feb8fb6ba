"""Retries of GitLab CI.

A retry is a new row of the job in the same pipeline, which goes on after it: jobs that were skipped
may run (https://docs.gitlab.com/ci/jobs/#retry-jobs). What may run is all that has not ended, since
GitLab does not list which jobs depend on another one.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple

from cachetools import LRUCache

from trunkwatch.confirm.gitlab_configuration import Configuration, read_configuration
from trunkwatch.confirm.model import Target
from trunkwatch.confirm.runner import READ_SECONDS, Examined, NotRepeatable, refusals
from trunkwatch.domain.model import display_name
from trunkwatch.domain.names import any_full_match
from trunkwatch.errors import BadAnswerError, NotFoundError, RequestError
from trunkwatch.gitlab import GitlabRules, project_path
from trunkwatch.patterns import Pattern
from trunkwatch.rest.credentials import Authorization
from trunkwatch.rest.http import HttpContext
from trunkwatch.rest.json_text import checked_text, int_or_none, text_or_none
from trunkwatch.rest.lists import ListClient, Listing
from trunkwatch.status.attempts import Attempt
from trunkwatch.times import parse_time_or_none

RIGHTS = "does it exist, and may the token retry its jobs (scope api, role Developer)?"

FIRST_VERSION = (16, 10)
"""The first version that shows the configuration of one commit (`content_ref`)."""

CACHED_CONFIGURATIONS = 500
"""Configurations that are kept, each as it is at one commit."""

ENDED = frozenset({"success", "failed", "canceled", "skipped", "manual"})
"""Statuses of a pipeline in which nothing runs; one that is `manual` waits for a person."""

CONTINUES_ANOTHER = frozenset({"parent_pipeline", "pipeline"})
"""Sources of a pipeline that another one started, which may go on when this one passes."""

RETRYABLE = frozenset({"success", "failed", "canceled"})
"""Statuses of a job that GitLab retries."""

UNCHANGED = frozenset({"success", "manual"})
"""Statuses of a job that neither a retry of its pipeline nor the end of another job starts."""

NOT_RETRYABLE = "not retryable"
"""How GitLab names a job that it never retries, in lower case."""


class _Row(NamedTuple):
    """One attempt of a job.

    Attributes:
        id: ascending with all rows of a pipeline.
        name: of the job.
        status: of the row.
        may_fail: a failure does not stop the pipeline.
        finished: seconds since the epoch; None if it has not ended.
        is_trigger: it starts another pipeline.
    """

    id: int
    name: str
    status: str
    may_fail: bool
    finished: float | None
    is_trigger: bool = False

    def lets_run(self, *, is_needed: bool) -> bool:
        """Return whether a job runs after it, of a later stage or one that needs it."""
        has_passed = self.status == "success" or self.may_fail
        return has_passed or (self.status == "skipped" and not is_needed)


def _row_of(document: Mapping[str, Any]) -> _Row:
    number = int_or_none(document["id"])
    if number is None:
        raise ValueError("the id is no number")
    return _Row(
        number,
        checked_text(document["name"]),
        checked_text(document["status"]),
        document.get("allow_failure") is True,
        parse_time_or_none(document.get("finished_at")),
    )


ROWS: Listing[_Row] = Listing(_row_of, lambda row: row.id)


class GitlabRunner:
    """GitLab CI with one token, for one thread.

    Of an examined target, `attempt` is the id of the newest row of its pipeline: a row with a
    greater one was retried later.
    """

    def __init__(
        self,
        api_url: str,
        http: HttpContext,
        authorization: Authorization,
        *,
        events: Collection[str],
        never: Collection[Pattern] = (),
    ) -> None:
        """Args:
        api_url: address of the API, which ends with /api/v4.
        http: session, counter, clock and sleep.
        authorization: gives the Authorization header.
        events: the sources of pipelines whose jobs may be retried.
        never: jobs, as `workflow / job`, that are never run again.
        """
        # A request that changes something is sent once, and never to another address.
        self._client = ListClient(
            api_url, http, rules=GitlabRules(RIGHTS), authorization=authorization, redirects=False
        )
        self._events = frozenset(events)
        self._never = tuple(never)
        self._configurations: LRUCache[tuple[str, str], Configuration]
        self._configurations = LRUCache(CACHED_CONFIGURATIONS)

    def check(self) -> None:
        """Read the version; see `Runner`."""
        found = text_or_none(self._client.object("GET", "/version").get("version")) or ""
        parts = re.match(r"(\d{1,6})\.(\d{1,6})", found)
        if parts is None or (int(parts[1]), int(parts[2])) < FIRST_VERSION:
            raise BadAnswerError(
                f"GET {self._client.address('/version')}: GitLab is older than"
                f" {'.'.join(map(str, FIRST_VERSION))}, which cannot show the CI configuration of"
                " a commit",
                status=HTTPStatus.OK,
            )

    # ------------------------------------------------------------------ before it is repeated

    def examine(self, target: Target) -> Examined:
        """Look at a pipeline before it goes on; see `Runner`."""
        pipeline = self._pipeline(target)
        self._check_pipeline(pipeline)
        if target.is_skipped:
            raise NotRepeatable(
                "the job did not run, and GitLab retries no such job", is_final=True
            )
        rows = self._rows(target)
        newest = {row.name: row for row in rows}
        configuration = self._configuration(target)
        if target.job_id is not None:
            row = self._row_alone(target, rows, newest)
            if not _would_run(row, newest, configuration):
                if row.status == "success":
                    raise NotRepeatable("a job before it did not pass, so it would be skipped")
                target = target._replace(job_id=None)
        started = list(_started(target, newest.values()))
        for row in started:
            self._check_job(target, row, configuration)
        if target.job_id is None:
            self._check_read(started, rows)
        return Examined(target._replace(attempt=max(row.id for row in rows)), len(started))

    def _pipeline(self, target: Target) -> Mapping[str, Any]:
        try:
            return self._client.object("GET", _pipeline_path(target))
        except NotFoundError as error:
            if error.is_refused:
                raise
            # Fails if the token cannot see the project.
            self._client.object("GET", project_path(target.repo))
            raise NotRepeatable("its pipeline was deleted", is_final=True) from None

    def _check_pipeline(self, pipeline: Mapping[str, Any]) -> None:
        """Raise an error if nothing of a pipeline may be repeated, or not now."""
        status, source = (text_or_none(pipeline.get(key)) for key in ("status", "source"))
        if source is None:
            raise NotRepeatable("GitLab's answer lacks the source of its pipeline")
        if source in CONTINUES_ANOTHER:
            raise NotRepeatable(
                "another pipeline started its pipeline, and may go on after it", is_final=True
            )
        if source not in self._events:
            raise NotRepeatable(
                f"its pipeline was started by {source} (confirm.events)", is_final=True
            )
        if status not in ENDED:
            raise NotRepeatable("its pipeline has not ended")

    def _rows(self, target: Target) -> list[_Row]:
        """Return all jobs and trigger jobs of a pipeline, oldest first.

        Raises:
            NotRepeatable: it has none.
            RequestError: one cannot be read, which could be one that deploys.
        """
        path = _pipeline_path(target)
        query = [("include_retried", "true")]
        rows = {row.id: row for row in self._client.rows(f"{path}/jobs", query, ROWS)}
        bridges = self._client.rows(f"{path}/bridges", (), ROWS)
        rows |= {row.id: row._replace(is_trigger=True) for row in bridges}
        if not rows:
            raise NotRepeatable("its pipeline has no jobs", is_final=True)
        return [rows[number] for number in sorted(rows)]

    def _row_alone(self, target: Target, rows: Iterable[_Row], newest: Mapping[str, _Row]) -> _Row:
        """Return the row of the job that is to be repeated alone.

        Raises:
            NotRepeatable: it is not there, or somebody retried it.
        """
        row = next((row for row in rows if row.id == target.job_id), None)
        if row is None or row.is_trigger:
            raise NotRepeatable("its pipeline does not list the job", is_final=True)
        if newest[row.name].id != row.id:
            raise NotRepeatable("it was repeated, and the exporter has not read the result")
        if row.status not in RETRYABLE:
            raise NotRepeatable("the job has not ended")
        return row

    def _check_job(self, target: Target, row: _Row, configuration: Configuration) -> None:
        """Raise an error if a job must not run."""
        job = configuration.find(row.name)
        if row.is_trigger:
            reason = "starts another pipeline"
        elif job is None:
            reason = "is not in the CI configuration of its commit"
        elif job.forbids is not None:
            reason = job.forbids
        elif any_full_match(self._never, display_name(target.workflow, row.name)):
            reason = "matches confirm.never"
        else:
            return
        raise NotRepeatable(f"its job {row.name} would run, which {reason}", is_final=True)

    def _check_read(self, started: Iterable[_Row], rows: Collection[_Row]) -> None:
        """Raise an error if the exporter may not have read the retry of a job."""
        for row in started:
            is_retry = any(each.name == row.name and each.id < row.id for each in rows)
            if (
                is_retry
                and row.finished is not None
                and self._client.now() - row.finished < READ_SECONDS
            ):
                raise NotRepeatable("a job of its pipeline was repeated just now")

    def _configuration(self, target: Target) -> Configuration:
        key = (target.repo, target.sha)
        found = self._configurations.get(key)
        if found is None:
            found = self._configurations[key] = self._read_configuration(target)
        return found

    def _read_configuration(self, target: Target) -> Configuration:
        path = f"{project_path(target.repo)}/ci/lint"
        query = [("content_ref", target.sha), ("include_jobs", "true")]
        try:
            return read_configuration(self._client.object("GET", path, query))
        except NotFoundError as error:
            if error.is_refused:
                raise
            raise NotRepeatable("its commit is not there", is_final=True) from None
        except ValueError as error:
            raise NotRepeatable(
                f"the CI configuration of its commit cannot be read: {error}", is_final=True
            ) from None

    # ------------------------------------------------------------------ repeat it

    def run(self, target: Target) -> None:
        """Retry a job, or all of a pipeline that did not pass; see `Runner`."""
        if target.job_id is not None:
            path = f"{project_path(target.repo)}/jobs/{target.job_id}/retry"
        else:
            path = f"{_pipeline_path(target)}/retry"
        with refusals("GitLab", target, partial(self._is_final, target)):
            self._client.post(path)

    def _is_final(self, target: Target, error: RequestError) -> bool:
        """Return whether GitLab would refuse it again; a token without the right may get it."""
        try:
            if NOT_RETRYABLE in error.detail.lower():
                return not self.was_repeated(target)
            return self._client.object("GET", project_path(target.repo)).get("archived") is True
        except (NotRepeatable, RequestError):
            return False

    # ------------------------------------------------------------------ afterwards

    def was_repeated(self, target: Target) -> bool:
        """Return whether a pipeline has newer rows; see `Runner`."""
        self._pipeline(target)  # an error if it was deleted
        return any(
            row.id > target.attempt and (target.job_id is None or row.name == target.job_name)
            for row in self._rows(target)
        )

    def was_left_out(self, target: Target) -> bool:
        """Return False: the retry of a job that ran is a result; see `Runner`."""
        del target
        return False

    def is_repetition(self, target: Target, attempt: Attempt) -> bool:
        """Return whether it is a newer row of the same pipeline; see `Runner`."""
        is_newer = attempt.job_id is not None and attempt.job_id > target.attempt
        return attempt.run_id == target.run_id and is_newer


def _would_run(row: _Row, newest: Mapping[str, _Row], configuration: Configuration) -> bool:
    """Return whether a job runs when it alone is retried; GitLab skips it after one that failed."""
    job = configuration.find(row.name)
    is_needed = job is not None and job.needs is not None
    before = configuration.waits_for(row.name, newest)
    return all(newest[name].lets_run(is_needed=is_needed) for name in before)


def _started(target: Target, newest: Iterable[_Row]) -> Iterable[_Row]:
    """Return the jobs that a retry starts, or that may start after it."""
    stays = UNCHANGED | RETRYABLE if target.job_id is not None else UNCHANGED
    return (row for row in newest if row.id == target.job_id or row.status not in stays)


def _pipeline_path(target: Target) -> str:
    return f"{project_path(target.repo)}/pipelines/{target.run_id}"
