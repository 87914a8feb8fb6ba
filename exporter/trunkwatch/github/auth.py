"""The authentication that a GitHub source is configured with."""

from collections.abc import Callable

from trunkwatch.config.schema import GithubSource
from trunkwatch.github.app import AppToken
from trunkwatch.rest import Authorization, EnvToken, FileToken, HttpContext, NoToken, read_secret


def authorization_of(config: GithubSource, http: HttpContext) -> Authorization:
    """Return how a source authenticates."""
    if config.app is not None:
        return AppToken(config, config.app, http)
    if config.token_file is not None:
        return FileToken(config.token_file)
    if config.token_env is not None:
        return EnvToken(config.token_env)
    return NoToken()


def webhook_secret(config: GithubSource) -> Callable[[], bytes | None]:
    """Return a function that reads the secret of a source's webhooks; None where they are off.

    The function raises CredentialsError if the configured secret cannot be read.
    """

    def read() -> bytes | None:
        path = config.webhook_secret_file
        return None if path is None else read_secret(f"webhook_secret_file {path}", path)

    return read
