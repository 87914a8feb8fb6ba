"""Re-runs of GitHub Actions.

What GitHub allows is described at
https://docs.github.com/en/actions/how-tos/manage-workflow-runs/re-run-workflows-and-jobs.
`workflow_dispatch` is no way to test a commit: it takes a branch or a tag, and the results of a
tag's run are not those of the trunk.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from trunkwatch.confirm.model import DAY_SECONDS, Target
from trunkwatch.confirm.runner import READ_SECONDS, Examined, NotRepeatable, refusals
from trunkwatch.confirm.workflows import Workflow, Workflows
from trunkwatch.errors import NotFoundError, RequestError
from trunkwatch.github.api import PER_PAGE, GithubRules
from trunkwatch.patterns import Pattern
from trunkwatch.rest.client import RestClient
from trunkwatch.rest.credentials import Authorization
from trunkwatch.rest.http import HttpContext
from trunkwatch.rest.json_text import int_or_none, list_or_empty, text_or_none
from trunkwatch.status.attempts import Attempt
from trunkwatch.times import parse_time_or_none

RIGHTS = "does it exist, and may the token run it again (Actions: read and write; Contents: read)?"

OLDEST_SECONDS = 30 * DAY_SECONDS - 3600.0
"""Age of a run from which GitHub refuses to repeat it, less an hour for clocks that differ."""

MAX_ATTEMPTS = 50
"""Attempts of a run beyond which GitHub refuses another one."""

COMPLETED = "completed"

PASSED = frozenset({"success", "neutral"})
"""Conclusions of jobs that GitHub does not repeat with the failed ones."""

CUT_SHORT = frozenset({"cancelled", "failure", "timed_out", "startup_failure"})
"""Conclusions of a run of which jobs were skipped because of others, not by a condition."""

MISSING_RIGHTS = ("resource not accessible", "must have admin rights")
"""How GitHub's answers to a token begin that may read a run, not repeat it; in lower case."""


