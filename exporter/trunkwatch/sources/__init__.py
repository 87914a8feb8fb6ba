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
from trunkwatch.sources.traits import Traits

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
    "Traits",
    "TrunkReport",
    "WebhookSource",
    "build_source",
]
