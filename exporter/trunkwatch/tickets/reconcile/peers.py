"""Checks of the peers, also while no group needs them: an idle process that could not work must not
seem ready."""

import logging
from collections.abc import Callable, Mapping

from trunkwatch.errors import TrunkwatchError

log = logging.getLogger(__name__)

Check = Callable[[], object]
"""Uses a peer, and raises a TrunkwatchError if that fails."""

CHECK_SECONDS = 30.0
"""The least time between two checks: deliveries start rounds at any rate."""


class PeerChecks:
    """The newest check of each peer."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        """Args:
        checks: by peer.
        """
        self._checks = checks
        self._checked_at: float | None = None
        self._errors: dict[str, str] = {}

    def errors(self, now: float) -> Mapping[str, str]:
        """Return the error of each peer that cannot be used.

        They are checked again after `CHECK_SECONDS`, and in every round while one fails.

        Args:
            now: seconds since the epoch.
        """
        is_recent = self._checked_at is not None and abs(now - self._checked_at) < CHECK_SECONDS
        if is_recent and not self._errors:
            return {}
        self._checked_at, self._errors = now, {}
        for peer, check in self._checks.items():
            try:
                check()
            except TrunkwatchError as error:
                self._errors[peer] = str(error)
                log.warning("peer cannot be used", extra={"peer": peer, "error": error})
        return self._errors
