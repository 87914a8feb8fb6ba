"""The input of a decision about one group, and the ticket that it implies."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from trunkwatch.config import TicketsSection
from trunkwatch.report.markdown import one_line
from trunkwatch.status.trunk_status import GroupStatus, JobName, JobStatus, TrunkStatus
from trunkwatch.tickets.alerts import AlertList, FiringAlert, UnresolvedAlert, links_of
from trunkwatch.tickets.model import ORIGIN_LABEL, ReportedJob, State, Ticket, TicketKey
from trunkwatch.tickets.text.issue import IssueView, issue_body, issue_title

LABEL_LIMIT = 50
"""The lower limit of a label, which is GitHub's (characters)."""


@dataclass(frozen=True, slots=True)
class ReconcileContext:
    """Everything that a decision about one group depends on.

    Attributes:
        key: the group.
        config: the section `tickets` of the configuration.
        status: the trunk's current status.
        alerts: the group's unresolved alerts; None if Alertmanager did not answer.
        delivered: jobs of the group whose firing alert was delivered.
        alertmanager: base URL of Alertmanager's pages; None before the first delivery.
        alerts_complete: none of the group's alerts was unreadable.
        ticket: as stored; None if there was none.
        now: seconds since the epoch.
        name: of the Trunkwatch; None for the one without.
        label_of: see `context_of`.
    """

    key: TicketKey
    config: TicketsSection
    status: TrunkStatus
    alerts: Mapping[JobName, UnresolvedAlert] | None
    delivered: frozenset[JobName]
    alertmanager: str | None
    alerts_complete: bool = True
    ticket: Ticket | None = None
    now: float = 0.0
    name: str | None = None
    label_of: Callable[[str], str] = str

    @property
    def broken(self) -> tuple[JobStatus, ...]:
        """The broken jobs of the group."""
        return self.status.broken(self.key.group)

    @property
    def repo(self) -> str:
        """The repository of the issue."""
        return self.config.repo.replace("{repo}", self.key.repo)

    @property
    def dashboard_url(self) -> str | None:
        """The configured dashboard of the group, if any."""
        url = self.config.dashboard_url
        for name, value in self.key._asdict().items():
            url = url and url.replace(f"{{{name}}}", quote(value, safe=""))
        return url

    @property
    def all_ended(self) -> bool:
        """The exporter and Alertmanager agree that nothing is broken.

        The exporter alone is not enough: of two replicas, the one polled here may read a failure a
        minute after the one that Prometheus has alerted on.
        """
        agreed = self.alerts is not None and not self.alerts and self.alerts_complete
        return agreed and self.status.is_complete(self.key.group) and not self.broken

    def may_open(self, jobs: Iterable[JobStatus]) -> bool:
        """Return whether an issue may be opened, or opened again, for these jobs.

        A delivery proves that the group is routed to tickets. Without the group's own row, the
        labels of the issue are unknown.
        """
        known = bool(self.delivered) and self.key.group in self.status.groups
        return known and any(self._is_active(job.name) for job in jobs)

    def _is_active(self, name: JobName) -> bool:
        """Return whether a job's alert fires and is neither silenced nor inhibited.

        Alertmanager decides; while its answer is unknown, its deliveries count.
        """
        alert = self.alerts.get(name) if self.alerts is not None else None
        if alert is not None and alert.active is not None:
            return alert.active
        unknown = self.alerts is None or alert is not None or not self.alerts_complete
        return unknown and name in self.delivered


def context_of(
    key: TicketKey,
    config: TicketsSection,
    status: TrunkStatus,
    alerts: AlertList | None,
    firing: Sequence[FiringAlert],
    label_of: Callable[[str], str] = str,
) -> ReconcileContext:
    """Return the context of one group.

    Args:
        key: the group.
        config: the section `tickets` of the configuration.
        status: of its trunk.
        alerts: Alertmanager's; None if it did not answer.
        firing: its delivered alerts, oldest first.
        label_of: returns a name as it is in an alert, where a long one is cut.
    """
    whole = {JobName(*map(label_of, job.name)): job.name for job in status.broken(key.group)}
    listed = {} if alerts is None else alerts.alerts.get(key, {})
    addresses = [alert.alertmanager for alert in firing if alert.alertmanager]
    return ReconcileContext(
        key=key,
        config=config,
        status=status,
        alerts=None if alerts is None else {whole.get(n, n): each for n, each in listed.items()},
        delivered=frozenset(whole.get(alert.job, alert.job) for alert in firing),
        alertmanager=addresses[-1] if addresses else None,
        alerts_complete=alerts is None or alerts.is_complete(key),
        label_of=label_of,
    )


