"""HTTP: `pages` and `webhook` answer requests, `server` listens."""

from trunkwatch.web.pages import MetricsOnly, Pages
from trunkwatch.web.server import WebServer, parse_address
from trunkwatch.web.settings import WebSettings
from trunkwatch.web.webhook import WEBHOOK_PREFIX, Hook, Webhook, WebhookOnly

__all__ = [
    "WEBHOOK_PREFIX",
    "Hook",
    "MetricsOnly",
    "Pages",
    "WebServer",
    "WebSettings",
    "Webhook",
    "WebhookOnly",
    "parse_address",
]
