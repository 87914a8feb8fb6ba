"""The declared abilities and costs of a kind of source, from which docs/sources.md is made."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Traits:
    """The abilities of a kind of source, and the requests that it sends.

    Attributes:
        title: the CI, as people call it.
        document: of docs/ that describes it.
        attempts: which attempts of a job are seen; begins with "yes" or "no", as do the next two.
        failed_step: whether a failure has its step.
        may_fail: whether a failure that the CI allows is distinguished.
        order: where the order of the commits is read.
        webhooks: events that make a result seen at once; empty without webhooks.
        requests: number that one refresh sends while nothing is new, and that a limit counts.
        trunks: number of trunks that these requests are for.
        free_trunks: number of trunks up to which no request is counted.
        most: requests an hour; with more, refreshes take longer. None without a bound.
    """

    title: str
    document: str
    attempts: str
    failed_step: str
    may_fail: str
    order: str
    webhooks: tuple[str, ...]
    requests: int
    trunks: int = 1
    free_trunks: int = 0
    most: int | None = None

    def requests_an_hour(self, trunks: int, interval: float) -> int:
        """Return the requests of an hour in which nothing happens.

        Args:
            trunks: that are watched.
            interval: seconds from one refresh to the next.
        """
        if trunks <= self.free_trunks:
            return 0
        found = round(-(-trunks // self.trunks) * self.requests * 3600 / interval)
        return found if self.most is None else min(found, self.most)
