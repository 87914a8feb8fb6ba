"""The routes that a running Alertmanager uses."""

from collections.abc import Iterator

from trunkwatch.config import Config
from trunkwatch.config.alertmanager import Route, parse_routes, route_results, unrouted
from trunkwatch.errors import BadAnswerError, ConfigError, RequestError
from trunkwatch.rest.client import RestClient
from trunkwatch.rest.http import HttpContext

TIMEOUT_SECONDS = 20.0


def read_routes(client: RestClient) -> Route:
    """Return the routes that Alertmanager uses.

    Raises:
        ConfigError: its routes are invalid.
        RequestError: it did not answer.
    """
    status = client.object("GET", "/api/v2/status")
    config = status.get("config")
    text = config.get("original") if isinstance(config, dict) else None
    if not isinstance(text, str):
        raise BadAnswerError("/api/v2/status: the answer lacks the configuration")
    return parse_routes(text, "the configuration of Alertmanager")


def unrouted_teams(config: Config) -> Iterator[str]:
    """Yield a line for each team without a route in the Alertmanager of a configuration."""
    if config.alertmanager is None:
        return
    client = RestClient(config.alertmanager.url, HttpContext(), timeout=TIMEOUT_SECONDS)
    try:
        root = read_routes(client)
    except (RequestError, ConfigError) as error:
        yield f"alertmanager.url: the routes of teams cannot be read: {error}"
        return
    for problem in unrouted(route_results(config, root), root):
        yield f"alertmanager.url: {problem}"
