"""Which part of the repositories this exporter reads, and who reads the others."""

from dataclasses import dataclass

from trunkwatch.addresses import peers_pattern
from trunkwatch.config import Config
from trunkwatch.domain.model import Trunk
from trunkwatch.errors import UsageError
from trunkwatch.poller.totals import Counters
from trunkwatch.shards import Shard, owner_of, parse_shard
from trunkwatch.web.view import OtherShard


@dataclass(frozen=True, slots=True)
class Sharding:
    """The flags of an exporter that is one of several.

    Attributes:
        shard: its own; None where it reads everything.
        peers: address of each exporter with {shard} for its number; None without `--shard.peers`.
    """

    shard: Shard | None = None
    peers: str | None = None

    @classmethod
    def parse(cls, shard: str | None, peers: str | None) -> "Sharding":
        """Read the values of `--shard` and `--shard.peers`.

        Raises:
            UsageError: one of them cannot be read, or the second is given without the first.
        """
        if shard is None:
            if peers is not None:
                raise UsageError("--shard.peers: needs --shard, such as --shard 3/8")
            return cls()
        pattern = peers_pattern("--shard.peers", peers) if peers is not None else None
        return cls(parse_shard("--shard", shard), pattern)

    def count(self, counters: Counters) -> None:
        """Export which shard this is."""
        if self.shard is not None:
            number, count = str(self.shard.number), str(self.shard.count)
            counters.add("trunkwatch_shard_info", number, count)
            counters.add("trunkwatch_shards", count, amount=self.shard.count)

    def other(self, config: Config, trunk: Trunk) -> OtherShard | None:
        """Return who else reads a trunk; None for one of this exporter, or of no source."""
        if self.shard is None or not any(each.may_feed(trunk) for each in config.sources):
            return None
        owner = owner_of(trunk.repo, self.shard.count)  # Not `owns`: a client may send any name.
        if owner == self.shard.number:
            return None
        address = self.peers.replace("{shard}", str(owner)) if self.peers is not None else None
        text = f"{trunk} is read by shard {owner} of {self.shard.count}"
        return OtherShard(f"{text}; this is shard {self.shard.number}", address)
