"""Buildbot, through its REST API (https://docs.buildbot.net/latest/developer/rest.html).

Builders are jobs, a build request is a run, and each build of it an attempt. The `results` of a
build are described at https://docs.buildbot.net/latest/developer/results.html.
"""

from trunkwatch.sources.buildbot.source import TRAITS, Buildbot

__all__ = ["TRAITS", "Buildbot"]
