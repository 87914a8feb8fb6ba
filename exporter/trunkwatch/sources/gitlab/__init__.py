"""GitLab CI, through its REST API and webhooks (https://docs.gitlab.com/api/rest/).

A pipeline is a run. A retried job is a new row of the same name, so that the rows of a name in the
order of their ids are its attempts. The jobs of a child pipeline are named `trigger job / job`.
docs/gitlab.md describes it for users.
"""

from trunkwatch.sources.gitlab.source import TRAITS, Gitlab

__all__ = ["TRAITS", "Gitlab"]
