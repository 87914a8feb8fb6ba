"""What is served over HTTP: `pages` answers requests, `server` listens."""

from exporter.web.pages import Pages
from exporter.web.server import WebServer, parse_address

__all__ = ["Pages", "WebServer", "parse_address"]
