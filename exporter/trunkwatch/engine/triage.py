"""The tickets, silences and questions of outages, as other programs report them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from trunkwatch.domain.job import JobState
from trunkwatch.domain.model import JobKey

OLD_SECONDS = 300.0
"""Age from which a report counts as unknown: five rounds of `tickets` or `confirm`."""

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


class QuestionNote(NamedTuple):
    """A question of `trunkwatch confirm` about a job.

    Attributes:
        kind: `real`, `which` or `outside`.
        first_bad: the hash of first bad when it was asked.
        sha: the hash of the commit at which the job runs again.
        state: `proposed`, `sending`, `asked`, `answered`, `expired` or `refused`.
        at: since when (seconds since the epoch).
        reason: why it waits, is refused or expired; None otherwise.
        answer: the letter of the job at that commit afterwards (`cells.MEANINGS`); None until then.
    """

    kind: str
    first_bad: str
    sha: str
    state: str
    at: float
    reason: str | None
    answer: str | None


def about_outage(
    notes: Iterable[QuestionNote], first_bad: str, last_good: str | None, suspects: Iterable[str]
) -> tuple[QuestionNote, ...]:
    """Return the questions about one outage or streak, oldest first.

    An answer moves first bad or last good: an earlier question of the outage has another first bad.

    Args:
        notes: of the job.
        first_bad: the hash of first bad.
        last_good: the hash of last good; None where it is unknown.
        suspects: the hashes of the suspects.
    """
    places = {first_bad, last_good, *suspects}
    found = (each for each in notes if each.first_bad == first_bad or each.sha in places)
    return tuple(sorted(found, key=lambda note: note.at))


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
Questions = Mapping[JobKey, tuple[QuestionNote, ...]]


@dataclass(frozen=True, slots=True)
class Triage:
    """Tickets, alerts and questions; each is None where its program is not configured.

    Attributes:
        tickets: by group.
        alerts: of jobs that alert.
        max_label_bytes: size above which a name is cut in the labels of an alert: the alert of such
            a job cannot be found, and is unknown.
        questions: asked of CI, by job.
    """

    tickets: Reading[Tickets] | None = None
    alerts: Reading[Alerts] | None = None
    max_label_bytes: int = 512
    questions: Reading[Questions] | None = None

    def at(self, now: float) -> "CurrentTriage":
        """Return the reports that are recent enough at a time.

        Args:
            now: seconds since the epoch.
        """
        return CurrentTriage(
            self.tickets.known(now) if self.tickets is not None else None,
            self.alerts.known(now) if self.alerts is not None else None,
            self.max_label_bytes,
            self.questions.known(now) if self.questions is not None else None,
        )

    def readings(
        self,
    ) -> Iterator[tuple[str, Reading[Tickets] | Reading[Alerts] | Reading[Questions]]]:
        """Yield each configured program's name and reading."""
        if self.tickets is not None:
            yield "tickets", self.tickets
        if self.alerts is not None:
            yield "alertmanager", self.alerts
        if self.questions is not None:
            yield "confirm", self.questions


class CurrentTriage(NamedTuple):
    """The tickets, alerts and questions that count at one time.

    Attributes:
        tickets: by group; None without a recent report.
        alerts: of jobs that alert; None without a recent report.
        max_label_bytes: see `Triage`.
        questions: by job; None without a recent report.
    """

    tickets: Tickets | None
    alerts: Alerts | None
    max_label_bytes: int
    questions: Questions | None = None

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
            questions=self._questions_about(job),
        )

    def _questions_about(self, job: JobState) -> tuple[QuestionNote, ...]:
        """Return the questions about a job's outage or streak."""
        blame = job.blame
        notes = self.questions.get(job.key, ()) if self.questions is not None else ()
        if blame is None or not notes:
            return ()
        last_good = blame.last_good.sha if blame.last_good is not None else None
        suspects = (commit.sha for commit in blame.suspects or ())
        return about_outage(notes, blame.first_bad.sha, last_good, suspects)


@dataclass(frozen=True, slots=True)
class JobTriage:
    """The ticket, the alert and the questions of one job.

    Attributes:
        ticket: of its group while it is broken.
        alert: its alert in Alertmanager.
        ticket_known: whether a recent report of tickets exists; without one, the absence of
            `ticket` means nothing.
        alert_known: the same of alerts.
        questions: about its outage or streak, oldest first.
    """

    ticket: TicketNote | None = None
    alert: AlertNote | None = None
    ticket_known: bool = False
    alert_known: bool = False
    questions: tuple[QuestionNote, ...] = ()

    @property
    def silences(self) -> tuple[Silence, ...]:
        """The silences of its alert."""
        return self.alert.silences if self.alert is not None else ()


NO_TRIAGE = Triage()
"""The triage where no program is configured."""
