"""From sources to snapshots: `watcher` holds the state, `poller` drives it on a schedule."""

from trunkwatch.poller.poller import Poller
from trunkwatch.poller.trunk_engine import TrunkEngine

__all__ = ["Poller", "TrunkEngine"]
