"""GitHub's APIs: errors, rate limits, lists, GraphQL and Apps, on the kit of `rest`."""

from trunkwatch.github.api import PER_PAGE, TOTAL, GithubRules
from trunkwatch.github.auth import authorization_of

__all__ = ["PER_PAGE", "TOTAL", "GithubRules", "authorization_of"]
