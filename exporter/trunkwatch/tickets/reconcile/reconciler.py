"""The reconciler: one round brings every issue in step with the current status.

Plans are stored before they begin, so that a round may be interrupted at any point.
"""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from trunkwatch.config import TicketsSection
from trunkwatch.errors import IssueGone, ReadingError, TrackerError, TrackerLimited, TrackerRefused
from trunkwatch.status.trunk_status import TrunkStatus
from trunkwatch.status.worker import ROUND_SECONDS
from trunkwatch.tickets.alerts import AlertList, FiringAlert
from trunkwatch.tickets.issues.tracker import FoundIssue, IssueTracker
from trunkwatch.tickets.metrics import READ_PEERS, Health
from trunkwatch.tickets.model import Create, Plan, State, Ticket, TicketKey
from trunkwatch.tickets.reconcile.backoff import Backoff
from trunkwatch.tickets.reconcile.context import ReconcileContext, context_of
from trunkwatch.tickets.reconcile.decide import Decision, adopted, decide, dismissed
from trunkwatch.tickets.reconcile.executor import PlanExecutor, Runtime
from trunkwatch.tickets.reconcile.peers import PeerChecks
from trunkwatch.tickets.reconcile.trunk_reader import TrunkClient, TrunkReader
from trunkwatch.tickets.store import TicketStore
from trunkwatch.tickets.text.markdown import quoted

log = logging.getLogger(__name__)

T = TypeVar("T", AlertList, TrunkStatus | None)

DECISIONS_PER_ROUND = 3
"""A group needs a second decision after an issue was found on the server, or was gone."""

NEWS_SECONDS = 10.0
"""After this time a round ends early for alerts of new groups, which the next one begins with."""

UNLISTED_SECONDS = 120.0
"""How long the delivered alert of an unknown group may be missing in Alertmanager's list: another
replica may have sent it."""


class StatusClient(TrunkClient, Protocol):
    """Reads the current status; both methods raise ReadingError."""

    def alerts(self) -> AlertList:
        """Return Alertmanager's unresolved alerts."""


