"""Where results come from: one file or package per CI. `SOURCES` lists every kind."""

from trunkwatch.sources.port import (
    Delivery,
    DeliveryUpdate,
    FailureFocus,
    Refresh,
    RefreshReport,
    Source,
    SourceContext,
    WebhookSource,
)
from trunkwatch.sources.registry import SOURCES, build_source

__all__ = [
    "SOURCES",
    "Delivery",
    "DeliveryUpdate",
    "FailureFocus",
    "Refresh",
    "RefreshReport",
    "Source",
    "SourceContext",
    "WebhookSource",
    "build_source",
]
