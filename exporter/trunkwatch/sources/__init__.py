"""Where results come from: one file per CI. `SOURCES` lists every kind there is."""

from trunkwatch.sources.port import FailureFocus, Heard, Source, SourceContext, WebhookSource
from trunkwatch.sources.registry import SOURCES, build_source

__all__ = [
    "SOURCES",
    "FailureFocus",
    "Heard",
    "Source",
    "SourceContext",
    "WebhookSource",
    "build_source",
]
