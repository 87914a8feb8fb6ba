"""The endpoints that run jobs again.

The texts of refusals are those that GitHub sends, except of `TOO_MANY_RERUNS` and `DISABLED`:
GitHub documents these two rules without the answer.
https://docs.github.com/actions/how-tos/manage-workflow-runs/re-run-workflows-and-jobs
https://github.com/cli/cli/issues/9989 (`TOO_OLD`)
https://github.com/metabase/metabase/pull/70916 (`RUN_RUNNING`, `NOTHING_FAILED`)
https://github.com/runs-on/runs-on/issues/263 (`EARLIER_ATTEMPT`)
"""

import re
from collections.abc import Collection
from dataclasses import replace
from http import HTTPStatus

from tests.github.checks import WorkflowJob
from tests.github.http_server import HttpRequest
from tests.github.issues import ARCHIVED
from tests.github.limits import ANONYMOUS
from tests.github.render import Renderer
from tests.github.repo import PlannedRun, Repo
from tests.github.reruns import after_needs, with_dependents
from tests.github.responses import NOT_FOUND, Document, ErrorResponse, UnsupportedRequestError
from tests.github.suites import FAILED

RERUN_AGE_LIMIT_SECONDS = 30 * 86_400.0
RERUNS_LIMIT = 50
"""The most re-runs of one run, of all or of some of its jobs."""


def _forbidden(message: str) -> ErrorResponse:
    return ErrorResponse(HTTPStatus.FORBIDDEN, message)


JOB_RUNNING = _forbidden("The workflow run containing this job is already running")
RUN_RUNNING = _forbidden("This workflow is already running")
TOO_OLD = _forbidden("Unable to retry this workflow run because it was created over a month ago")
TOO_MANY_RERUNS = _forbidden("Unable to retry this workflow run because of its number of attempts")
DISABLED = _forbidden("Unable to retry this workflow run because its workflow is disabled")
NOTHING_FAILED = _forbidden("This workflow run cannot be retried")
EARLIER_ATTEMPT = _forbidden("Only jobs from the current attempt can be re-run")
ANONYMOUS_CHANGE = ErrorResponse(HTTPStatus.UNAUTHORIZED, "Requires authentication")

OF_JOB = "ReposOwnerRepoActionsJobsJobIdRerunPostBody"
OF_RUN = "ReposOwnerRepoActionsRunsRunIdRerunFailedJobsPostBody"

_PATH = re.compile(
    r"/(?:repos/(?P<name>[^/]+/[^/]+)|repositories/(?P<id>\d+))/actions/"
    r"(?:jobs/(?P<job>\d+)/rerun|runs/(?P<run>\d+)/rerun-failed-jobs)"
)


