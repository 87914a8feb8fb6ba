"""GitHub Actions. `source` decides what to ask; nothing of GitHub's JSON leaves this folder."""

from trunkwatch.sources.github.source import TRAITS, Github

__all__ = ["TRAITS", "Github"]
