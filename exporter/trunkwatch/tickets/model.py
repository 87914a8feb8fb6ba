"""A ticket as it is remembered, and the steps that change it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import quote

from trunkwatch.tickets.facts import JobName, Key, Links

NO_LINKS = Links()


class State(StrEnum):
    """Whose turn it is."""

    OPEN = "open"
    CLOSED = "closed"
    DISMISSED = "dismissed"


class Listed(NamedTuple):
    """A job that the ticket has told of.

    Attributes:
        first_bad: hash, as last told.
        since: when it broke (seconds since the epoch), where known.
        broken: it has not ended since.
    """

    first_bad: str | None
    since: float | None
    broken: bool


@dataclass(frozen=True, slots=True)
class Ticket:
    """One issue, as last known.

    Attributes:
        key: what it is about.
        repo: the repository that it is in.
        number: of the issue; None until it is created.
        nonce: of its marker.
        state: open, closed by us, or dismissed: closed by a person.
        title: as last sent.
        body: as last sent.
        listed: every job that it has told of since it was last opened.
        team: as last known.
        priority: as last known.
        links: as first known.
        opened_at: when it was last opened or reopened (seconds since the epoch).
        closed_at: when it was closed; None while it is open.
        quiet_since: when nothing of it was broken any more; None while something is.
        gone: it was deleted or moved away, so it cannot be reopened.
        before: number of the issue of an earlier outage, which this one names.
    """

    key: Key
    repo: str
    number: int | None
    nonce: str
    state: State
    title: str
    body: str
    listed: Mapping[JobName, Listed]
    team: str
    priority: str
    links: Links = NO_LINKS
    opened_at: float = 0.0
    closed_at: float | None = None
    quiet_since: float | None = None
    gone: bool = False
    before: int | None = None

    @property
    def still_broken(self) -> frozenset[JobName]:
        """The listed jobs that have not ended."""
        return frozenset(name for name, job in self.listed.items() if job.broken)


@dataclass(frozen=True, slots=True)
class Create:
    """Open an issue; sent twice, it would be two."""

    nonce: str
    title: str
    body: str
    labels: tuple[str, ...]
    assignees: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comment:
    """Say something below the issue; sent twice, it would be said twice."""

    nonce: str
    body: str


@dataclass(frozen=True, slots=True)
class Change:
    """Set fields of the issue; sent twice, it changes nothing more."""

    fields: Mapping[str, str]


Step = Create | Comment | Change


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps towards one change of a ticket, written down before the first of them.

    Attributes:
        why: one word for the log and the metric.
        steps: in their order.
        after: the ticket once all of them are done.
        done: how many are.
        tried_at: when the next one was begun (seconds since the epoch); None where it was not.
    """

    why: str
    steps: tuple[Step, ...]
    after: Ticket
    done: int = 0
    tried_at: float | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What the configuration decides.

    Attributes:
        repo: of the issues; `{repo}` is the one that the results are about.
        labels: beside those of priority, team and origin.
        assignees: logins.
        auto_close: whether an issue is closed when nothing is broken any more.
        reopen_within: seconds after which a new outage is a new issue.
        max_new_per_hour: issues.
        timezone: of the times, for teams that have none of their own.
        timezones: by team.
        dashboard: its address, with {repo}, {branch} and {group}; None where there is none.
    """

    repo: str = "{repo}"
    labels: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()
    auto_close: bool = True
    reopen_within: float = 72 * 3600.0
    max_new_per_hour: int = 10
    timezone: str = "UTC"
    timezones: Mapping[str, str] = field(default_factory=dict)
    dashboard: str | None = None

    def dashboard_of(self, key: Key) -> str | None:
        """Return where a key's jobs are shown over time; None where that is not known."""
        if self.dashboard is None:
            return None
        url = self.dashboard
        for name, value in key._asdict().items():
            url = url.replace(f"{{{name}}}", quote(value, safe=""))
        return url

    def repo_of(self, key: Key) -> str:
        """Return where a key's issue belongs."""
        return self.repo.replace("{repo}", key.repo)

    def timezone_of(self, team: str) -> str:
        """Return the name of a team's time zone."""
        return self.timezones.get(team, self.timezone)
