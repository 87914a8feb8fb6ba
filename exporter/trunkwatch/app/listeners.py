"""The listeners of `trunkwatch serve`: pages, metrics and webhooks, together or each alone."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from trunkwatch.web import (
    WEBHOOK_PREFIX,
    MetricsOnly,
    Pages,
    Webhook,
    WebhookOnly,
    WebServer,
    WebSettings,
)
from trunkwatch.web.answer import path_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment


@dataclass(frozen=True, slots=True)
class WebOptions:
    """The flags of the listeners: addresses are `host:port`, files are web configurations.

    Attributes:
        listen: of the pages, and of everything that has no listener of its own.
        config_file: of every listener without a file of its own; None for plain HTTP.
        metrics_listen: of /metrics alone.
        metrics_config_file: of that listener.
        webhook_listen: of webhooks alone.
        webhook_config_file: of that listener.
        external_url: address of the pages as a browser reaches it; None for localhost.
    """

    listen: str
    config_file: str | None = None
    metrics_listen: str | None = None
    metrics_config_file: str | None = None
    webhook_listen: str | None = None
    webhook_config_file: str | None = None
    external_url: str | None = None


def open_listeners(
    options: WebOptions,
    pages: Pages,
    webhook: Webhook,
    count_refused: Callable[[str], None],
    report: Callable[[str, bool], None],
    max_connections: int,
) -> list[WebServer]:
    """Listen on each address; that of the pages is the first.

    Args:
        options: the flags.
        pages: answers all requests that no other listener takes.
        webhook: answers webhooks on a listener of its own.
        count_refused: called with the reason when a connection or a request is refused.
        max_connections: that may be open on each listener.
        report: called with a listener's name and whether its web configuration is used.

    Raises:
        ConfigError: a web configuration cannot be used.
        ListenError: an address cannot be listened on.
    """
    wanted: list[tuple[str, str | None, str | None, WSGIApplication]] = [
        ("", options.listen, None, pages),
        ("metrics-", options.metrics_listen, options.metrics_config_file, MetricsOnly(pages)),
        ("webhook-", options.webhook_listen, options.webhook_config_file, WebhookOnly(webhook)),
    ]
    servers: list[WebServer] = []
    try:
        for name, address, config_file, application in wanted:
            if address is not None:
                settings = WebSettings(config_file or options.config_file, partial(report, name))
                flag = f"--web.{name}listen-address"
                server = WebServer(
                    address, application, flag, count_refused, settings, _is_signed, max_connections
                )
                servers.append(server)
    except Exception:
        for server in servers:
            server.stop()
        raise
    return servers


def _is_signed(environ: "WSGIEnvironment") -> bool:
    """Return whether a request is a delivery, which its source accepts with a signature only."""
    is_post = environ["REQUEST_METHOD"] == "POST"
    return is_post and path_of(environ).startswith(WEBHOOK_PREFIX)
