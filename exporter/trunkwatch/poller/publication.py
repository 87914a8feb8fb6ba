"""The trunks of the snapshot, in order: a publication costs the trunks that changed."""

from bisect import bisect_left
from collections.abc import Mapping

from trunkwatch.domain.model import Trunk
from trunkwatch.engine.snapshot import TrunkState
from trunkwatch.poller.source_admission import Refused, SourceAdmission


class Publication:
    """The published trunks with their admitted jobs. Not safe for threads."""

    def __init__(self, admission: SourceAdmission) -> None:
        """Args:
        admission: the limits on jobs.
        """
        self._admission = admission
        self._names: list[Trunk] = []
        self._states: list[TrunkState] = []

    @property
    def names(self) -> list[Trunk]:
        """The published trunks, sorted."""
        return self._names

    @property
    def trunks(self) -> tuple[TrunkState, ...]:
        """Their states."""
        return tuple(self._states)

    def update(self, changed: Mapping[Trunk, TrunkState | None]) -> list[Refused]:
        """Replace the states of some trunks; return the jobs that are newly refused.

        Args:
            changed: None where a trunk is not published any more.
        """
        admitted, refused = self._admission.update(changed)
        for trunk, state in admitted.items():
            self._put(trunk, state)
        return refused

    def _put(self, trunk: Trunk, state: TrunkState | None) -> None:
        position = bisect_left(self._names, trunk)
        is_published = position < len(self._names) and self._names[position] == trunk
        if state is None:
            if is_published:
                del self._names[position], self._states[position]
        elif is_published:
            self._states[position] = state
        else:
            self._names.insert(position, trunk)
            self._states.insert(position, state)
