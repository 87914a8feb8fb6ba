"""What is served over HTTP: `pages` and `webhook` answer requests, `server` listens."""

from exporter.web.pages import Pages
from exporter.web.server import WebServer, parse_address
from exporter.web.webhook import WEBHOOK_PATH, Delivery, Hook, Webhook, WebhookOnly

__all__ = [
    "WEBHOOK_PATH",
    "Delivery",
    "Hook",
    "Pages",
    "WebServer",
    "Webhook",
    "WebhookOnly",
    "parse_address",
]