class RerunEndpoints:
    """The endpoints that run a job or all failed jobs of a run again.

    Each adds an attempt that starts at the time of the request. Its jobs are those that were asked
    for and all that need them; `Repo.outcome` plans them. The other jobs are listed again under
    new ids, unless `Repo.relists_jobs` is false. A job is accepted under its id in the newest
    attempt only, so that one that is not listed again cannot be run again by itself.

    Attributes:
        fail_late: whether injected errors are sent after the jobs run again, not instead of it.
        accepted: every accepted request, as `METHOD path`.
    """

    def __init__(self, renderer: Renderer) -> None:
        """Args:
        renderer: provides the state, URLs and validation.
        """
        self._renderer = renderer
        self._fake = renderer.fake
        self.fail_late = False
        self.accepted: list[str] = []

    def handles(self, path: str) -> bool:
        """Return whether a path belongs to these endpoints."""
        return _PATH.fullmatch(path) is not None

    def answer(self, request: HttpRequest, path: str, who: str) -> Document | ErrorResponse:
        """Handle one request.

        Raises:
            UnsupportedRequestError: the fake GitHub does not support it.
        """
        asked = _PATH.fullmatch(path)
        if asked is None or request.method != "POST":
            raise UnsupportedRequestError(f"{request.method} {path}")
        if moved := self._fake.moved.get(asked["name"] or ""):
            rest = path.partition("/actions/")[2]
            place = f"{self._renderer.parts.api}/repositories/{moved.id}/actions/{rest}"
            headers = {"Location": place}
            return ErrorResponse(HTTPStatus.TEMPORARY_REDIRECT, "Temporary Redirect", headers)
        repo = self._find(asked["name"], asked["id"])
        refusal = self._access_refusal(repo, who)
        if repo is None or refusal is not None:
            return refusal or NOT_FOUND
        if request.body:
            kind = OF_JOB if asked["job"] else OF_RUN
            self._renderer.validator.check(kind, request.body.decode())
        error = (
            self._rerun_job(repo, int(asked["job"]))
            if asked["job"]
            else self._rerun_failed(repo, int(asked["run"]))
        )
        if error is not None:
            return error
        self.accepted.append(f"{request.method} {path}")
        return Document(self._renderer.validator.check("EmptyObject", "{}"), HTTPStatus.CREATED)

    def _find(self, full_name: str | None, identity: str | None) -> Repo | None:
        if full_name is not None:
            return self._fake.find(full_name)
        by_id = {str(repo.id): repo for repo in self._fake.repos.values()}
        return by_id.get(identity or "")

    def _access_refusal(self, repo: Repo | None, who: str) -> ErrorResponse | None:
        anonymous = who == ANONYMOUS
        if repo is None or self._fake.lacks(repo, "metadata") or (repo.private and anonymous):
            return NOT_FOUND
        if anonymous:
            return ANONYMOUS_CHANGE
        if self._fake.lacks_write("actions"):
            headers = {"X-Accepted-GitHub-Permissions": "actions=write"}
            return ErrorResponse(HTTPStatus.FORBIDDEN, self._fake.rights.message, headers)
        return ARCHIVED if repo.archived else None

    def _rerun_job(self, repo: Repo, identity: int) -> ErrorResponse | None:
        row = repo.row(identity, self._fake.now)
        if not isinstance(row, WorkflowJob):
            return NOT_FOUND
        run = repo.runs_by_id[row.run_id]
        refusal = self._run_refusal(repo, run, JOB_RUNNING)
        if refusal is None and row.attempt != run.attempt(self._fake.now).number:
            refusal = EARLIER_ATTEMPT
        if refusal is None:
            self._start(repo, run, {row.name})
        return refusal

    def _rerun_failed(self, repo: Repo, identity: int) -> ErrorResponse | None:
        run = repo.runs_by_id.get(identity)
        if run is None or not run.exists(self._fake.now):
            return NOT_FOUND
        refusal = self._run_refusal(repo, run, RUN_RUNNING)
        rows = run.attempt(self._fake.now).rows
        failed = {row.name for row in rows if row.final_conclusion in FAILED}
        if refusal is None and not failed:
            refusal = NOTHING_FAILED
        if refusal is None:
            self._start(repo, run, failed)
        return refusal

    def _run_refusal(
        self, repo: Repo, run: PlannedRun, running: ErrorResponse
    ) -> ErrorResponse | None:
        """Return the refusal of any re-run of a run, if there is a reason."""
        now = self._fake.now
        if run.attempts[-1].at > now:
            raise UnsupportedRequestError("a re-run before an attempt that is already planned")
        if now - run.created_at >= RERUN_AGE_LIMIT_SECONDS:
            return TOO_OLD
        if run.status(now) != "completed":
            return running
        if run.attempt(now).number > RERUNS_LIMIT:
            return TOO_MANY_RERUNS
        state = repo.workflow_states.get(run.workflow.path, "active")
        return DISABLED if state.startswith("disabled") else None

    def _start(self, repo: Repo, run: PlannedRun, names: Collection[str]) -> None:
        now = self._fake.now
        last = [row.plan for row in run.latest_rows(now)]
        plans = [
            replace(repo.outcome(run, job), name=job.name, needs=job.needs)
            for job in with_dependents(last, names)
        ]
        run.rerun(now, after_needs(plans), copies=repo.relists_jobs)
