"""Where results come from: one file or package per CI. `SOURCES` lists every kind."""

from trunkwatch.sources.port import (
    Delivery,
    DeliveryUpdate,
    FailureFocus,
    Limitation,
    Refresh,
    RefreshReport,
    Source,
    SourceContext,
    TrunkReport,
    WebhookSource,
)
from trunkwatch.sources.registry import SOURCES, build_source

__all__ = [
    "SOURCES",
    "Delivery",
    "DeliveryUpdate",
    "FailureFocus",
    "Limitation",
    "Refresh",
    "RefreshReport",
    "Source",
    "SourceContext",
    "TrunkReport",
    "WebhookSource",
    "build_source",
]
