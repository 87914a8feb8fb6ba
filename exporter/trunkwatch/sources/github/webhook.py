"""Webhook deliveries of GitHub: verified, parsed, and turned into facts.

A delivery may come twice, late, out of order or never; it reports about one run or job the same as
the lists of the REST API do. https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from trunkwatch.domain.model import Trunk
from trunkwatch.engine.facts import Fact, SourceState
from trunkwatch.errors import BadDelivery
from trunkwatch.rest.json_text import optional_object
from trunkwatch.sources.deliveries import (
    RowsUpdate,
    branch_of_ref,
    check_signed,
    payload_of,
    word_of,
)
from trunkwatch.sources.github.external_checks import ExternalChecks
from trunkwatch.sources.github.jobs.job import Job, check_of, job_of
from trunkwatch.sources.github.jobs.pending_jobs import PendingJobs
from trunkwatch.sources.github.jobs.timed_out_jobs import TimedOutJobs
from trunkwatch.sources.github.runs.run import Run, counts, run_of, run_of_json, startup_failure
from trunkwatch.sources.github.state import Kind, TrunkContext
from trunkwatch.sources.port import Delivery, DeliveryUpdate

SIGNATURE = "x-hub-signature-256"
"""https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries"""

PING = "ping"
"""The event that GitHub sends when a webhook is created."""

ContextOf = Callable[[SourceState], TrunkContext]
"""Returns what the readers of one trunk share, with the state given."""

WatchedTrunk = Callable[[Mapping[str, Any], str], Trunk | None]
"""Returns the trunk of a branch if it is watched, given the payload's `repository`."""


@dataclass(frozen=True, slots=True)
class RunUpdate:
    """A workflow run that began or ended.

    Attributes:
        run: as GitHub reports it.
        context: of its trunk.
    """

    run: Run
    context: ContextOf
    needs_refresh: bool = False

    def facts(self, state: SourceState) -> Iterator[Fact]:
        """Yield the run's own failure, and the jobs that were waiting for it."""
        context = self.context(state)
        run, store = self.run, context.state
        entry = store.get(Kind.RUN, run.id)
        stored = run_of_json(entry) if entry else None
        if stored is not None:
            run = stored.merged(run)  # a late delivery is outdated
        if run.never_started:
            yield startup_failure(run, context.trunk)
            run = run.read(0, 0, context.now)
        store.put(Kind.RUN, run.to_json(), run.id)
        yield from PendingJobs(context, TimedOutJobs(context)).of(run)
        yield from store.changes()


@dataclass(frozen=True, slots=True)
class JobUpdate:
    """A job that was queued, began or ended.

    Attributes:
        job: as GitHub reports it.
        context: of its trunk.
    """

    job: Job
    context: ContextOf
    needs_refresh: bool = False

    def facts(self, state: SourceState) -> Iterator[Fact]:
        """Yield the job's observation, or keep the job until its run is read."""
        context = self.context(state)
        job, timed_out = self.job, TimedOutJobs(context)
        entry = context.state.get(Kind.RUN, job.run)
        if entry is None:
            PendingJobs(context, timed_out).add(job.run or 0, job)
        else:
            yield from timed_out.observations(run_of_json(entry), job)
        yield from context.state.changes()


class WebhookHandler:
    """Parses the deliveries about the watched trunks of one source."""

    def __init__(
        self,
        watched: WatchedTrunk,
        context: Callable[[Trunk, SourceState], TrunkContext],
        external: ExternalChecks,
        events: frozenset[str],
    ) -> None:
        """Args:
        watched: returns the trunk of a branch, if it is watched.
        context: returns what the readers of a trunk share, with the state given.
        external: the results of other CI systems that count.
        events: which events' runs count.
        """
        self._watched = watched
        self._context = context
        self._external = external
        self._events = events
        self._parsers: Mapping[str, Callable[[Mapping[str, Any]], DeliveryUpdate | None]] = {
            "push": self._push,
            "workflow_run": self._workflow_run,
            "workflow_job": self._workflow_job,
            "check_run": self._check_run,
        }

    def parse(self, headers: Mapping[str, str], body: bytes) -> Delivery:
        """Parse a delivery whose signature was verified.

        Raises:
            BadDelivery: it is not what GitHub documents.
        """
        event, delivery_id, payload = read_event(headers, body)
        if event == PING:
            return Delivery(delivery_id, None, is_ping=True)
        return Delivery(delivery_id, self.update_of(event, payload))

    def update_of(self, event: str, payload: Mapping[str, Any]) -> DeliveryUpdate | None:
        """Return the change that an event reports; None where it concerns nothing watched.

        Raises:
            BadDelivery: the payload is not what GitHub documents.
        """
        parser = self._parsers.get(event)
        if parser is None:
            return None
        try:
            return parser(payload)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadDelivery(
                f"not the body of a {event} that GitHub documents ({type(error).__name__}: {error})"
            ) from None

    def _trunk(self, branch: object, payload: Mapping[str, Any]) -> Trunk | None:
        return self._watched(payload["repository"], branch) if isinstance(branch, str) else None

    def _push(self, payload: Mapping[str, Any]) -> DeliveryUpdate | None:
        trunk = self._trunk(branch_of_ref(payload["ref"]), payload)
        # A push lists its commits without parents: the order has to be read.
        return RowsUpdate(needs_refresh=True) if trunk else None

    def _workflow_run(self, payload: Mapping[str, Any]) -> DeliveryUpdate | None:
        run = run_of(payload["workflow_run"])
        trunk = self._trunk(run.head_branch, payload)
        if trunk is None or not counts(run, trunk, self._events):
            return None
        return RunUpdate(run, partial(self._context, trunk))

    def _workflow_job(self, payload: Mapping[str, Any]) -> DeliveryUpdate | None:
        row = payload["workflow_job"]
        job = job_of(row)
        trunk = self._trunk(row.get("head_branch"), payload)
        if trunk is None or job.run is None:
            return None
        return JobUpdate(job, partial(self._context, trunk))

    def _check_run(self, payload: Mapping[str, Any]) -> DeliveryUpdate | None:
        row = payload["check_run"]
        branch = optional_object(row.get("check_suite")).get("head_branch")
        trunk = self._trunk(branch, payload)
        found = self._external.observation(trunk, row["head_sha"], check_of(row)) if trunk else None
        return RowsUpdate((found,)) if found is not None else None


def read_event(headers: Mapping[str, str], body: bytes) -> tuple[str, str, Mapping[str, Any]]:
    """Return the name, the delivery's id and the payload of an event; a ping has no payload.

    Raises:
        BadDelivery: a header is missing or too long, or the body is not a JSON object.
    """
    name, delivery_id = word_of(headers, "X-GitHub-Event"), word_of(headers, "X-GitHub-Delivery")
    return name, delivery_id, {} if name == PING else payload_of(body)


def check_signature_header(headers: Mapping[str, str]) -> None:
    """Reject a delivery without signature before its body is read.

    Raises:
        UnsignedDelivery: the header is missing.
    """
    check_signed(headers, "X-Hub-Signature-256", "secret")