class GithubRunner:
    """GitHub Actions with one token, for one thread."""

    def __init__(
        self,
        api_url: str,
        http: HttpContext,
        authorization: Authorization,
        *,
        events: Collection[str],
        called_workflows: Collection[Pattern] = (),
        never: Collection[Pattern] = (),
    ) -> None:
        """Args:
        api_url: address of the API.
        http: session, counter, clock and sleep.
        authorization: gives the Authorization header.
        events: what may have started a run.
        called_workflows: reusable workflows of other repositories that deploy nothing.
        never: jobs, as `workflow / job`, that are never run again.
        """
        # A request that changes something is sent once, and never to another address.
        self._client = RestClient(
            api_url, http, rules=GithubRules(RIGHTS), authorization=authorization, redirects=False
        )
        self._events = frozenset(events)
        self._workflows = Workflows(self._client, called=called_workflows, never=never)

    # ------------------------------------------------------------------ before it is repeated

    def check(self) -> None:
        """Read the rate limit, which costs none of it; see `Runner`."""
        with suppress(NotFoundError):  # GitHub Enterprise Server may have none
            self._object("/rate_limit")

    def examine(self, target: Target) -> Examined:
        """Look at a run before it is repeated; see `Runner`."""
        run = self._run(target)
        attempt = self._checked_attempt(run, target)
        path = (text_or_none(run.get("path")) or target.workflow_path or "").partition("@")[0]
        workflow = Workflow(target.repo, target.sha, path, text_or_none(run.get("name")) or "")
        checked = self._workflows.check(workflow, _name_alone(target))
        needs_rows = not checked.is_alone or checked.needed or attempt != target.attempt
        rows = list(self._newest_jobs(target)) if needs_rows else []
        target = target._replace(attempt=attempt)
        if needs_rows and target.job_id is not None:
            # GitHub repeats jobs of the newest attempt alone, and lists the others again in it.
            row = _row_of(target.job_name, rows)
            target = target._replace(job_id=row["id"])
            if not (_has_passed(row) or all(map(_has_passed, checked.needed_of(rows)))):
                # Alone, it would be skipped.
                target = target._replace(job_id=None)
                checked = self._workflows.check(workflow, None)
        if checked.shares_concurrency:
            self._check_idle(target, run)
        if checked.is_alone:
            return Examined(target, 1)
        # A job that passed is repeated on request, with those that need it, which may have passed.
        has_passed = any(row.get("id") == target.job_id and _has_passed(row) for row in rows)
        return Examined(target, max(1, sum(has_passed or not _has_passed(row) for row in rows)))

    def _run(self, target: Target) -> Mapping[str, Any]:
        try:
            return self._object(f"{_runs(target.repo)}/{target.run_id}")
        except NotFoundError as error:
            if error.is_refused:
                raise
            self._object(f"/repos/{target.repo}")  # fails if the token cannot see the repository
            raise NotRepeatable("its run was deleted", is_final=True) from None

    def _checked_attempt(self, run: Mapping[str, Any], target: Target) -> int:
        """Return the newest attempt of a run.

        Raises:
            NotRepeatable: GitHub or the configuration does not allow it, or somebody just did it.
        """
        attempt = _attempt(run)
        if run.get("status") != COMPLETED:
            raise NotRepeatable("its run has not ended")
        ended = parse_time_or_none(run.get("updated_at"))
        is_read = ended is not None and self._client.now() - ended > READ_SECONDS
        if attempt > target.attempt and not is_read:
            raise NotRepeatable("it was repeated just now")
        created, event = parse_time_or_none(run.get("created_at")), text_or_none(run.get("event"))
        if created is None or event is None:
            raise NotRepeatable("GitHub's answer lacks the time or the event of its run")
        if self._client.now() - created > OLDEST_SECONDS:
            raise NotRepeatable("its run is older than 30 days", is_final=True)
        if attempt >= MAX_ATTEMPTS:
            raise NotRepeatable(f"its run has {MAX_ATTEMPTS} attempts", is_final=True)
        if event not in self._events:
            raise NotRepeatable(f"its run was started by {event} (confirm.events)", is_final=True)
        if target.is_skipped and text_or_none(run.get("conclusion")) not in CUT_SHORT:
            raise NotRepeatable("the job was skipped by its own condition", is_final=True)
        return attempt

    def _check_idle(self, target: Target, run: Mapping[str, Any]) -> None:
        """Raise an error while another run of the workflow goes on: they share a group.

        https://docs.github.com/en/actions/concepts/workflows-and-actions/concurrency: a run that is
        repeated could cancel that of the newest commit.
        """
        # One page: a run that goes on is among the newest, but for one that was repeated late.
        number = int_or_none(run.get("workflow_id"))
        path = f"/repos/{target.repo}/actions/workflows/{number}/runs"
        document = self._object(path, ("per_page", PER_PAGE))
        for other in list_or_empty(document.get("workflow_runs")):
            if isinstance(other, dict) and other.get("status") != COMPLETED:
                raise NotRepeatable(
                    "another run of its concurrency group goes on, which it could cancel"
                )

    def _newest_jobs(self, target: Target) -> Iterator[Mapping[str, Any]]:
        """Yield the jobs of a run's newest attempt."""
        path = f"{_runs(target.repo)}/{target.run_id}/jobs"
        for page in range(1, self._client.max_list_pages + 1):
            query = (("filter", "latest"), ("per_page", PER_PAGE), ("page", page))
            rows = list_or_empty(self._object(path, *query).get("jobs"))
            yield from (row for row in rows if isinstance(row, dict))
            if len(rows) < PER_PAGE:
                return

    def _object(self, path: str, *query: tuple[str, str | int]) -> Mapping[str, Any]:
        return self._client.object("GET", path, query)

    # ------------------------------------------------------------------ repeat it

    def run(self, target: Target) -> None:
        """Repeat a run; see `Runner`."""
        if target.job_id is not None:
            path = f"/repos/{target.repo}/actions/jobs/{target.job_id}/rerun"
        else:
            path = f"{_runs(target.repo)}/{target.run_id}/rerun-failed-jobs"
        with refusals("GitHub", target, partial(self._is_final, target)):
            self._client.post(path)

    def _is_final(self, target: Target, error: RequestError) -> bool:
        """Return whether GitHub would refuse it again.

        A token without the right may get it, and a run that somebody else repeats ends.
        """
        lacks_right = isinstance(error, NotFoundError) and (
            not error.is_refused or error.detail.lower().startswith(MISSING_RIGHTS)
        )
        return not lacks_right and self._is_as_before(target)

    def was_repeated(self, target: Target) -> bool:
        """Return whether a run has a newer attempt; see `Runner`."""
        return _attempt(self._run(target)) > target.attempt

    def was_left_out(self, target: Target) -> bool:
        """Return whether a run was repeated without a job; see `Runner`.

        A job that was skipped there by its own condition is skipped again, and has no result.
        """
        return target.is_skipped and self.examine(target).target.attempt > target.attempt

    def is_repetition(self, target: Target, attempt: Attempt) -> bool:
        """Return whether it is a newer attempt of the same run; see `Runner`."""
        return attempt.run_id == target.run_id and attempt.attempt > target.attempt

    def _is_as_before(self, target: Target) -> bool:
        """Return whether a run has not been repeated since it was examined."""
        try:
            run = self._run(target)
        except (NotRepeatable, RequestError):
            return False
        return run.get("status") == COMPLETED and _attempt(run) <= target.attempt


def _attempt(run: Mapping[str, Any]) -> int:
    return int_or_none(run.get("run_attempt")) or 1


def _name_alone(target: Target) -> str | None:
    """Return the name of a job that is repeated alone; None for all that did not pass."""
    return None if target.job_id is None else target.job_name


def _row_of(job_name: str, rows: Collection[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return a job among those of the newest attempt.

    Raises:
        NotRepeatable: it is not one of them, and GitHub repeats no other.
    """
    for row in rows:
        if row.get("name") == job_name and int_or_none(row.get("id")) is not None:
            return row
    raise NotRepeatable("the newest attempt of its run does not list the job", is_final=True)


def _has_passed(row: Mapping[str, Any]) -> bool:
    return text_or_none(row.get("conclusion")) in PASSED


def _runs(repo: str) -> str:
    return f"/repos/{repo}/actions/runs"
