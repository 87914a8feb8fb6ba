"""A configuration for one repository on GitHub, GitLab or Gitea, without a file."""

from pydantic import ValidationError

from trunkwatch.config.schema import Config, Jobs
from trunkwatch.config.sources import (
    GITEA,
    GITHUB_API,
    GITLAB,
    GiteaSource,
    GithubSource,
    GitlabSource,
)
from trunkwatch.errors import UsageError
from trunkwatch.quoting import quoted

WINDOW = 60
"""Commits to read: enough for a streak and its start, within a small quota."""


def config_of_repo(repo: str, api_url: str | None, token_env: str | None) -> Config:
    """Return a configuration that watches the default branch of one repository.

    Args:
        repo: owner/name.
        api_url: address of the API; None for github.com.
        token_env: the environment variable that contains a token; None for no authentication.

    Raises:
        UsageError: the name is not owner/name, or the API is not GitHub's.
    """
    try:
        source = GithubSource(
            name="github",
            type="github",
            repo=repo,
            api_url=api_url or GITHUB_API,
            token_env=token_env,
            window=WINDOW,
            # Unauthenticated requests have a quota of their own (60 per hour): use all of it.
            quota_share=0.5 if token_env else 1.0,
        )
    except ValidationError as error:
        raise _refusal(
            error,
            "GITHUB_API_URL is not the address of GitHub's API; with that of Gitea or Forgejo,"
            " as in their own jobs, use --source gitea",
            f"--repo {quoted(repo)}: must be owner/name, such as pytorch/pytorch",
        ) from None
    return Config(sources=(source,))


def config_of_project(path: str, url: str | None, token_env: str | None) -> Config:
    """Return a configuration that watches the default branch of one project on GitLab.

    Args:
        path: of the project, with that of its group.
        url: address of the server; None for gitlab.com.
        token_env: the environment variable that contains a token; None for no authentication.

    Raises:
        UsageError: the path is not that of a project, or the address is none.
    """
    try:
        source = GitlabSource(
            name="gitlab",
            type="gitlab",
            repos=(path,),
            url=url or GITLAB,
            token_env=token_env,
            window=WINDOW,
        )
    except ValidationError as error:
        raise _refusal(
            error,
            "CI_SERVER_URL must be a URL such as https://gitlab.example.com",
            f"--repo {quoted(path)}: must be a path such as group/sub/project",
        ) from None
    jobs = Jobs(preset="gitlab")
    return Config(sources=(source,), jobs=jobs)


def config_of_gitea(repo: str, url: str | None, token_env: str | None) -> Config:
    """Return a configuration that watches the default branch of one repository on Gitea or Forgejo.

    Args:
        repo: owner/name.
        url: address of the server; None for gitea.com.
        token_env: the environment variable that contains a token; None for no authentication.

    Raises:
        UsageError: the name is not owner/name, or the address is none.
    """
    try:
        source = GiteaSource(
            name="gitea",
            type="gitea",
            repos=(repo,),
            url=url or GITEA,
            token_env=token_env,
            window=WINDOW,
        )
    except ValidationError as error:
        raise _refusal(
            error,
            "GITEA_SERVER_URL must be a URL such as https://git.example.com",
            f"--repo {quoted(repo)}: must be owner/name, such as owner/project",
        ) from None
    return Config(sources=(source,))


def _refusal(error: ValidationError, of_url: str, of_repo: str) -> UsageError:
    """Return the problem of the address or of the repository, whichever is wrong."""
    is_url = any(each["loc"] in (("url",), ("api_url",)) for each in error.errors())
    return UsageError(of_url if is_url else of_repo)
