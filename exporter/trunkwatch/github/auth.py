"""The authentication that a GitHub source is configured with."""

from trunkwatch.config.schema import GithubSource
from trunkwatch.github.app import AppToken
from trunkwatch.rest.credentials import Authorization, EnvToken, FileToken, NoToken
from trunkwatch.rest.http import HttpContext


def authorization_of(config: GithubSource, http: HttpContext) -> Authorization:
    """Return how a source authenticates."""
    if config.app is not None:
        return AppToken(config, config.app, http)
    if config.token_file is not None:
        return FileToken(config.token_file)
    if config.token_env is not None:
        return EnvToken(config.token_env)
    return NoToken()
