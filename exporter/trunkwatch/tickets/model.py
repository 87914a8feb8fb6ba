"""A ticket as it is stored, and the steps that change it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, NamedTuple

from trunkwatch.status.trunk_status import JobName

ORIGIN_LABEL = "Source:trunkwatch"
"""The label by which issues are found again when the storage file is lost."""


class TicketKey(NamedTuple):
    """The group of a trunk that one ticket is about."""

    repo: str
    branch: str
    group: str


class Links(NamedTuple):
    """Addresses that an issue links to; None for each that is missing."""

    runbook: str | None = None
    dashboard: str | None = None
    source: str | None = None
    alertmanager: str | None = None


NO_LINKS = Links()


class State(StrEnum):
    """The state of a ticket; `dismissed` is closed by a person."""

    OPEN = "open"
    CLOSED = "closed"
    DISMISSED = "dismissed"


class ReportedJob(NamedTuple):
    """A job that the issue has reported as broken.

    Attributes:
        first_bad: hash, as last reported.
        broken_since: seconds since the epoch; None if the exporter did not report it.
        broken: its outage has not ended.
    """

    first_bad: str | None
    broken_since: float | None
    broken: bool


@dataclass(frozen=True, slots=True)
class Ticket:
    """The stored state of one issue.

    Attributes:
        key: the group that it is about.
        repo: the repository of the issue.
        number: of the issue; None until it is created.
        nonce: of its marker.
        state: open, closed by this program, or dismissed.
        title: as last sent.
        body: as last sent.
        reported_jobs: every job reported since the issue was last opened.
        team: the group's last known team.
        priority: the group's last known priority.
        links: the first address seen of each kind.
        opened_at: last opening or reopening (seconds since the epoch).
        closed_at: closing (seconds since the epoch); None while it is open.
        resolved_at: end of its last outage (seconds since the epoch); None during an outage.
        gone: deleted or moved to another repository, so it cannot be reopened.
        previous_number: the issue of an earlier outage, linked from this one.
        url: address of the issue, as read last; None until it was read.
        assignees: logins, as read last.
    """

    key: TicketKey
    repo: str
    number: int | None
    nonce: str
    state: State
    title: str
    body: str
    reported_jobs: Mapping[JobName, ReportedJob]
    team: str
    priority: str
    links: Links = NO_LINKS
    opened_at: float = 0.0
    closed_at: float | None = None
    resolved_at: float | None = None
    gone: bool = False
    previous_number: int | None = None
    url: str | None = None
    assignees: tuple[str, ...] = ()

    @property
    def is_live(self) -> bool:
        """Whether it needs a look in every round: it is open, or its outage goes on."""
        ongoing = self.state is State.DISMISSED and self.resolved_at is None
        return self.state is State.OPEN or ongoing

    @property
    def broken_jobs(self) -> frozenset[JobName]:
        """The reported jobs whose outage has not ended."""
        return frozenset(name for name, job in self.reported_jobs.items() if job.broken)


@dataclass(frozen=True, slots=True)
class Create:
    """Open an issue; not idempotent."""

    operation: ClassVar[str] = "open"

    nonce: str
    title: str
    body: str
    labels: tuple[str, ...]
    assignees: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comment:
    """Add a comment to the issue; not idempotent."""

    operation: ClassVar[str] = "comment"

    nonce: str
    body: str


@dataclass(frozen=True, slots=True)
class Change:
    """Set fields of the issue; idempotent."""

    fields: Mapping[str, str]

    @property
    def operation(self) -> str:
        """One word for the log and the metric."""
        return {"closed": "close", "open": "reopen"}.get(self.fields.get("state", ""), "edit")


Step = Create | Comment | Change


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of one change of a ticket, stored before the first is sent.

    Attributes:
        operation: one word for the log and the metric.
        steps: in the order of execution.
        after: the ticket once all steps are done.
        done: number of finished steps.
        tried_at: when the next step was sent (seconds since the epoch); None if it was not.
        refused: number of finished steps that the server refused.
    """

    operation: str
    steps: tuple[Step, ...]
    after: Ticket
    done: int = 0
    tried_at: float | None = None
    refused: int = 0
