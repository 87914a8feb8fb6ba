"""The configuration: its keys (`schema`), reading (`load`) and conversion (`policy`)."""

from trunkwatch.config.alertmanager import check_routes
from trunkwatch.config.load import load_config, parse_config
from trunkwatch.config.policy import policy_of
from trunkwatch.config.schema import (
    BuildbotSource,
    ClickhouseSource,
    Config,
    ConfirmSection,
    GiteaSource,
    GithubSource,
    GitlabSource,
    RecordedSource,
    RepoSource,
    SourceConfig,
    TicketsSection,
)
from trunkwatch.config.single import config_of_gitea, config_of_project, config_of_repo

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
