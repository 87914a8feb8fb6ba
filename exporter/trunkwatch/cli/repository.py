"""`--repo owner/name`: one repository instead of a configuration, and its cache."""

import os
import shlex
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import click
from click.core import ParameterSource

from trunkwatch.cli.common import Command
from trunkwatch.config import (
    Config,
    config_of_gitea,
    config_of_project,
    config_of_repo,
    load_config,
)
from trunkwatch.config.sources import GITEA, GITHUB_API, GITLAB, GithubSource, ProjectsSource
from trunkwatch.errors import StoreError, UsageError
from trunkwatch.store import MEMORY, SqliteStore
from trunkwatch.urls import without_credentials


class _Ci(NamedTuple):
    """A CI whose repositories need no configuration.

    Attributes:
        token: the environment variable with a token that its own tool reads.
        url: the environment variable with its address that its own runners or tool use.
        usual_url: its address without that.
        config_of: returns the configuration of a repository, its address and token variable.
    """

    token: str
    url: str
    usual_url: str
    config_of: Callable[[str, str | None, str | None], Config]


_CIS: Mapping[str, _Ci] = {
    "github": _Ci("GITHUB_TOKEN", "GITHUB_API_URL", GITHUB_API, config_of_repo),
    "gitlab": _Ci("GITLAB_TOKEN", "CI_SERVER_URL", GITLAB, config_of_project),
    "gitea": _Ci("GITEA_SERVER_TOKEN", "GITEA_SERVER_URL", GITEA, config_of_gitea),
}
"""By the value of `--source`."""

GITHUB = "github"

SOURCE = "trunkwatch.source"
"""The key of the chosen CI among the values of a command."""

WITHOUT_TOKEN = (
    "without a token in GITHUB_TOKEN, GitHub answers 60 requests an hour: the newest commits are"
    " read as far as that goes, and private repositories not at all. A fine-grained token with"
    " read-only Actions, Checks, Contents and Metadata is enough."
)

CACHE_MODE = 0o700
"""Mode of the cache's folders: results of private repositories are their owner's."""


_CHOICES = {
    "config_file": "--config.file",
    "repo": "--repo",
    "source": "--source",
    "storage": "--storage.path",
}
"""The flags that choose what a command reads, by their parameters."""

HOW_TO_READ = {
    "token_file", "token_env", "app", "window", "quota_share", "graphql", "timeout",
    "poll_interval", "webhook_secret_file", "order", "compare_url",
}  # fmt: skip
"""The keys of a source on which it does not depend whose results it reads."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a command reads, and where it stores the results.

    Attributes:
        config: the configuration.
        storage: path of the storage.
        cache: a line that names the cache, or why there is none; None where none is used.
    """

    config: Config
    storage: str
    cache: str | None = None

    def show_cache(self, *, err: bool) -> None:
        """Print the line about the cache.

        Args:
            err: print it on standard error, since the output is for a program.
        """
        if self.cache is not None:
            click.echo(self.cache, err=err)


_TOKEN_AND_CACHE = "a token is taken from GITHUB_TOKEN, and the results are kept in a cache."
REPO_HELP = f"A repository on GitHub; {_TOKEN_AND_CACHE}"


def source_flag(command: Command) -> Command:
    """Add the flag `--source` to a command."""
    return click.option(
        "--source",
        type=click.Choice(list(_CIS)),
        default=GITHUB,
        show_default=True,
        expose_value=False,
        callback=lambda context, _flag, value: context.meta.update({SOURCE: value}),
        help="Where the repository of --repo is: GitLab's token is taken from GITLAB_TOKEN, its"
        " address from CI_SERVER_URL; those of Gitea or Forgejo from GITEA_SERVER_TOKEN and"
        " GITEA_SERVER_URL.",
    )(command)


def repo_flag(command: Command) -> Command:
    """Add the flags `--repo` and `--source` to a command."""
    named_flag = click.option(
        "--repo",
        metavar="OWNER/NAME",
        help=f"A repository on GitHub, instead of a configuration; {_TOKEN_AND_CACHE}",
    )
    return named_flag(source_flag(command))


