"""The configuration: its keys (`schema`), reading (`load`) and conversion (`policy`).

`sources` has the sections of the sources, `acting` those of `tickets` and `confirm`.
"""

from trunkwatch.config.acting import ConfirmSection, TicketsSection
from trunkwatch.config.alertmanager import check_routes
from trunkwatch.config.load import load_config, parse_config
from trunkwatch.config.policy import policy_of
from trunkwatch.config.schema import Config
from trunkwatch.config.single import config_of_gitea, config_of_project, config_of_repo
from trunkwatch.config.sources import (
    BuildbotSource,
    ClickhouseSource,
    GiteaSource,
    GithubSource,
    GitlabSource,
    RecordedSource,
    RepoSource,
    SourceConfig,
)

__all__ = [
    "BuildbotSource",
    "ClickhouseSource",
    "Config",
    "ConfirmSection",
    "GiteaSource",
    "GithubSource",
    "GitlabSource",
    "RecordedSource",
    "RepoSource",
    "SourceConfig",
    "TicketsSection",
    "check_routes",
    "config_of_gitea",
    "config_of_project",
    "config_of_repo",
    "load_config",
    "parse_config",
    "policy_of",
]
