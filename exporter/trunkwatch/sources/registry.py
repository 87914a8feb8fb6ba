"""The one place that knows every kind of source."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from trunkwatch.config import SourceConfig
from trunkwatch.sources import buildbot, clickhouse, gitea, github, gitlab, recorded
from trunkwatch.sources.buildbot import buildbot_source
from trunkwatch.sources.clickhouse import clickhouse_source
from trunkwatch.sources.gitea import gitea_source
from trunkwatch.sources.github import github_source
from trunkwatch.sources.gitlab import gitlab_source
from trunkwatch.sources.port import Source, SourceContext
from trunkwatch.sources.recorded import recorded_source
from trunkwatch.sources.traits import Traits

SOURCES: Mapping[str, Callable[[Any, SourceContext], Source]] = MappingProxyType(
    {
        "buildbot": buildbot_source,
        "clickhouse": clickhouse_source,
        "gitea": gitea_source,
        "github": github_source,
        "gitlab": gitlab_source,
        "recorded": recorded_source,
    }
)
"""Every source by the `type` that the configuration calls it."""

TRAITS: Mapping[str, Traits] = MappingProxyType(
    {
        "buildbot": buildbot.TRAITS,
        "clickhouse": clickhouse.TRAITS,
        "gitea": gitea.TRAITS,
        "github": github.TRAITS,
        "gitlab": gitlab.TRAITS,
        "recorded": recorded.TRAITS,
    }
)
"""The declaration of every source, by the same names."""


def build_source(config: SourceConfig, context: SourceContext) -> Source:
    """Return the source that a section of the configuration describes."""
    return SOURCES[config.type](config, context)