def choose(config_file: str, repo: str | None, storage: str) -> Chosen:
    """Return what the flags of a command choose.

    Args:
        config_file: path of a configuration.
        repo: owner/name, instead of a configuration.
        storage: path of the storage; without one, a repository has a cache.

    Raises:
        ConfigError: the configuration cannot be used.
        UsageError: the flags contradict each other, or `repo` is no name.
    """
    if repo is None:
        return Chosen(load_config(config_file), storage)
    source_of = click.get_current_context().get_parameter_source
    if source_of("config_file") is ParameterSource.COMMANDLINE:
        if source_of("repo") is not ParameterSource.COMMANDLINE:
            return Chosen(load_config(config_file), storage)  # a variable gives way to a flag
        raise UsageError("--repo and --config.file both choose what to read; keep one")
    return choose_repo(repo, storage)


def choose_repo(repo: str, storage: str) -> Chosen:
    """Return what a repository and the flag of the storage choose.

    Raises:
        UsageError: `repo` is no name.
    """
    config = _config_of_repo(repo)
    if storage != MEMORY:
        return Chosen(config, storage)
    ci = _CIS[_chosen_source()]
    path = _cache_of(repo, os.environ.get(ci.url) or ci.usual_url)
    try:
        path.parent.mkdir(mode=CACHE_MODE, parents=True, exist_ok=True)
        return _with_cache(config, path)
    except (OSError, StoreError) as error:
        return Chosen(config, MEMORY, f"Cache: none ({error}).")


def choose_cached(config: Config, storage: str) -> Chosen:
    """Return what a command reads of a configuration; a cache that `--repo` filled is used.

    Args:
        config: of one source that reads the results of a single repository as `--repo` does.
        storage: path of the storage; only without one there is a cache.
    """
    path = _filled_cache(config) if storage == MEMORY else None
    try:
        return Chosen(config, storage) if path is None else _with_cache(config, path)
    except (OSError, StoreError):
        return Chosen(config, storage)


def next_command(*arguments: str) -> str:
    """Return a command to be printed that reads what the running command reads.

    It has the flags that choose this; a variable that chooses it is still set.
    """
    context = click.get_current_context()
    words = ["trunkwatch", *arguments]
    for name, flag in _CHOICES.items():
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            words += (flag, _chosen_source() if name == "source" else context.params[name])
    return shlex.join(words)


def _with_cache(config: Config, path: Path) -> Chosen:
    with closing(SqliteStore(str(path))):
        path.chmod(0o600)
    return Chosen(config, str(path), f"Cache: {path} (delete it to read everything again).")


def _filled_cache(config: Config) -> Path | None:
    """Return the cache of the only repository of a configuration; None without one."""
    source, *others = config.sources
    if others:
        return None
    if isinstance(source, GithubSource) and source.repo is not None:
        repo, url = source.repo, source.api_url
    elif isinstance(source, ProjectsSource):
        repo, url = source.repos[0], source.url
    else:
        return None
    (alone,) = _CIS[source.type].config_of(repo, url, None).sources
    fields = type(source).model_fields.keys() - HOW_TO_READ
    if any(getattr(source, field) != getattr(alone, field) for field in fields):
        return None
    path = _cache_of(repo, url)
    return path if path.is_file() else None


def _cache_of(repo: str, url: str) -> Path:
    """Return the path of the cache of a repository on the server of an address."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification: a relative path is ignored.
    home = Path(given) if given.startswith("/") else Path.home() / ".cache"
    api = urlsplit(without_credentials(url))
    server = quote(f"{api.netloc}{api.path}".rstrip("/"), safe=":")
    return home / "trunkwatch" / server / f"{quote(repo, safe='')}.db"


def _config_of_repo(repo: str) -> Config:
    """Return a configuration of one repository, with the environment's token and API address."""
    source = _chosen_source()
    ci = _CIS[source]
    token_env = ci.token if os.environ.get(ci.token) else None
    if token_env is None and source == GITHUB:
        click.echo(WITHOUT_TOKEN, err=True)
    return ci.config_of(repo, os.environ.get(ci.url), token_env)


def _chosen_source() -> str:
    """Return the value of `--source`."""
    source: str = click.get_current_context().meta[SOURCE]
    return source
