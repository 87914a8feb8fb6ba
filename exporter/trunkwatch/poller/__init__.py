"""From sources to snapshots.

`trunk_engine` holds the state; `source_registry` and `evaluation` are its two halves; `poller`
drives it on a schedule.
"""

from trunkwatch.poller.poller import Poller
from trunkwatch.poller.trunk_engine import TrunkEngine

__all__ = ["Poller", "TrunkEngine"]
