"""From sources to snapshots: `watcher` holds the state, `poller` drives it on a schedule."""

from exporter.poller.poller import Poller
from exporter.poller.watcher import Watcher

__all__ = ["Poller", "Watcher"]
