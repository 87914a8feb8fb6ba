"""Gitea Actions and Forgejo Actions, through the REST API and webhooks (https://docs.gitea.com/api).

A task is one attempt of one job. A re-run overwrites the row of its job, so that only the list of
tasks shows the attempts; it lacks the jobs that were skipped or have not begun, which the jobs of a
run have. docs/gitea.md describes it for users.
"""

from trunkwatch.sources.gitea.source import TRAITS, Gitea

__all__ = ["TRAITS", "Gitea"]
