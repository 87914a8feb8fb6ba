"""The schema of the configuration file; docs/configuration.md documents each key.

A key that is not defined here is an error, so that a typing mistake is reported.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from trunkwatch.config.acting import ConfirmSection, TicketsSection
from trunkwatch.config.fields import (
    MAX_INTEGER,
    AlertsName,
    AtLeastOne,
    Duration,
    Flag,
    Keep,
    LabelName,
    Name,
    Pattern,
    Until,
    Url,
)
from trunkwatch.config.section import Section
from trunkwatch.config.sources import SourceConfig
from trunkwatch.domain.columns import Count
from trunkwatch.domain.evidence import DEFAULT_EVENTS
from trunkwatch.domain.groups import DEFAULT_GROUP, DEFAULT_SILENT_AFTER
from trunkwatch.domain.model import Evidence
from trunkwatch.domain.policy import RETIRE_AFTER
from trunkwatch.domain.retention import KEPT_COMMITS

DEFAULT_MAX_JOBS = 50_000

Priority = Literal["P0", "P1", "P2", "P3"]
Completed = Literal["pass", "fail", "skip", "unknown"]


class Fold(Section):
    """A fold rule: a job name that matches in full becomes `to`."""

    match: Pattern
    to: str

    @model_validator(mode="after")
    def _template_fits(self) -> "Fold":
        try:
            self.match.expand("", self.to)
        except ValueError as error:
            raise ValueError(f"to: {error}") from None
        return self


class Alias(Section):
    """A renamed job; `from` is its old name after folding."""

    workflow: Name
    old: Annotated[str, Field(alias="from", min_length=1)]
    to: Name


class EvidenceName(Section):
    """A rule: every completed result of a matching job counts as `to`."""

    match: Pattern
    to: Completed


class EvidenceSection(Section):
    """Overrides of the evidence table (docs/policy.md, 3.2)."""

    timed_out: Completed | None = None
    cancelled: Completed | None = None
    names: tuple[EvidenceName, ...] = ()

    def moved(self) -> dict[str, Evidence]:
        """Return the overridden evidence, by conclusion."""
        changes = {"timed_out": self.timed_out, "cancelled": self.cancelled}
        return {name: Evidence(to) for name, to in changes.items() if to is not None}


class Jobs(Section):
    """Rules that turn raw results into watched jobs."""

    preset: Literal["gitlab", "pytorch"] | None = None
    ignore: tuple[Pattern, ...] = ()
    fold: tuple[Fold, ...] = ()
    aliases: tuple[Alias, ...] = ()
    evidence: EvidenceSection = EvidenceSection()
    events: Annotated[tuple[Name, ...], Field(min_length=1)] = tuple(sorted(DEFAULT_EVENTS))
    retire_after: AtLeastOne = RETIRE_AFTER
    infra_steps: tuple[Pattern, ...] | None = None


class MatchSection(Section):
    """Patterns that match in full; a missing key matches everything."""

    repo: Pattern | None = None
    branch: Pattern | None = None
    workflow: Pattern | None = None
    job_name: Pattern | None = None


class GroupMatchSection(MatchSection):
    """Patterns of a group. The runs of an event that `event` matches are jobs of their own."""

    event: Pattern | None = None


class JobOverride(Section):
    """Thresholds for some jobs of a group."""

    match: Pattern
    failures_to_open: AtLeastOne | None = None
    passes_to_close: AtLeastOne | None = None
    flaky_closes: Flag | None = None


class GroupSection(Section):
    """Jobs that one team is responsible for.

    Attributes:
        failures_to_open: N, failing commits in a row that open an outage of one job.
        passes_to_close: M, passing commits in a row that close it.
        count: what a column of a job's history is: a commit or a run.
        failure_threshold: jobs of the group that must be broken before it alerts.
        silent_after: seconds without a verdict after which a job is silent.
    """

    name: LabelName
    match: GroupMatchSection = GroupMatchSection()
    team: LabelName = DEFAULT_GROUP.team
    priority: Priority = "P3"
    failures_to_open: AtLeastOne = DEFAULT_GROUP.thresholds.failures_to_open
    passes_to_close: AtLeastOne = DEFAULT_GROUP.thresholds.passes_to_close
    flaky_closes: Flag = False
    count: Count = Count.COMMITS
    failure_threshold: AtLeastOne = 1
    silent_after: Duration = DEFAULT_SILENT_AFTER
    jobs: tuple[JobOverride, ...] = ()


class KnownBrokenSection(Section):
    """Jobs that are exempt from alerting."""

    match: MatchSection
    reason: Name
    until: Until | None = None


class GreenSection(Section):
    """The jobs that have to pass for a commit of one trunk to be green."""

    repo: LabelName
    branch: LabelName
    required: Annotated[tuple[Pattern, ...], Field(min_length=1)]


class AlertmanagerSection(Section):
    """The Alertmanager whose silences the pages show.

    Attributes:
        url: its address, without /api/v2.
    """

    url: Annotated[Url, Field(repr=False)]


MAX_LABEL_BYTES = 1_024
"""The largest limit of a label. `trunkwatch tickets` skips alerts with longer ones."""


class Limits(Section):
    """Limits on what others may send or make Trunkwatch export.

    Attributes:
        max_jobs: jobs exported, all trunks together.
        max_jobs_per_source: jobs exported of the trunks of one source; None for no limit.
        max_label_bytes: of the value of a label in UTF-8.
        max_answer_bytes: of an answer of a CI's server, decompressed.
        max_list_pages: of a list of a CI's server.
        max_connections: open ones of each listener; read at the start.
    """

    max_jobs: AtLeastOne = DEFAULT_MAX_JOBS
    max_jobs_per_source: AtLeastOne | None = None
    max_label_bytes: Annotated[int, Field(strict=True, ge=64, le=MAX_LABEL_BYTES)] = 512
    max_answer_bytes: Annotated[int, Field(strict=True, ge=65_536, le=MAX_INTEGER)] = (
        64 * 1024 * 1024
    )
    max_list_pages: AtLeastOne = 300
    max_connections: Annotated[int, Field(strict=True, ge=10, le=MAX_INTEGER)] = 1_000


class Retention(Section):
    """Which results the storage keeps.

    Attributes:
        keep: results of commits of this age (seconds) may be dropped once nothing published needs
            them; None to keep all.
    """

    keep: Keep = None


class Storage(Section):
    """The storage of `trunkwatch serve`."""

    retention: Retention = Retention()


class Config(Section):
    """The whole file; only `sources` is required.

    Attributes:
        name: the label `trunkwatch` of this Trunkwatch's alerts; None if they have none.
    """

    name: AlertsName | None = None
    sources: Annotated[tuple[SourceConfig, ...], Field(min_length=1)]
    jobs: Jobs = Jobs()
    groups: tuple[GroupSection, ...] = ()
    known_broken: tuple[KnownBrokenSection, ...] = ()
    green: tuple[GreenSection, ...] = ()
    limits: Limits = Limits()
    storage: Storage = Storage()
    tickets: TicketsSection = TicketsSection()
    confirm: ConfirmSection | None = None
    alertmanager: AlertmanagerSection | None = None

    @property
    def kept_commits(self) -> int:
        """The newest commits of a trunk whose results are kept: sources read as many again."""
        windows = (getattr(source, "window", 0) for source in self.sources)
        return max(KEPT_COMMITS, *windows)
