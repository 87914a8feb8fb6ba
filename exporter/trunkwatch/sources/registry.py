"""The one place that knows every kind of source."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from trunkwatch.config import SourceConfig
from trunkwatch.sources import buildbot, clickhouse, gitea, github, gitlab, recorded
from trunkwatch.sources.port import Source, SourceContext
from trunkwatch.sources.traits import Traits


class Kind(NamedTuple):
    """A kind of source.

    Attributes:
        build: returns a source, given its section of the configuration and its dependencies.
        traits: its declaration.
    """

    build: Callable[[Any, SourceContext], Source]
    traits: Traits


SOURCES: Mapping[str, Kind] = MappingProxyType(
    {
        "buildbot": Kind(buildbot.Buildbot, buildbot.TRAITS),
        "clickhouse": Kind(clickhouse.Clickhouse, clickhouse.TRAITS),
        "gitea": Kind(gitea.Gitea, gitea.TRAITS),
        "github": Kind(github.Github, github.TRAITS),
        "gitlab": Kind(gitlab.Gitlab, gitlab.TRAITS),
        "recorded": Kind(recorded.recorded_source, recorded.TRAITS),
    }
)
"""Every kind of source by its `type` in the configuration."""


def build_source(config: SourceConfig, context: SourceContext) -> Source:
    """Return the source that a section of the configuration describes."""
    return SOURCES[config.type].build(config, context)
