"""The sections of the programs that act: `tickets` and `confirm`."""

from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from trunkwatch import patterns
from trunkwatch.config.fields import (
    TICKET_REPOS,
    AtLeastOne,
    Duration,
    Flag,
    LabelName,
    Name,
    Pattern,
    Url,
    Zone,
    ticket_repo,
)
from trunkwatch.config.section import Section
from trunkwatch.config.sources import GITHUB_API, GITLAB_API, GITLAB_API_PATH


class ActingSection(Section):
    """The settings of a program that changes something at one vendor.

    Attributes:
        type: the vendor.
        api_url: address of the API, of which the end depends on the type; None for the vendor's
            own server.
    """

    type: Literal["github", "gitlab", "buildbot"] = "github"
    api_url: Annotated[Url | None, Field(repr=False)] = None

    @model_validator(mode="after")
    def _has_the_api_of_its_type(self) -> Self:
        # No value of api_url is repeated: it may have a password.
        is_gitlab_api = (self.api_url or GITLAB_API).rstrip("/").endswith(GITLAB_API_PATH)
        if self.type == "gitlab" and not is_gitlab_api:
            raise ValueError(f"api_url must end with {GITLAB_API_PATH}, such as {GITLAB_API}")
        if self.type == "github" and self.api_url is not None and is_gitlab_api:
            raise ValueError("api_url is that of a GitLab: add type: gitlab")
        return self

    @property
    def api(self) -> str:
        """The address of the API."""
        return self.api_url or (GITLAB_API if self.type == "gitlab" else GITHUB_API)


class TicketsSection(ActingSection):
    """The settings of `trunkwatch tickets` (docs/tickets.md).

    Attributes:
        url: where `serve` reads the tickets: address of `tickets`; None if it does not.
        repo: where issues are opened; {repo} stands for the repository of the results.
        labels: labels beside those of priority, team and origin.
        assignees: logins.
        auto_close: whether an issue is closed when no job of it is broken any more.
        reopen_within: seconds after the end of an outage in which a new one reopens its issue.
        max_new_per_hour: the most issues opened in an hour.
        timezone: time zone of the shown times.
        timezones: time zones that differ, by team.
        dashboard_url: address of the dashboard; may contain {repo}, {branch} and {group}.
        confidential: whether a new issue of GitLab is confidential.
    """

    type: Literal["github", "gitlab"] = "github"
    url: Annotated[Url | None, Field(repr=False)] = None
    repo: str = "{repo}"
    labels: tuple[Name, ...] = ()
    assignees: tuple[Name, ...] = ()
    auto_close: Flag = True
    reopen_within: Duration = 72 * 3600.0
    max_new_per_hour: AtLeastOne = 10
    timezone: Zone = "UTC"
    timezones: dict[Name, Zone] = {}  # noqa: RUF012 — pydantic copies it
    dashboard_url: Url | None = None
    confidential: Flag = False

    @field_validator("repo")
    @classmethod
    def _is_a_repository(cls, value: str, info: ValidationInfo) -> str:
        return ticket_repo(value, info.data.get("type", "github"))

    @model_validator(mode="after")
    def _is_confidential_where_that_is(self) -> Self:
        if self.type == "github" and self.confidential:
            raise ValueError("GitHub has no confidential issues; remove confidential")
        return self

    def may_be_in(self, repo: str) -> bool:
        """Return whether a repository, as results name it, has the form of one with issues."""
        return TICKET_REPOS[self.type][0].fullmatch(repo) is not None


BUILDBOT_API_PATH = "/api/v2"
"""The API's path on a Buildbot master."""

_TYPES_OF_KEYS = {
    "events": ("github", "gitlab"),
    "called_workflows": ("github",),
    "builders": ("buildbot",),
    "force_scheduler": ("buildbot",),
}
"""The types to which a key of the section `confirm` belongs, of those that not every type has."""


class ConfirmSection(ActingSection):
    """The settings of `trunkwatch confirm` (docs/confirm.md); without the section it does not run.

    Attributes:
        mode: `ask` shows what would be run, `act` asks CI to run it.
        url: where `serve` reads the questions: address of `confirm`; None if it does not.
        questions: the kinds of questions.
        groups: whose jobs are run again; of all groups when empty.
        never: patterns of jobs, as "workflow / job", that are never run again.
        builders: patterns of the builders of Buildbot that deploy nothing.
        force_scheduler: the scheduler that builds commits; None to rebuild builds alone.
        events: what may have started a run that is repeated.
        called_workflows: patterns of reusable workflows of other repositories that deploy nothing.
        max_runs_per_outage: requests about one outage.
        max_runs_per_group: requests for the jobs of a group in a repository, in 24 hours.
        max_runs_per_repo: requests in a repository, in 24 hours.
        max_minutes_per_repo: minutes of jobs in a repository, in 24 hours, as estimated before.
    """

    mode: Literal["ask", "act"] = "ask"
    url: Annotated[Url | None, Field(repr=False)] = None
    questions: Annotated[tuple[Literal["real", "which", "outside"], ...], Field(min_length=1)] = (
        "real",
        "which",
        "outside",
    )
    groups: tuple[LabelName, ...] = ()
    never: tuple[Pattern, ...] = tuple(
        patterns.Pattern(f"(?i).*{word}.*") for word in ("deploy", "release", "publish", "upload")
    )
    events: Annotated[tuple[Name, ...], Field(min_length=1)] = ("push", "pull_request")
    called_workflows: tuple[Pattern, ...] = ()
    builders: tuple[Pattern, ...] = ()
    force_scheduler: Annotated[str, Field(pattern="^[a-zA-Z_-][a-zA-Z0-9_-]*$")] | None = None
    max_runs_per_outage: AtLeastOne = 8
    max_runs_per_group: AtLeastOne = 20
    max_runs_per_repo: AtLeastOne = 50
    max_minutes_per_repo: AtLeastOne = 600

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        # No value of api_url is repeated: it may have a password.
        for key in sorted(self.model_fields_set & _TYPES_OF_KEYS.keys()):
            if self.type not in _TYPES_OF_KEYS[key]:
                kinds = " or ".join(_TYPES_OF_KEYS[key])
                raise ValueError(f"{key} is a key of type: {kinds}; remove it")
        if self.type == "buildbot":
            if not (self.api_url or "").rstrip("/").endswith(BUILDBOT_API_PATH):
                raise ValueError(
                    "type: buildbot needs api_url: the address of the master with"
                    f" {BUILDBOT_API_PATH}, such as https://ci.example.com{BUILDBOT_API_PATH}"
                )
            if not self.builders:
                raise ValueError(
                    "type: buildbot needs builders: patterns of those that deploy nothing; no"
                    " other builder is run again"
                )
        return self

    @property
    def starts_runs(self) -> bool:
        """Whether a commit without a run can be tested."""
        return self.force_scheduler is not None