class Reconciler:
    """Compares tickets with the current status and executes the difference; not thread-safe."""

    def __init__(
        self,
        store: TicketStore,
        tracker: IssueTracker,
        status: StatusClient,
        config: TicketsSection,
        runtime: Runtime,
        peers: PeerChecks | None = None,
        name: str | None = None,
        label_of: Callable[[str], str] = str,
    ) -> None:
        """Args:
        store: the storage file.
        tracker: the issues.
        status: reads the exporter and Alertmanager.
        config: the section `tickets` of the configuration.
        runtime: clock, metrics and checkpoints.
        peers: checks what no group needs; None for no checks.
        name: of the Trunkwatch whose issues these are; None for the one without.
        label_of: see `context_of`.
        """
        self._name = name
        self._label_of = label_of
        self._peers = peers or PeerChecks({})
        self._store = store
        self._tracker = tracker
        self._executor = PlanExecutor(store, tracker, runtime)
        self._status = status
        self._trunks = TrunkReader(status, self._read, runtime.clock)
        self._config = config
        self._runtime = runtime
        self._backoff = Backoff()
        self._errors: dict[str, str] = {}
        self._unreadable: dict[str, int] = {}
        self._problems: dict[str, tuple[str, ...]] = {}
        self._rate_limited: set[TicketKey] = set()
        self._began = 0.0
        self._forgot = 0.0
        self._rounds = 0
        self._listed: Collection[TicketKey] = ()
        self._served: dict[TicketKey, int] = {}

    def is_known(self, key: TicketKey) -> bool:
        """Return whether the exporter or Alertmanager has a group; any thread may call it."""
        return key in self._listed or self._trunks.has_group(key)

    def reconcile_all(self) -> None:
        """Reconcile every group once; a group that fails is retried in a later round."""
        self._errors = {}
        self._began = self._runtime.clock()
        firing, tickets = self._store.firing_alerts(), self._store.tickets()
        live = (key for key, ticket in tickets.items() if ticket.is_live)
        started = {*self._store.plans(), *live}
        self._unreadable = dict.fromkeys(READ_PEERS, 0)
        self._backoff.forget_others({*started, *firing})
        if started or firing:
            self._reconcile(started, firing)
        self._errors = {**self._peers.errors(self._began), **self._errors}
        self._runtime.metrics.health = self._health()

    def _reconcile(
        self, started: Collection[TicketKey], firing: Mapping[TicketKey, list[FiringAlert]]
    ) -> None:
        """Reconcile the groups with a plan or an issue, and those that may need one."""
        alerts = self._read("alertmanager", "alerts", self._status.alerts)
        self._trunks.begin_round()
        self._rounds += 1
        unlisted = self._unlisted(firing, alerts)
        # Rounds follow each other at once while alerts arrive; this deletes group by group.
        if unlisted and abs(self._began - self._forgot) >= ROUND_SECONDS / 2:
            self._forgot = self._began
            self._store.forget_firing(unlisted, self._began - UNLISTED_SECONDS)
        with_tickets = {key[:2] for key in started}
        for key in self._in_order({*started, *firing} - (unlisted - set(started))):
            status = self._trunks.status(key[:2], has_ticket=key[:2] in with_tickets)
            now = self._runtime.clock()
            if not self._backoff.is_over(now):
                self._errors[self._config.type] = self._backoff.last_error
                return
            if key in started or (status is not None and key.group in status.groups):
                self._try_if_due(key, status, alerts, firing.get(key, []))
            if status is not None:
                self._served[key] = self._rounds
            if self._runtime.clock() - self._began >= NEWS_SECONDS and self._store.has_news:
                return

    def _unlisted(self, firing: Collection[TicketKey], alerts: AlertList | None) -> set[TicketKey]:
        """Return the unknown groups of which Alertmanager has no alert: they need no request.

        Anybody who may deliver can name any group; Alertmanager lists those that can get an issue.
        """
        if alerts is None:
            return set()
        self._listed = alerts.alerts.keys()
        unknown = (key for key in firing if not self._trunks.has_group(key))
        return {key for key in unknown if key not in alerts.alerts and alerts.is_complete(key)}

    def _in_order(self, keys: Collection[TicketKey]) -> list[TicketKey]:
        """Return groups in the order in which they are tried.

        Those that failed are last: an issue that the server cannot serve must not keep the others
        waiting. The others go by the round in which they were last tried, never tried ones first,
        and trunk by turns.
        """
        self._served = {key: number for key, number in self._served.items() if key in keys}
        failing = self._backoff.failing_keys
        turns: Counter[tuple[str, str]] = Counter()

        def rank(key: TicketKey) -> tuple[bool, bool, int, bool]:
            is_missing = self._trunks.is_missing(key[:2])
            return key in failing, is_missing, self._served.get(key, 0), not self.is_known(key)

        ranked = []
        for key in sorted(keys, key=lambda key: (rank(key), key)):
            turns[key[:2]] += 1
            ranked.append((*rank(key), turns[key[:2]], key))
        return [key for *_, key in sorted(ranked)]

    def _try_if_due(
        self,
        key: TicketKey,
        status: TrunkStatus | None,
        alerts: AlertList | None,
        firing: Sequence[FiringAlert],
    ) -> None:
        if self._backoff.is_over(self._runtime.clock(), key):
            context = None
            if status is not None:
                context = context_of(key, self._config, status, alerts, firing, self._label_of)
                context = replace(context, name=self._name)
            self._try(key, context)

    def _try(self, key: TicketKey, context: ReconcileContext | None) -> None:
        now = self._runtime.clock
        try:
            self._reconcile_group(key, context)
        except TrackerRefused as error:
            # Delay only this group: the next one may be in another repository.
            self._backoff.record_failure(now(), error, key)
        except TrackerError as error:
            if not isinstance(error, TrackerLimited):
                self._backoff.record_failure(now(), error, key)
            self._backoff.record_failure(now(), error)
        except Exception as error:
            # An internal error that one group causes must not stop the others.
            self._backoff.record_failure(now(), error, key)
            log.exception("internal error, group to be retried", extra=key._asdict())
            return
        else:
            self._backoff.record_success(key)
            return
        self._errors[self._config.type] = self._backoff.last_error
        fields = {**key._asdict(), "error": self._backoff.last_error}
        log.warning("reconciliation failed, to be retried", extra=fields)

    def _read(self, peer: str, what: str, read: Callable[[], T]) -> T | None:
        try:
            found = read()
        except ReadingError as error:
            self._errors[peer] = str(error)
            log.warning("no status, closing no issue", extra={"peer": peer, "error": error})
            return None
        if found is None:
            return None
        problems = found.problems
        self._unreadable[peer] += len(problems)
        if problems and problems != self._problems.get(what):
            fields = {"peer": peer, "of": what, "entries": len(problems), "first": problems[0]}
            log.warning("entries left out, their state is unknown", extra=fields)
        self._problems[what] = problems
        return found

    # ------------------------------------------------------------------ one group

    def _reconcile_group(self, key: TicketKey, context: ReconcileContext | None) -> None:
        """Finish the group's plan, then decide; without a context, the status is unavailable."""
        self._rate_limited.discard(key)
        plan = self._store.plans().get(key)
        if plan is not None and not self._execute(plan, fresh=False):
            return
        for _ in range(DECISIONS_PER_ROUND):
            ticket = self._with_changes_by_people(self._store.tickets().get(key))
            if context is None:
                return
            context = replace(context, ticket=ticket, now=self._runtime.clock())
            if not self._act(context, decide(context)):
                return

    def _execute(self, plan: Plan, *, fresh: bool) -> bool:
        """Execute a plan; return whether to decide again, which a gone issue needs at once."""
        try:
            return self._executor.execute(plan, fresh=fresh) and not fresh
        except IssueGone as error:
            log.warning("issue gone, let go", extra={**plan.after.key._asdict(), "error": error})
            return True

    def _with_changes_by_people(self, ticket: Ticket | None) -> Ticket | None:
        """Return a ticket updated with what a person did to its issue, and store it."""
        if ticket is None or ticket.gone or not ticket.is_live:
            return ticket
        now = self._runtime.clock()
        try:
            found = self._tracker.read(ticket)
        except IssueGone as error:
            log.warning("issue gone, let go", extra={**ticket.key._asdict(), "error": error})
            seen: Ticket = replace(ticket, gone=True)
            closed_at: float | None = now
        else:
            closed_at = found.closed_at
            seen = replace(ticket, url=found.url, assignees=found.assignees)
        if ticket.state is State.OPEN and closed_at is not None:
            seen = dismissed(seen, closed_at)
        elif ticket.state is State.DISMISSED and closed_at is None:
            seen = replace(seen, state=State.OPEN, closed_at=None)
        if seen != ticket:
            fields = {"issue": seen.number, "state": seen.state, "gone": seen.gone}
            if ticket.url is not None or seen.state is not ticket.state:
                log.info("issue changed by a person", extra={"issue_repo": seen.repo, **fields})
            self._store.save_ticket(seen)
            self._runtime.checkpoint("a person's change is recorded")
        return seen

    def _act(self, context: ReconcileContext, decision: Decision) -> bool:
        """Execute a decision; return whether to decide again."""
        if decision.remove_firing:
            # Keep alerts delivered during this round: the status was read before they arrived.
            self._store.forget_firing([context.key], self._began)
        if decision.record is not None:
            self._store.save_ticket(decision.record)
        if decision.plan is None:
            return False
        if isinstance(decision.plan.steps[0], Create) and not self._may_create(context):
            return False
        if isinstance(decision.plan.steps[0], Create) and self._adopt(context):
            return True
        plan = self._store.save_plan(decision.plan)
        self._runtime.checkpoint(f"{plan.operation}: the plan is written")
        return self._execute(plan, fresh=True)

    def _may_create(self, context: ReconcileContext) -> bool:
        if not self._config.may_be_in(context.repo):
            problem = f"{context.repo!r} is not a repository of {self._config.type}"
            raise TrackerRefused(f"{problem}; set tickets.repo to the one of the issues", 0)
        limit = self._config.max_new_per_hour
        if self._store.created_in_last_hour(self._runtime.clock()) < limit:
            return True
        fields = {**context.key._asdict(), "limit": limit}
        log.warning("issue delayed: tickets.max_new_per_hour is reached", extra=fields)
        self._rate_limited.add(context.key)
        return False

    def _adopt(self, context: ReconcileContext) -> bool:
        """Store an issue of the group that is on the server, if any, as its ticket."""
        now = self._runtime.clock()
        since = None if context.ticket is not None else now - self._config.reopen_within
        found = self._tracker.find(context.repo, quoted(context.key, self._name), since)
        if found is None:
            return False
        log.info("issue adopted", extra={"issue_repo": context.repo, "issue": found.number})
        closed_at = found.closed_at or now
        ticket = adopted(context, found.number, found.marker.nonce, _state_of(found), closed_at)
        self._store.save_ticket(ticket)
        self._runtime.checkpoint("an adopted issue is recorded")
        return True

    # ------------------------------------------------------------------ health

    def _health(self) -> Health:
        tickets = self._store.tickets().values()
        waiting = {*self._store.plans(), *self._rate_limited, *self._backoff.failing_keys}
        return Health(
            open=sum(ticket.state is State.OPEN for ticket in tickets),
            tickets=tuple(ticket for ticket in tickets if ticket.is_live),
            waiting=len(waiting),
            round_at=self._runtime.clock(),
            errors=dict(self._errors),
            unreadable=self._unreadable,
            tracker=self._config.type,
        )


def _state_of(found: FoundIssue) -> State:
    if found.closed_at is None:
        return State.OPEN
    return State.CLOSED if found.marker.state == "resolved" else State.DISMISSED
