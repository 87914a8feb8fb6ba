"""The dependencies that the readers of one trunk share."""

from dataclasses import dataclass

from trunkwatch.domain.model import Trunk
from trunkwatch.rest.lists import ListClient
from trunkwatch.sources.github.state import StateStore


@dataclass(frozen=True, slots=True)
class TrunkContext:
    """The dependencies of everything that reads one trunk.

    Attributes:
        trunk: the trunk.
        client: of GitHub's API.
        state: the stored state of the trunk.
        events: the events whose runs count.
        now: seconds since the epoch.
    """

    trunk: Trunk
    client: ListClient
    state: StateStore
    events: frozenset[str]
    now: float

    @property
    def repo_path(self) -> str:
        """The path of the repository in the API."""
        return f"/repos/{self.trunk.repo}"