def new_ticket(context: ReconcileContext, nonce: str, previous: int | None = None) -> Ticket:
    """Return the ticket of an issue that does not exist yet."""
    blank = Ticket(
        key=context.key,
        repo=context.repo,
        number=None,
        nonce=nonce,
        state=State.OPEN,
        title="",
        body="",
        reported_jobs=reported_jobs(context.broken, {}),
        team="",
        priority="",
        opened_at=context.now,
        previous_number=previous,
    )
    return edited(context, blank)[0]


def edited(context: ReconcileContext, ticket: Ticket) -> tuple[Ticket, dict[str, str]]:
    """Return the ticket with its current text, and the fields that differ from the last sent."""
    # A group without jobs left keeps its last known team and priority.
    last_known = GroupStatus(ticket.team, ticket.priority, 1, 0)
    group = context.status.groups.get(context.key.group, last_known)
    stored = ticket.links._replace(
        dashboard=context.dashboard_url or ticket.links.dashboard,
        alertmanager=ticket.links.alertmanager or context.alertmanager,
    )
    links = links_of(_alerts(context), stored)
    zone = context.config.timezones.get(group.team, context.config.timezone)
    unknown = sorted(unknown_jobs(context, ticket))
    view = IssueView(
        context.key, group, context.broken, links, zone, ticket.previous_number, unknown,
        context.status.external_url, context.name, context.label_of,
    )  # fmt: skip
    title, body = issue_title(view), issue_body(view, ticket.nonce)
    # Send only fields that changed: a title edited by a person stays until the generated one does.
    fields = {
        name: text
        for name, text, sent in (("title", title, ticket.title), ("body", body, ticket.body))
        if text != sent
    }
    after = replace(
        ticket, title=title, body=body, links=links, team=group.team, priority=group.priority
    )
    return after, fields


def _alerts(context: ReconcileContext) -> list[UnresolvedAlert]:
    return [context.alerts[name] for name in sorted(context.alerts)] if context.alerts else []


def unknown_jobs(context: ReconcileContext, ticket: Ticket) -> frozenset[JobName]:
    """Return the jobs that were reported as broken, and whose state cannot be read now."""
    return frozenset(filter(context.status.is_unknown, ticket.broken_jobs))


def with_moved_labels(context: ReconcileContext) -> Ticket | None:
    """Return the ticket with the present name of each job whose label `workflow` has changed.

    It is the same outage if it began at the same commit and ended its first run at the same second,
    and the old name is gone. Alert and JSON contain nothing else that is stable.
    """
    ticket = context.ticket
    if ticket is None:
        return None
    unreported = {
        (job.name.job_name, ReportedJob(job.first_bad.sha, job.broken_since, True)): job.name
        for job in context.broken
        if job.name not in ticket.broken_jobs and job.first_bad and job.broken_since is not None
    }
    names = {
        name: unreported.get((name.job_name, job), name)
        for name, job in ticket.reported_jobs.items()
        if name not in context.status.jobs
    }
    jobs = {names.get(name, name): job for name, job in ticket.reported_jobs.items()}
    return replace(ticket, reported_jobs=jobs)


def reported_jobs(
    broken: Iterable[JobStatus],
    before: Mapping[JobName, ReportedJob],
    unknown: frozenset[JobName] = frozenset(),
) -> dict[JobName, ReportedJob]:
    """Return the jobs reported before, marked as ended unless unknown, and the broken ones."""
    ended = {
        name: job if name in unknown else job._replace(broken=False) for name, job in before.items()
    }
    current = {
        job.name: ReportedJob(job.first_bad.sha if job.first_bad else None, job.broken_since, True)
        for job in broken
    }
    return {**ended, **current}


def labels_of(ticket: Ticket, configured: Iterable[str]) -> tuple[str, ...]:
    """Return the labels of a new issue, without commas: lists of labels are split at them."""
    own = (f"Pri:{ticket.priority}", f"Team:{ticket.team}", ORIGIN_LABEL)
    labels = (one_line(label, LABEL_LIMIT).replace(",", " ") for label in (*own, *configured))
    return tuple(dict.fromkeys(labels))
