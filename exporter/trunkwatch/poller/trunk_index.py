"""Which trunks belong to which source, and the other way round."""

from collections.abc import Iterable, KeysView

from trunkwatch.domain.model import Trunk


class TrunkIndex:
    """Trunks by source and sources by trunk; an update costs the trunks of its source."""

    def __init__(self) -> None:
        self._trunks: dict[str, frozenset[Trunk]] = {}
        self._sources: dict[Trunk, set[str]] = {}

    def put(self, source: str, trunks: Iterable[Trunk]) -> None:
        """Replace the trunks of a source."""
        before, after = self.trunks_of(source), frozenset(trunks)
        self._trunks[source] = after
        for trunk in before - after:
            self._sources[trunk].discard(source)
            if not self._sources[trunk]:
                del self._sources[trunk]
        for trunk in after - before:
            self._sources.setdefault(trunk, set()).add(source)

    @property
    def trunks(self) -> KeysView[Trunk]:
        """The trunks of all sources."""
        return self._sources.keys()

    def trunks_of(self, source: str) -> frozenset[Trunk]:
        """Return the trunks of a source."""
        return self._trunks.get(source, frozenset())

    def sources_of(self, trunk: Trunk) -> Iterable[str]:
        """Return the sources of a trunk."""
        return self._sources.get(trunk, ())
