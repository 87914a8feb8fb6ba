"""What will change by the passing of time alone, and when."""

from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

Thing = TypeVar("Thing", bound=Hashable)


class ExpiryQueue(Generic[Thing]):
    """Moments at which things have to be looked at again; each thing has at most one.

    A heap whose entries are not looked for when they become void: they are passed over when their
    time comes. Things of one moment are compared, so they have an order.
    """

    def __init__(self) -> None:
        self._moments: dict[Thing, float] = {}
        self._heap: list[tuple[float, Thing]] = []

    def put(self, thing: Thing, moment: float | None) -> None:
        """Set the moment of a thing (seconds since the epoch), in place of what it was.

        Args:
            thing: what will change.
            moment: when; None for never.
        """
        if moment is None:
            self._moments.pop(thing, None)
        elif self._moments.get(thing) != moment:
            self._moments[thing] = moment
            heappush(self._heap, (moment, thing))
            if len(self._heap) > 2 * len(self._moments) + 64:
                self._tidy()

    def due(self, now: float) -> list[Thing]:
        """Return what has its moment at `now` or before; it is forgotten until it is put again."""
        found = []
        while (moment := self.earliest()) is not None and moment <= now:
            _, thing = heappop(self._heap)
            del self._moments[thing]
            found.append(thing)
        return found

    def earliest(self) -> float | None:
        """Return the first moment of all (seconds since the epoch), or None."""
        while self._heap and self._moments.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def _tidy(self) -> None:
        """Drop void entries before they are more than the others: time passes slowly."""
        self._heap = [(moment, thing) for thing, moment in self._moments.items()]
        heapify(self._heap)
