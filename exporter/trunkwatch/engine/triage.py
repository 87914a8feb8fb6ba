"""The tickets and silences of outages, as other programs report them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import JobKey

OLD_SECONDS = 300.0
"""Age from which a report counts as unknown: five rounds of `tickets`."""

T = TypeVar("T")


class GroupKey(NamedTuple):
    """A group of a trunk, which has one ticket."""

    repo: str
    branch: str
    group: str


class TicketNote(NamedTuple):
    """A ticket about a group.

    Attributes:
        name: repository and number, such as `o/r#7`.
        url: of the issue; None until it is read, and in a dry run.
        state: `open`, or `dismissed` if a person closed it during the outage.
        assignees: logins.
        opened_at: seconds since the epoch.
        dry_run: whether `trunkwatch tickets` only printed it.
    """

    name: str
    url: str | None
    state: str
    assignees: tuple[str, ...]
    opened_at: float
    dry_run: bool = False


class Silence(NamedTuple):
    """A silence of Alertmanager.

    Attributes:
        ident: its id.
        created_by: as given by its author.
        comment: as given by its author.
        ends_at: seconds since the epoch; None where unknown.
    """

    ident: str
    created_by: str
    comment: str
    ends_at: float | None


class AlertNote(NamedTuple):
    """An alert of a job that Alertmanager has.

    Attributes:
        silences: those that hold it back.
        inhibited: whether another alert holds it back.
    """

    silences: tuple[Silence, ...]
    inhibited: bool


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """The newest report of one program.

    Attributes:
        value: the report; None if none was read.
        read_at: the time of the report (seconds since the epoch); None if none was read.
        problem: why the last attempt failed, as a text for people; None if it did not.
    """

    value: T | None = None
    read_at: float | None = None
    problem: str | None = None

    def known(self, now: float) -> T | None:
        """Return the report; None if there is none, or only one that is too old.

        Args:
            now: seconds since the epoch.
        """
        is_old = self.read_at is None or not -OLD_SECONDS <= now - self.read_at <= OLD_SECONDS
        return None if is_old else self.value


Tickets = Mapping[GroupKey, TicketNote]
Alerts = Mapping[JobKey, AlertNote]


@dataclass(frozen=True, slots=True)
class Triage:
    """Tickets and alerts; each is None where its program is not configured.

    Attributes:
        tickets: by group.
        alerts: of jobs that alert.
        max_label_bytes: size above which a name is cut in the labels of an alert: the alert of such
            a job cannot be found, and is unknown.
    """

    tickets: Reading[Tickets] | None = None
    alerts: Reading[Alerts] | None = None
    max_label_bytes: int = 512

    def at(self, now: float) -> "CurrentTriage":
        """Return the reports that are recent enough at a time.

        Args:
            now: seconds since the epoch.
        """
        return CurrentTriage(
            self.tickets.known(now) if self.tickets is not None else None,
            self.alerts.known(now) if self.alerts is not None else None,
            self.max_label_bytes,
        )

    def readings(self) -> Iterator[tuple[str, Reading[Tickets] | Reading[Alerts]]]:
        """Yield each configured program's name and reading."""
        if self.tickets is not None:
            yield "tickets", self.tickets
        if self.alerts is not None:
            yield "alertmanager", self.alerts


class CurrentTriage(NamedTuple):
    """The tickets and alerts that count at one time.

    Attributes:
        tickets: by group; None without a recent report.
        alerts: of jobs that alert; None without a recent report.
        max_label_bytes: see `Triage`.
    """

    tickets: Tickets | None
    alerts: Alerts | None
    max_label_bytes: int

    def of(self, job: JobState) -> "JobTriage":
        """Return the triage of a job."""
        tickets, alerts = self.tickets, self.alerts
        group = GroupKey(job.key.repo, job.key.branch, job.group.name)
        if any(len(name.encode(errors="replace")) > self.max_label_bytes for name in job.key):
            alerts = None
        return JobTriage(
            ticket=tickets.get(group) if tickets is not None and job.failing else None,
            alert=alerts.get(job.key) if alerts is not None else None,
            ticket_known=tickets is not None,
            alert_known=alerts is not None,
        )


@dataclass(frozen=True, slots=True)
class JobTriage:
    """The ticket and the alert of one job.

    Attributes:
        ticket: of its group while it is broken.
        alert: its alert in Alertmanager.
        ticket_known: whether a recent report of tickets exists; without one, the absence of
            `ticket` means nothing.
        alert_known: the same of alerts.
    """

    ticket: TicketNote | None = None
    alert: AlertNote | None = None
    ticket_known: bool = False
    alert_known: bool = False

    @property
    def silences(self) -> tuple[Silence, ...]:
        """The silences of its alert."""
        return self.alert.silences if self.alert is not None else ()


NO_TRIAGE = Triage()
"""The triage where neither program is configured."""
