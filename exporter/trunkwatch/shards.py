"""Which exporter of several reads a repository (docs/scale.md).

Rendezvous hashing: of n + 1 exporters the new one takes 1 / (n + 1) of the repositories, and no
other repository moves. https://en.wikipedia.org/wiki/Rendezvous_hashing
"""

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache

from trunkwatch.errors import UsageError

MAX_SHARDS = 1000
"""The most shards of a set: finding the owner of a repository costs one hash for each."""

CACHED_OWNERS = 100_000
"""Repositories whose owner is remembered, some ten megabytes."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several exporters that share the repositories of a configuration.

    Attributes:
        number: from 1.
        count: how many there are.
    """

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def owns(self, repo: str) -> bool:
        """Return whether this exporter reads a repository, given its label `repo`."""
        return _cached_owner(repo, self.count) == self.number


def owner_of(repo: str, count: int) -> int:
    """Return the number of the shard that reads a repository.

    Args:
        repo: its label; small and capital letters are the same, as for most CI servers.
        count: how many shards there are.
    """

    def weight(number: int) -> bytes:
        text = f"{number}/{repo.lower()}"
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()

    return max(range(1, count + 1), key=weight)


_cached_owner = lru_cache(CACHED_OWNERS)(owner_of)


def parse_shard(flag: str, text: str) -> Shard:
    """Return the shard that a flag names.

    Args:
        flag: its name, for the error.
        text: its value, such as 3/8.

    Raises:
        UsageError: it is none.
    """
    found = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4})", text)
    number, count = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= count <= MAX_SHARDS:
        raise UsageError(
            f"{flag} {text!r}: must be the number of this exporter, from 1, and how many there are,"
            f" such as 3/8 for the third of eight; at most {MAX_SHARDS}"
        )
    return Shard(number, count)
