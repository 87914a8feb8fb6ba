"""A configuration for somebody who has none: one repository on GitHub, and the defaults."""

from trunkwatch.config.schema import GITHUB_API, Config, GithubSource
from trunkwatch.errors import UsageError

WINDOW = 60
"""Commits that are read: enough for a streak and its beginning, within a small quota."""


def config_of_repo(repo: str, api_url: str | None, token_env: str | None) -> Config:
    """Return a configuration that watches the default branch of one repository.

    Args:
        repo: owner/name.
        api_url: of the API; None for github.com.
        token_env: the environment variable that holds a token; None to ask without one.

    Raises:
        UsageError: the repository cannot be called that.
    """
    try:
        source = GithubSource(
            name="github",
            type="github",
            repo=repo,
            api_url=api_url or GITHUB_API,
            token_env=token_env,
            window=WINDOW,
            # Without a token the few requests are nobody else's.
            quota_share=0.5 if token_env else 1.0,
        )
    except ValueError:
        raise UsageError(f"--repo {repo!r}: must be owner/name, such as pytorch/pytorch") from None
    return Config(sources=(source,))
