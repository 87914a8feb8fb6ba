"""Composition: names each concrete class once.

`parts` builds stores and sources, `once` is the refresh of the commands that end, `server` is
`trunkwatch serve`, and `listeners` its web servers.
"""

from trunkwatch.app.listeners import WebOptions
from trunkwatch.app.once import Once, refresh_all
from trunkwatch.app.parts import compare_urls, open_store
from trunkwatch.app.server import Server
from trunkwatch.app.sharding import Sharding
from trunkwatch.app.triage import question_lines

__all__ = [
    "Once",
    "Server",
    "Sharding",
    "WebOptions",
    "compare_urls",
    "open_store",
    "question_lines",
    "refresh_all",
]
