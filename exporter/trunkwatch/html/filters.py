"""The choice of jobs on a trunk's page, which is the query of its address."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import parse_qs, urlencode

from trunkwatch.domain.job import JobState
from trunkwatch.engine.cells import CELLS_LIMIT
from trunkwatch.report.order import fails

COMMITS_SHOWN = 40
"""Commits that a page shows unless its address asks for others."""

JOBS_PER_PAGE = 500

QUERY_LIMIT = 2_000
"""Characters of a query that are read."""

STATES: Mapping[str, Callable[[JobState], bool]] = MappingProxyType(
    {
        "broken": lambda job: job.broken,
        "failing": fails,
        "pending": lambda job: job.pending > 0,
        "flaky": lambda job: job.flaky > 0 or job.mostly_flaky,
        "known": lambda job: job.known_broken is not None,
    }
)
"""The states to choose from."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which jobs and commits a page shows.

    Attributes:
        team: of the jobs' group; empty for all.
        group: name of the jobs' group; empty for all.
        state: a key of `STATES`; empty for all.
        text: part of the jobs' names, in any case; empty for all.
        commits: number of commits.
        page: of the jobs, from 1.
    """

    team: str = ""
    group: str = ""
    state: str = ""
    text: str = ""
    commits: int = COMMITS_SHOWN
    page: int = 1

    @property
    def is_filtered(self) -> bool:
        """Whether it leaves out jobs, apart from those on other pages."""
        return bool(self.team or self.group or self.state or self.text)

    def of(self, jobs: Iterable[JobState]) -> list[JobState]:
        """Return the chosen jobs of all pages."""
        text, is_state = self.text.casefold(), STATES.get(self.state)
        return [
            job
            for job in jobs
            if (not self.team or job.group.team == self.team)
            and (not self.group or job.group.name == self.group)
            and (is_state is None or is_state(job))
            and (not text or text in job.key.display_name.casefold())
        ]

    def query(self, page: int = 1) -> str:
        """Return the query of another page of it."""
        values = {
            "team": self.team,
            "group": self.group,
            "state": self.state,
            "text": self.text,
            "commits": self.commits if self.commits != COMMITS_SHOWN else "",
            "page": page if page > 1 else "",
        }
        return urlencode({name: value for name, value in values.items() if value})


def read_choice(query: str) -> Choice:
    """Read the query of an address; what it does not understand has no effect."""
    fields = {name: values[0] for name, values in parse_qs(query[:QUERY_LIMIT]).items()}
    state = fields.get("state", "")
    return Choice(
        team=fields.get("team", ""),
        group=fields.get("group", ""),
        state=state if state in STATES else "",
        text=fields.get("text", "").strip(),
        commits=number(fields.get("commits"), COMMITS_SHOWN, CELLS_LIMIT),
        page=number(fields.get("page"), 1, 10_000),
    )


def number(text: str | None, default: int, most: int) -> int:
    """Read a number from 1 to `most`; anything else is the default."""
    digits = text or ""
    is_number = digits.isascii() and digits.isdigit() and len(digits) <= len(str(most))
    return min(int(digits), most) if is_number and int(digits) else default
