"""What GitHub tells on its own, in the words of the source.

A delivery may come twice, late, out of order or never; it says the same as a list would have said,
about one thing. https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from trunkwatch.domain.model import Trunk
from trunkwatch.engine.facts import Fact, SourceState
from trunkwatch.errors import BadDelivery
from trunkwatch.sources.github.client import GithubClient
from trunkwatch.sources.github.hangs import Hangs
from trunkwatch.sources.github.jobs import Job, check_of, job_of, observation
from trunkwatch.sources.github.notes import Kind, Notebook
from trunkwatch.sources.github.others import Others
from trunkwatch.sources.github.parked import Parked
from trunkwatch.sources.github.runs import (
    STARTUP_FAILURE,
    Run,
    counts,
    run_of,
    run_of_json,
    startup_failure,
)
from trunkwatch.sources.port import Heard

REF = "refs/heads/"


class Ear:
    """Understands deliveries about the watched trunks of one source."""

    def __init__(
        self,
        source: str,
        repos: Iterable[str],
        branches: Iterable[str],
        client: GithubClient,
        others: Others,
        events: frozenset[str],
        clock: Callable[[], float],
    ) -> None:
        """Args:
        source: its name, for errors.
        repos: owner/name of each.
        branches: trunks; the default branch of each repository when there are none.
        client: asks GitHub, later, what a delivery leaves open.
        others: knows which results of other CI systems count.
        events: what may have started a run that counts.
        clock: seconds since the epoch.
        """
        self._source = source
        self._repos = {repo.lower(): repo for repo in repos}
        self._branches = frozenset(branches)
        self._client = client
        self._others = others
        self._events = events
        self._clock = clock
        self._kinds: Mapping[str, Callable[[str, Mapping[str, Any]], Heard | None]] = {
            "push": self._push,
            "workflow_run": self._workflow_run,
            "workflow_job": self._workflow_job,
            "check_run": self._check_run,
        }

    def hear(self, event: str, body: Mapping[str, Any]) -> Heard | None:
        """Understand a delivery; None where it is about nothing that is watched."""
        understand = self._kinds.get(event)
        if understand is None:
            return None
        try:
            repo = self._repos.get(body["repository"]["full_name"].lower())
            return understand(repo, body) if repo is not None else None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadDelivery(
                f"not the body of a {event} that GitHub documents ({type(error).__name__}: {error})"
            ) from None

    def _trunk(self, repo: str, branch: object, body: Mapping[str, Any]) -> Trunk | None:
        if not isinstance(branch, str):
            return None
        watched = self._branches or {body["repository"].get("default_branch")}
        return Trunk(repo, branch) if branch in watched else None

    def _push(self, repo: str, body: Mapping[str, Any]) -> Heard | None:
        ref = body["ref"]
        trunk = self._trunk(repo, ref.removeprefix(REF), body) if ref.startswith(REF) else None
        # What was pushed is told without its parents; the order of the trunk is read.
        return Heard(lambda _memory: (), look=True) if trunk else None

    def _workflow_run(self, repo: str, body: Mapping[str, Any]) -> Heard | None:
        run = run_of(body["workflow_run"])
        trunk = self._trunk(repo, run.head_branch, body)
        if trunk is None or not counts(run, trunk, self._events):
            return None
        return Heard(lambda memory: self._run_facts(trunk, run, memory))

    def _workflow_job(self, repo: str, body: Mapping[str, Any]) -> Heard | None:
        row = body["workflow_job"]
        job = job_of(row)
        trunk = self._trunk(repo, row.get("head_branch"), body)
        if trunk is None or job.run is None:
            return None
        return Heard(lambda memory: self._job_facts(trunk, job, memory))

    def _check_run(self, repo: str, body: Mapping[str, Any]) -> Heard | None:
        row = body["check_run"]
        branch = (row.get("check_suite") or {}).get("head_branch")
        trunk = self._trunk(repo, branch, body)
        found = self._others.observation(trunk, row["head_sha"], check_of(row)) if trunk else None
        return Heard(lambda _memory: [found]) if found is not None else None

    # ------------------------------------------------------------------ with what is known

    def _run_facts(self, trunk: Trunk, run: Run, memory: SourceState) -> Iterator[Fact]:
        book = Notebook(trunk, memory.notes)
        note = book.get(Kind.RUN, run.id)
        known = run_of_json(note) if note else None
        if known is not None:
            if _order_of(known) > _order_of(run):
                run = known  # a delivery that came late: what it says is old
            run = replace(run, seen=known.seen, jobs=known.jobs)
        if run.finished and run.conclusion == STARTUP_FAILURE:
            yield startup_failure(run, trunk)
            run = run.read(0)
        book.put(Kind.RUN, run.to_json(), run.id)
        yield from self._parked(trunk, book).of(run)
        yield from book.changes()

    def _job_facts(self, trunk: Trunk, job: Job, memory: SourceState) -> Iterator[Fact]:
        book = Notebook(trunk, memory.notes)
        note = book.get(Kind.RUN, job.run)
        if note is None:
            self._parked(trunk, book).park(job.run or 0, job, self._clock())
        else:
            run = run_of_json(note)
            row = observation(trunk, run, job, self._hangs(trunk, book).conclusion(run, job))
            if row is not None:
                yield row
        yield from book.changes()

    def _hangs(self, trunk: Trunk, book: Notebook) -> Hangs:
        return Hangs(self._source, trunk, self._client, book)

    def _parked(self, trunk: Trunk, book: Notebook) -> Parked:
        return Parked(trunk, book, self._hangs(trunk, book))


def _order_of(run: Run) -> tuple[int, float, bool]:
    """Order what is said of one run; within one second it may begin and end."""
    return run.attempt, run.updated, run.finished
