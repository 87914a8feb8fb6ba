"""HTTP: `pages` and `webhook` answer requests, `server` listens."""

from trunkwatch.web.pages import Pages
from trunkwatch.web.server import WebServer, parse_address
from trunkwatch.web.webhook import WEBHOOK_PREFIX, Hook, Webhook, WebhookOnly

__all__ = [
    "WEBHOOK_PREFIX",
    "Hook",
    "Pages",
    "WebServer",
    "Webhook",
    "WebhookOnly",
    "parse_address",
]
