"""The builds of one refresh that were read and cannot be used."""

from collections import Counter
from collections.abc import Iterable, MutableMapping

from trunkwatch.config.sources import BuildbotSource
from trunkwatch.sources.buildbot.builds import Checkout
from trunkwatch.sources.hashes import short_hash


class Tally:
    """Counts builds by the reason why they cannot be used, and what would make them usable.

    Attributes:
        dropped: numbers of builds by reason: `builder` (the master does not list it), `codebase`
            (several, of which none is chosen), `malformed` (no id), `patch` (a try build) and
            `revision` (no full hash of a commit).
    """

    def __init__(self, config: BuildbotSource, counted: MutableMapping[object, None]) -> None:
        """Args:
        config: the source's section of the configuration.
        counted: the builds that earlier refreshes counted; this one adds its own.
        """
        self._config = config
        self._counted = counted
        self._codebases: set[str] = set()
        self._abbreviated: str | None = None
        self._refused: str | None = None
        self.dropped: Counter[str] = Counter()

    def drop(self, build: object, reason: str) -> None:
        """Count a build, by its id or its content, unless it was counted before."""
        if build not in self._counted:
            self._counted[build] = None
            self.dropped[reason] += 1

    def drop_codebases(self, build_id: int, names: Iterable[str]) -> None:
        """Count a build that has several codebases, of which the configuration names none."""
        self.drop(build_id, "codebase")
        self._codebases.update(names)

    def drop_revision(self, build_id: int, checkout: Checkout, page: str | None) -> None:
        """Count a build without the full hash of a commit.

        Args:
            build_id: its id.
            checkout: what it checked out.
            page: its address, if it belongs to a watched trunk.
        """
        self.drop(build_id, "revision")
        short = short_hash(checkout.got) or short_hash(checkout.requested)
        if short is None or page is None or self._abbreviated is not None:
            return
        clone = self._config.git
        fix = f"{clone} has not exactly one such commit" if clone else "set `git` to a local clone"
        self._abbreviated = (
            f"{page} has the abbreviated revision {short}: make its source step report the full"
            f" hash in got_revision; {fix}"
        )

    def refused(self, error: Exception) -> None:
        """Record that the source stamps cannot be read."""
        self._refused = (
            f"{error}: try builds of a patch count like builds of the trunk, and codebases have no"
            " branch; allow GET of /api/v2/buildrequests and /api/v2/buildsets"
        )

    def remedies(self) -> dict[str, str]:
        """Return what would make dropped builds usable, by the name of the limitation."""
        found = {"codebases": self._codebases_text(), "revisions": self._abbreviated}
        return {name: text for name, text in found.items() if text is not None}

    def limitations(self) -> dict[str, str]:
        """Return the remedies, and the addresses that are refused, by name."""
        refused = {} if self._refused is None else {"sourcestamps": self._refused}
        return {**self.remedies(), **refused}

    def _codebases_text(self) -> str | None:
        if not self._codebases:
            return None
        names = [name or "''" for name in sorted(self._codebases)]
        listed = " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
        wrong = f", not {self._config.codebase}" if self._config.codebase else ""
        return (
            f"builds have the codebases {listed}{wrong}:"
            f" set `codebase` to the one that is {self._config.repo}"
        )
